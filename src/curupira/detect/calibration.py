"""Calibration on the user's own images: clutter, false rate, distance law. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from curupira.errors import InputError

FloatArray = npt.NDArray[np.float64]
#: Two-sided 95 % quantile of the normal law.
_Z95 = 1.959964
_MINIMUM_DISTANCES = 10


@dataclass(frozen=True, slots=True)
class Clutter:
    """Mean and standard deviation (dB) of mean minus minimum over ``images`` images; ``n`` runs."""

    mean_db: float
    sd_db: float
    images: int | None
    n: int


@dataclass(frozen=True, slots=True)
class FalseRate:
    """False rate at one T: nominal (one-sided normal) and observed, with its 95 % interval."""

    t: float
    nominal: float
    observed: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class DistanceBin:
    """One bar of the paper's Figure 5, in log10 metres: observed and fitted share of clearings."""

    low: float
    high: float
    n: int
    share: float
    fitted: float


@dataclass(frozen=True, slots=True)
class DistanceLaw:
    """Logistic law of log10 distance: location, scale, numbers used and left out, histogram."""

    mu: float
    s: float
    n: int
    left_out: int
    bins: tuple[DistanceBin, ...]


def clutter_drops(series_db: npt.NDArray[np.floating], images: int | None = None) -> FloatArray:
    """Mean minus minimum of undisturbed forest, in dB, one value a run of images.

    Parameters
    ----------
    series_db
        ``(time, series)`` stabilised and filtered forest, dB. NaN is skipped.
    images
        Valid images in a run; a series is cut into as many runs as it holds, the rest is left out.
        None takes each series whole. The figure grows with it (for Gaussian noise of 1 dB: 1.16
        dB over 5 images, 2.32 over 60), so it belongs to the result.

    Returns
    -------
    ``(runs,)``.

    Raises
    ------
    InputError
        If no series is long enough.
    """
    if images is not None and images < 2:
        raise InputError(f"a run of {images} images has no spread", remedy="use 2 or more")
    drops: list[FloatArray] = []
    for column in np.asarray(series_db, dtype=np.float64).T:
        valid = column[~np.isnan(column)]
        length = valid.size if images is None else images
        if length < 2:
            continue
        runs = valid[: valid.size // length * length].reshape(-1, length)
        drops.append(runs.mean(axis=1) - runs.min(axis=1))
    found = np.concatenate(drops) if drops else np.empty(0)
    if found.size == 0:
        raise InputError(
            "no forest series is long enough to measure the clutter",
            remedy="give more images, or a smaller number of images in a run",
        )
    return found


def clutter(series_db: npt.NDArray[np.floating], images: int | None = None) -> Clutter:
    """Measure the paper's 1.31 +- 0.35 dB; see `clutter_drops` for the arguments and errors."""
    drops = clutter_drops(series_db, images)
    return Clutter(float(drops.mean()), float(drops.std()), images, int(drops.size))


def false_rates(
    drops_db: FloatArray, thresholds: Sequence[float], *, mean_db: float, sd_db: float
) -> list[FalseRate]:
    """Nominal against observed share of undisturbed runs beyond ``mean + T sd``.

    ``drops_db`` are those of `clutter_drops`. Nominal is the upper tail of the normal law (2.28 %
    at T = 2; the paper prints 2.6 %). The interval is Wilson's; runs of one place count as
    independent, so it is too narrow where they are not.
    """
    n = int(drops_db.size)
    rates = []
    for t in thresholds:
        p = float(np.mean(drops_db > mean_db + t * sd_db))
        centre = (p + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
        half = _Z95 / (1 + _Z95**2 / n) * np.sqrt(p * (1 - p) / n + _Z95**2 / (4 * n**2))
        nominal = float(special.ndtr(-t))
        low, high = max(0.0, centre - half), min(1.0, centre + half)
        rates.append(FalseRate(float(t), nominal, p, float(low), float(high), n))
    return rates


def fit_distance_law(
    distance_m: npt.NDArray[np.floating], *, bin_width: float = 0.1
) -> DistanceLaw:
    """Fit the logistic law of log10 distance from new to older clearings by maximum likelihood.

    Parameters
    ----------
    distance_m
        One distance a clearing, metres, any shape. NaN, infinite, zero and negative values (the
        clearing touches the older one) are left out and counted.
    bin_width
        Bars of the histogram, log10 metres.

    Raises
    ------
    InputError
        If fewer than ten distances remain, or all are equal.

    Notes
    -----
    The paper's Figure 5: mu = 2.40633, s = 0.29973.
    """
    # Imported here: scipy.stats takes longer to load than a command needs to start.
    from scipy import stats

    raw = np.asarray(distance_m, dtype=np.float64).ravel()
    used = raw[np.isfinite(raw) & (raw > 0)]
    if used.size < _MINIMUM_DISTANCES or np.ptp(used) == 0:
        raise InputError(
            f"{used.size} usable distances are too few, or all equal",
            remedy=f"give at least {_MINIMUM_DISTANCES} clearings with a distance above zero",
        )
    x = np.log10(used)
    mu, s = (float(value) for value in stats.logistic.fit(x))
    start = np.floor(x.min() / bin_width)
    stop = np.floor(x.max() / bin_width) + 1
    edges = np.arange(start, stop + 0.5) * bin_width
    counts, _ = np.histogram(x, edges)
    fitted = np.diff(special.expit((edges - mu) / s))
    bins = tuple(
        DistanceBin(float(low), float(high), int(k), float(k / x.size), float(f))
        for low, high, k, f in zip(edges[:-1], edges[1:], counts, fitted, strict=True)
    )
    return DistanceLaw(mu, s, int(x.size), int(raw.size - x.size), bins)
