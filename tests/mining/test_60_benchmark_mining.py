"""The trainings that benchmarks/mining.py compares."""

from types import ModuleType

import numpy as np
import pytest
import torch
from benchmark_scripts import benchmark
from torch.nn import functional as fn

from curupira.mining.network import MiningNetwork, Scorer
from curupira.mining.params import MiningParams


@pytest.fixture(scope="module")
def trials() -> ModuleType:
    benchmark("mining_land")
    return benchmark("mining_trials")


def test_every_trial_is_a_valid_preset(trials: ModuleType) -> None:
    rules = {n: MiningParams.from_preset(t.preset) for n, t in trials.TRIALS.items()}
    assert rules["unesp_2025_30"].training.epochs == 30
    assert rules["unesp_2025_30"] == rules["unesp_2025_30_anew"]
    assert rules["fine"].patches.reach_m == rules["curupira"].patches.reach_m


def test_statistics_made_anew_are_the_mean_over_batches(trials: ModuleType) -> None:
    params = MiningParams.from_preset(trials.TRIALS["unesp_2025_30"].preset)
    rng = np.random.default_rng(4)
    patches = rng.normal(-12, 3, (40, 3, 16, 16)).astype(np.float32)
    torch.manual_seed(2)
    network = MiningNetwork(3, params.network).eval()
    scorer = Scorer(network, [-12.0] * 3, [3.0] * 3).eval()
    weights = {n: p.clone() for n, p in network.named_parameters()}
    trials.statistics_anew(scorer, patches, 8)
    with torch.no_grad():
        seen = fn.relu(network.convolutions[0](scorer.normalise(torch.from_numpy(patches))))
    first = network.norms[0]
    # Batches are of one size: the mean of their means is the mean of all.
    assert torch.allclose(first.running_mean, seen.mean(dim=(0, 2, 3)), atol=1e-5)
    assert not any(layer.training for layer in network.modules())
    assert all(torch.equal(weights[n], p) for n, p in network.named_parameters())
