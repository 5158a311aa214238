"""Conversions with a unit on both sides. Pure; NaN stays NaN."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from curupira.errors import ConfigError, InputError

FloatArray = npt.NDArray[np.floating]
_F = TypeVar("_F", bound=np.floating)

#: Day zero of ``first_flag_days`` (the authors' ``daydetec``).
FLAG_EPOCH = date(2020, 1, 1)
#: Year zero of the seasonal model.
SEASON_EPOCH = np.datetime64("2016-01-01", "us")
DAYS_PER_YEAR = 365.25
#: The cube's integers of power: code c > 0 stands for CODE_MIN_DB + (c - 1) CODE_STEP_DB decibels,
#: 0 is missing.
CODE_MIN_DB = -60.0
CODE_MAX_DB = 60.0
CODE_STEP_DB = 0.01
_LAST_CODE = 65_535
#: What is said of simulated images instead of whose they are.
NO_SATELLITE = "simulated images, no satellite data"
_GRS80 = Geod(ellps="GRS80")


def to_db(power: npt.NDArray[_F]) -> npt.NDArray[_F]:
    """Linear power to dB, ``10 log10``. NaN, zero, negative and infinite power give NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        db = 10 * np.log10(power)
    return np.where(np.isfinite(db), db, np.nan).astype(power.dtype)


def positive(power: npt.NDArray[_F]) -> npt.NDArray[_F]:
    """Linear power ``(time, ...)``, zero and less made NaN: the array itself if it holds none."""
    # Image by image: a truth for every pixel of a stack would not fit into the cache.
    if any((image <= 0).any() for image in power):
        return np.where(power > 0, power, power.dtype.type(np.nan))
    return power


def from_db(db: npt.NDArray[_F]) -> npt.NDArray[_F]:
    """DB to linear power. NaN stays NaN."""
    return np.power(10.0, db / 10).astype(db.dtype)


def last_code(span: float, step: float) -> int:
    """Largest code of a quantity whose values span so much, in steps of so much."""
    return min(1 + round(span / step), _LAST_CODE)


def code_table(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Values of code 1 and those that follow as a table of all codes, NaN where one means none."""
    # Full length: a code read from a damaged file must not read beyond the table.
    table = np.full(_LAST_CODE + 1, np.nan, np.float32)
    table[1 : 1 + len(values)] = values
    table.flags.writeable = False
    return table


@cache
def power_table(step_db: float = CODE_STEP_DB) -> npt.NDArray[np.float32]:
    """Linear power of each of the cube's codes, float32 (65536,), NaN where one means nothing.

    Other steps serve the cube's benchmark.
    """
    steps = np.arange(last_code(CODE_MAX_DB - CODE_MIN_DB, step_db))
    return code_table(10.0 ** ((CODE_MIN_DB + steps * step_db) / 10))


def years_since_2016(times: npt.NDArray[np.datetime64]) -> npt.NDArray[np.float64]:
    """Time in years of 365.25 days since 2016-01-01 UTC, with fractions (method.md 1D)."""
    days = (times.astype("datetime64[us]") - SEASON_EPOCH) / np.timedelta64(1, "D")
    return np.asarray(days, dtype=np.float64) / DAYS_PER_YEAR


def flag_days(day: date) -> int:
    """Days since 2020-01-01."""
    return (day - FLAG_EPOCH).days


def add_months(day: date, months: int) -> date:
    """Shift a date by calendar months; the day of month is clipped to the target month's length."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (following - date(year, month + 1, 1)).days
    return date(year, month + 1, min(day.day, last))


def prodes_year(day: date) -> int:
    """Year of the yearly map that shows a clearing: August of the year before to July."""
    return day.year + (day.month >= 8)


def minimum_pixels(area_ha: float, pixel_area_m2: float) -> int:
    """Whole pixels in an area: ``int(area / pixel area)`` (product.md 1)."""
    # The tiny addend undoes binary rounding such as 0.3 * 10000 / 300 = 9.999...
    return int(area_ha * 10_000 / pixel_area_m2 + 1e-9)


def geodesic_area_ha(geometry: BaseGeometry) -> float:
    """Area in hectares of a lon/lat geometry on the GRS 80 ellipsoid (SIRGAS 2000)."""
    # The ellipsoid's areas are signed: rings of the wrong sense would add holes, or cancel parts.
    area, _ = _GRS80.geometry_area_perimeter(shapely.orient_polygons(geometry))
    return abs(float(area)) / 10_000


def parse_time(text: str, *, where: object = None) -> datetime:
    """Read an ISO 8601 time that carries its zone, as UTC.

    Raises
    ------
    ConfigError
        If the text is no time, or has no zone.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is not an ISO 8601 time", where=where, remedy="write 2024-06-01T09:45:00Z"
        ) from error
    if moment.tzinfo is None:
        raise ConfigError(
            f"time {text!r} has no time zone", where=where, remedy="add Z (UTC) or an offset"
        )
    return moment.astimezone(UTC)


def naive_utc(moment: datetime) -> np.datetime64:
    """Aware time to xarray's convention: naive, meaning UTC, in nanoseconds.

    Raises
    ------
    InputError
        If the time has no zone; it would be taken for the machine's local time.
    """
    if moment.tzinfo is None:
        raise InputError(f"time {moment.isoformat()} has no time zone")
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "ns")


def attribution(years: Iterable[int], *, simulated: bool = False) -> str:
    """Notice of where the images are from, which everything made from them carries."""
    if simulated:
        return NO_SATELLITE
    named = sorted(set(years))
    span = f"{named[0]}-{named[-1]}" if len(named) > 1 else "".join(map(str, named))
    return f"contains modified Copernicus Sentinel data {span}".strip()
