"""What is trained in mining.py: the two presets, and the steps from one to the other."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from curupira import presets
from curupira.mining.model import MiningModel, Normalisation, load_model, save_model
from curupira.mining.network import Scorer
from curupira.mining.params import MiningParams
from curupira.mining.splits import split_patches
from curupira.mining.train import fit, validation_metrics
from curupira.presets import Preset
from mining_land import Region, patch_sets

#: Weight of a batch in the running statistics: our trainings make few hundred steps, the paper's
#: 1,800.
SHORT = 0.05


@dataclass(frozen=True)
class Trial:
    """A preset, and what is different from it.

    ``anew``: the running statistics of the normalisation are made anew after the training.
    """

    base: str
    options: dict[str, Any] = field(default_factory=dict)
    anew: bool = False

    @property
    def preset(self) -> Preset:
        """The preset of the trial."""
        return presets.load(self.base, "mining").replace(**self.options)


#: Windows of 520 m in pixels of 10 m, each one square.
SQUARES = {"stride_px": 52, "squares": "whole"}

#: By name. Every step of the ablation differs by one thing from a row above it.
TRIALS: dict[str, Trial] = {
    "unesp_2025": Trial("unesp_2025", {"epochs": 8, "norm_momentum": SHORT}),
    # As the preset says. Its last epoch is a lottery, unless the statistics are made anew.
    "unesp_2025_30": Trial("unesp_2025"),
    "unesp_2025_30_anew": Trial("unesp_2025", anew=True),
    "curupira": Trial("curupira"),
    # As the preset was on 21 November 2026.
    "before": Trial("curupira", {"pooling": "mean_max", "epochs": 8, "stride_px": 26}),
    "context": Trial("curupira_context"),
    "one_date": Trial(
        "curupira", {"dates": 1, "bands": ["vv", "vh", "pa"], "lee": "linear", "epochs": 18}
    ),
    "four_dates": Trial("curupira", {"dates": 4}),
    "no_spread": Trial("curupira", {"bands": ["vv", "vh", "vv_detail", "vh_detail"]}),
    "no_detail": Trial("curupira", {"bands": ["vv", "vh", "vv_spread", "vh_spread"]}),
    "mean_max": Trial("curupira", {"pooling": "mean_max"}),
    "short": Trial("curupira", {"epochs": 8}),
    "half_step": Trial("curupira", {"stride_px": 26}),
    "attention": Trial("curupira", {"pooling": "attention"}),
    "focal": Trial("curupira", {"focal_gamma": 2.0, "focal_alpha": 0.25}),
    "no_augment": Trial("curupira", {"augment": False, "shift_px": 0}),
    "one_composite": Trial("curupira", {"composites": 1, "epochs": 224}),
    "fine": Trial("curupira", {"pixel_m": 10.0, "size_px": 104, "stride_px": 26, "shift_px": 20}),
    "half_size": Trial("curupira", {"pixel_m": 10.0, "shift_px": 20} | SQUARES),
    "unesp_2025_52": Trial(
        "unesp_2025", {"epochs": 8, "norm_momentum": SHORT, "size_px": 52} | SQUARES
    ),
}


def train(
    names: list[str], data: Path, work: Path, *, dates: int, seed: int
) -> dict[str, MiningModel]:
    """Models of some trials and one seed, trained unless they are there already."""
    folders = {n: work / f"{n}_{TRIALS[n].preset.hash[:8]}_{dates}d_{seed}" for n in names}
    lacking = [n for n in names if not (folders[n] / "model.json").is_file()]
    chosen = {n: TRIALS[n].preset for n in lacking}
    params = {n: MiningParams.from_preset(p) for n, p in chosen.items()}
    if lacking:
        sets = patch_sets(Region(data, "tapajos", 0), params, 171, dates, seed)
    for name in lacking:
        started = time.process_time()
        patches, rules = sets.pop(name), params[name]
        learn, check = split_patches(
            patches.index, rules.split, size_m=rules.patches.reach_m, seed=seed
        )
        trained = fit(patches, learn, check, rules, seed=seed)
        points = patches.index["point"].to_numpy()[check]
        probability = trained.probability
        if TRIALS[name].anew:
            scorer = trained.scorer
            statistics_anew(scorer, patches.bands[learn], rules.training.batch_size)
            with torch.no_grad():
                parts = torch.split(torch.from_numpy(patches.bands[check]), 64)
                probability = torch.cat([scorer(part) for part in parts]).numpy()
        found = validation_metrics(patches.labels[check], probability, points)
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
        save_model(folders[name], trained.network, scaling, chosen[name], record)
        print(f"  trained {name} seed {seed}: {len(patches.index)} patches, epoch {trained.epoch}, "
              f"{time.process_time() - started:.0f} s of CPU, validation F1 "
              f"{found['f1']['value']:.3f}", flush=True)  # fmt: skip
    return {n: load_model(folders[n]) for n in names}


def statistics_anew(scorer: Scorer, patches: npt.NDArray[np.float32], size: int) -> None:
    """Make the running statistics the plain mean over batches of the training patches.

    Those of the training follow by a hundredth a step and lag behind weights that change.
    """
    layers = [m for m in scorer.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    order = np.random.default_rng(0).permutation(len(patches))
    with torch.no_grad():
        for start in range(0, len(order) - size + 1, size):
            scorer(torch.from_numpy(patches[order[start : start + size]]))
    for layer in layers:
        layer.eval()
