"""Speed of the detection against the pipelines a user and an expert would write. One thread each.

Run: python benchmarks/detect_core.py [--size 1024] [--repeats 5]

All three pipelines do the same steps on the same synthetic stack: remove the season, Quegan-Yu with
a 5 x 5 median over all images, Refined Lee on the last ten, median of the learning images,
threshold. "user" is numpy and scipy, "expert" swaps in OpenCV's median and bottleneck's nanmedian.
The process is pinned to one core. CPU times are counted, and the best of some runs is taken: others
may use the machine, which only ever adds to it.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bottleneck as bn
import cv2
import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi

from curupira.detect.core import stable_images
from curupira.detect.exceedance import exceedance
from curupira.detect.quegan_yu import local_expectation, quegan_yu
from curupira.detect.reference import reference_level
from curupira.detect.refined_lee import refined_lee
from curupira.detect.season import harmonic_design, stabilise
from curupira.units import to_db

DATES = 90
LEARNING = 80
DROP_DB = 1.31 + 0.35 * 3.0
FILL = 0.04
#: Side of the stack that single steps are timed on.
PART = 512
RESULT = Path(__file__).parent / "results" / "detect_core.json"

Array = npt.NDArray[Any]
Filter = Callable[[Array], Array]


def synthetic(size: int, seed: int = 1) -> tuple[Array, Array]:
    """Stack (t, y, x) linear and years (t,): speckle of 4.4 looks, season, clearings, NaN."""
    rng = np.random.default_rng(seed)
    years = np.arange(DATES) * 12 / 365.25

    def field(radius: int) -> Array:
        smooth = ndi.gaussian_filter(rng.standard_normal((size, size)), radius)
        return np.asarray(smooth / smooth.std())

    level = -13.5 + 0.6 * field(12)
    amplitude = 0.4 + 0.1 * field(40)
    phase = rng.uniform(0, 0.3, (size, size))
    cleared = np.full((size, size), DATES)
    for _ in range(size * size // 10_000):
        y, x = rng.integers(0, size - 40, 2)
        h, w = rng.integers(6, 40, 2)
        cleared[y : y + h, x : x + w] = LEARNING + rng.integers(0, 8)
    stack = np.empty((DATES, size, size), np.float32)
    for t in range(DATES):
        db = level + amplitude * np.cos(2 * np.pi * years[t] - phase) - 4.0 * (t >= cleared)
        stack[t] = 10 ** (db / 10) * rng.standard_gamma(4.4, (size, size)) / 4.4
        stack[t][rng.random((size, size)) < 0.0005] = np.nan
        if t % 9 == 4:
            stack[t, :, : size // 20 + t // 4] = np.nan
    return stack, years


def harmonic_numpy(stack: Array, years: Array) -> Array:
    """Remove the season by NaN-aware normal equations of all pixels at once."""
    design = harmonic_design(years).astype(np.float32)
    db = 10 * np.log10(stack).reshape(len(stack), -1)
    valid = np.isfinite(db)
    weight = valid.astype(np.float32)
    gram = np.einsum("ti,tj,tn->nij", design, design, weight, optimize=True)
    moments = (design.T @ np.where(valid, db, 0).astype(np.float32)).T
    fitted = np.linalg.solve(gram, moments[..., None])[..., 0].T
    return np.asarray(10 ** ((db - design[:, 1:] @ fitted[1:]) / 10)).reshape(stack.shape)


def lee_scipy(image: Array) -> Array:
    """Refined Lee 7 x 7, form of the scripts, by scipy correlations."""
    box = np.full((3, 3), 1 / 9, image.dtype)
    mean3 = ndi.correlate(image, box)
    var3 = ndi.correlate(image * image, box) - mean3 * mean3
    shifts = [(-dy, -dx) for dy in (-2, 0, 2) for dx in (-2, 0, 2)]
    m = np.stack([np.roll(mean3, shift, (0, 1)) for shift in shifts])
    v = np.stack([np.roll(var3, shift, (0, 1)) for shift in shifts])
    noise = np.sort(v / (m * m), axis=0)[:5].mean(axis=0)
    pairs = ((1, 7), (6, 2), (3, 5), (0, 8))
    edge = np.stack([np.abs(m[a] - m[b]) for a, b in pairs]).argmax(axis=0)
    convex = np.stack([m[a] - m[4] > m[4] - m[b] for a, b in pairs])
    first = np.take_along_axis(convex, edge[None], axis=0)[0]
    direction = np.where(first, edge, edge + 4)
    half = np.repeat(np.array([0, 0, 0, 1, 1, 1, 1], image.dtype), 7).reshape(7, 7)
    triangle = np.tril(np.ones((7, 7), image.dtype))
    mean, var = np.zeros_like(image), np.zeros_like(image)
    for k in range(8):
        kernel = np.rot90((half, triangle)[k % 2], -(k // 2))
        kernel = kernel / kernel.sum()
        here = ndi.correlate(image, kernel)
        spread = ndi.correlate(image * image, kernel) - here * here
        mean, var = np.where(direction == k, here, mean), np.where(direction == k, spread, var)
    return np.asarray(mean + (var - mean * mean * noise) / ((1 + noise) * var) * (image - mean))


def plain(stack: Array, years: Array, median5: Filter, time_median: Filter) -> Array:
    """The pipeline as a user writes it; number of flags (y, x)."""
    stable = harmonic_numpy(stack, years)
    level = np.stack([median5(np.nan_to_num(image, nan=FILL)) for image in stable])
    factor = np.nansum(stable / level, axis=0) / np.isfinite(stable).sum(axis=0)
    filtered = np.stack([lee_scipy(image * factor) for image in level[LEARNING:]])
    limit = 10 * np.log10(time_median(stable[:LEARNING])) - DROP_DB
    return np.asarray((10 * np.log10(filtered) < limit).sum(axis=0))


def user(stack: Array, years: Array) -> Array:
    """With numpy and scipy."""
    return plain(stack, years, lambda a: ndi.median_filter(a, 5), lambda a: np.nanmedian(a, axis=0))


def expert(stack: Array, years: Array) -> Array:
    """With OpenCV and bottleneck."""
    return plain(
        stack, years, lambda a: cv2.medianBlur(a.astype("f4"), 5), lambda a: bn.nanmedian(a, axis=0)
    )


def curupira(stack: Array, years: Array) -> Array:
    """With this package."""
    every, late = np.ones(DATES, bool), np.arange(DATES) >= LEARNING
    kept, reference = stable_images(stack, years, every, late, ~late, minimum=10, quegan_yu=True)
    filtered = np.stack([refined_lee(image, side="scripts", clamp=False) for image in kept])
    drop = np.full(reference.shape, DROP_DB, np.float32)
    days = np.arange(DATES - LEARNING, dtype=np.int32)
    return exceedance(to_db(filtered), reference, drop, days).n_alerts


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """Least CPU time of some runs: all is one thread, and others may share the machine."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def machine() -> dict[str, Any]:
    """Where it ran."""
    cpu = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def agreement(stack: Array, years: Array) -> dict[str, float]:
    """Share of pixels with the user pipeline's flag count, 8 pixels inside, without any NaN."""
    filled = np.nan_to_num(stack[:, :256, :256], nan=FILL)
    inner = np.s_[8:-8, 8:-8]
    ours, theirs = curupira(filled, years)[inner], user(filled, years)[inner]
    return {
        "pixels": ours.size,
        "same_count": float((ours == theirs).mean()),
        "flagged_pixels_ours": int((ours > 0).sum()),
        "flagged_pixels_user": int((theirs > 0).sum()),
    }


