"""Mining on simulated radar over real mines: the paper's network against ours.

Run: python benchmarks/mining.py [--data ../shared/data] [--work DIR] [--presets unesp_2025]
         [--seeds 1] [--variants 0] [--each 171] [--dates 1] [--json OUT]

The outlines (Amazon Mining Watch, cumulative 2023) and the training points are real, the radar over
them is simulated (simulate/mining_region.py): no figure here says how well mines are found. Trained
is on patches of the Tapajos box, thresholds and temperature are chosen on tiles of Tapajos that
are in no test, and tested is on tiles of both boxes, some around mines and some without: mines are
far more frequent there than in the boxes, so precision is no region's. Trained models are kept in
--work and used again. The presets' statistics of the normalisation follow in tens of steps here
(norm_momentum), for 342 patches make few hundred steps, and the paper's 2,394 make 1,800.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import torch

from curupira import presets
from curupira.mining.classify import classify_scene
from curupira.mining.evaluate import evaluate, match
from curupira.mining.model import MiningModel, Normalisation, load_model, save_model
from curupira.mining.params import ClassifyParams, GridParams, MiningParams, ScoreParams
from curupira.mining.reference_grid import reference_grid
from curupira.mining.splits import split_patches
from curupira.mining.squares import drop_lone, squares_of
from curupira.mining.train import fit, validation_metrics
from mining_land import CRS, VARIANTS, Place, Region, image_for, patch_set

#: The paper's Table 2: F1 at thresholds 0.8 and 0.9.
PAPER = {("tapajos", 0.8): 0.676, ("tapajos", 0.9): 0.578}
PAPER |= {("yanomami", 0.8): 0.589, ("yanomami", 0.9): 0.630}
#: Date of the paper's Tapajos map.
TAPAJOS_DAY = date(2023, 12, 25)
#: Weight of a batch in the running statistics of a short training.
SHORT = 0.05
LEVELS = np.round(np.arange(0.1, 0.99, 0.02), 2)


def train(name: str, data: Path, folder: Path, *, each: int, dates: int, seed: int) -> MiningModel:
    """A model of a preset and seed, trained unless it is there already."""
    if (folder / "model.json").is_file():
        return load_model(folder)
    preset = presets.load(name, "mining").replace(norm_momentum=SHORT)
    params = MiningParams.from_preset(preset)
    patches = patch_set(Region(data, "tapajos", 0), params, each, dates, seed)
    learn, check = split_patches(patches.index, params.split, size_m=1040.0, seed=seed)
    started = time.monotonic()
    trained = fit(patches, learn, check, params, seed=seed)
    labels, points = patches.labels[check], patches.index["point"].to_numpy()[check]
    scaling = Normalisation(kind=params.training.zscore, mean=trained.mean, sd=trained.sd)
    record: dict[str, Any] = {
        "data_hash": patches.hash,
        "seed": seed,
        "epoch": trained.epoch,
        "patches": {"training": int(learn.sum()), "validation": int(check.sum())},
        "metrics": {
            "split": params.split.split,
            "validation": validation_metrics(labels, trained.probability, points),
        },
        "history": vars(trained.history),
        "software": {"torch": torch.__version__},
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_model(folder, trained.network, scaling, preset, record)
    found = record["metrics"]["validation"]["f1"]["value"]
    seconds = time.monotonic() - started
    print(f"  trained {name} seed {seed}: {len(patches.index)} patches, {seconds:.0f} s, "
          f"epoch {trained.epoch}, validation F1 {found:.3f}", flush=True)  # fmt: skip
    return load_model(folder)


def squares(model: MiningModel, region: Region, places: Sequence[Place], day: date) -> Any:
    """All squares of the tiles with their probability, and the tiles' outlines as one area."""
    found = []
    for place in places:
        scene = image_for(region, place, model.params, sorted({*region.land.dates, day}))
        rules = model.params.classify
        seen = classify_scene(scene, model, stride_px=rules.stride_px, threshold=0.5)
        found.append(squares_of(seen, 0.02, rules.merge_overlap))
    return gpd.GeoDataFrame(pd.concat(found, ignore_index=True), crs=CRS[region.name])


def cells(region: Region, places: Sequence[Place]) -> gpd.GeoDataFrame:
    """Reference cells of the tiles."""
    area = shapely.union_all([p.grid.extent.geom for p in places])
    clipped = region.outlines.clip(area)
    layer = gpd.GeoDataFrame(geometry=clipped[~clipped.is_empty].to_numpy(), crs=CRS[region.name])
    layer = layer[layer.geom_type.isin(["Polygon", "MultiPolygon"])]
    return reference_grid(layer, GridParams(crs=CRS[region.name]))


