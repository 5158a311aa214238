"""Integers of the cube: gamma0 in steps of 0.01 dB, angles in steps of 0.01 degree. Pure.

Code 0 is missing. Code ``c`` of a power is ``MIN_DB + (c - 1) * STEP_DB`` decibels, of an angle
``(c - 1) * STEP_DEG`` degrees. ``benchmarks/quantisation.py`` measures what the step costs.
"""

from __future__ import annotations

from functools import cache

import numba
import numpy as np
import numpy.typing as npt

from curupira.units import (
    CODE_MAX_DB,
    CODE_MIN_DB,
    CODE_STEP_DB,
    code_table,
    last_code,
    power_table,
)

Codes = npt.NDArray[np.uint16]
Float32 = npt.NDArray[np.float32]

STEP_DB = CODE_STEP_DB
#: Some 30 dB below the noise floor of Sentinel-1; weaker power is stored as this.
MIN_DB = CODE_MIN_DB
#: Brighter than any target on land; stronger power is stored as this.
MAX_DB = CODE_MAX_DB
STEP_DEG = 0.01
MAX_DEG = 180.0
#: Bands that hold angles in degrees; every other band holds linear power.
ANGLE_BANDS = frozenset({"lia", "angle"})


def encode(power: npt.NDArray[np.floating], step_db: float = STEP_DB) -> Codes:
    """Linear power to codes; the error is half a step (0.005 dB) between -60 and +60 dB.

    Parameters
    ----------
    power
        Linear gamma0, any shape. NaN, infinite, zero and negative power becomes 0 (missing);
        power outside -60 to +60 dB is stored as the nearer limit.
    step_db
        Step in dB. The cube has one step; others serve its benchmark. Below 0.0019 dB the upper
        limit is lower, where the codes end.
    """
    codes: Codes = _encode_power(power, MIN_DB, step_db, last_code(MAX_DB - MIN_DB, step_db))
    return codes


def decode(codes: Codes, step_db: float = STEP_DB) -> Float32:
    """Codes to linear power, float32, same shape; 0 becomes NaN."""
    return power_table(step_db)[codes]


def shift(codes: Codes, offset_db: float) -> Codes:
    """Codes of power with an offset added, in whole steps, within the range; 0 stays 0."""
    last = last_code(MAX_DB - MIN_DB, STEP_DB)
    moved = np.clip(codes.astype(np.int32) + round(offset_db / STEP_DB), 1, last)
    return np.where(codes > 0, moved, 0).astype(np.uint16)


def encode_degrees(angle_deg: npt.NDArray[np.floating]) -> Codes:
    """Angles in degrees to codes; NaN and angles outside 0 to 180 degrees become 0 (missing)."""
    with np.errstate(invalid="ignore"):
        codes = 1 + np.round(np.float64(angle_deg) / STEP_DEG)
        inside = (angle_deg >= 0) & (angle_deg <= MAX_DEG)
    return np.where(inside, codes, 0).astype(np.uint16)


def decode_degrees(codes: Codes) -> Float32:
    """Codes to degrees, float32, same shape; 0 becomes NaN."""
    return degrees_table()[codes]


def encode_band(band: str, values: npt.NDArray[np.floating]) -> Codes:
    """Codes of a band by its name: degrees for ``lia`` and ``angle``, linear power otherwise."""
    return encode_degrees(values) if band in ANGLE_BANDS else encode(values)


def band_table(band: str) -> Float32:
    """Look-up table of a band: the float32 value of each of the 65,536 codes, NaN for missing."""
    return degrees_table() if band in ANGLE_BANDS else power_table()


@cache
def degrees_table() -> Float32:
    """Angle of each code in degrees, float32 (65536,), NaN where a code means nothing."""
    return code_table(np.arange(last_code(MAX_DEG, STEP_DEG)) * STEP_DEG)


@numba.vectorize(cache=True)
def _encode_power(power, minimum_db, step_db, last):  # type: ignore[no-untyped-def]
    # In float64: float32 would round 6,000 steps to a thousandth of a step. Comparisons with NaN
    # are false.
    if not (power > 0 and power < np.inf):
        return np.uint16(0)
    code = 1 + np.round((10 * np.log10(np.float64(power)) - minimum_db) / step_db)
    return np.uint16(min(max(code, 1), last))


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def look_up(codes: Codes, table: Float32) -> Float32:
    """Decode ``codes (y, x)`` by a table of all codes."""
    rows, columns = codes.shape
    out = np.empty((rows, columns), np.float32)
    for y in range(rows):
        for x in range(columns):
            out[y, x] = table[codes[y, x]]
    return out


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def fill_missing(codes: Codes, table: Float32, out: Float32) -> None:
    """Decode ``codes (y, x)`` into those pixels of ``out (y, x)`` that are NaN, in place."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            if np.isnan(out[y, x]):
                out[y, x] = table[codes[y, x]]
