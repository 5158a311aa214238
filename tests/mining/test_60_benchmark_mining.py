"""The trainings that benchmarks/mining.py compares."""

from types import ModuleType

import pytest
from benchmark_scripts import benchmark

from curupira.mining.params import MiningParams


@pytest.fixture(scope="module")
def trials() -> ModuleType:
    benchmark("mining_land")
    return benchmark("mining_trials")


def test_every_trial_is_a_valid_preset(trials: ModuleType) -> None:
    rules = {n: MiningParams.from_preset(t.preset) for n, t in trials.TRIALS.items()}
    assert rules["unesp_2025"].training.epochs == 30
    assert rules["unesp_2025"].training.final_statistics == "anew"
    # Windows half as wide on the ground, in as many pixels.
    ours, half = rules["curupira"].patches, rules["half_size"].patches
    assert (half.size_px, half.size_m) == (ours.size_px, ours.size_m / 2)
