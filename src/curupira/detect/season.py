"""Seasonal stabilisation: fit one harmonic a year to each pixel and take it out (method.md 1A 5).

The model, in dB, is ordinary least squares of [1, cos 2 pi t, sin 2 pi t] with t in years since
2016-01-01. Only the harmonic is removed (option ``intercept``), or the whole fit is removed and the
series' median put back (option ``median``).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from curupira.detect.harmonic import MAXIMUM_CONDITION, fit_strip
from curupira.detect.lanes import (
    DB_PER_OCTAVE,
    LANES,
    Float32,
    exp2,
    inlined,
    kernel,
    lane_medians,
    log2,
    piece,
    scratch,
    strips_of,
    wide,
)
from curupira.detect.networks import median_network
from curupira.errors import InputError
from curupira.units import CODE_MIN_DB, CODE_STEP_DB, years_since_2016

Recentre = Literal["intercept", "median"]

#: Fewer, and the fit is refused (method.md 1D).
MINIMUM_CALENDAR_MONTHS = 8
#: Pixels whose dates are read and written together: short pieces of many images wait for memory.
_CHUNK = 8 * LANES
#: What a stack's values are.
DB, POWER, CODES = 0, 1, 2
_CODE_OF_0_DB = np.int32(round(1 - CODE_MIN_DB / CODE_STEP_DB))
_OCTAVES_PER_CODE = np.float32(CODE_STEP_DB / DB_PER_OCTAVE)
_REMEDY = 'set season = "none" in the preset, or override = { season = "none" } in [algorithm]'


def harmonic_design(years: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Design matrix (t, 3): 1, cos 2 pi t, sin 2 pi t."""
    angle = 2 * np.pi * years
    return np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=1)


def check_season(times: npt.NDArray[np.datetime64], *, where: object = None) -> None:
    """Refuse dates from which a season cannot be told (method.md 1D).

    Parameters
    ----------
    times
        (t,) the dates the fit would use, UTC.
    where
        What they belong to, for the message.

    Raises
    ------
    InputError
        If they cover fewer than 8 of the 12 calendar months, or leave a design matrix with a
        condition number above 100.
    """
    months = {int(month) % 12 for month in times.astype("datetime64[M]").astype(np.int64)}
    if len(months) < MINIMUM_CALENDAR_MONTHS:
        raise InputError(
            f"the season cannot be fitted: {len(times)} images cover {len(months)} calendar months"
            f", at least {MINIMUM_CALENDAR_MONTHS} are needed",
            where=where,
            remedy=_REMEDY,
        )
    condition = float(np.linalg.cond(harmonic_design(years_since_2016(times))))
    if condition > MAXIMUM_CONDITION:
        raise InputError(
            f"the season cannot be fitted: the images' dates leave a condition number of"
            f" {condition:.0f}, at most {MAXIMUM_CONDITION:.0f} is allowed",
            where=where,
            remedy=_REMEDY,
        )


def stabilise_db(
    db: Float32,
    years: npt.NDArray[np.float64],
    fit: npt.NDArray[np.bool_],
    *,
    recentre: Recentre,
) -> Float32:
    """Remove the fitted season from a stack in dB.

    Parameters
    ----------
    db
        (t, y, x) gamma0 in dB; NaN is left out of the fit and stays NaN.
    years
        (t,) years since 2016-01-01.
    fit
        (t,) which images the fit uses; the season is removed from all.
    recentre
        ``intercept``: subtract the harmonic alone (the scripts). ``median``: subtract the whole
        fit and add the median of the fitted series (the paper).

    Returns
    -------
    array
        (t, y, x) dB. A pixel whose own valid dates fail the condition number of `check_season`
        is NaN throughout: its season is unknown.

    Raises
    ------
    InputError
        If the lengths do not agree or no image is left to fit.
    """
    return _stabilise(db, years, fit, recentre, linear=False)[0]


def stabilise(
    stack: Float32,
    years: npt.NDArray[np.float64],
    fit: npt.NDArray[np.bool_],
    *,
    recentre: Recentre,
) -> Float32:
    """`stabilise_db` on linear power, in and out, in one pass: same fit in dB, same options.

    Zero and negative power is missing.
    """
    return _stabilise(stack, years, fit, recentre, linear=True)[0]


def stabilise_keeping(
    stack: Float32,
    years: npt.NDArray[np.float64],
    fit: npt.NDArray[np.bool_],
    *,
    recentre: Recentre,
) -> tuple[Float32, Float32]:
    """`stabilise`, and what it took out: (3, y, x) level, cosine and sine, in octaves.

    An octave is a factor of 2. NaN where the season is unknown.
    """
    return _stabilise(stack, years, fit, recentre, linear=True, keep=True)


def stabilise_by(stack: Float32, years: npt.NDArray[np.float64], season: Float32) -> Float32:
    """Remove a season found by `stabilise_keeping` from images (t, y, x) of linear power.

    Of the images it was found on, the result is that of `stabilise`, bit for bit.
    """
    fit = np.ones(len(stack), dtype=np.bool_)
    return _stabilise(stack, years, fit, "intercept", linear=True, season=season)[0]


