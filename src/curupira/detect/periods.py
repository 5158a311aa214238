"""Learning and detection period of a detection date: calendar months, half-open. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from curupira.detect.params import PeriodParams
from curupira.errors import ConfigError
from curupira.units import FLAG_EPOCH, add_months, parse_time

BoolArray = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Periods:
    """Half-open ``(first day, day after the last)`` of both periods, UTC days."""

    learning: tuple[date, date]
    detection: tuple[date, date]

    def masks(self, times: Times) -> tuple[BoolArray, BoolArray]:
        """Which of the ``times`` (naive UTC, ``(time,)``) lie in learning and in detection."""
        return _within(times, self.learning), _within(times, self.detection)


def periods(on: date, params: PeriodParams) -> Periods:
    """Periods of a detection on a day; images of that day are the last of the detection period.

    Detection is ``[on + 1 day - detection_months, on + 1 day)``, learning the ``learning_months``
    before it. Source: the authors' ``get_warnings`` (method.md 1A step 2, 1D).
    """
    end = on + timedelta(days=1)
    split = add_months(end, -params.detection_months)
    return Periods((add_months(split, -params.learning_months), split), (split, end))


def as_day(on: date | str) -> date:
    """UTC day of a detection, from a date, an ISO date, or a time that carries its zone.

    Raises
    ------
    ConfigError
        If the text is no date, or a time has no zone.
    """
    if isinstance(on, datetime):
        if on.tzinfo is None:
            raise ConfigError(
                f"time {on.isoformat()} has no time zone",
                where="on",
                remedy="give a date, or a time with tzinfo",
            )
        return on.astimezone(UTC).date()
    if isinstance(on, date):
        return on
    if not isinstance(on, str):
        raise ConfigError(
            f"a {type(on).__name__} is no date", where="on", remedy='write "2024-06-01"'
        )
    try:
        return date.fromisoformat(on)
    except ValueError as error:
        if ":" in on:
            return parse_time(on, where="on").date()
        raise ConfigError(
            f"{on!r} is not an ISO date", where="on", remedy='write "2024-06-01"'
        ) from error


def days_since_2020(times: Times) -> npt.NDArray[np.int32]:
    """Whole UTC days since 2020-01-01 of naive UTC times."""
    days = times.astype("datetime64[D]") - np.datetime64(FLAG_EPOCH, "D")
    return days.astype(np.int32)


def _within(times: Times, span: tuple[date, date]) -> BoolArray:
    first, after = (np.datetime64(day, "D") for day in span)
    return np.asarray((times >= first) & (times < after), dtype=np.bool_)


def in_place(images: npt.NDArray[np.intp]) -> slice | npt.NDArray[np.intp]:
    """Indices as a slice where they follow one another: that takes no copy of the stack."""
    if images.size and np.all(np.diff(images) == 1):
        return slice(int(images[0]), int(images[-1]) + 1)
    return images
