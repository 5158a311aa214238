"""The network is the paper's, learns, repeats itself, and survives disk and export."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from curupira import presets
from curupira.errors import ConfigError, InputError
from curupira.mining.classify import by_patch, onnx_engine, plain_engine, torch_engine
from curupira.mining.dataset import PatchSet, band_statistics, batches
from curupira.mining.fused import norm_pool
from curupira.mining.model import Normalisation, load_model, save_model
from curupira.mining.network import (
    Folded,
    MiningNetwork,
    Scorer,
    count_parameters,
    focal_loss,
    pooled,
    statistics_anew,
)
from curupira.mining.overlap import SharedWindows, can_share
from curupira.mining.params import MiningParams
from curupira.mining.scene import fill_missing
from curupira.mining.train import fit, step_factor, validation_metrics

PRESET = presets.load("unesp_2025", "mining")
PARAMS = MiningParams.from_preset(PRESET)
RECORD = {
    "data_hash": "x", "seed": 0, "epoch": 1, "patches": {}, "metrics": {}, "history": {},
    "software": {},
}  # fmt: skip


def unlike(seed=0, params=PARAMS):
    """A network whose normalisations are far from what they begin with, some falling."""
    torch.manual_seed(seed)
    network = MiningNetwork(3, params.network)
    for norm in network.norms:
        norm.running_mean.uniform_(0, 0.5)
        norm.running_var.uniform_(0.05, 0.5)
        norm.weight.data.uniform_(-0.5, 1.5)
        norm.bias.data.uniform_(-0.5, 0.5)
    return network.eval()


def test_parameters_are_the_paper_s():
    network = MiningNetwork(3, PARAMS.network)
    assert count_parameters(network) == (102_082, 448)
    # By hand: convolutions, normalisations, dense layers.
    convolutions = 3 * 32 * 9 + 32 + 32 * 64 * 9 + 64 + 64 * 128 * 9 + 128
    assert convolutions + 2 * (32 + 64 + 128) + 128 * 64 + 64 + 64 * 2 + 2 == 102_082


@pytest.mark.parametrize("channels", [3, 32])
def test_the_fused_training_step_is_pytorch_s(channels):
    torch.manual_seed(channels)
    theirs = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.05)
    # Falling ones too: the smallest of a block is then chosen.
    theirs.weight.data.normal_()
    theirs.bias.data.normal_()
    ours = copy.deepcopy(theirs)
    x = (3 * torch.randn(4, channels, 12, 10) + 1).requires_grad_()
    again = x.detach().clone().requires_grad_()
    weights = torch.randn(4, channels, 6, 5)
    for _ in range(2):
        (fn.max_pool2d(theirs(fn.relu(x)), 2) * weights).sum().backward()
        (norm_pool(again, ours) * weights).sum().backward()
    pairs = [(x.grad, again.grad), (theirs.weight.grad, ours.weight.grad)]
    pairs += [(theirs.bias.grad, ours.bias.grad), (theirs.running_var, ours.running_var)]
    pairs += [(theirs.running_mean, ours.running_mean)]
    for expected, found in pairs:
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert ours.num_batches_tracked == 2


def test_the_step_falls_as_a_half_cosine():
    rng = np.random.default_rng(3)
    bands = rng.normal(0, 1, (48, 3, 16, 16)).astype(np.float32)
    index = pd.DataFrame({"point": np.arange(48), "label": np.arange(48) % 2})
    data, train = PatchSet(bands, index, "x"), np.arange(48) < 40
    small = {"size_px": 16, "epochs": 8, "filters": [4, 4, 4], "dense": 8}
    losses = []
    for name in ("none", "cosine"):
        params = MiningParams.from_preset(PRESET.replace(**small, decay=name))
        losses.append(fit(data, train, ~train, params, seed=1).history.validation_loss)
    # The first epoch has the whole step, the others less and less.
    assert losses[0][0] == losses[1][0]
    assert losses[0][1] != losses[1][1]
    factor = step_factor(params.training)
    assert [factor(n) for n in (0, 4, 8)] == pytest.approx([1.0, 0.5, 0.0])


def test_statistics_made_anew_are_the_mean_over_batches():
    rng = np.random.default_rng(4)
    patches = torch.from_numpy(rng.normal(0, 1, (40, 3, 16, 16)).astype(np.float32))
    network = unlike(2)
    weights = {n: p.clone() for n, p in network.named_parameters()}
    statistics_anew(network, patches, 8)
    with torch.no_grad():
        seen = fn.relu(network.convolutions[0](patches))
    first = network.norms[0]
    # Batches are of one size: the mean of their means is the mean of all.
    torch.testing.assert_close(first.running_mean, seen.mean(dim=(0, 2, 3)), rtol=0, atol=1e-5)
    assert first.momentum == PARAMS.network.norm_momentum
    assert not any(layer.training for layer in network.modules())
    assert all(torch.equal(weights[n], p) for n, p in network.named_parameters())


def test_a_training_ends_with_statistics_of_its_patches():
    # One epoch of one step: at 0.2 the running ones have hardly left what they begin with.
    found = {}
    for name in ("running", "anew"):
        data, trained = run(epochs=1, learning_rate=1e-6, final_statistics=name)
        with torch.no_grad():
            z = trained.scorer.normalise(torch.from_numpy(data.bands))
            inputs = fn.relu(trained.network.convolutions[0](z))
        mean, kept = inputs.mean(dim=(0, 2, 3)), trained.network.norms[0].running_mean
        found[name] = float((kept / mean).mean())
    assert found["running"] == pytest.approx(0.2, abs=0.02)
    assert found["anew"] == pytest.approx(1.0, abs=0.02)


def test_mean_and_maximum_side_by_side():
    features = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[-1.0, -5.0], [0.0, 2.0]]]])
    assert pooled(features, "mean_max", None).tolist() == [[3.0, -1.0, 6.0, 2.0]]
    signs = torch.tensor([1.0, -1.0]).reshape(1, 2, 1, 1)
    assert pooled(features, "mean_max", None, signs).tolist() == [[3.0, -1.0, 6.0, 5.0]]
    network = unlike(params=MiningParams.from_preset(PRESET.replace(pooling="mean_max")))
    # Both directions of the last normalisation fold.
    assert len(set(Folded(network).get_buffer("last_sign").flatten().tolist())) == 2
    patches = torch.randn(3, 3, 52, 52)
    with torch.no_grad():
        torch.testing.assert_close(Folded(network)(patches), network(patches), rtol=1e-4, atol=1e-4)


def test_shapes():
    network = MiningNetwork(3, PARAMS.network).eval()
    for side in (104, 52):
        assert network(torch.zeros(2, 3, side, side)).shape == (2, 2)
    probability = Scorer(network, [0, 0, 0], [1, 1, 1])(torch.randn(4, 3, 104, 104))
    assert probability.shape == (4,)
    assert ((probability > 0) & (probability < 1)).all()


def test_order_of_the_layers_by_hand():
    # ReLU stands before the normalisation: with a zero convolution only the shift comes through.
    network = unlike()
    for convolve in network.convolutions:
        convolve.weight.data.zero_()
        convolve.bias.data.fill_(-1.0)
    norm = network.norms[2]
    constant = norm.bias - norm.running_mean * norm.weight / torch.sqrt(norm.running_var + 1e-3)
    expected = network.output(torch.relu(network.dense(constant)))
    torch.testing.assert_close(network(torch.randn(1, 3, 104, 104))[0], expected)


def test_focal_loss_by_hand():
    logits = torch.tensor([[0.0, math.log(3.0)], [math.log(4.0), 0.0]])
    labels = torch.tensor([1, 1])
    # p_t = 0.75 and 0.2.
    terms = [0.25 * (1 - p) ** 2 * -math.log(p) for p in (0.75, 0.2)]
    assert focal_loss(logits, labels, PARAMS.training).item() == pytest.approx(sum(terms) / 2)
    weighted = MiningParams.from_preset(PRESET.replace(focal_weight="class")).training
    others = torch.tensor([0, 0])
    # The rest gets 1 - alpha.
    plain = focal_loss(logits, others, PARAMS.training)
    assert focal_loss(logits, others, weighted).item() == pytest.approx(3 * plain.item())
    assert focal_loss(logits, labels, weighted).item() == pytest.approx(sum(terms) / 2)


def test_folding_changes_nothing():
    network = unlike()
    assert not Folded(network).increasing[0]
    patches = torch.randn(6, 3, 104, 104)
    with torch.no_grad():
        torch.testing.assert_close(Folded(network)(patches), network(patches), rtol=0, atol=1e-5)


def test_attention_weighs_places_and_folds_too():
    network = unlike(params=MiningParams.from_preset(PRESET.replace(pooling="attention")))
    features = torch.randn(2, 128, 5, 5)
    # No preference: the mean. One place far above the others: its features alone.
    flat = torch.nn.Conv2d(128, 1, 1)
    torch.nn.init.zeros_(flat.weight)
    torch.testing.assert_close(pooled(features, "attention", flat), features.mean(dim=(2, 3)))
    torch.nn.init.ones_(flat.weight)
    features[:, :, 2, 3] += 100
    torch.testing.assert_close(pooled(features, "attention", flat), features[:, :, 2, 3])
    patches = torch.randn(6, 3, 104, 104)
    with torch.no_grad():
        torch.testing.assert_close(Folded(network)(patches), network(patches), rtol=0, atol=1e-5)
    assert count_parameters(network)[0] == 102_082 + 128 + 1


def test_a_temperature_changes_probabilities_and_no_decision():
    sure = run(epochs=30, dropout=0.0)[1].probability
    data, found = run(epochs=30, dropout=0.0, calibrate=True)
    assert ((found.probability > 0.5) == (sure > 0.5)).all()
    said = np.where(data.labels == 1, found.probability, 1 - found.probability)
    plain = np.where(data.labels == 1, sure, 1 - sure)
    # Focal loss leaves a network unsure of what it gets right.
    assert -np.log(said).mean() < -np.log(plain).mean()


def test_z_scores():
    rng = np.random.default_rng(0)
    patches = rng.normal([[[[-7]], [[-14]]]], [[[[2]], [[3]]]], (20, 2, 16, 16)).astype(np.float32)
    patches[0, :, :2] = np.nan
    mean, sd = band_statistics(patches)
    assert mean == pytest.approx([-7, -14], abs=0.1)
    assert sd == pytest.approx([2, 3], abs=0.1)
    filled = fill_missing(patches, mean)
    z = Scorer(torch.nn.Identity(), mean, sd).normalise(torch.from_numpy(filled))
    assert z[0, :, :2].abs().max() < 1e-5
    own = Scorer(torch.nn.Identity(), None, None).normalise(
        torch.from_numpy(fill_missing(patches, None))
    )
    torch.testing.assert_close(own.mean(dim=(2, 3)), torch.zeros(20, 2), atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="band 2 is constant"):
        band_statistics(np.stack([patches[:, 0], np.ones_like(patches[:, 0])], axis=1))


def test_augmentation_only_turns():
    patches = torch.arange(2 * 16, dtype=torch.float32).reshape(2, 1, 4, 4)
    seen = set()
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        for batch, _ in batches(patches, torch.zeros(2), 2, generator=generator, augment=True):
            for patch in batch:
                assert patch.sum() in (patches[0].sum(), patches[1].sum())
                seen.add(tuple(patch.flatten().tolist()))
    assert len(seen) == 16


def small_set(n=32, side=32, seed=0):
    """Half of the patches have a dark square somewhere."""
    rng = np.random.default_rng(seed)
    bands = rng.normal([[[[-7]], [[-14]], [[-3.5]]]], 1.5, (n, 3, side, side)).astype(np.float32)
    labels = np.arange(n) % 2
    for patch in bands[labels == 1]:
        y, x = rng.integers(2, side - 12, 2)
        patch[:2, y : y + 9, x : x + 9] -= 4
    index = pd.DataFrame({"point": np.arange(n), "label": labels})
    return PatchSet(bands, index, "hash")


SMALL = PRESET.replace(size_px=32, norm_momentum=0.2)


def run(seed=0, **options):
    data = small_set()
    params = MiningParams.from_preset(SMALL.replace(**options))
    everything = np.ones(32, dtype=bool)
    return data, fit(data, everything, everything, params, seed=seed)


def test_it_overfits_32_patches():
    data, found = run(epochs=40, dropout=0.0)
    assert ((found.probability > 0.5) == data.labels).all()
    assert found.history.loss[-1] < 0.1 * found.history.loss[0]


def test_training_repeats_itself_on_a_cpu():
    before = torch.random.get_rng_state()
    one, two, other = (run(seed=s, epochs=2, augment=True)[1] for s in (3, 3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    for a, b in zip(
        one.network.state_dict().values(), two.network.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)
    assert one.history == two.history
    assert not torch.equal(one.network.dense.weight, other.network.dense.weight)


def test_early_stopping_keeps_the_best_epoch():
    _, found = run(epochs=60, patience=3, learning_rate=0.02, dropout=0.0)
    losses = found.history.validation_loss
    assert found.epoch == int(np.argmin(losses)) + 1
    assert len(losses) == min(60, found.epoch + 3)


def test_validation_metrics_by_hand():
    labels = np.array([1, 1, 0, 0, 1, 0])
    probability = np.array([0.9, 0.4, 0.6, 0.1, 0.8, 0.2], np.float32)
    found = validation_metrics(labels, probability, np.arange(6))
    assert found["confusion"] == {"tp": 2, "fp": 1, "fn": 1, "tn": 2}
    assert found["precision"]["value"] == pytest.approx(2 / 3)
    assert found["f1"]["value"] == pytest.approx(2 / 3)
    assert found["accuracy"] | {"low": 0, "high": 0} == {
        "value": pytest.approx(4 / 6), "low": 0, "high": 0, "n": 6
    }  # fmt: skip
    assert found["precision"]["low"] < 2 / 3 < found["precision"]["high"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    scaling = Normalisation(kind="training", mean=[-7.0, -14.0, -3.5], sd=[2.0, 2.0, 1.0])
    save_model(folder, unlike(5), scaling, PRESET, RECORD)
    return folder


def test_a_saved_model_and_its_engines_agree(saved):
    model = load_model(saved)
    rng = np.random.default_rng(1)
    patches = rng.normal([[[[-7]], [[-14]], [[-3.5]]]], 3, (19, 3, 104, 104)).astype(np.float32)
    with torch.no_grad():
        direct = Scorer(unlike(5), model.card.normalisation.mean, model.card.normalisation.sd)
        expected = direct.eval()(torch.from_numpy(patches)).numpy()
    np.testing.assert_array_equal(model.scorer(torch.from_numpy(patches)).detach(), expected)
    for engine in (
        plain_engine(model),
        onnx_engine(model),
        torch_engine(model, torch.device("cpu")),
    ):
        np.testing.assert_allclose(engine(patches), expected, atol=1e-5, rtol=0)
        assert engine(patches[:0]).shape == (0,)
    assert model.card.parameters == {"trainable": 102_082, "running": 448}
    assert model.card.units == {"vv": "dB", "vh": "dB", "pa": "dB"}
    assert model.params == PARAMS
    assert model.card.preset_hash == PRESET.hash


@pytest.mark.parametrize(("rows", "columns", "stride"), [(3, 4, 52), (1, 1, 52), (4, 2, 40)])
def test_shared_windows_are_the_windows(saved, rows, columns, stride):
    model = load_model(saved)
    assert can_share(model, stride)
    rng = np.random.default_rng(2)
    shape = (3, (rows - 1) * stride + 104, (columns - 1) * stride + 104)
    image = rng.normal([[[-7]], [[-14]], [[-3.5]]], 3, shape).astype(np.float32)
    # Land of several kinds, so that the windows differ.
    image[:, 40:90, 30:80] -= 8
    image[:, :9] += 5
    image[:, 20:22, 10:30] = np.nan
    usable = np.ones((rows, columns), dtype=bool)
    usable[-1, -1] = rows * columns == 1
    expected = by_patch(plain_engine(model), model, stride)(image, usable)
    found = SharedWindows(model, stride)(image, usable)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    assert len(found) == usable.sum()


def test_windows_that_cannot_be_shared(saved):
    model = load_model(saved)
    assert not can_share(model, 50)
    assert not can_share(model, 104)


def copied(saved, tmp_path, **changes):
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    card = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(card | changes))
    return tmp_path


def test_models_that_cannot_be_used(saved, tmp_path):
    with pytest.raises(ConfigError, match="no such model"):
        load_model(tmp_path / "none")
    with pytest.raises(InputError, match="name a model folder"):
        load_model(tmp_path)
    with pytest.raises(InputError, match="format 7, this program reads 5"):
        load_model(copied(saved, tmp_path, format=7))
    with pytest.raises(InputError, match="size_px"):
        load_model(copied(saved, tmp_path, size_px=None))
    with pytest.raises(InputError, match="not the weights"):
        load_model(copied(saved, tmp_path, weights_sha256="0"))
    with pytest.raises(InputError, match="do not fit the network"):
        load_model(copied(saved, tmp_path, bands=["vv", "vh"]))
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(InputError, match="no JSON"):
        load_model(tmp_path)
