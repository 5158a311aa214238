"""Conversions: round trips, calendar corners, areas on the ellipsoid."""

import calendar
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import MultiPolygon, Point, Polygon, box

from curupira import units
from curupira.errors import ConfigError, InputError

DAYS = st.dates(date(2014, 1, 1), date(2040, 12, 31))


def test_decibels():
    power = np.float32([1, 0.1, 0.05, 100])
    np.testing.assert_allclose(units.to_db(power), [0, -10, -13.0103, 20], atol=1e-4)
    np.testing.assert_allclose(units.from_db(units.to_db(power)), power, rtol=1e-6)
    assert units.to_db(power).dtype == units.from_db(power).dtype == np.float32
    assert units.to_db(power.astype(float)).dtype == np.float64


def test_decibels_of_nothing_are_missing():
    assert np.isnan(units.to_db(np.float32([np.nan, 0, -1, np.inf]))).all()
    assert np.isnan(units.from_db(np.float32([np.nan]))).all()


def test_years():
    times = np.array(["2016-01-01", "2017-01-01", "2015-01-01T12:00", "NaT"], "datetime64[ns]")
    np.testing.assert_allclose(
        units.years_since_2016(times), [0, 366 / 365.25, -364.5 / 365.25, np.nan]
    )


def test_flag_days():
    assert units.flag_days(date(2020, 1, 1)) == 0
    assert units.flag_days(date(2021, 1, 1)) == 366
    assert units.flag_days(date(2019, 12, 31)) == -1


@given(DAYS, st.integers(-60, 60))
def test_months(day, months):
    shifted = units.add_months(day, months)
    assert (shifted.year - day.year) * 12 + shifted.month - day.month == months
    assert shifted.day == min(day.day, calendar.monthrange(shifted.year, shifted.month)[1])


@pytest.mark.parametrize(
    ("area_ha", "pixel_m2", "pixels"),
    [(1, 400, 25), (1, 900, 11), (0.3, 300, 10), (0.999, 400, 24), (6.25, 100, 625)],
)
def test_minimum_pixels(area_ha, pixel_m2, pixels):
    assert units.minimum_pixels(area_ha, pixel_m2) == pixels


@given(st.integers(1, 10_000), st.sampled_from([100.0, 400.0, 900.0, 624.9]))
def test_minimum_pixels_of_whole_pixels(pixels, pixel_m2):
    assert units.minimum_pixels(pixels * pixel_m2 / 10_000, pixel_m2) == pixels


def test_geodesic_area():
    # One square degree at the equator on GRS 80: 12,308.78 km2 (Karney 2013).
    assert units.geodesic_area_ha(box(-60, 0, -59, 1)) == pytest.approx(1_230_878, rel=1e-5)
    assert units.geodesic_area_ha(Point(-60, 0)) == 0
    assert units.geodesic_area_ha(Polygon()) == 0


def test_geodesic_area_does_not_depend_on_the_sense_of_rings():
    ring = [(-55, -6), (-54, -6), (-54, -5), (-55, -5)]
    hole = [(-54.6, -5.6), (-54.4, -5.6), (-54.4, -5.4), (-54.6, -5.4)]
    expected = units.geodesic_area_ha(Polygon(ring)) - units.geodesic_area_ha(Polygon(hole))
    for a in (ring, ring[::-1]):
        for b in (hole, hole[::-1]):
            assert units.geodesic_area_ha(Polygon(a, [b])) == pytest.approx(expected)
            parts = MultiPolygon([Polygon(a), Polygon([(x + 5, y) for x, y in b])])
            assert units.geodesic_area_ha(parts) > units.geodesic_area_ha(Polygon(a))


def test_times():
    assert units.parse_time("2024-06-01T09:45:00Z") == datetime(2024, 6, 1, 9, 45, tzinfo=UTC)
    shifted = units.parse_time("2024-06-01T09:45:00-03:00")
    assert shifted == datetime(2024, 6, 1, 12, 45, tzinfo=UTC)
    assert shifted.tzinfo is UTC


@pytest.mark.parametrize("text", ["2024-06-01T09:45:00", "2024-06-01", "yesterday", ""])
def test_times_without_zone_or_sense(text):
    with pytest.raises(ConfigError) as caught:
        units.parse_time(text, where="item x")
    assert caught.value.where == "item x"
    assert caught.value.remedy


def test_naive_utc():
    moment = datetime(2024, 6, 1, 9, 45, tzinfo=timezone(timedelta(hours=-4)))
    assert units.naive_utc(moment) == np.datetime64("2024-06-01T13:45", "ns")
    assert units.naive_utc(moment).dtype == np.dtype("datetime64[ns]")
    with pytest.raises(InputError, match="no time zone"):
        units.naive_utc(datetime(2024, 6, 1))


def test_positive_makes_missing_what_has_no_db_and_leaves_the_rest_alone():
    power = np.array([[[0.1, np.nan]], [[0.2, 0.3]]], dtype=np.float32)
    assert units.positive(power) is power
    power[1, 0, 0] = 0
    found = units.positive(power)
    np.testing.assert_array_equal(found, np.array([[[0.1, np.nan]], [[np.nan, 0.3]]], np.float32))
    assert power[1, 0, 0] == 0
