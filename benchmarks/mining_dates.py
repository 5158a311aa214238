"""One network over several dates of a year: the mean of each window's log odds against one date.

Run: python benchmarks/mining_dates.py [--data ../shared/data] [--work DIR] [--seeds 3]
         [--variants 0 1 2 3 4] [--tiles 3] [--take 3] [--how mean] [--json OUT]

Land, tiles, rules and the trained networks of ``unesp_2025`` are those of mining.py (run it first,
with the same --work). A mine stays from date to date, while burnt pasture, flooded ground and wet
ponds change. Thresholds are chosen on tiles that are in no test, once in Tapajos alone (as in
mining.py) and once in each box, then frozen. --variants without a number stops there and prints the
F1 on those tiles.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
import torch

from curupira.mining.classify import classify_scene
from curupira.mining.model import MiningModel, load_model
from curupira.mining.params import ClassifyParams
from curupira.mining.squares import squares_of
from curupira.mining.windows import WindowMap
from mining import (
    CHOICE_SEED,
    TAPAJOS_DAY,
    TEST_SEED,
    Seen,
    choose,
    judge,
    quick_f1,
    reference_of,
)
from mining_land import CRS, Place, Region

#: Least probability of a square that is kept at all.
_FLOOR = 0.02
#: Probabilities nearer to 0 or 1 count as this far from it: one date outvotes no year.
_CERTAIN = 1e-6
HOW = {"mean": np.mean, "median": np.median}


def log_odds(probability: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Log odds, bounded, of any shape."""
    p = np.clip(probability.astype(np.float64), _CERTAIN, 1 - _CERTAIN)
    return np.log(p / (1 - p))


def combine(maps: Sequence[WindowMap], how: str) -> WindowMap:
    """Mean or median over the dates of the log odds of every window, as a probability."""
    odds = HOW[how](np.stack([log_odds(m.probability) for m in maps]), axis=0)
    return replace(maps[-1], probability=(1 / (1 + np.exp(-odds))).astype(np.float32))


def over_windows(seen: WindowMap) -> gpd.GeoDataFrame:
    """A square for each quarter of a window, scored by the mean log odds of all windows over it.

    A mine fills all four windows over its own square and fewer of those over the square beside it.
    """
    odds = log_odds(seen.probability)
    rows, columns = odds.shape
    layers = np.full((4, rows + 1, columns + 1), np.nan)
    for layer, (down, right) in zip(layers, ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
        layer[down : down + rows, right : right + columns] = odds
    score = 1 / (1 + np.exp(-np.nanmean(layers, axis=0)))
    row, column = np.nonzero(score > _FLOOR)
    side = seen.stride_px * seen.scene.affine.a
    left, top = seen.scene.affine.c + column * side, seen.scene.affine.f - row * side
    boxes = shapely.box(left, top - side, left + side, top)
    return gpd.GeoDataFrame(
        {"probability": score[row, column]}, geometry=boxes, crs=str(seen.scene.crs)
    )


def sights(maps: Sequence[WindowMap], how: str, rules: ClassifyParams) -> dict[str, Any]:
    """Squares of the last date and of all dates, scored by the best window and by all windows."""
    found = {}
    for name, seen in (("unesp_2025", maps[-1]), ("dates", combine(maps, how))):
        found[name] = squares_of(seen, _FLOOR, rules.merge_overlap, rules.squares)
        found[f"{name}_windows"] = over_windows(seen)
    return found


def look(
    models: dict[int, MiningModel], region: Region, places: Sequence[Place], take: int, how: str
) -> Seen:
    """Squares by "TRIAL/SEED", of ``take`` dates evenly over the year, the last one among them."""
    day = TAPAJOS_DAY if region.name == "tapajos" else region.land.test_date
    days = sorted({*region.land.dates, day})
    chosen = [round(n) for n in np.linspace(0, len(days) - 1, take)]
    found: dict[str, list[Any]] = {}
    cells = []
    for place in places:
        tile = region.make(place)
        scenes = region.scenes(tile, place, days)
        for seed, model in models.items():
            rules = model.params.classify
            maps = [
                classify_scene(scenes[n], model, stride_px=rules.stride_px, threshold=0.5)
                for n in chosen
            ]
            for name, squares in sights(maps, how, rules).items():
                found.setdefault(f"{name}/{seed}", []).append(squares)
        cells.extend(reference_of(region, place, tile))
    return Seen({key: _joined(frames) for key, frames in found.items()}, _joined(cells))


def _joined(frames: Sequence[Any]) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=frames[0].crs)


def rows(
    seen: Seen, region: str, variant: int, chosen: dict[str, dict[str, float]]
) -> list[dict[str, Any]]:
    """At the paper's thresholds, at that chosen in Tapajos, and at that chosen in the same box."""
    made = []
    for key, squares in seen.squares.items():
        trial, seed = key.split("/")
        cases = {
            "0.8": 0.8,
            "0.9": 0.9,
            "frozen": chosen["tapajos"][key],
            "frozen in the box": chosen[region][key],
        }
        for rule in ("paper", "symmetric"):
            for case, threshold in cases.items():
                about = {"trial": trial, "seed": int(seed), "variant": variant, "region": region}
                row = judge(squares, seen.reference, threshold, rule, None)
                made.append({**about, "case": case, **row})
    return made


def thresholds(seen: Seen, rules: ClassifyParams) -> dict[str, float]:
    """By "TRIAL/SEED" the threshold of the highest symmetric F1; no rule for lone squares."""
    found = {}
    for key, squares in seen.squares.items():
        found[key], _ = choose(squares, seen.reference, rules, False)
        score = quick_f1(squares[squares.probability > found[key]], seen.reference)
        print(f"  {key}: threshold {found[key]}, F1 there {score:.3f}", flush=True)
    return found


def run(options: argparse.Namespace) -> None:
    """Choose thresholds, judge; one row an evaluation."""
    folders = {s: options.work / f"unesp_2025_7d_8e_{s}" for s in range(1, options.seeds + 1)}
    models = {seed: load_model(folder) for seed, folder in folders.items()}
    chosen = {}
    for name in CRS:
        region = Region(options.data, name, 0)
        places = region.tiles(options.tiles, options.tiles, seed=CHOICE_SEED)
        seen = look(models, region, places, options.take, options.how)
        chosen[name] = thresholds(seen, models[1].params.classify)
    made: list[dict[str, Any]] = []
    for variant in options.variants:
        for name in CRS:
            region = Region(options.data, name, variant)
            places = region.tiles(options.tiles, options.tiles, seed=TEST_SEED + variant)
            seen = look(models, region, places, options.take, options.how)
            made += rows(seen, name, variant, chosen)
            lines = ",\n".join(json.dumps(row) for row in made)
            options.json.write_text(f"[\n{lines}\n]\n")


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/curupira-mining"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--variants", type=int, nargs="*", default=[0])
    parser.add_argument("--tiles", type=int, default=3, help="of each kind, of 7.28 km")
    parser.add_argument("--take", type=int, default=3, help="dates, the last one among them")
    parser.add_argument("--how", choices=sorted(HOW), default="mean")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=Path("/tmp/curupira-mining-dates.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run(options)


if __name__ == "__main__":
    main()
