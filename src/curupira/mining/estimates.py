"""Estimates with 95 % intervals from resampled blocks. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float64]
_CHUNK = 64


@dataclass(frozen=True)
class Estimate:
    """A value, its 95 % interval, and the number of objects behind it; None where undefined."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def as_dict(self) -> dict[str, float | int | None]:
        """As it stands in JSON (product.md 8)."""
        return asdict(self)


def ratio(top: Counts, bottom: Counts) -> Counts:
    """``top / bottom``, NaN where the bottom is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(bottom > 0, top / bottom, np.nan))


def bootstrap(
    counts: npt.NDArray[np.integer],
    statistic: Callable[[Counts], Counts],
    n: int,
    *,
    resamples: int,
    seed: int,
) -> Estimate:
    """Estimate a function of totals, with a percentile interval over resampled blocks.

    Parameters
    ----------
    counts
        ``(block, kind)``: what every block holds.
    statistic
        Of totals ``(..., kind)``; NaN where undefined.
    n
        Objects behind the value.
    resamples, seed
        Of the bootstrap.

    Returns
    -------
    Estimate
        No interval with fewer than two blocks: nothing tells how they would vary.
    """
    values = np.asarray(counts, dtype=np.float64)
    value = float(statistic(values.sum(axis=0)))
    if np.isnan(value):
        return Estimate(None, None, None, n)
    blocks = len(values)
    if blocks < 2:
        return Estimate(value, None, None, n)
    rng = np.random.default_rng(seed)
    drawn = []
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        times = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=size)
        drawn.append(statistic(times @ values))
    found = np.concatenate(drawn)
    found = found[~np.isnan(found)]
    if not len(found):
        return Estimate(value, None, None, n)
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(value, float(low), float(high), n)


def precision(totals: Counts) -> Counts:
    """``tp / (tp + fp)`` of totals ``(..., [tp, fp, fn])``."""
    return ratio(totals[..., 0], totals[..., 0] + totals[..., 1])


def recall(totals: Counts) -> Counts:
    """``tp / (tp + fn)`` of totals ``(..., [tp, fp, fn])``."""
    return ratio(totals[..., 0], totals[..., 0] + totals[..., 2])


def f1(totals: Counts) -> Counts:
    """``2 tp / (2 tp + fp + fn)``, the harmonic mean of precision and recall."""
    doubled = 2 * totals[..., 0]
    return ratio(doubled, doubled + totals[..., 1] + totals[..., 2])
