"""Accuracy and area from a stratified random sample (Olofsson et al. 2014, Stehman 2014). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curupira.errors import InputError
from curupira.validate.scores import Z95

Codes = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SampleEstimate:
    """A value, its standard error, and value +- 1.96 standard errors within 0 to 1.

    All are None where the sample has nothing to divide by. ``n`` is the number of sample units
    that the estimate looks at.
    """

    value: float | None
    se: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class SampleAccuracy:
    """Overall, user's and producer's accuracy and the true share of the area, by class."""

    overall: SampleEstimate
    users: Mapping[int, SampleEstimate]
    producers: Mapping[int, SampleEstimate]
    area_share: Mapping[int, SampleEstimate]


def from_error_matrix(counts: npt.ArrayLike, mapped_area: npt.ArrayLike) -> SampleAccuracy:
    """Estimate from an error matrix whose strata are the map's classes.

    Parameters
    ----------
    counts
        ``(map class, reference class)`` sample counts, classes numbered alike from 0.
    mapped_area
        ``(map class,)`` mapped area, any unit.

    Raises
    ------
    InputError
        If the shapes disagree, an area is not positive, or a row has fewer than two units.

    Notes
    -----
    Olofsson et al. 2014 (RSE 148), eqs 4 to 7 and 9 to 10; sampling fractions are negligible.
    """
    n = np.asarray(counts, dtype=np.float64)
    area = np.asarray(mapped_area, dtype=np.float64)
    if n.ndim != 2 or n.shape[0] != n.shape[1] or area.shape != n.shape[:1]:
        raise InputError("the error matrix is not square, or the areas do not fit it")
    rows = n.sum(axis=1)
    _check(rows, area)
    weight = area / area.sum()
    p = n / rows[:, None]
    # Variance of a row's shares; the estimates below are sums over the rows.
    v = p * (1 - p) / (rows[:, None] - 1)
    ua, column = np.diag(p), weight @ p
    units = int(n.sum())
    producers = {}
    for j in range(n.shape[0]):
        if column[j] <= 0:
            producers[j] = SampleEstimate(None, None, None, None, int(n[:, j].sum()))
            continue
        pa = weight[j] * ua[j] / column[j]
        others = np.arange(n.shape[0]) != j
        variance = weight[j] ** 2 * (1 - pa) ** 2 * v[j, j]
        variance += pa**2 * (weight[others] ** 2 @ v[others, j])
        producers[j] = _estimate(pa, variance / column[j] ** 2, int(n[:, j].sum()))
    return SampleAccuracy(
        overall=_estimate(weight @ ua, weight**2 @ np.diag(v), units),
        users={i: _estimate(ua[i], v[i, i], int(rows[i])) for i in range(ua.size)},
        producers=producers,
        area_share={j: _estimate(column[j], weight**2 @ v[:, j], units) for j in range(ua.size)},
    )


def from_strata(
    stratum: Codes, mapped: Codes, reference: Codes, sizes: Mapping[int, float]
) -> SampleAccuracy:
    """Estimate where the strata are not the map's classes, so that one sample serves many maps.

    Parameters
    ----------
    stratum, mapped, reference
        ``(units,)`` codes of each sample unit: its stratum, and its class in map and reference.
    sizes
        Units of the population in every stratum.

    Raises
    ------
    InputError
        If a stratum has no size, or fewer than two sample units, or a size has no sample.

    Notes
    -----
    Stehman 2014 (IJRS 35), eqs 2 to 3 and 25 to 28: means of indicators over the strata, ratios
    of them for user's and producer's accuracy, with the finite population correction.
    """
    names = np.array(sorted(sizes))
    if not np.isin(stratum, names).all():
        raise InputError("a sample unit is of a stratum without a size", remedy="give its size")
    total = np.array([sizes[int(name)] for name in names], dtype=np.float64)
    index = np.searchsorted(names, stratum)
    rows = np.bincount(index, minlength=names.size).astype(np.float64)
    _check(rows, total)
    if (rows > total).any():
        raise InputError("a stratum is smaller than its sample", remedy="correct its size")
    classes = [int(c) for c in np.union1d(mapped, reference)]
    hit = mapped == reference

    def ratio(y: npt.NDArray[np.bool_], x: npt.NDArray[np.bool_]) -> SampleEstimate:
        return _ratio(y.astype(np.float64), x.astype(np.float64), index, rows, total)

    every = np.ones(index.size, dtype=np.bool_)
    return SampleAccuracy(
        overall=ratio(hit, every),
        users={c: ratio(hit & (mapped == c), mapped == c) for c in classes},
        producers={c: ratio(hit & (reference == c), reference == c) for c in classes},
        area_share={c: ratio(reference == c, every) for c in classes},
    )


def _check(rows: Floats, sizes: Floats) -> None:
    if (rows < 2).any():
        raise InputError(
            "a stratum has fewer than two sample units, so no variance",
            remedy="sample it, or join it with another stratum",
        )
    if (sizes <= 0).any():
        raise InputError("a stratum has no size", remedy="give its area or number of units")


def _ratio(y: Floats, x: Floats, index: Codes, rows: Floats, total: Floats) -> SampleEstimate:
    """Combined ratio of two totals over the strata (Stehman 2014, eqs 27 and 28)."""
    k = rows.size

    def mean(values: Floats) -> Floats:
        return np.asarray(np.bincount(index, values, minlength=k) / rows)

    units = int(x.sum())
    denominator = total @ mean(x)
    if denominator <= 0:
        return SampleEstimate(None, None, None, None, units)
    value = float(total @ mean(y)) / float(denominator)
    # The residual y - R x has the variance s_y^2 + R^2 s_x^2 - 2 R s_xy.
    residual = y - value * x
    spread = np.bincount(index, (residual - mean(residual)[index]) ** 2, minlength=k) / (rows - 1)
    variance = (total**2 * (1 - rows / total) * spread / rows).sum() / denominator**2
    return _estimate(value, float(variance), units)


def _estimate(value: float, variance: float, n: int) -> SampleEstimate:
    se = float(np.sqrt(max(variance, 0.0)))
    low, high = max(0.0, float(value) - Z95 * se), min(1.0, float(value) + Z95 * se)
    return SampleEstimate(float(value), se, low, high, n)
