"""From the ground into the image: Newton's zero-Doppler times against a search, and back."""

import numpy as np
import pytest
from grd_places import box_at, centres_ecef, closest_approach, true_scene
from grd_samples import S1A, S1B
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira.grd.annotation import SPEED_OF_LIGHT_M_S
from curupira.grd.locate import locate, slant_range_m
from curupira.grd.tie import ecef
from curupira.grd.zero_doppler import RadarGeometry

PRODUCTS = pytest.mark.parametrize("template", [S1A, S1B], ids=["s1a", "s1b"])


@PRODUCTS
def test_newton_finds_the_closest_approach(template):
    annotation, orbit, _ = true_scene(template)
    geometry = RadarGeometry.of(annotation, orbit, bistatic=False)
    box = box_at(8000, 12_000, 4, pixel_m=40_000, template=template)
    for point in centres_ecef(box, 350.0).reshape(-1, 3)[::3]:
        line, _, sight = geometry.locate(point)
        middle = geometry.middle_s
        seconds, distance = closest_approach(orbit, point, middle - 60, middle + 60)
        ours = geometry.first_line_s + line * annotation.line_interval_s
        # Distance is flat around its minimum: a search on it finds 1e-5 s, which is 7 cm.
        assert ours == pytest.approx(seconds, abs=3e-5)
        assert np.linalg.norm(sight) == pytest.approx(distance, abs=1e-6)
        # What the search cannot tell to the end: the sight is at right angles to the track.
        velocity = orbit.velocity(np.array(ours))
        assert abs(sight @ velocity) / np.linalg.norm(velocity) < 1e-3


@PRODUCTS
@settings(max_examples=30, deadline=None)
@given(
    line=st.floats(0, 1),
    sample=st.floats(0, 1),
    height=st.floats(-400, 6000),
    bistatic=st.booleans(),
)
def test_there_and_back(template, line, sample, height, bistatic):
    """``locate`` solves the range-Doppler equations forwards, by other equations than these."""
    annotation, orbit, _ = true_scene(template)
    geometry = RadarGeometry.of(annotation, orbit, bistatic=bistatic)
    line, sample = line * (annotation.lines - 1), sample * (annotation.samples - 1)
    place = locate(annotation, orbit, [line], [sample], height, bistatic=bistatic)
    back = geometry.locate(ecef(place.longitude, place.latitude, height))
    assert back[0][0] == pytest.approx(line, abs=1e-4)
    # The annotated polynomials of both directions invert one another within this.
    assert back[1][0] == pytest.approx(sample, abs=0.01)


@PRODUCTS
def test_the_annotated_grid_is_where_it_says(template):
    annotation, _, geometry = true_scene(template)
    grid = annotation.geolocation
    position = ecef(grid.longitude, grid.latitude, grid.height)
    line, sample, sight = geometry.locate(position)
    # Latitudes and longitudes are annotated within 8 mm.
    assert np.abs(line - grid.line).max() < 0.02
    slant = SPEED_OF_LIGHT_M_S / 2 * grid.slant_range_time
    assert np.abs(np.linalg.norm(sight, axis=-1) - slant).max() < 0.02
    # Grid ranges follow the nearest polynomial, ours the interpolated one: docs/grd.md, Orbits.
    apart = np.abs(slant_range_m(annotation, grid.line, grid.pixel) - slant)
    assert np.abs(sample - grid.pixel).max() * annotation.range_spacing_m < 2 * apart.max() + 0.1


@PRODUCTS
def test_magnitudes(template):
    """What IW is: 800 to 970 km away, 29 to 46 degrees, 250 km wide, 7.5 km/s."""
    annotation, orbit, geometry = true_scene(template)
    edge = np.array([0.0, annotation.samples - 1.0])
    place = locate(annotation, orbit, np.full(2, annotation.lines / 2), edge)
    _, _, sight = geometry.locate(ecef(place.longitude, place.latitude, 0.0))
    slant = np.linalg.norm(sight, axis=-1)
    assert 790e3 < slant[0] < slant[1] < 980e3
    assert 29 < place.incidence_deg[0] < 32 < 44 < place.incidence_deg[1] < 47
    assert 7400 < np.linalg.norm(orbit.velocity(np.array(0.0))) < 7700
    assert 240e3 < (annotation.samples - 1) * annotation.range_spacing_m < 270e3
    assert abs(geometry.bistatic[1] - 0.5) < 1e-3


@PRODUCTS
def test_height_moves_towards_the_sensor(template):
    """A metre up shortens the slant range by cos(incidence), and the ground range by cot of it."""
    annotation, orbit, geometry = true_scene(template)
    place = locate(annotation, orbit, [8000.0], [12_000.0], 0.0)
    here, there = (geometry.locate(ecef(place.longitude, place.latitude, h)) for h in (0.0, 100.0))
    theta = np.radians(place.incidence_deg[0])
    shorter = np.linalg.norm(here[2]) - np.linalg.norm(there[2])
    assert shorter == pytest.approx(100 * np.cos(theta), rel=1e-3)
    metres = (here[1] - there[1])[0] * annotation.range_spacing_m
    assert metres == pytest.approx(100 / np.tan(theta), rel=0.01)


def test_far_away_and_missing():
    annotation, _, geometry = true_scene()
    points = ecef(np.array([33.5, 33.5, 213.5, np.nan]), np.array([-18.0, 0.0, 18.0, 0.0]), 0.0)
    line, sample, _ = geometry.locate(points)
    assert np.isfinite(line[0])
    assert 0 < line[0] < annotation.lines
    # 18 degrees of latitude are five minutes of flight; the antipode has the right time, but lies
    # on the other side. What comes next is not misled by any.
    assert np.isnan(line[1:]).all()
    assert np.isnan(sample[1:]).all()
    again = geometry.locate(points[[3, 1, 0]])
    assert again[0][2] == pytest.approx(line[0], abs=1e-6)
    assert again[1][2] == pytest.approx(sample[0], abs=1e-6)


def test_the_ground_left_of_the_track_is_not_seen():
    """It has the same times and ranges: on a wide grid the scene would appear twice."""
    annotation, orbit, geometry = true_scene()
    place = locate(annotation, orbit, [8000.0], [12_000.0], 0.0)
    point = ecef(place.longitude, place.latitude, 0.0)[0]
    seconds = orbit.seconds(annotation.start) + 8000 * annotation.line_interval_s
    sensor, velocity = orbit.position(seconds), orbit.velocity(seconds)
    across = np.cross(velocity, sensor)
    across /= np.linalg.norm(across)
    mirrored = point - 2 * ((point - sensor) @ across) * across
    assert np.linalg.norm(mirrored - sensor) == pytest.approx(np.linalg.norm(point - sensor))
    line, sample, _ = geometry.locate(np.stack([point, mirrored]))
    assert line[0] == pytest.approx(8000, abs=0.5)
    assert np.isnan(line[1])
    assert np.isnan(sample[1])


def test_samples_grow_beyond_the_swath():
    """A polynomial of degree eight turns back outside: nothing there may fold into the image."""
    annotation, _, geometry = true_scene()
    limits = geometry.slant_m
    slant = np.linspace(limits[0] - 200e3, limits[1] + 200e3, 2001)
    at = np.full(slant.size, geometry.middle_s)
    samples = geometry.samples(at, slant)
    assert (np.diff(samples) > 0).all()
    assert samples[0] < 0
    assert samples[-1] > annotation.samples