def judge(
    found: Any, reference: Any, threshold: float, rule: str, rules: ClassifyParams | None = None
) -> dict[str, Any]:
    """Scores at one threshold; with ``rules`` also their rule for lone squares."""
    params = ScoreParams(rule=rule, bootstrap=500)  # type: ignore[arg-type]
    chosen = found[found.probability > threshold]
    if rules is not None:
        chosen = drop_lone(chosen, rules)
    return evaluate(chosen, reference, params, threshold=threshold).as_dict()


def quick_f1(found: Any, reference: Any) -> float:
    """Symmetric F1 without intervals."""
    hit, met = match(found.geometry.to_numpy(), reference.geometry.to_numpy(), 0.0)
    if not hit.any():
        return 0.0
    precision, recall = float(hit.mean()), float(met.mean())
    return 2 * precision * recall / (precision + recall)


def choose(found: Any, reference: Any, rules: ClassifyParams, lone: bool) -> tuple[float, float]:
    """Threshold and that of lone squares (0: none) with the highest symmetric F1."""
    best, chosen = -1.0, (0.5, 0.0)
    for low in LEVELS:
        above = found[found.probability > low]
        extra = [x for x in (0.0, *LEVELS[4::8]) if x == 0 or x > low] if lone else [0.0]
        for high in extra:
            kept = drop_lone(above, rules.model_copy(update={"lone_threshold": float(high)}))
            score = quick_f1(kept, reference)
            if score > best:
                best, chosen = score, (float(low), float(high))
    return chosen


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train, choose thresholds, judge; one row an evaluation."""
    rows = []
    for name in options.presets.split(","):
        for seed in range(1, options.seeds + 1):
            folder = options.work / f"{Path(name).stem}_{options.each}x{options.dates}_{seed}"
            model = train(name, options.data, folder, each=options.each, dates=options.dates,
                          seed=seed)  # fmt: skip
            home = Region(options.data, "tapajos", 0)
            places = home.tiles(options.tiles, options.tiles, seed=900)
            rules = model.params.classify
            frozen, high = choose(squares(model, home, places, TAPAJOS_DAY), cells(home, places),
                                  rules, name != "unesp_2025")  # fmt: skip
            rules = rules.model_copy(update={"lone_threshold": high})
            print(f"  {name} seed {seed}: threshold {frozen}, lone squares {high}, on validation "
                  "tiles", flush=True)  # fmt: skip
            for variant in options.variants:
                rows += [{"preset": name, "seed": seed, "variant": variant, **r}
                         for r in test(model, options, variant, frozen, rules)]  # fmt: skip
                options.json.write_text(json.dumps(rows, indent=1))
    return rows


def test(
    model: MiningModel,
    options: argparse.Namespace,
    variant: int,
    frozen: float,
    rules: ClassifyParams,
) -> list[dict[str, Any]]:
    """Both regions of a variant, at the paper's thresholds and at the frozen one."""
    rows = []
    for name in ("tapajos", "yanomami"):
        region = Region(options.data, name, variant)
        day = TAPAJOS_DAY if name == "tapajos" else region.land.test_date
        places = region.tiles(options.tiles, options.tiles, seed=10 + variant)
        found, reference = squares(model, region, places, day), cells(region, places)
        for rule in ("paper", "symmetric"):
            for threshold in (0.8, 0.9, frozen):
                lone = rules if threshold == frozen else None
                row = judge(found, reference, threshold, rule, lone)
                rows.append({"region": name, "frozen": threshold == frozen, **row})
                _print(model.card.preset, variant, rows[-1])
    return rows


def _print(preset: str, variant: int, row: dict[str, Any]) -> None:
    p, r, f = (row[k]["value"] or 0.0 for k in ("precision", "recall", "f1"))
    paper = PAPER.get((row["region"], row["threshold"]))
    beside = f" (paper {paper:.3f})" if paper and row["rule"] == "paper" else ""
    print(f"{preset:11} v{variant} {row['region']:9} {row['rule']:9} > {row['threshold']:.2f}"
          f"{'*' if row['frozen'] else ' '} TP {row['tp']:4} FP {row['fp']:4} FN {row['fn']:4} "
          f"P {p:.3f} R {r:.3f} F1 {f:.3f}{beside}", flush=True)  # fmt: skip


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/curupira-mining"))
    parser.add_argument("--presets", default="unesp_2025,curupira")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--variants", type=int, nargs="+", default=[0], help=f"0-{len(VARIANTS) - 1}"
    )
    parser.add_argument("--each", type=int, default=171, help="points of each class")
    parser.add_argument("--dates", type=int, default=1, help="dates of each point (paper: 7)")
    parser.add_argument("--tiles", type=int, default=10, help="of each kind, of 7.28 km")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path("/tmp/curupira-mining.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run(options)


if __name__ == "__main__":
    main()
