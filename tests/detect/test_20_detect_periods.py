"""Periods: calendar months, half-open, the detection date included."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira import presets
from curupira.detect.params import DetectParams
from curupira.detect.periods import Periods, as_day, days_since_2020, periods
from curupira.errors import ConfigError

PARAMS = DetectParams.from_preset(presets.load("deter_r")).period


def test_the_scripts_periods() -> None:
    found = periods(date(2022, 3, 14), PARAMS)
    assert found.detection == (date(2022, 1, 15), date(2022, 3, 15))
    assert found.learning == (date(2020, 1, 15), date(2022, 1, 15))


def test_the_end_of_february_is_clipped() -> None:
    # The day after 29 April is the 30th, which February lacks.
    found = periods(date(2024, 4, 29), PARAMS)
    assert found.detection == (date(2024, 2, 29), date(2024, 4, 30))
    assert found.learning[0] == date(2022, 2, 28) + timedelta(days=0)


def test_the_paper_learns_for_three_years() -> None:
    params = DetectParams.from_preset(presets.load("deter_r_paper")).period
    found = periods(date(2022, 3, 14), params)
    assert found.learning == (date(2019, 1, 15), date(2022, 1, 15))


@settings(max_examples=50, deadline=None)
@given(st.dates(date(2017, 1, 1), date(2040, 1, 1)))
def test_learning_ends_where_detection_begins_and_the_day_itself_counts(on: date) -> None:
    found = periods(on, PARAMS)
    assert found.learning[1] == found.detection[0]
    assert found.learning[0] < found.learning[1] < found.detection[1] == on + timedelta(days=1)
    times = np.array([on, on + timedelta(days=1)], dtype="datetime64[ns]")
    assert found.masks(times)[1].tolist() == [True, False]


def test_masks_are_half_open_to_the_nanosecond() -> None:
    spans = Periods((date(2020, 1, 1), date(2022, 1, 1)), (date(2022, 1, 1), date(2022, 3, 1)))
    times = np.array(
        [
            "2019-12-31T23:59:59.999999999",
            "2020-01-01T00:00:00",
            "2021-12-31T23:59:59.999999999",
            "2022-01-01T00:00:00",
            "2022-02-28T23:59:59.999999999",
            "2022-03-01T00:00:00",
        ],
        dtype="datetime64[ns]",
    )
    learning, detection = spans.masks(times)
    assert learning.tolist() == [False, True, True, False, False, False]
    assert detection.tolist() == [False, False, False, True, True, False]


@pytest.mark.parametrize(
    "on",
    [
        "2024-06-01",
        date(2024, 6, 1),
        "2024-06-01T23:59:00Z",
        "2024-06-02T01:00:00+02:00",
        datetime(2024, 6, 1, 12, tzinfo=UTC),
        datetime(2024, 6, 2, 1, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_day_may_come_in_these_forms(on: str | date) -> None:
    assert as_day(on) == date(2024, 6, 1)


@pytest.mark.parametrize(
    ("on", "message"),
    [
        ("2024-06-31", "not an ISO date"),
        ("1 June 2024", "not an ISO date"),
        ("", "not an ISO date"),
        ("2024-06-01T12:00:00", "no time zone"),
        ("2024-06-01T25:00:00Z", "not an ISO 8601 time"),
        (datetime(2024, 6, 1), "no time zone"),
        (20240601, "int is no date"),
        (None, "NoneType is no date"),
    ],
)
def test_any_other_form_is_refused(on: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        as_day(on)  # type: ignore[arg-type]


def test_flag_days_count_from_2020_and_drop_the_hour() -> None:
    times = np.array(
        ["2019-12-31T23:00", "2020-01-01", "2020-01-01T23:59", "2024-06-01"], dtype="datetime64[ns]"
    )
    assert days_since_2020(times).tolist() == [-1, 0, 0, 1613]
