"""Evidence: log-likelihood ratios of clearing against forest, summed over the images of a pixel.

Forest scatters about the pixel's own history with the heavy tails of Student's t. A clearing is a
mixture: at times it looks like forest (wet soil, slash, regrowth), mostly it lies below.
What an image says is the log of the ratio of both densities; the sum over the images has a floor,
and a pixel is flagged when it, plus the prior of its distance to deforestation, reaches the issue
level. Page's cumulative sum (1954), with the ratio of bayts and RADD (Reiche et al. 2015, 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curupira.codes import NOT_OBSERVED
from curupira.detect.exceedance import MAX_ALERTS, NO_FLAG
from curupira.detect.lanes import (
    DB_PER_OCTAVE,
    LANES,
    kernel,
    lane_medians,
    log2,
    strips_of,
    wide,
)
from curupira.detect.networks import median_network
from curupira.detect.params import EvidenceParams, ThresholdParams
from curupira.units import add_months

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

#: The table of the log ratio spans these deviations, in spreads; beyond, its ends hold.
_LOWEST, _HIGHEST, _PER_SPREAD = -24, 16, 32
#: The image that speaks most for forest lies within so many spreads of the level.
_NEAR = 2
#: Median absolute deviation of a normal law to its standard deviation.
_MAD_TO_SD = np.float32(1.4826)
#: Pixels summed side by side; their sums stay in the first-level cache.
_STRIP = 512


@dataclass(frozen=True, slots=True)
class Evidence:
    """Per pixel ``(y, x)``.

    ``n_alerts``: images that support the excursion in which the issue level was reached, 0 where it
    was not, 255 not observed. ``first_flag_days``, ``last_flag_days``: its first image and the
    latest supporting one; ``issue_days``: the image that reached the level; days since 2020-01-01,
    ``NO_FLAG`` none. ``peak``: largest sum so far, prior included, nats; NaN not observed.
    """

    n_alerts: npt.NDArray[np.uint8]
    first_flag_days: IntArray
    last_flag_days: IntArray
    issue_days: IntArray
    peak: FloatArray


def history_images(
    times: npt.NDArray[np.datetime64], params: EvidenceParams
) -> npt.NDArray[np.intp]:
    """Which learning images make the history of a pixel: the last months, spread evenly.

    ``times`` is ``(time,)``, rising, at least one; the months end with the newest.
    """
    newest = times[-1].astype("datetime64[D]").item()
    since = np.datetime64(add_months(newest, -params.evidence_history_months), "D")
    recent = np.flatnonzero(times >= since)
    wanted = min(params.evidence_history_images, recent.size)
    return recent[np.linspace(0, recent.size - 1, wanted).round().astype(np.intp)]


def spread_db(history: FloatArray, reference_db: FloatArray, params: EvidenceParams) -> FloatArray:
    """Spread of forest about its reference level: the population's, or more for a restless pixel.

    Parameters
    ----------
    history
        ``(time, y, x)`` linear gamma0 of the learning period, filtered as the detection images.
        NaN is left out.
    reference_db
        ``(y, x)`` median of the same, dB.
    params
        ``evidence_spread_db`` and ``evidence_own_share``.

    Returns
    -------
    ``(y, x)`` dB: ``evidence_spread_db``, or ``evidence_own_share`` of the pixel's own (1.4826
    times the median absolute deviation) where that is more. A spread from some 30 images is itself
    uncertain by a fifth: taken at its word, quiet pixels would cry wolf. NaN without reference or
    history.
    """
    flat, pixels = strips_of(history)
    centre, _ = strips_of(reference_db[np.newaxis])
    deviation = np.empty(flat.shape[1], np.float32)
    _deviation_strips(flat, centre[0], median_network(len(flat)), deviation)
    own = _MAD_TO_SD * deviation[:pixels].reshape(reference_db.shape)
    least = np.float32(params.evidence_spread_db)
    spread: FloatArray = np.maximum(least, np.float32(params.evidence_own_share) * own)
    return spread


def rough_spread_db(
    spread: FloatArray, roughness_db: FloatArray, params: EvidenceParams
) -> FloatArray:
    """Spread where patches of forest differ more than usual: what neighbours share adds up.

    ``spread`` times the power ``evidence_patch_weight`` of roughness over ``evidence_patch_db``,
    where that is above 1; all ``(y, x)``, dB. ``evidence_patch_unknown_db`` stands for a roughness
    that is NaN: too little forest is around to take the weather out of the images there.
    """
    unknown = np.float32(params.evidence_patch_unknown_db)
    rough = np.where(np.isnan(roughness_db), unknown, roughness_db)
    excess = np.maximum(rough / np.float32(params.evidence_patch_db), np.float32(1))
    return np.asarray(spread * excess ** np.float32(params.evidence_patch_weight), np.float32)


def log_ratio_table(params: EvidenceParams) -> FloatArray:
    """Log-likelihood ratio by the deviation from the reference level, in spreads.

    Entry i belongs to ``_LOWEST + i / _PER_SPREAD``. A deeper drop never says less, and images
    brighter than the one that speaks most for forest say the same as that: beyond, two thin tails
    would be compared.
    """
    z = np.linspace(_LOWEST, _HIGHEST, (_HIGHEST - _LOWEST) * _PER_SPREAD + 1)
    scale = params.evidence_spread_db
    forest = _log_t(z, params.evidence_tail) - math.log(scale)
    below = _log_normal(z * scale, -params.evidence_drop_db, params.evidence_drop_sd_db)
    same = params.evidence_forest_share
    table = np.log(same + (1 - same) * np.exp(below - forest))
    near = np.flatnonzero(np.abs(z) <= _NEAR)
    lowest = int(near[np.argmin(table[near])])
    table[lowest:] = table[lowest]
    return np.maximum.accumulate(table[::-1])[::-1].astype(np.float32)


def log_ratio(
    db: FloatArray, reference_db: FloatArray, spread: FloatArray, params: EvidenceParams
) -> FloatArray:
    """What every image says: log-likelihood ratio of clearing against forest, nats.

    Parameters
    ----------
    db
        ``(time, y, x)`` filtered images, dB, NaN missing.
    reference_db, spread
        ``(y, x)`` dB, NaN where there is none.

    Returns
    -------
    ``(time, y, x)``; NaN where the image, the reference level or the spread is missing.
    """
    flat = np.ascontiguousarray(db, dtype=np.float32).reshape(len(db), reference_db.size)
    out = np.empty_like(flat)
    level = np.ascontiguousarray(reference_db, dtype=np.float32).ravel()
    scale = np.float32(_PER_SPREAD) / np.ascontiguousarray(spread, dtype=np.float32).ravel()
    _look_up(flat, level, scale, log_ratio_table(params), out)
    return out.reshape(db.shape)


def distance_prior(
    distance_m: npt.NDArray[np.floating] | None,
    params: EvidenceParams,
    threshold: ThresholdParams,
) -> FloatArray:
    """Log prior odds by the distance to known deforestation, relative to the nearest forest, nats.

    The logistic law of the distance of new clearings (Doblas et al. 2022), as a density of log10 d
    normalised to its maximum, 0 below that one (as ``pdf_clamped`` does), times
    ``evidence_distance_weight``. NaN and None give 0; shape of ``distance_m``, or none.
    """
    if distance_m is None:
        return np.zeros((), dtype=np.float32)
    capped = np.fmin(np.asarray(distance_m, dtype=np.float64), threshold.max_distance_m)
    with np.errstate(divide="ignore"):
        z = (np.log10(capped) - threshold.distance_mu) / (2 * threshold.distance_s)
    odds = -2 * np.log(np.cosh(np.maximum(z, 0)))
    prior = np.where(np.isnan(distance_m), 0, params.evidence_distance_weight * odds)
    return np.asarray(prior, dtype=np.float32)


def accumulate(
    ratio: FloatArray,
    days: IntArray,
    params: EvidenceParams,
    prior: FloatArray | None = None,
) -> Evidence:
    """Sum what the images say, date by date; later images never change an earlier decision.

    Parameters
    ----------
    ratio
        ``(time, y, x)`` log-likelihood ratios in time order, NaN missing. Ratios of polarisations
        are added before, those of several orbits stand as images of their own.
    days
        ``(time,)`` days since 2020-01-01, rising.
    params
        ``evidence_floor`` and ``evidence_issue``.
    prior
        Log prior odds, ``(y, x)`` or a scalar array; None: 0.
    """
    shape = ratio.shape[1:]
    pixels = math.prod(shape)
    flat = np.ascontiguousarray(ratio, dtype=np.float32).reshape(len(ratio), pixels)
    odds = np.broadcast_to(np.float32(0) if prior is None else prior, shape).ravel()
    odds = np.ascontiguousarray(odds, dtype=np.float32)
    count, first, last, issue = (np.empty(pixels, dtype=np.int32) for _ in range(4))
    peak = np.empty(pixels, dtype=np.float32)
    floor, level = np.float32(params.evidence_floor), np.float32(params.evidence_issue)
    _sum_strips(flat, days.astype(np.int32), odds, floor, level, count, first, last, issue, peak)
    alerts = np.where(np.isnan(peak), NOT_OBSERVED, np.minimum(count, MAX_ALERTS))
    return Evidence(
        n_alerts=alerts.astype(np.uint8).reshape(shape),
        first_flag_days=first.reshape(shape),
        last_flag_days=last.reshape(shape),
        issue_days=issue.reshape(shape),
        peak=peak.reshape(shape),
    )


def evidence_confidence(peak: FloatArray, params: EvidenceParams) -> FloatArray:
    """Probability that the disturbance of a pixel is real, from its largest sum.

    Logistic, one half at ``evidence_even``, ``evidence_slope`` a nat; 0 where not observed.
    """
    odds = np.float32(params.evidence_slope) * (peak - np.float32(params.evidence_even))
    return np.where(np.isnan(peak), np.float32(0), 1 / (1 + np.exp(-odds))).astype(np.float32)


def _log_t(z: npt.NDArray[np.float64], freedom: float) -> npt.NDArray[np.float64]:
    constant = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    constant -= math.log(freedom * math.pi) / 2
    return np.asarray(constant - (freedom + 1) / 2 * np.log1p(z**2 / freedom))


def _log_normal(x: npt.NDArray[np.float64], mean: float, sd: float) -> npt.NDArray[np.float64]:
    return np.asarray(-(((x - mean) / sd) ** 2) / 2 - math.log(sd * math.sqrt(2 * math.pi)))


@kernel
def _deviation_strips(
    stack: FloatArray, centre: FloatArray, network: npt.NDArray[np.int64], out: FloatArray
) -> None:
    wide()
    dates, pixels = stack.shape
    wires = np.empty((dates, LANES), np.float32)
    sign = np.empty(LANES, np.float32)
    valid = np.empty(LANES, np.float32)
    for start in range(0, pixels, LANES):
        p0 = min(start, pixels - LANES)
        level = centre[p0:]
        for t in range(dates):
            source = stack[t, p0:]
            for lane in range(LANES):
                wires[t, lane] = abs(log2(source[lane]) * DB_PER_OCTAVE - level[lane])
        lane_medians(wires, network, sign, valid, out[p0:])


@kernel
def _look_up(
    db: FloatArray, level: FloatArray, scale: FloatArray, table: FloatArray, out: FloatArray
) -> None:
    zero = np.float32(-_LOWEST * _PER_SPREAD)
    end = np.float32(table.shape[0] - 1) - np.float32(0.001)
    pixels = db.shape[1]
    at = np.empty(_STRIP, np.float32)
    entry = np.empty(_STRIP, np.int32)
    # Three loops, not one: only the middle one gathers, the others become vector instructions.
    for t in range(db.shape[0]):
        for p0 in range(0, pixels, _STRIP):
            width = min(_STRIP, pixels - p0)
            image, centre, factor = db[t, p0:], level[p0:], scale[p0:]
            target = out[t, p0:]
            for i in range(width):
                value = (image[i] - centre[i]) * factor[i] + zero
                # NaN fails both comparisons the right way: it ends at 0.
                value = value if value > np.float32(0) else np.float32(0)
                at[i] = value if value < end else end
                entry[i] = np.int32(at[i])
            for i in range(width):
                low = np.uint32(entry[i])
                here = table[low]
                step = table[low + np.uint32(1)] - here
                target[i] = here + (at[i] - np.float32(entry[i])) * step
            for i in range(width):
                known = image[i] + centre[i] + factor[i]
                target[i] = np.float32(np.nan) if np.isnan(known) else target[i]


@kernel
def _sum_strips(
    ratio: FloatArray,
    days: IntArray,
    prior: FloatArray,
    floor: np.float32,
    level: np.float32,
    count: IntArray,
    first: IntArray,
    last: IntArray,
    issue: IntArray,
    peak: FloatArray,
) -> None:
    wide()
    dates, pixels = ratio.shape
    total = np.empty(_STRIP, np.float32)
    start = np.empty(_STRIP, np.int32)
    none = np.int32(NO_FLAG)
    for p0 in range(0, pixels, _STRIP):
        width = min(_STRIP, pixels - p0)
        n, a, z, issued = count[p0:], first[p0:], last[p0:], issue[p0:]
        top, odds = peak[p0:], prior[p0:]
        for i in range(width):
            total[i] = np.float32(0)
            start[i] = none
            n[i] = 0
            z[i] = none
            issued[i] = none
            top[i] = np.float32(np.nan)
        for t in range(dates):
            day = days[t]
            says = ratio[t, p0:]
            for i in range(width):
                value = says[i]
                here = not np.isnan(value)
                supports = value > np.float32(0)
                open_flag = issued[i] != none
                # An excursion begins where evidence lifts the sum off the ground.
                fresh = supports and not open_flag and total[i] <= np.float32(0)
                n[i] = (0 if fresh else n[i]) + (1 if supports else 0)
                start[i] = day if fresh else start[i]
                z[i] = day if supports else z[i]
                grown = max(total[i] + (value if here else np.float32(0)), floor)
                total[i] = grown
                score = grown + odds[i]
                reached = here and not open_flag and score >= level
                issued[i] = day if reached else issued[i]
                higher = here and not (top[i] >= score)
                top[i] = score if higher else top[i]
        for i in range(width):
            flagged = issued[i] != none
            n[i] = n[i] if flagged else 0
            z[i] = z[i] if flagged else none
            a[i] = start[i] if flagged else none
