"""What texture says beside backscatter: local coefficient of variation, on simulated districts.

    python benchmarks/texture.py DIR --fit default:52 default:56 --test default:54 wet:63 --json OUT

For every pixel that an image of the watch darkens: by how many of its own standard deviations the
coefficient of variation of the 5 x 5 pixels around, in the screened, unfiltered VH image, differs
from its mean over the learning period. Cleared pixels (in an event, within 90 days of its becoming
visible) are told from forest in no event by logistic laws: of what the verified evidence says, of
texture, of both; fitted on some districts, judged on others by the area under the curve.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter
from scipy.optimize import minimize
from scipy.stats import rankdata

from ablation import evidence_of, monitored, screened, stack_of
from curupira import presets
from curupira.detect.params import DetectParams
from curupira.detect.screened import Screened
from curupira.pipelines.accuracy import read_truth
from curupira.pipelines.images import rasterise
from curupira.pipelines.simulate_truth import TRUTH
from curupira.units import flag_days
from districts import District

Doubles = npt.NDArray[np.float64]
WINDOW, DAYS = 5, 90
#: Forest pixels kept of each image: cleared ones are few.
FOREST = 4000


def variation(power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Coefficient of variation in the window around each pixel of ``(time, y, x)`` power."""
    out = np.empty_like(power)
    for image, target in zip(power, out, strict=True):
        valid = np.isfinite(image)
        clean = np.where(valid, image, 0).astype(np.float64)
        n, one, two = (uniform_filter(a, WINDOW) for a in (valid.astype(float), clean, clean**2))
        with np.errstate(invalid="ignore", divide="ignore"):
            target[:] = np.sqrt(np.maximum(two / n - (one / n) ** 2, 0)) / (one / n)
    return out


def samples(district: District) -> tuple[Doubles, npt.NDArray[np.bool_]]:
    """What evidence and texture say of darkened pixels ``(n, 2)``, and which are cleared."""
    params = DetectParams.from_preset(presets.load("curupira"))
    stack = stack_of(district, params)
    ratio = evidence_of(stack, params)
    _, learning, images = screened(district, params, "vh")
    cv = variation(images.power if isinstance(images, Screened) else images)
    z = (cv[~learning] - cv[learning].mean(axis=0)) / cv[learning].std(axis=0)
    window, forest = monitored(district)
    since = np.full(window.shape, np.iinfo(np.int32).max, dtype=np.int64)
    touched = np.zeros(window.shape, dtype=bool)
    for event in read_truth(district.opened, district.opened.folder / TRUTH):
        inside = rasterise([event.geometry], district.opened.grid, window)
        touched |= inside
        if event.visible is not None:
            since[inside] = flag_days(event.visible)
    rng = np.random.default_rng(1)
    rows, labels = [], []
    for says, texture, day in zip(ratio, z, stack.days, strict=True):
        dark = forest & (says > 0) & np.isfinite(texture)
        cleared = np.flatnonzero(dark & (since <= day) & (day - since <= DAYS))
        wood = np.flatnonzero(dark & ~touched)
        wood = rng.choice(wood, min(FOREST, wood.size), replace=False)
        at = np.concatenate([cleared, wood])
        rows.append(np.column_stack([says.ravel()[at], texture.ravel()[at]]).astype(np.float64))
        labels.append(np.arange(at.size) < cleared.size)
    return np.concatenate(rows), np.concatenate(labels)


def fit(x: Doubles, y: npt.NDArray[np.bool_]) -> Doubles:
    """Weights of a logistic law, the constant last; both classes weigh the same."""
    design = np.column_stack([x, np.ones(len(x))])
    sign = np.where(y, -1.0, 1.0)
    weight = np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum())

    def loss(w: Doubles) -> float:
        return float(weight @ np.logaddexp(0, sign * (design @ w)))

    return np.asarray(minimize(loss, np.zeros(design.shape[1])).x)


def area_under_curve(score: Doubles, y: npt.NDArray[np.bool_]) -> float:
    """Share of pairs in which the cleared pixel has the larger score."""
    ranks = rankdata(score)
    n, m = int(y.sum()), int((~y).sum())
    return float((ranks[y].sum() - n * (n + 1) / 2) / (n * m))


def main() -> None:
    """Fit, judge each district apart, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fit", nargs="+", required=True, metavar="SCENARIO:SEED")
    parser.add_argument("--test", nargs="+", required=True, metavar="SCENARIO:SEED")
    parser.add_argument("--json", type=Path, required=True)
    a = parser.parse_args()
    found = {}
    for place in [*a.fit, *a.test]:
        scenario, seed = place.split(":")
        asked = {"scenario": scenario, "seed": int(seed), "size_km": 10.0, "revisit_days": 12}
        district = District.of(a.folder / f"{scenario}-12d-{seed}", keep=True, **asked)
        found[place] = samples(district)
    x, y = (np.concatenate(parts) for parts in zip(*(found[p] for p in a.fit), strict=True))
    used = {"evidence": [0], "texture": [1], "both": [0, 1]}
    laws = {name: fit(x[:, columns], y) for name, columns in used.items()}
    document: dict[str, Any] = {"fit": a.fit, "laws": {k: list(w) for k, w in laws.items()}}
    for place in a.test:
        values, cleared = found[place]
        document[place] = {"cleared": int(cleared.sum()), "forest": int((~cleared).sum())} | {
            name: area_under_curve(values[:, columns] @ laws[name][:-1], cleared)
            for name, columns in used.items()
        }
        print(place, document[place], flush=True)
    a.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
