"""Patches in memory: statistics, missing pixels, augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from curupira.errors import InputError
from curupira.mining.scene import FloatArray, Radiometry


@dataclass(frozen=True)
class PatchSet:
    """Patches ``(patch, band, y, x)`` as measured, and one index row each.

    ``index`` has ``point``, ``scene``, ``date``, ``label`` and the centre ``x_m``, ``y_m`` in one
    metric CRS; ``hash`` is that of pixels and labels, ``radiometry`` what the images held.
    """

    bands: FloatArray
    index: pd.DataFrame
    hash: str
    radiometry: Radiometry = "gamma0"

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """0 or 1 of every patch."""
        return np.asarray(self.index["label"].to_numpy(), dtype=np.int64)


def band_statistics(patches: FloatArray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of every band of ``(patch, band, y, x)``, NaN left out.

    Raises
    ------
    InputError
        If a band is constant or has no valid pixel: there is nothing to learn from it.
    """
    bands = [patches[:, number].astype(np.float64) for number in range(patches.shape[1])]
    mean = [float(np.nanmean(b)) if not np.isnan(b).all() else np.nan for b in bands]
    sd = [float(np.nanstd(b)) if not np.isnan(b).all() else np.nan for b in bands]
    for number, value in enumerate(sd):
        if not value > 0:
            raise InputError(
                f"band {number + 1} is constant or empty over all training patches",
                where="patches",
                remedy="check the scenes that the patches were cut from",
            )
    return mean, sd


def batches(
    patches: Tensor, labels: Tensor, size: int, *, generator: torch.Generator, augment: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in random order; with ``augment`` each batch is flipped and turned at random."""
    order = torch.randperm(len(labels), generator=generator)
    for start in range(0, len(order), size):
        chosen = order[start : start + size].to(patches.device)
        batch = patches[chosen]
        if augment:
            batch = _turned(batch, generator)
        yield batch, labels[chosen]


def _turned(batch: Tensor, generator: torch.Generator) -> Tensor:
    # Eight ways to lay a square down; one draw a patch.
    ways = torch.randint(8, (len(batch),), generator=generator).tolist()
    turned = []
    for patch, way in zip(batch, ways, strict=True):
        flipped = torch.flip(patch, dims=(2,)) if way >= 4 else patch
        turned.append(torch.rot90(flipped, way % 4, dims=(1, 2)))
    return torch.stack(turned)