def measure(size: int, repeats: int) -> dict[str, Any]:
    """Time everything; rows of name, value, unit, baseline, ratio, limit_fraction."""
    stack, years = synthetic(size)
    clean = np.nan_to_num(stack, nan=FILL)
    curupira(stack, years)  # compile, or load the compiled
    work = stack.size
    copy = np.empty_like(stack)
    # One read of the stack: half of what a copy moves.
    limit = seconds(lambda: np.copyto(copy, stack), repeats) / 2 / work
    ours = seconds(lambda: curupira(stack, years), repeats)
    ours_clean = seconds(lambda: curupira(clean, years), repeats)
    dotted = clean.copy()
    dotted[np.random.default_rng(5).random(clean.shape) < 0.0005] = np.nan
    ours_dotted = seconds(lambda: curupira(dotted, years), repeats)
    with np.errstate(all="ignore"):
        by_user, by_expert = (
            seconds(lambda: user(stack, years), 1),
            seconds(lambda: expert(stack, years), 2),
        )
    rows: list[dict[str, Any]] = []

    def row(name: str, ours: float, amount: int, baseline: str, other: float) -> None:
        rows.append(
            {
                "name": name,
                "value": amount / ours / 1e6,
                "unit": "M pixel dates/s",
                "baseline": f"{baseline}: {amount / other / 1e6:.3g}",
                "ratio": other / ours,
                "limit_fraction": limit * amount / ours,
            }
        )

    row("detection", ours, work, "user numpy/scipy", by_user)
    row("detection", ours, work, "expert OpenCV/bottleneck", by_expert)
    row("detection, no NaN", ours_clean, work, "user numpy/scipy", by_user)
    row("detection, no NaN", ours_clean, work, "expert OpenCV/bottleneck", by_expert)
    row("detection, no NaN", ours_clean, work, "the same with 0.05 % scattered NaN", ours_dotted)
    row("detection, no NaN", ours_clean, work, "the same with NaN", ours)
    # The single steps on a quarter of it, or less: rates do not depend on the size.
    stack, clean = stack[:, :PART, :PART].copy(), clean[:, :PART, :PART].copy()
    work = stack.size
    flags = np.ones(DATES, bool)
    image, holed = clean[0], stack[0]
    lee = {"side": "scripts", "clamp": False}
    season = seconds(lambda: stabilise(stack, years, flags, recentre="intercept"), repeats)
    row("season", season, work, "numpy", seconds(lambda: harmonic_numpy(stack, years), 1))
    speckle = seconds(
        lambda: quegan_yu(stack, window=5, kind="median", keep=slice(LEARNING, None)), repeats
    )
    row("Quegan-Yu", speckle, work, "one read", limit * work)
    learning = stack[:LEARNING]
    level = seconds(lambda: reference_level(learning, 10), repeats)
    slow = seconds(lambda: np.nanmedian(learning, axis=0), 1)
    row("reference level", level, learning.size, "np.nanmedian", slow)
    fast = seconds(lambda: bn.nanmedian(learning, axis=0), 1)
    row("reference level", level, learning.size, "bottleneck", fast)
    median = seconds(lambda: local_expectation(holed, 5, "median"), 4 * repeats)
    slow = seconds(lambda: ndi.median_filter(image, 5), repeats)
    row("median 5x5, NaN", median, image.size, "scipy (not NaN-aware)", slow)
    fast = seconds(lambda: cv2.medianBlur(image, 5), 4 * repeats)
    median = seconds(lambda: local_expectation(image, 5, "median"), 4 * repeats)
    row("median 5x5, no NaN", median, image.size, "OpenCV", fast)
    filtered = seconds(lambda: refined_lee(holed, **lee), 4 * repeats)
    slow = seconds(lambda: lee_scipy(image), repeats)
    row("Refined Lee, NaN", filtered, image.size, "scipy (not NaN-aware)", slow)
    filtered = seconds(lambda: refined_lee(image, **lee), 4 * repeats)
    row("Refined Lee, no NaN", filtered, image.size, "scipy", slow)
    return {
        "machine": machine(),
        "stack": [DATES, size, size],
        "nan_fraction": float(np.isnan(stack).mean()),
        "cpu_seconds": {"curupira": ours, "user": by_user, "expert": by_expert},
        "agreement": agreement(stack, years),
        "rows": rows,
    }


def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="side of the stack in pixels")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    result = measure(options.size, options.repeats)
    print(f"{'step':20} {'M px*d/s':>9} {'baseline':42} {'ratio':>7} {'of limit':>9}")
    for row in result["rows"]:
        print(
            f"{row['name']:20} {row['value']:9.1f} {row['baseline']:42} {row['ratio']:7.1f}"
            f" {row['limit_fraction']:9.2%}"
        )
    print("CPU seconds", result["cpu_seconds"])
    print("agreement with the user pipeline", result["agreement"])
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
