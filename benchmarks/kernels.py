"""The remaining kernels against their peers, and the temporal core against the memory.

Run: python benchmarks/kernels.py [--size 768] [--repeats 5]

"Fused core" is what the prototypes call so: season, its removal, median of the learning images,
threshold, count, first date, minimum; here `stable_images` as ``curupira run`` calls it but
without the spatial filters, and `exceedance`. It reads the cube's codes, or float32 power. The bar
is a share of one read of the float32 stack, as in the prototypes; reading the codes moves half the
bytes. On two threads each works on one half; reading is a sum over as much. Both count the CPU time
of their own thread: on a machine that others use, wall time would measure them. Everything else
runs on one thread, CPU time, best of some runs.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numba
import numpy as np
import scipy.ndimage as ndi
import xarray as xr

from curupira.cube.codec import encode
from curupira.detect.core import stable_images
from curupira.detect.exceedance import exceedance
from curupira.detect.lanes import kernel, wide
from curupira.detect.season import stabilise
from curupira.vectorise.attributes import group_extreme, group_mean
from curupira.vectorise.components import label
from curupira.vectorise.morphology import key_stride, opening_closing
from detect_core import DATES, DROP_DB, FILL, LEARNING, Array, machine, seconds, synthetic

RESULT = Path(__file__).parent / "results" / "kernels.json"
MASK = 4096


@kernel
def total(values: Array) -> float:
    """Read everything once."""
    wide()
    lanes = np.zeros(64, np.float32)
    for i in range(values.size // 64):
        part = values[64 * i :]
        for lane in range(64):
            lanes[lane] += part[lane]
    return lanes.sum()


def core(stack: Array, years: Array) -> Array:
    """The temporal core, as the pipeline has it."""
    every, late = np.ones(DATES, bool), np.arange(DATES) >= LEARNING
    kept, reference = stable_images(stack, years, every, late, ~late, minimum=10, quegan_yu=False)
    days = np.arange(DATES - LEARNING, dtype=np.int32)
    drop = np.full(reference.shape, DROP_DB, np.float32)
    # Its ten images in dB are a spatial filter's work: here they stand as they are.
    return exceedance(kept, reference, drop, days).n_alerts


def side_by_side(work: Callable[[Array], Any], parts: list[Array], repeats: int) -> float:
    """CPU seconds of the slower thread, one part a thread, best of some runs."""
    best = np.inf
    for _ in range(repeats):
        spent = [0.0] * len(parts)

        def run(k: int, spent: list[float]) -> None:
            start = time.thread_time()
            work(parts[k])
            spent[k] = time.thread_time() - start

        threads = [threading.Thread(target=run, args=(k, spent)) for k in range(len(parts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        best = min(best, max(spent))
    return best


def nrt_fit(stack: Array) -> Callable[[], Any]:
    """CuSum.fit of nrt (OLS, one harmonic) on the same dates, in dB as a user has them."""
    from nrt.monitor.cusum import CuSum

    days = np.datetime64("2020-01-01") + (np.arange(len(stack)) * 12).astype("timedelta64[D]")
    cube = xr.DataArray(
        10 * np.log10(stack),
        dims=("time", "y", "x"),
        coords={"time": days.astype("datetime64[ns]")},
    )

    def fit() -> None:
        monitor = CuSum(mask=np.ones(stack.shape[1:], np.uint8), trend=False, harmonic_order=1)
        monitor.fit(cube, method="OLS")

    return fit


def flagged(side: int) -> Array:
    """Mask of clearings and a few single pixels, 1.5 % set."""
    rng = np.random.default_rng(3)
    smooth = ndi.gaussian_filter(rng.standard_normal((side, side), np.float32), 6)
    mask = smooth > np.quantile(smooth[::7, ::7], 0.986)
    return np.asarray(mask | (rng.random((side, side)) < 0.001))


def measure(size: int, repeats: int) -> dict[str, Any]:
    """Rows of name, value, unit, baseline, ratio, limit_fraction."""
    rows: list[dict[str, Any]] = []

    def row(name: str, amount: float, ours: float, peer: str, theirs: float, unit: str) -> None:
        rows.append(
            {
                "name": name,
                "value": amount / ours / 1e6,
                "unit": unit,
                "baseline": f"{peer}: {amount / theirs / 1e6:.4g}",
                "ratio": theirs / ours,
                "limit_fraction": None,
            }
        )

    stack, years = synthetic(size)
    stack = np.nan_to_num(stack, nan=FILL)
    dates = "M pixel dates/s"
    half = size // 2
    parts = [np.ascontiguousarray(stack[:, :half]), np.ascontiguousarray(stack[:, half:])]
    stacks = {"codes": [encode(part) for part in parts], "float32": parts}
    flat = [part.reshape(-1) for part in parts]
    total(flat[0][:128])
    for kind, halves in stacks.items():
        core(np.ascontiguousarray(halves[0][:, :8]), years)
        for threads in (1, 2):
            ours = side_by_side(lambda part: core(part, years), halves[:threads], repeats)
            read = side_by_side(total, flat[:threads], 3 * repeats)
            name = f"fused core from {kind}, {threads} threads"
            peer = "one read of the float32 stack"
            row(name, threads * parts[0].size, ours, peer, read, dates)
            rows[-1]["limit_fraction"] = read / ours
    learning = stack[:LEARNING]
    flags = np.ones(LEARNING, bool)
    ours = seconds(
        lambda: stabilise(learning, years[:LEARNING], flags, recentre="intercept"), repeats
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = nrt_fit(learning)
        fit()
        theirs = seconds(fit, max(2, repeats // 2))
    row("season, fit and removal", learning.size, ours, "nrt CuSum.fit", theirs, dates)
    stable = 10 * np.log10(stack[LEARNING:])
    level = np.median(stable, axis=0)
    drop = np.full(level.shape, DROP_DB, np.float32)
    days = np.arange(len(stable), dtype=np.int32)

    def numpy_way() -> None:
        excess = level - drop - stable
        below = excess > 0
        below.sum(axis=0)
        below.argmax(axis=0)
        np.nanmax(excess, axis=0)

    ours = seconds(lambda: exceedance(stable, level, drop, days), 2 * repeats)
    row("exceedance", stable.size, ours, "numpy", seconds(numpy_way, repeats), dates)
    rows += polygons(repeats)
    return {
        "machine": machine() | {"numba": numba.__version__},
        "stack": list(stack.shape),
        "read_gb_s_of_two_threads": 8 * parts[0].size / read / 1e9,
        "rows": rows,
    }


def polygons(repeats: int) -> list[dict[str, Any]]:
    """Morphology, labels and zonal statistics of a mask."""
    mask = flagged(MASK)
    values = np.random.default_rng(4).integers(0, 60, mask.shape, dtype=np.int32)
    stride = key_stride(MASK, 1)
    y, x = np.nonzero(mask)
    keys = y.astype(np.int64) * stride + x
    cleaned = opening_closing(keys, stride, opening_radius=1, closing_radius=1)
    labels = label(cleaned, stride, 4)
    inside = values[cleaned // stride, cleaned % stride]
    square, cross = np.ones((3, 3), bool), ndi.generate_binary_structure(2, 1)
    opened = ndi.binary_closing(ndi.binary_opening(mask, square), cross)
    count, image = int(labels.max()) + 1, ndi.label(opened)[0]
    codes = mask.astype(np.uint8)
    ones, circle = np.ones((3, 3), np.uint8), cross.astype(np.uint8)
    numbers = np.arange(1, int(image.max()) + 1)

    def keys_of() -> Array:
        y, x = np.nonzero(mask)
        return np.asarray(y.astype(np.int64) * stride + x)

    def opencv() -> None:
        found = cv2.morphologyEx(codes, cv2.MORPH_OPEN, ones)
        cv2.morphologyEx(found, cv2.MORPH_CLOSE, circle)

    def zonal_scipy() -> None:
        for statistic in (ndi.mean, ndi.minimum, ndi.maximum):
            statistic(values, image, numbers)

    def zonal() -> None:
        group_mean(inside, labels, count)
        group_extreme(inside, labels, count, latest=False)
        group_extreme(inside, labels, count, latest=True)

    shape = {"opening_radius": 1, "closing_radius": 1}
    ours = {
        "opening and closing": lambda: opening_closing(keys_of(), stride, **shape),
        "components": lambda: label(cleaned, stride, 4),
        "mean, least and most of each": zonal,
    }
    peers = {
        "opening and closing": {
            "scipy": lambda: ndi.binary_closing(ndi.binary_opening(mask, square), cross),
            "OpenCV": opencv,
        },
        "components": {
            "scipy": lambda: ndi.label(opened),
            "OpenCV": lambda: cv2.connectedComponents(opened.astype(np.uint8), connectivity=4),
        },
        "mean, least and most of each": {"scipy": zonal_scipy},
    }
    rows = []
    for name, function in ours.items():
        taken = seconds(function, repeats)
        for peer, other in peers[name].items():
            theirs = seconds(other, max(2, repeats // 2))
            rows.append(
                {
                    "name": f"{name}, {MASK} x {MASK}, {mask.mean():.1%} set",
                    "value": mask.size / taken / 1e6,
                    "unit": "M pixels/s",
                    "baseline": f"{peer}: {mask.size / theirs / 1e6:.4g}",
                    "ratio": theirs / taken,
                    "limit_fraction": None,
                }
            )
    return rows


def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=768, help="side of the stack in pixels")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    result = measure(options.size, options.repeats)
    for row in result["rows"]:
        print(
            f"{row['name']:50} {row['value']:9.1f} {row['unit']:16} {row['baseline']:34}"
            f" {row['ratio']:8.2f}"
        )
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
