"""Mining on simulated radar over real mines: the paper's network against ours.

Run: python benchmarks/mining.py [--data ../shared/data] [--work DIR] [--trials unesp_2025,curupira]
         [--seeds 3] [--variants 16 17 18 19 20] [--choose curupira] [--lands 12] [--dates 7]
         [--tiles 3] [--json OUT]

The outlines (Amazon Mining Watch, cumulative 2023) and the training points are real, the radar over
them is simulated (simulate/mining_region.py): no figure here says how well mines are found. Trained
is on patches of the Tapajos box, variant 0; thresholds and that of lone squares are chosen on tiles
of Tapajos on twelve lands (CHOICE; tiles that are in no test; what the region has is drawn anew for
eight of them, since a threshold is to serve other regions too), and then frozen; tested is on tiles
of both boxes, half of them around mines and half without: mines are far more frequent there than in
the boxes, so precision is no region's. A variant is other land (another seed everywhere) with other
levels; the networks are trained once and look at all variants, so differences between models are
paired by variant. Trained models are kept in --work and used again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import torch

from curupira.mining.classify import block_engine, classify_scene
from curupira.mining.composite import evenly
from curupira.mining.evaluate import evaluate, match
from curupira.mining.model import MiningModel
from curupira.mining.params import ClassifyParams, GridParams, ScoreParams
from curupira.mining.reference_grid import reference_grid
from curupira.mining.squares import drop_lone, squares_of
from curupira.simulate.mining_region import Tile
from mining_land import CRS, TAPAJOS_DAY, Place, Region, Views, year_of
from mining_trials import TRIALS, train

#: The paper's Table 2: F1 at thresholds 0.8 and 0.9.
PAPER = {("tapajos", 0.8): 0.676, ("tapajos", 0.9): 0.578}
PAPER |= {("yanomami", 0.8): 0.589, ("yanomami", 0.9): 0.630}
#: Land and tiles of Tapajos on which thresholds are chosen, in no test: variant, seed of the tiles,
#: how many around mines and without, seed of what the region has (None: as Tapajos).
CHOICE: list[tuple[int, int, int, int, int | None]] = [
    (0, 900, 3, 3, None), (5, 901, 3, 3, None), (6, 902, 3, 3, None), (7, 903, 3, 3, None)
]  # fmt: skip
CHOICE += [(13 + n % 3, 920 + n, 3, 5, 4000 + n) for n in range(8)]
TEST_SEED = 10
#: What lone squares must be above, where they must.
LONE = (0.9, 0.95, 0.98, 0.99, 0.995)
LEVELS = np.round(np.append(np.arange(0.3, 0.93, 0.04), [0.94, 0.96, 0.97, 0.98, 0.985, 0.99]), 3)
#: Least probability of a square that is kept at all.
_FLOOR = 0.05


@dataclass(frozen=True)
class Seen:
    """Squares of every model over some tiles, and the reference cells there."""

    squares: dict[str, Any]
    reference: gpd.GeoDataFrame


def look(models: dict[str, MiningModel], region: Region, places: Sequence[Place]) -> Seen:
    """All models look at the same images of all tiles."""
    year = year_of(TAPAJOS_DAY if region.name == "tapajos" else region.land.test_date)
    wanted = {m.params.bands.dates: evenly(year, m.params.bands.dates) for m in models.values()}
    days = sorted({day for chosen in wanted.values() for day in chosen})
    found: dict[str, list[Any]] = {name: [] for name in models}
    engines = {n: block_engine(m, "auto", m.params.classify.stride_px) for n, m in models.items()}
    cells = []
    for place in places:
        tile = region.make(place)
        views = Views(region.scenes(tile, place, days), tile)
        for name, model in models.items():
            rules = model.params.classify
            chosen = [days.index(day) for day in wanted[model.params.bands.dates]]
            image = views.image(model.params, chosen)
            seen = classify_scene(
                image, model, stride_px=rules.stride_px, threshold=0.5, engine=engines[name]
            )
            found[name].append(squares_of(seen, _FLOOR, rules.merge_overlap, rules.squares))
        cells.extend(reference_of(region, place, tile))
    crs = CRS[region.name]
    joined = {n: gpd.GeoDataFrame(pd.concat(f, ignore_index=True), crs=crs)
              for n, f in found.items()}  # fmt: skip
    return Seen(joined, gpd.GeoDataFrame(pd.concat(cells, ignore_index=True), crs=crs))


def reference_of(region: Region, place: Place, tile: Tile) -> Iterator[gpd.GeoDataFrame]:
    """Reference cells of a tile, with the mask that most of their mined ground lies in."""
    clipped = region.outlines.clip(place.grid.extent.geom)
    layer = gpd.GeoDataFrame(geometry=clipped[~clipped.is_empty].to_numpy(), crs=CRS[region.name])
    layer = layer[layer.geom_type.isin(["Polygon", "MultiPolygon"])]
    if layer.empty or layer.area.sum() < GridParams().min_fragment_m2:
        return
    cells = reference_grid(layer, GridParams(crs=CRS[region.name]))
    masks = []
    for cell in cells.geometry:
        west, south, east, north = cell.bounds
        (left, top), (right, bottom) = (
            ~place.grid.affine * c for c in ((west, north), (east, south))
        )
        part = np.s_[max(round(top), 0) : round(bottom), max(round(left), 0) : round(right)]
        dug = tile.mined[part]
        for name, mask in (("water", tile.water), ("floodplain", tile.floodplain)):
            if dug.any() and mask[part][dug].mean() > 0.5:
                masks.append(name)
                break
        else:
            masks.append("")
    yield cells.assign(mask=masks)


def judge(
    found: Any, reference: Any, threshold: float, rule: str, rules: ClassifyParams | None
) -> dict[str, Any]:
    """Scores at one threshold; with ``rules`` also their rule for lone squares."""
    params = ScoreParams(rule=rule, bootstrap=200)  # type: ignore[arg-type]
    chosen = found[found.probability > threshold]
    if rules is not None:
        chosen = drop_lone(chosen, rules)
    row = evaluate(chosen, reference, params, threshold=threshold).as_dict()
    _, met = match(chosen.geometry.to_numpy(), reference.geometry.to_numpy(), 0.0)
    masks = reference["mask"].to_numpy()
    for name in ("water", "floodplain", ""):
        inside = masks == name
        counts = {"found": int(met[inside].sum()), "cells": int(inside.sum())}
        row[f"cells_in_{name or 'no_mask'}"] = counts
    return row


def quick_f1(found: Any, reference: Any) -> float:
    """Symmetric F1 without intervals."""
    hit, met = match(found.geometry.to_numpy(), reference.geometry.to_numpy(), 0.0)
    if not hit.any():
        return 0.0
    precision, recall = float(hit.mean()), float(met.mean())
    return 2 * precision * recall / (precision + recall)


def choose(seen: Sequence[Seen], key: str, rules: ClassifyParams) -> tuple[float, float, float]:
    """Threshold, that of lone squares (0: none), and their mean symmetric F1, which is highest."""
    best, chosen = -1.0, (0.5, 0.0)
    for low in LEVELS:
        above = [s.squares[key][s.squares[key].probability > low] for s in seen]
        for high in (0.0, *(x for x in LONE if x > low)):
            lone = rules.model_copy(update={"lone_threshold": float(high)})
            scores = [quick_f1(drop_lone(a, lone), s.reference)
                      for a, s in zip(above, seen, strict=True)]  # fmt: skip
            if np.mean(scores) > best:
                best, chosen = float(np.mean(scores)), (float(low), float(high))
    return *chosen, best


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train, choose thresholds, judge; one row an evaluation."""
    names = options.trials.split(",")
    models = {}
    for seed in range(1, options.seeds + 1):
        trained = train(names, options.data, options.work, dates=options.dates, seed=seed)
        models |= {f"{name}/{seed}": model for name, model in trained.items()}
    rows = (
        [
            r
            for r in json.loads(options.frozen.read_text())
            if r["case"] == "choice" and f"{r['trial']}/{r['seed']}" in models
        ]
        if options.frozen
        else _choices(models, options)
    )
    frozen = {}
    for row in rows:
        key = f"{row['trial']}/{row['seed']}"
        rules = models[key].params.classify.model_copy(
            update={"lone_threshold": row["lone_threshold"]}
        )
        frozen[key] = (row["threshold"], rules)
    options.json.write_text(json.dumps(rows, indent=1))
    for variant in options.variants:
        for name in ("tapajos", "yanomami"):
            region = Region(options.data, name, variant)
            places = region.tiles(options.tiles, options.tiles, seed=TEST_SEED + variant)
            seen = look(models, region, places)
            for key in models:
                rows += _rows(key, seen, name, variant, frozen.get(key))
            options.json.write_text(json.dumps(rows, indent=1))
    return rows