def normal_equations(
    years: npt.NDArray[np.float64], fit: npt.NDArray[np.bool_]
) -> tuple[Float32, npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Design (t, 3), the images of the fit, and the normal matrix of all of these."""
    # A design of phases modulo one year is the same and keeps float32 exact.
    design = harmonic_design(np.mod(years, 1.0)).astype(np.float32)
    used = np.flatnonzero(fit)
    gram = design[used].astype(np.float64)
    return design, used, gram.T @ gram


def _stabilise(
    stack: Float32,
    years: npt.NDArray[np.float64],
    fit: npt.NDArray[np.bool_],
    recentre: Recentre,
    *,
    linear: bool,
    keep: bool = False,
    season: Float32 | None = None,
) -> tuple[Float32, Float32]:
    if not len(stack) == len(years) == len(fit):
        raise InputError(
            f"{len(stack)} images, {len(years)} times and {len(fit)} fit flags do not agree"
        )
    if not np.any(fit):
        raise InputError("no image is left to fit the season on", remedy=_REMEDY)
    design, used, gram = normal_equations(years, fit)
    flat, pixels = strips_of(stack)
    out = np.empty_like(flat)
    network = median_network(len(used) if recentre == "median" else 1)
    kept = np.empty((3, flat.shape[1] if keep else 0), np.float32)
    if season is not None:
        kept = strips_of(season)[0]
    _stabilise_strips(
        flat,
        design,
        used,
        gram,
        recentre == "median",
        network,
        POWER if linear else DB,
        season is not None,
        kept,
        out,
    )
    found = kept[:, :pixels].reshape(3, *stack.shape[1:]) if keep else kept
    return out[:, :pixels].reshape(stack.shape), found


@piece
def _recentre_strip(
    octaves: Float32,
    x0: int,
    used: npt.NDArray[np.int64],
    network: npt.NDArray[np.int64],
    wires: Float32,
    work: Float32,
    shift: Float32,
) -> None:
    """Turn the intercepts in ``shift`` into intercept - series median."""
    wide()
    for k in range(used.shape[0]):
        row = octaves[used[k], x0:]
        for lane in range(LANES):
            wires[k, lane] = row[lane]
    lane_medians(wires, network, work[0], work[1], work[0])
    for lane in range(LANES):
        shift[lane] -= work[0, lane]


@piece
def _copy_fit(source: Float32, target: Float32) -> None:
    # An assignment to a slice compiles for seconds: numba brings what it says of wrong shapes.
    for k in range(3):
        for lane in range(LANES):
            target[k, lane] = source[k, lane]


@piece
def to_octaves(source: Any, target: Float32, width: int, unit: int) -> None:
    """Values of a row in octaves, NaN missing; ``unit``: `DB`, `POWER` or `CODES`."""
    wide()
    if unit == POWER:
        for i in range(width):
            target[i] = log2(source[i])
    elif unit == CODES:
        for i in range(width):
            octaves = np.float32(np.int32(source[i]) - _CODE_OF_0_DB) * _OCTAVES_PER_CODE
            target[i] = octaves if source[i] > 0 else np.float32(np.nan)
    else:
        for i in range(width):
            target[i] = source[i] / DB_PER_OCTAVE


@inlined
def take_out(
    octaves: Float32, fit: Float32, cosine: np.float32, sine: np.float32, unit: int, out: Float32
) -> None:
    """Remove the season of one date from a strip; linear power, or dB if ``unit`` says so."""
    wide()
    level, along, across = fit[0], fit[1], fit[2]
    if unit == DB:
        for lane in range(LANES):
            season = level[lane] + along[lane] * cosine + across[lane] * sine
            out[lane] = (octaves[lane] - season) * DB_PER_OCTAVE
    else:
        for lane in range(LANES):
            season = level[lane] + along[lane] * cosine + across[lane] * sine
            out[lane] = exp2(octaves[lane] - season)


@inlined
def keep_level(fit: Float32) -> None:
    """Let the harmonic alone be taken out; through it, ill-conditioned pixels become NaN."""
    for lane in range(LANES):
        fit[0, lane] = np.float32(0)


@kernel
def _stabilise_strips(
    stack: Float32,
    design: Float32,
    used: npt.NDArray[np.int64],
    gram: npt.NDArray[np.float64],
    median: bool,
    network: npt.NDArray[np.int64],
    unit: int,
    known: bool,
    kept: Float32,
    out: Float32,
) -> None:
    # ``kept`` (3, pixel) holds the coefficients if they are ``known``, else receives them; it may
    # have no pixels where nobody asks for them.
    wide()
    dates, pixels = stack.shape
    octaves = scratch(dates * _CHUNK).reshape(dates, _CHUNK)
    wires = scratch(used.shape[0] * LANES).reshape(used.shape[0], LANES)
    work = scratch(2 * LANES).reshape(2, LANES)
    sums = np.empty((6, LANES), np.float64)
    fitted = scratch(3 * _CHUNK).reshape(_CHUNK // LANES, 3, LANES)
    for first in range(0, pixels, _CHUNK):
        p0 = min(first, pixels - LANES)
        width = min(_CHUNK, pixels - p0)
        strips = (width + LANES - 1) // LANES
        for t in range(dates):
            to_octaves(stack[t, p0:], octaves[t], width, unit)
        for k in range(strips):
            x0 = min(k * LANES, width - LANES)
            if known:
                _copy_fit(kept[:, p0 + x0 :], fitted[k])
                continue
            fit_strip(octaves, x0, design, used, gram, sums, fitted[k])
            if median:
                _recentre_strip(octaves, x0, used, network, wires, work, fitted[k, 0])
            else:
                keep_level(fitted[k])
            if kept.shape[1] > 0:
                _copy_fit(fitted[k], kept[:, p0 + x0 :])
        for t in range(dates):
            c, s = design[t, 1], design[t, 2]
            for k in range(strips):
                x0 = min(k * LANES, width - LANES)
                take_out(octaves[t, x0:], fitted[k], c, s, unit, out[t, p0 + x0 :])
