"""What is trained in mining.py: the two presets, and the steps from one to the other."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from curupira import presets
from curupira.mining.model import MiningModel, Normalisation, load_model, save_model
from curupira.mining.params import MiningParams
from curupira.mining.splits import split_patches
from curupira.mining.train import fit, validation_metrics
from curupira.presets import Preset
from mining_land import Region, patch_set


@dataclass(frozen=True)
class Trial:
    """A preset, and what is different from it."""

    base: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def preset(self) -> Preset:
        """The preset of the trial."""
        return presets.load(self.base, "mining").replace(**self.options)


#: Windows of 520 m in pixels of 10 m, each one square.
SQUARES = {"stride_px": 52, "squares": "whole"}

#: By name. Every step of the ablation differs by one thing from `curupira`.
TRIALS: dict[str, Trial] = {
    "unesp_2025": Trial("unesp_2025"),
    "curupira": Trial("curupira"),
    # As the preset was on 21 November 2026.
    "before": Trial("curupira", {"pooling": "mean_max", "epochs": 8, "stride_px": 26}),
    "half_step": Trial("curupira", {"stride_px": 26}),
    "one_date": Trial(
        "curupira", {"dates": 1, "bands": ["vv", "vh", "pa"], "lee": "linear", "epochs": 18}
    ),
    "four_dates": Trial("curupira", {"dates": 4}),
    "attention": Trial("curupira", {"pooling": "attention"}),
    "no_augment": Trial("curupira", {"augment": False, "shift_px": 0}),
    "one_composite": Trial("curupira", {"composites": 1, "epochs": 224}),
    "half_size": Trial("curupira", {"pixel_m": 10.0, "shift_px": 20} | SQUARES),
    "context": Trial("curupira_context"),
}


def train(
    names: list[str], data: Path, work: Path, *, dates: int, seed: int
) -> dict[str, MiningModel]:
    """Models of some trials and one seed, trained unless they are there already."""
    folders = {n: work / f"{n}_{TRIALS[n].preset.hash[:8]}_{dates}d_{seed}" for n in names}
    for name in names:
        if (folders[name] / "model.json").is_file():
            continue
        started, preset = time.process_time(), TRIALS[name].preset
        rules = MiningParams.from_preset(preset)
        patches = patch_set(Region(data, "tapajos", 0), rules, 171, dates, seed)
        learn, check = split_patches(
            patches.index, rules.split, size_m=rules.patches.reach_m, seed=seed
        )
        trained = fit(patches, learn, check, rules, seed=seed)
        points = patches.index["point"].to_numpy()[check]
        found = validation_metrics(patches.labels[check], trained.probability, points)
        record: dict[str, Any] = {
            "data_hash": patches.hash,
            "seed": seed,
            "epoch": trained.epoch,
            "patches": {"training": int(learn.sum()), "validation": int(check.sum())},
            "metrics": {"split": rules.split.split, "validation": found},
            "history": vars(trained.history),
            "software": {"torch": torch.__version__},
        }
        folders[name].mkdir(parents=True, exist_ok=True)
        scaling = Normalisation(kind=rules.training.zscore, mean=trained.mean, sd=trained.sd)
        save_model(folders[name], trained.network, scaling, preset, record)
        print(f"  trained {name} seed {seed}: {len(patches.index)} patches, epoch {trained.epoch}, "
              f"{time.process_time() - started:.0f} s of CPU, validation F1 "
              f"{found['f1']['value']:.3f}", flush=True)  # fmt: skip
    return {n: load_model(folders[n]) for n in names}