def _choices(models: dict[str, MiningModel], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Thresholds of the trials named by --choose, one row a model."""
    names = options.choose.split(",")
    choosing = {key: model for key, model in models.items() if key.split("/")[0] in names}
    seen = []
    for variant, seed, mined, clean, drawn in CHOICE[: options.lands] if choosing else []:
        home = Region(options.data, "tapajos", variant, drawn)
        seen.append(look(choosing, home, home.tiles(mined, clean, seed=seed)))
    rows = []
    for key, model in choosing.items():
        low, high, score = choose(seen, key, model.params.classify)
        name, number = key.split("/")
        rows.append({"trial": name, "seed": int(number), "case": "choice", "threshold": low,
                     "lone_threshold": high, "f1": score})  # fmt: skip
        print(f"  {key}: threshold {low}, lone squares {high}, frozen; F1 there {score:.3f}",
              flush=True)  # fmt: skip
    return rows


def _rows(
    key: str, seen: Seen, region: str, variant: int, frozen: tuple[float, ClassifyParams] | None
) -> list[dict[str, Any]]:
    """At the paper's thresholds, and at the frozen one, if any, with and without the lone rule."""
    name, seed = key.split("/")
    cases: list[tuple[str, float, ClassifyParams | None]] = [("0.8", 0.8, None), ("0.9", 0.9, None)]
    if frozen is not None:
        low, rules = frozen
        cases.append(("frozen", low, rules))
        if rules.lone_threshold:
            cases.append(("frozen, lone squares as others", low, None))
    rows = []
    for rule in ("paper", "symmetric"):
        for case, threshold, lone in cases:
            row = judge(seen.squares[key], seen.reference, threshold, rule, lone)
            about = {"trial": name, "seed": int(seed), "variant": variant, "region": region}
            alone = lone.lone_threshold if lone else 0.0
            rows.append({**about, "case": case, "lone_threshold": alone, **row})
            if case != "0.8" or rule == "paper":
                _print(rows[-1])
    return rows


def _print(row: dict[str, Any]) -> None:
    p, r, f = (row[k]["value"] or 0.0 for k in ("precision", "recall", "f1"))
    paper = PAPER.get((row["region"], row["threshold"]))
    beside = f" (paper {paper:.3f})" if paper and row["rule"] == "paper" else ""
    print(f"{row['trial']:11} {row['seed']} v{row['variant']} {row['region']:8} {row['rule']:9} "
          f"{row['case'][:9]:9} > {row['threshold']:.2f} TP {row['tp']:4} FP {row['fp']:4} "
          f"FN {row['fn']:4} P {p:.3f} R {r:.3f} F1 {f:.3f}{beside}", flush=True)  # fmt: skip


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/curupira-mining"))
    parser.add_argument("--trials", default="unesp_2025,curupira", help=", ".join(TRIALS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--variants",
        type=int,
        nargs="*",
        default=[16],
        help="levels 0-4 modulo 8; none: stop there",
    )
    parser.add_argument(
        "--choose",
        default="unesp_2025,curupira",
        help='trials whose thresholds are chosen; "": none',
    )
    parser.add_argument("--lands", type=int, default=len(CHOICE), help="to choose on: the first")
    parser.add_argument("--frozen", type=Path, help="JSON of a run before: its thresholds")
    parser.add_argument("--dates", type=int, default=7, help="of a model of one date (paper: 7)")
    parser.add_argument("--tiles", type=int, default=6, help="of each kind, of 7.28 km")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path("/tmp/curupira-mining.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run(options)


if __name__ == "__main__":
    main()
