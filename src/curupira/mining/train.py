"""Training, seeded and repeatable on a CPU."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as fn

from curupira.errors import ConfigError, InputError
from curupira.mining import estimates
from curupira.mining.dataset import PatchSet, band_statistics, batches
from curupira.mining.network import (
    MINE,
    MiningNetwork,
    Scorer,
    focal_loss,
    statistics_anew,
)
from curupira.mining.params import MiningParams, TrainingParams
from curupira.mining.scene import fill_missing
from curupira.progress import Report, silent

_RESAMPLES = 1000
#: Range of the temperature: a few validation patches without an error would ask for zero.
_TEMPERATURES = (0.2, 10.0)
#: Decision of the network itself, before any threshold of the map.
_HALF = 0.5


@dataclass
class History:
    """One number an epoch: loss and accuracy of both sides."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """A trained network, the normalisation it needs, and how the training went."""

    network: MiningNetwork
    mean: list[float] | None
    sd: list[float] | None
    history: History
    epoch: int
    probability: npt.NDArray[np.float32]

    @property
    def scorer(self) -> Scorer:
        """From bands in dB to probabilities."""
        return Scorer(self.network, self.mean, self.sd).eval()


def pick_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one.

    Raises
    ------
    ConfigError
        If the device does not exist here.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ConfigError("no CUDA device here", where="--device", remedy="use auto or cpu")
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"unknown device {name!r}", where="--device", remedy="auto, cpu or cuda")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and there) else "cpu")


def fit(
    data: PatchSet,
    train: npt.NDArray[np.bool_],
    validate: npt.NDArray[np.bool_],
    params: MiningParams,
    *,
    seed: int,
    device: torch.device | None = None,
    report: Report = silent,
) -> Trained:
    """Train the network on some patches and follow it on others.

    Parameters
    ----------
    data
        All patches; ``train`` and ``validate`` choose among them.
    params
        The preset; statistics of the z-score come from the training patches alone.
    seed
        Of weights, dropout, order and augmentation: one seed, one CPU and one number of threads
        give the same bits.
    device
        CPU if None.
    report
        Told after every epoch.

    Raises
    ------
    InputError
        If a side is empty, a band is constant, or the loss is no number.
    """
    if not train.any() or not validate.any():
        raise InputError("no patches to train or to validate on", where="split")
    device = device or torch.device("cpu")
    options = params.training
    mean, sd = band_statistics(data.bands[train]) if options.zscore == "training" else (None, None)
    filled = torch.from_numpy(fill_missing(data.bands, mean))
    labels = torch.tensor(data.labels)
    # The seed governs this training alone: the caller's random numbers stay as they were.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        network = MiningNetwork(data.bands.shape[1], params.network)
        # Channels last takes a fifth less time on a CPU (docs/mining.md).
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        scorer = Scorer(network, mean, sd).to(device)
        with torch.no_grad():
            z = torch.cat([scorer.normalise(part.to(device)) for part in torch.split(filled, 256)])
            z = z.contiguous(memory_format=torch.channels_last)
        sides = _Sides(
            *(z[torch.from_numpy(train)], labels[torch.from_numpy(train)].to(device)),
            *(z[torch.from_numpy(validate)], labels[torch.from_numpy(validate)].to(device)),
        )
        history, epoch = _epochs(network, sides, params, seed, report)
        if options.final_statistics == "anew":
            statistics_anew(network, sides.training, options.batch_size)
        if options.calibrate:
            _calibrate(network, sides.validation, sides.validation_labels, params)
        probability, _ = _probabilities(network, sides.validation, sides.validation_labels, params)
    return Trained(network.cpu().eval(), mean, sd, history, epoch, probability)


@dataclass(frozen=True)
class _Sides:
    training: Tensor
    training_labels: Tensor
    validation: Tensor
    validation_labels: Tensor


def _epochs(
    network: MiningNetwork, sides: _Sides, params: MiningParams, seed: int, report: Report
) -> tuple[History, int]:
    options = params.training
    optimiser = torch.optim.Adam(
        network.parameters(),
        lr=options.learning_rate,
        betas=(options.adam_beta1, options.adam_beta2),
        eps=options.adam_epsilon,
    )
    generator = torch.Generator().manual_seed(seed)
    steps = torch.optim.lr_scheduler.LambdaLR(optimiser, step_factor(options))
    history = History()
    best, best_epoch, best_state = np.inf, 0, copy.deepcopy(network.state_dict())
    for epoch in range(1, options.epochs + 1):
        _one_epoch(network, optimiser, sides, params, generator, history)
        steps.step()
        found, loss = _probabilities(network, sides.validation, sides.validation_labels, params)
        right = (found > _HALF) == (sides.validation_labels.cpu().numpy() == MINE)
        history.validation_loss.append(loss)
        history.validation_accuracy.append(float(right.mean()))
        report(epoch, options.epochs, f"loss {history.loss[-1]:.4f}, validation {loss:.4f}")
        if not options.patience:
            continue
        if loss < best:
            best, best_epoch, best_state = loss, epoch, copy.deepcopy(network.state_dict())
        elif epoch - best_epoch >= options.patience:
            break
    if options.patience:
        network.load_state_dict(best_state)
        return history, best_epoch
    return history, options.epochs


def step_factor(options: TrainingParams) -> Callable[[int], float]:
    """What the step is multiplied by in an epoch, counted from 0."""
    if options.decay == "none":
        return lambda epoch: 1.0
    return lambda epoch: float((1 + np.cos(np.pi * epoch / options.epochs)) / 2)


def _one_epoch(
    network: MiningNetwork,
    optimiser: torch.optim.Optimizer,
    sides: _Sides,
    params: MiningParams,
    generator: torch.Generator,
    history: History,
) -> None:
    options = params.training
    network.train()
    total, right = 0.0, 0
    feed = batches(
        sides.training,
        sides.training_labels,
        options.batch_size,
        generator=generator,
        augment=options.augment,
    )
    for patches, labels in feed:
        logits = network(patches)
        loss = focal_loss(logits, labels, options)
        if not torch.isfinite(loss):
            raise InputError(
                "the loss is no number",
                where=f"epoch {len(history.loss) + 1}",
                remedy="lower learning_rate, or look for absurd values in the patches",
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += float(loss.detach()) * len(labels)
        right += int((logits.argmax(dim=1) == labels).sum())
    history.loss.append(total / len(sides.training_labels))
    history.accuracy.append(right / len(sides.training_labels))


def _logits(network: MiningNetwork, patches: Tensor, params: MiningParams) -> Tensor:
    network.eval()
    with torch.no_grad():
        parts = torch.split(patches, params.training.batch_size)
        return torch.cat([network(part) for part in parts])


def _probabilities(
    network: MiningNetwork, patches: Tensor, labels: Tensor, params: MiningParams
) -> tuple[npt.NDArray[np.float32], float]:
    logits = _logits(network, patches, params)
    with torch.no_grad():
        loss = float(focal_loss(logits, labels, params.training))
        found = torch.softmax(logits, dim=1)[:, MINE].cpu().numpy()
    return found, loss


def _calibrate(
    network: MiningNetwork, patches: Tensor, labels: Tensor, params: MiningParams
) -> None:
    """Divide the output layer by the temperature of the least log loss (Guo et al. 2017)."""
    logits = _logits(network, patches, params)

    def loss(log_temperature: float) -> float:
        return float(fn.cross_entropy(logits / np.exp(log_temperature), labels))

    found = minimize_scalar(loss, bounds=np.log(_TEMPERATURES), method="bounded")
    temperature = float(np.exp(found.x))
    with torch.no_grad():
        network.output.weight.div_(temperature)
        network.output.bias.div_(temperature)


def validation_metrics(
    labels: npt.NDArray[np.int64],
    probability: npt.NDArray[np.float32],
    points: npt.NDArray[np.int64],
) -> dict[str, Any]:
    """Scores of the validation patches at probability 0.5, for ``model.json``.

    Intervals resample points, not patches: the dates of one place are not independent.
    """
    said, true = probability > _HALF, labels == MINE
    kinds = [said & true, said & ~true, ~said & true, ~said & ~true]
    counts = np.stack(kinds, axis=1).astype(np.int64)
    _, group = np.unique(points, return_inverse=True)
    grouped = np.zeros((int(group.max()) + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(grouped, group, counts)
    tp, fp, fn, tn = (int(n) for n in counts.sum(axis=0))

    def accuracy(totals: estimates.Counts) -> estimates.Counts:
        return estimates.ratio(totals[..., 0] + totals[..., 3], totals.sum(axis=-1))

    wanted = {
        "accuracy": (accuracy, len(labels)),
        "precision": (estimates.precision, tp + fp),
        "recall": (estimates.recall, tp + fn),
        "f1": (estimates.f1, tp + fp + fn),
    }
    return {
        **{
            name: estimates.bootstrap(grouped, function, n, resamples=_RESAMPLES, seed=0).as_dict()
            for name, (function, n) in wanted.items()
        },
        "confusion": {"tp": tp, "fp": fp, "fn": fn, "tn": tn},
        "brier": float(np.mean((probability - true) ** 2)),
    }
