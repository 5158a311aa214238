"""The convolutional network of Lemes Neto et al. 2025, its loss, and what runs it fast."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from curupira.mining.fused import can_fuse, norm_pool
from curupira.mining.params import NetworkParams, TrainingParams

CLASSES = 2
MINE = 1
_FLAT = 1e-6


class MiningNetwork(nn.Module):
    """[Conv 3x3 same, ReLU, BN, MaxPool 2] x 2, Conv, ReLU, BN, mean, Dropout, Dense ReLU, Dense 2.

    With the preset ``unesp_2025`` and three bands it has 102,082 trainable parameters and 448
    running statistics, the 102,530 parameters that Keras counts (method.md 1C.5). Weights begin as
    Keras' do: Glorot uniform, biases zero.
    """

    def __init__(self, bands: int, params: NetworkParams) -> None:
        super().__init__()
        sizes = [bands, *params.filters]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding="same") for a, b in pairwise(sizes)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(n, eps=params.norm_epsilon, momentum=params.norm_momentum)
            for n in params.filters
        )
        self.attention = None
        self.pooling = params.pooling
        if params.pooling == "attention":
            self.attention = nn.Conv2d(params.filters[-1], 1, 1)
        self.dropout = nn.Dropout(params.dropout)
        features = params.filters[-1] * (2 if params.pooling == "mean_max" else 1)
        self.dense = nn.Linear(features, params.dense)
        self.output = nn.Linear(params.dense, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, patches: Tensor) -> Tensor:
        """Logits ``(patch, class)`` of normalised patches ``(patch, band, y, x)``."""
        x = patches
        last = len(self.convolutions) - 1
        for number, (convolve, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = convolve(x)
            if number < last and self.training and isinstance(norm, nn.BatchNorm2d) and can_fuse(x):
                x = norm_pool(x, norm)
                continue
            x = norm(fn.relu(x))
            if number < last:
                x = fn.max_pool2d(x, 2)
        x = self.dropout(pooled(x, self.pooling, self.attention))
        logits: Tensor = self.output(fn.relu(self.dense(x)))
        return logits


def pooled(
    features: Tensor, pooling: str, attention: nn.Module | None, sign: Tensor | None = None
) -> Tensor:
    """Features ``(patch, feature)`` of the features ``(patch, feature, y, x)`` of all places.

    Parameters
    ----------
    pooling
        "mean" over the places; "mean_max", mean and maximum side by side; "attention".
    attention
        Gives each place a score; its softmax over the patch is the place's weight in the mean.
    sign
        The maximum is that of the features times this, if given.
    """
    if attention is not None:
        weight = fn.softmax(attention(features).flatten(2), dim=2)
        return (features.flatten(2) * weight).sum(dim=2)
    mean = features.mean(dim=(2, 3))
    if pooling == "mean":
        return mean
    largest = (features if sign is None else features * sign).amax(dim=(2, 3))
    return torch.cat([mean, largest], dim=1)


def count_parameters(network: nn.Module) -> tuple[int, int]:
    """Trainable parameters, and running statistics of the batch normalisations."""
    trainable = sum(p.numel() for p in network.parameters())
    running = sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    return trainable, running


def statistics_anew(network: MiningNetwork, patches: Tensor, size: int) -> None:
    """Make the running statistics of the normalisations the mean over batches of patches.

    In training they follow by ``norm_momentum`` a step, behind weights that still change.

    Parameters
    ----------
    network
        Its weights stay as they are; it is left in ``eval`` mode.
    patches
        Normalised ``(patch, band, y, x)``; seen once, in a mixed order of its own.
    size
        Patches of a batch; an incomplete last batch is left out.
    """
    network.eval()
    norms = [norm for norm in network.norms if isinstance(norm, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    # One after another they may be of one class only.
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(patches)))
    size = min(size, len(patches))
    with torch.no_grad():
        for start in range(0, len(order) - size + 1, size):
            network(patches[order[start : start + size]])
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def focal_loss(logits: Tensor, labels: Tensor, params: TrainingParams) -> Tensor:
    """Mean of ``-alpha (1 - p_t)^gamma log p_t`` (method.md 0).

    Parameters
    ----------
    logits, labels
        ``(patch, class)`` and ``(patch,)`` of 0 and 1.
    params
        ``focal_weight = "class"`` gives mines alpha and the rest 1 - alpha; "constant" all alpha.
    """
    log_p = fn.log_softmax(logits, dim=1).gather(1, labels[:, None]).squeeze(1)
    loss = -((1 - log_p.exp()) ** params.focal_gamma) * log_p
    if params.focal_weight == "class":
        alpha = torch.where(labels == MINE, params.focal_alpha, 1 - params.focal_alpha)
        return (alpha * loss).mean()
    return params.focal_alpha * loss.mean()


class Scorer(nn.Module):
    """From bands as they are (dB) to the probability of a mine ``(patch,)``.

    The z-score is part of it, so that an exported model needs nothing else. ``mean`` and ``sd``
    are the training set's; without them every patch is normalised by its own.
    """

    mean: Tensor
    sd: Tensor

    def __init__(
        self, network: nn.Module, mean: list[float] | None, sd: list[float] | None
    ) -> None:
        super().__init__()
        self.network = network
        self.own = mean is None or sd is None
        bands = 1 if mean is None else len(mean)
        self.register_buffer("mean", torch.tensor(mean or [0.0]).reshape(1, bands, 1, 1))
        self.register_buffer("sd", torch.tensor(sd or [1.0]).reshape(1, bands, 1, 1))

    def normalise(self, patches: Tensor) -> Tensor:
        """z-scores of patches ``(patch, band, y, x)``."""
        if not self.own:
            return (patches - self.mean) / self.sd
        mean = patches.mean(dim=(2, 3), keepdim=True)
        sd = ((patches - mean) ** 2).mean(dim=(2, 3), keepdim=True).sqrt()
        return (patches - mean) / sd.clamp(min=_FLAT)

    def forward(self, patches: Tensor) -> Tensor:
        """Probability of a mine."""
        probability: Tensor = fn.softmax(self.network(self.normalise(patches)), dim=1)[:, MINE]
        return probability


class Folded(nn.Module):
    """A trained network for inference: the same function with less arithmetic.

    The normalisations stand behind the ReLU and cannot be folded into their own convolution. But
    ``max`` and an increasing affine map commute, so the first two act on the pooled quarter of the
    pixels, and a weighted mean over space is linear, so the last one folds into the dense layer.
    """

    def __init__(self, network: MiningNetwork) -> None:
        super().__init__()
        source = copy.deepcopy(network).eval().requires_grad_(False)
        self.convolutions = source.convolutions
        affine = [_affine(norm) for norm in source.norms]
        for number, (scale, shift) in enumerate(affine[:-1]):
            self.register_buffer(f"scale{number}", scale.reshape(1, -1, 1, 1))
            self.register_buffer(f"shift{number}", shift.reshape(1, -1, 1, 1))
            self.register_buffer(f"sign{number}", scale.sign().reshape(1, -1, 1, 1))
        self.increasing = [bool((scale >= 0).all()) for scale, _ in affine[:-1]]
        scale, shift = affine[-1]
        self.attention, self.pooling = source.attention, source.pooling
        if self.attention is not None:
            # A constant added to every place's score does not change the softmax.
            self.attention.weight.data *= scale.reshape(1, -1, 1, 1)
        self.register_buffer("last_sign", scale.sign().reshape(1, -1, 1, 1))
        if self.pooling == "mean_max":
            # The maximum is taken before scale and shift, of what grows with the result.
            scale, shift = torch.cat([scale, scale.abs()]), torch.cat([shift, shift])
        self.dense = nn.Linear(scale.numel(), source.dense.out_features)
        weight, bias = source.dense.weight.double(), source.dense.bias.double()
        self.dense.weight.data = (weight * scale.double()).float()
        self.dense.bias.data = (bias + weight @ shift.double()).float()
        self.output = source.output
        self.eval().requires_grad_(False)

    def forward(self, patches: Tensor) -> Tensor:
        """Logits, as the network's in ``eval`` mode but for rounding."""
        x = patches
        for number, convolve in enumerate(self.convolutions):
            x = fn.relu(convolve(x))
            if number < len(self.convolutions) - 1:
                scale = self.get_buffer(f"scale{number}")
                if not self.increasing[number]:
                    sign = self.get_buffer(f"sign{number}")
                    x, scale = x * sign, scale.abs()
                x = fn.max_pool2d(x, 2) * scale + self.get_buffer(f"shift{number}")
        sign = self.get_buffer("last_sign")
        return self.classified(pooled(x, self.pooling, self.attention, sign))

    def classified(self, features: Tensor) -> Tensor:
        """Logits of features ``(..., feature)``."""
        logits: Tensor = self.output(fn.relu(self.dense(features)))
        return logits


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    if (
        not isinstance(norm, nn.BatchNorm2d)
        or norm.running_mean is None
        or norm.running_var is None
    ):
        raise TypeError("a batch normalisation with running statistics is needed")
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    shift = norm.bias.double() - norm.running_mean.double() * scale
    return scale.float(), shift.float()
