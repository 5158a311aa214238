"""Local incidence, slopes, shadow and layover against vectors of every pixel."""

import numpy as np
import pytest
from grd_places import away_from_sensor, box_at, centres_ecef, range_box, true_scene
from pyproj import Transformer

from curupira.grd.incidence import Flag, incidence, shadow_and_layover
from curupira.grd.tie import ecef, fitting_tie_grid

LINE, SAMPLE = 8300, 6000


def hill(box, top_m, width_m, pixel_m=20.0):
    """A round hill in the middle of a box."""
    rows, columns = box.shape
    y, x = np.mgrid[:rows, :columns]
    away2 = ((x - columns / 2) ** 2 + (y - rows / 2) ** 2) * pixel_m**2
    return (200 + top_m * np.exp(-away2 / width_m**2)).astype(np.float32)


def angles_of(box, height):
    _, _, geometry = true_scene()
    ties, _ = fitting_tie_grid(geometry, box, height)
    return ties, incidence(ties, height)


def sights(box, height):
    _, _, geometry = true_scene()
    return geometry.locate(centres_ecef(box, height.astype(np.float64)))


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


@pytest.mark.parametrize("crs", [None, "EPSG:4326", "EPSG:3857"])
def test_angle_between_normal_and_sight(crs):
    """The normal as the cross product of differences of ECEF positions, pixel by pixel."""
    box = box_at(LINE, SAMPLE, 160, crs=crs)
    height = hill(box, 500, 900)
    _, angles = angles_of(box, height)
    p = centres_ecef(box, height.astype(np.float64))
    across, down = p[1:-1, 2:] - p[1:-1, :-2], p[2:, 1:-1] - p[:-2, 1:-1]
    normal = unit(np.cross(down, across))
    expected = (normal * unit(sights(box, height)[2][1:-1, 1:-1])).sum(axis=-1)
    assert np.ptp(np.degrees(np.arccos(expected))) > 30
    off = np.degrees(np.arccos(angles.cos_local[1:-1, 1:-1]) - np.arccos(expected))
    assert np.abs(off).max() < 0.02


def test_level_ground():
    box = box_at(LINE, SAMPLE, 100)
    _, angles = angles_of(box, np.full(box.shape, 300, np.float32))
    np.testing.assert_allclose(angles.cos_local, angles.cos_ellipsoid, atol=1e-6)
    np.testing.assert_allclose(angles.slope_range, 0, atol=1e-6)
    assert angles.slope_azimuth.max() < 2e-3
    degrees = np.degrees(np.arccos(angles.cos_ellipsoid))
    # Sample 6000 of 25,931 lies in the first of three sub-swaths.
    assert (degrees > 33).all()
    assert (degrees < 36).all()


@pytest.mark.parametrize("slope_deg", [-20.0, 5.0, 20.0])
def test_planes(slope_deg):
    """Facing the sensor by a: incidence less a. Along the track: cosines multiply."""
    box = range_box(LINE, SAMPLE, 100)
    rise = np.tan(np.radians(slope_deg)) * 20
    y, x = np.mgrid[: box.shape[0], : box.shape[1]].astype(np.float32)
    inner = slice(1, -1), slice(1, -1)
    for height, towards, across in ((x * rise, 1, 0), (y * rise, 0, 1)):
        _, angles = angles_of(box, (height + 800).astype(np.float32))
        theta = np.degrees(np.arccos(angles.cos_ellipsoid[inner]))
        lia = np.degrees(np.arccos(angles.cos_local[inner]))
        if towards:
            expected = theta - slope_deg
        else:
            cosines = np.cos(np.radians(theta)) * np.cos(np.radians(slope_deg))
            expected = np.degrees(np.arccos(cosines))
        np.testing.assert_allclose(lia, expected, atol=0.1)
        found = np.degrees(np.arctan(angles.slope_range[inner]))
        np.testing.assert_allclose(found, towards * slope_deg, atol=0.1)
        found = np.degrees(np.arctan(angles.slope_azimuth[inner]))
        np.testing.assert_allclose(found, across * abs(slope_deg), atol=0.2)


def test_beside_missing_heights_differences_are_one_sided():
    box = range_box(LINE, SAMPLE, 60)
    x = np.mgrid[:60, :60][1]
    height = (500 + 4.0 * x).astype(np.float32)
    _, whole = angles_of(box, height)
    height[20:30, 20:30] = np.nan
    _, holed = angles_of(box, height)
    missing = np.isnan(height)
    np.testing.assert_array_equal(np.isnan(holed.cos_local), missing)
    np.testing.assert_allclose(holed.cos_local[~missing], whole.cos_local[~missing], atol=2e-4)


def folded(box, ground, pixels):
    """Layover and shadow of pixels by true ranges and angles of the ground along their line."""
    _, orbit, geometry = true_scene()
    _, away = away_from_sensor(LINE, SAMPLE)
    steps = np.arange(-4000.0, 4000.1, 10.0)
    here = steps.size // 2
    rows, columns = pixels
    x, y = box.affine * (columns + 0.5, rows + 0.5)
    x, y = x[:, None] + away[0] * steps, y[:, None] + away[1] * steps
    lon, lat = Transformer.from_crs(str(box.crs), "EPSG:4326", always_xy=True).transform(x, y)
    line, _, sight = geometry.locate(ecef(lon, lat, ground(x, y)))
    seconds = geometry.first_line_s + line * geometry.line_interval_s
    slant = np.linalg.norm(sight, axis=-1)
    off_nadir = np.arccos((unit(orbit.position(seconds)) * unit(sight)).sum(axis=-1))
    before = slant[:, :here].max(axis=1) > slant[:, here]
    after = slant[:, here + 1 :].min(axis=1) < slant[:, here]
    hidden = off_nadir[:, :here].max(axis=1) > off_nadir[:, here]
    return Flag.LAYOVER * (before | after) + Flag.SHADOW * hidden


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize(
    ("top", "width", "layover", "shadow"),
    [(1800, 1000, True, True), (1000, 1000, True, False), (300, 1200, False, False)],
)
def test_folds_of_a_hill(turned, top, width, layover, shadow):
    box = (range_box if turned else box_at)(LINE, SAMPLE, 360)
    middle = box.affine * (180, 180)

    def ground(x, y):
        return 200 + top * np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / width**2)

    height = ground(*(box.affine * np.meshgrid(np.arange(360) + 0.5, np.arange(360) + 0.5)))
    ties, angles = angles_of(box, height.astype(np.float32))
    found = shadow_and_layover(ties, height.astype(np.float32), angles)
    pixels = np.random.default_rng(2).integers(90, 270, (2, 400))
    expected = folded(box, ground, pixels)
    for flag, there in ((Flag.LAYOVER, layover), (Flag.SHADOW, shadow)):
        ours, theirs = found[tuple(pixels)] & flag > 0, expected & flag > 0
        assert theirs.any() == there
        # Edges of folds are known to a pixel.
        assert (ours != theirs).mean() <= (0.02 if there else 0), flag


def test_missing_heights_cast_nothing():
    box = range_box(LINE, SAMPLE, 120)
    height = hill(box, 1200, 500)
    height[:, 40:80] = np.nan
    ties, _ = fitting_tie_grid(true_scene()[2], box, height)
    flags = shadow_and_layover(ties, height, incidence(ties, height))
    assert not flags[np.isnan(height)].any()
