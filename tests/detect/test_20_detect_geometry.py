"""Geometry: LIA, gamma0, angle limits, along-track border."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate
from shapely.geometry import Point, Polygon, box

from curupira import presets
from curupira.codes import OrbitState
from curupira.detect.geometry import (
    angle_mask,
    edge_eroded,
    flight_azimuth_deg,
    gamma0,
    lia,
    lia_mask,
)
from curupira.detect.params import DetectParams
from curupira.errors import InputError

PARAMS = DetectParams.from_preset(presets.load("deter_r")).geometry


def _slice(heading_deg: float) -> Polygon:
    """An IW slice: 250 km across, 170 km along a track that leans by the heading."""
    return rotate(box(0, 0, 250_000, 170_000), -heading_deg)


def _lia(slope: float, aspect: float, theta: float, azimuth: float) -> float:
    return float(lia(np.array(slope), np.array(aspect), np.array(theta), azimuth))


def test_flat_ground_has_the_ellipsoid_angle() -> None:
    assert _lia(0, 123, 38, 190) == pytest.approx(38)


def test_a_slope_that_faces_the_radar_is_met_steeper() -> None:
    # Descending at azimuth 190: the antenna looks to 280, so the radar stands to the east (100).
    assert _lia(10, 100, 38, 190) == pytest.approx(28)
    assert _lia(10, 280, 38, 190) == pytest.approx(48)
    assert _lia(10, 190, 38, 190) == pytest.approx(38)
    # Foreshortening turns into layover: the angle is an absolute value.
    assert _lia(50, 100, 38, 190) == pytest.approx(12)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 40), st.floats(0, 360), st.floats(29, 46), st.floats(0, 360))
def test_lia_is_the_printed_formula_and_periodic(
    slope: float, aspect: float, theta: float, azimuth: float
) -> None:
    expected = abs(theta - slope * math.cos(math.radians(azimuth - 90 - aspect)))
    assert _lia(slope, aspect, theta, azimuth) == pytest.approx(expected, abs=1e-4)
    assert _lia(slope, aspect + 360, theta, azimuth) == pytest.approx(expected, abs=1e-3)


def test_gamma0_divides_by_the_cosine() -> None:
    sigma = np.array([0.05, 0.05, 0.05, 0.05, np.nan])
    found = gamma0(sigma, np.array([0.0, 60.0, 90.0, np.nan, 30.0]))
    np.testing.assert_allclose(found, [0.05, 0.1, np.nan, np.nan, np.nan], rtol=1e-6)
    assert found.dtype == np.float32


def test_lia_limits_are_exclusive() -> None:
    angles = np.array([28, np.nextafter(28, 90), 39, np.nextafter(50, 0), 50, np.nan])
    assert lia_mask(angles, PARAMS).tolist() == [False, True, True, True, False, False]


def test_angle_limits_are_exclusive() -> None:
    angles = np.array([30.63993, 30.6400, 45.2399, 45.23993, np.nan])
    assert angle_mask(angles, PARAMS).tolist() == [False, True, True, False, False]


@pytest.mark.parametrize("heading", [-12.0, -5.0, 0.0, 7.5, 12.0])
def test_flight_direction_of_a_slice(heading: float) -> None:
    # The slice is longer across than along: the longer side is not the track.
    footprint = _slice(heading)
    assert flight_azimuth_deg(footprint, OrbitState.ASCENDING) == pytest.approx(heading, abs=1e-6)
    assert flight_azimuth_deg(footprint) == pytest.approx(180 + heading, abs=1e-6)


@pytest.mark.parametrize("heading", [0.0, 11.0])
def test_only_the_along_track_edges_are_cut(heading: float) -> None:
    footprint = _slice(heading)
    eroded = edge_eroded(footprint, 1000)
    assert eroded.area == pytest.approx(250_000 * 168_000, rel=1e-6)
    turned = rotate(eroded, heading, origin=footprint.centroid)
    np.testing.assert_allclose(turned.bounds, (0, 1000, 250_000, 169_000), atol=1)


def test_the_eroded_slice_is_where_both_shifts_are_valid() -> None:
    # Slow reference on points: inside, and inside after a step forward and a step back.
    footprint = Polygon([(0, 0), (240_000, -40_000), (270_000, 130_000), (30_000, 170_000)])
    eroded = edge_eroded(footprint, 5000)
    azimuth = math.radians(flight_azimuth_deg(footprint))
    dx, dy = 5000 * math.sin(azimuth), 5000 * math.cos(azimuth)
    rng = np.random.default_rng(3)
    points = rng.uniform((-10_000, -50_000), (280_000, 180_000), (500, 2))
    inside = 0
    for x, y in points:
        expected = all(footprint.contains(Point(x + k * dx, y + k * dy)) for k in (-1, 0, 1))
        assert eroded.contains(Point(x, y)) == expected
        inside += expected
    assert 100 < inside < 400


def test_nothing_is_left_of_a_slice_shorter_than_two_borders() -> None:
    assert edge_eroded(box(0, 0, 250_000, 1500), 1000).is_empty


def test_no_border_returns_the_footprint() -> None:
    footprint = _slice(10)
    assert edge_eroded(footprint, 0) is footprint


def test_a_footprint_without_area_is_refused() -> None:
    with pytest.raises(InputError, match="no area"):
        edge_eroded(Polygon([(0, 0), (1, 1), (2, 2)]), 1000)
