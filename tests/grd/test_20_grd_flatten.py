"""Terrain flattening: area integration, angular models and the cosine, by independent sums."""

import numpy as np
import pytest
from grd_places import box_at, centres_ecef, range_box, true_scene

from curupira.blocks import Window
from curupira.grd.flatten import angular_gamma0, cosine_gamma0, projected_area
from curupira.grd.geocode import looked, sample
from curupira.grd.incidence import Incidence, incidence
from curupira.grd.tie import BETA_AREA, fitting_tie_grid, to_ecef

LINE, SAMPLE = 8300, 12_800
SIDE = 2


def one(theta_deg, range_deg=0.0, azimuth_deg=0.0, lia_deg=0.0):
    """Angles of one pixel."""
    degrees = np.array([[lia_deg, theta_deg, range_deg, azimuth_deg]])
    local, ellipsoid = np.cos(np.radians(degrees[:, :2])).T
    ranging, across = np.tan(np.radians(degrees[:, 2:])).T
    return Incidence(*(v[None].astype(np.float32) for v in (local, ellipsoid, ranging, across)))


@pytest.mark.parametrize("theta", [31.0, 38.0, 45.0])
@pytest.mark.parametrize(("towards", "across"), [(0, 0), (10, 0), (-25, 0), (15, 20), (-5, 30)])
def test_angular_models_by_the_paper(theta, towards, across):
    """Vollrath et al. (2020), equations 5 and 8, written in degrees."""
    sigma0 = np.array([[0.1]], np.float32)
    gamma0 = 0.1 / np.cos(np.radians(theta))
    angles = one(theta, towards, across)
    level, turned = np.radians(90 - theta), np.radians(90 - theta + towards)
    volume = np.tan(turned) / np.tan(level)
    surface = np.cos(level) / (np.cos(np.radians(across)) * np.cos(turned))
    found = angular_gamma0(sigma0, angles, "volume")
    assert found[0, 0] == pytest.approx(gamma0 / volume, rel=1e-5)
    found = angular_gamma0(sigma0, angles, "surface")
    assert found[0, 0] == pytest.approx(gamma0 / surface, rel=1e-5)
    # A slope that faces the sensor is bright, and is made darker.
    if towards > 0 and across == 0:
        assert angular_gamma0(sigma0, angles, "volume")[0, 0] < gamma0


@pytest.mark.parametrize("model", ["volume", "surface"])
def test_no_value_where_nothing_is_seen(model):
    sigma0 = np.array([[0.1]], np.float32)
    for towards in (40.0, 36.0, -56.0, -70.0):
        assert np.isnan(angular_gamma0(sigma0, one(35.0, towards), model)[0, 0])
    for towards in (34.0, -54.0):
        assert np.isfinite(angular_gamma0(sigma0, one(35.0, towards), model)[0, 0])


def test_cosine():
    sigma0 = np.array([[0.1]], np.float32)
    assert cosine_gamma0(sigma0, one(35, lia_deg=60))[0, 0] == pytest.approx(0.2, rel=1e-6)
    assert np.isnan(cosine_gamma0(sigma0, one(35, lia_deg=95))[0, 0])
    assert np.isnan(cosine_gamma0(np.array([[np.nan]], np.float32), one(35, lia_deg=60))[0, 0])


def places(box, height):
    """Tie grid, places in the image of two looks each way, and the window that they fill."""
    ties, _ = fitting_tie_grid(true_scene()[2], box, height)
    line, column = (looked(place, SIDE) for place in ties.positions(height))
    lines = int(np.ceil(line.min())), int(line.max())
    columns = int(np.ceil(column.min())), int(column.max())
    return ties, line, column, Window(lines[0], lines[1], columns[0], columns[1])


def area_of(box, height):
    ties, line, column, radar = places(box, height)
    area = projected_area(ties, height, line, column, radar, SIDE)
    at = line - radar.y0, column - radar.x0
    return sample(area, *at), ties


@pytest.mark.parametrize("slope_deg", [-25.0, 0.0, 8.0, 20.0])
def test_planes_have_the_cotangent(slope_deg):
    """Area along the line of sight over slant area: the cotangent of the incidence angle."""
    box = range_box(LINE, SAMPLE, 120)
    x = np.mgrid[:120, :120][1]
    height = (900 + 20 * np.tan(np.radians(slope_deg)) * x).astype(np.float32)
    area, ties = area_of(box, height)
    angles = incidence(ties, height)
    inner = slice(30, -30), slice(30, -30)
    theta = np.arccos(angles.cos_ellipsoid[inner]) - np.radians(slope_deg)
    off = 10 * np.log10(area[inner] * np.tan(theta))
    assert np.abs(off).max() < 0.05


def bumps(box):
    y, x = np.mgrid[: box.shape[0], : box.shape[1]]
    height = 700 + 60 * np.sin(x / 7.0) * np.cos(y / 9.0) + 25 * np.sin((x + 2 * y) / 11.0)
    return height.astype(np.float32)


def facets(box, height):
    """Area towards the sensor of each quadrilateral, by cross products of its diagonals (m2)."""
    p = centres_ecef(box, height.astype(np.float64))
    _, _, sight = true_scene()[2].locate(p)
    look = sight / np.linalg.norm(sight, axis=-1, keepdims=True)
    normal = 0.5 * np.cross(p[1:, 1:] - p[:-1, :-1], p[:-1, 1:] - p[1:, :-1])
    seen = (normal * look[:-1, :-1]).sum(axis=-1)
    upwards = (normal * p[:-1, :-1]).sum(axis=-1)
    return seen * np.sign(upwards)


def test_all_ground_is_counted_once():
    """The areas of all radar pixels add up to the ground's area towards the sensor."""
    box = box_at(LINE, SAMPLE, 200)
    height = bumps(box)
    ties, line, column, radar = places(box, height)
    # All of the ground's pixels and one more on every side, so that nothing is lost.
    radar = Window(radar.y0 - 2, radar.y1 + 3, radar.x0 - 2, radar.x1 + 3)
    area = projected_area(ties, height, line, column, radar, SIDE)
    slant = ties.nodes[..., BETA_AREA].mean() * SIDE**2
    whole = np.nansum(area) * slant
    # Pixels on the outline are covered in part; dividing that out is worth half of them at most.
    outline = 2 * sum(radar.shape) / (radar.shape[0] * radar.shape[1])
    assert whole == pytest.approx(facets(box, height).clip(0).sum(), rel=0.75 * outline)


def simulated(box, ground, radar, cuts):
    """Beta0 of ground whose gamma0 is 1: every piece of every facet to the pixel it falls into."""
    rows, columns = box.shape
    y, x = np.mgrid[: (rows - 1) * cuts, : (columns - 1) * cuts] / cuts + 0.5 / cuts
    p = to_ecef(box, x, y, ground(x, y))
    line, column, sight = true_scene()[2].locate(p)
    half = 0.5 / cuts
    across, down = (
        to_ecef(box, x + dx * half, y + dy * half, ground(x + dx * half, y + dy * half))
        - to_ecef(box, x - dx * half, y - dy * half, ground(x - dx * half, y - dy * half))
        for dx, dy in ((1, 0), (0, 1))
    )
    look = sight / np.linalg.norm(sight, axis=-1, keepdims=True)
    seen = (np.cross(down, across) * look).sum(axis=-1).clip(0)
    i = np.rint(looked(line, SIDE)).astype(int) - radar.y0
    j = np.rint(looked(column, SIDE)).astype(int) - radar.x0
    there = (i >= 0) & (j >= 0) & (i < radar.shape[0]) & (j < radar.shape[1])
    image = np.zeros(radar.shape)
    np.add.at(image, (i[there], j[there]), seen[there])
    return image


def test_gamma0_of_bumpy_ground_is_flat():
    """An image made by summing fine pieces of rough ground is flattened to one value."""
    box = box_at(LINE, SAMPLE, 140)

    def ground(x, y):
        wave = 60 * np.sin(x / 7.0) * np.cos(y / 9.0)
        return 700 + wave + 25 * np.sin((x + 2 * y) / 11.0)

    y, x = np.mgrid[:140, :140].astype(float)
    height = ground(x, y).astype(np.float32)
    ties, line, column, radar = places(box, height)
    area = projected_area(ties, height, line, column, radar, SIDE)
    slant = ties.nodes[..., BETA_AREA].mean() * SIDE**2
    image = (simulated(box, ground, radar, 7) / slant).astype(np.float32)
    at = line - radar.y0, column - radar.x0
    inner = slice(25, -25), slice(25, -25)
    flat = 10 * np.log10(sample(image / area, *at)[inner])
    raw = 10 * np.log10(sample(image, *at)[inner])
    low, middle, high = np.nanpercentile(flat, (16, 50, 84))
    assert abs(middle) < 0.05
    # The relief changes beta0 by several dB, of which a tenth or two are left.
    assert np.subtract(*np.nanpercentile(raw, (84, 16))) > 2
    assert high - low < 0.5
    # Dividing by the cosine, which knows no areas, is worse.
    angles = incidence(ties, height)
    theta = np.sqrt(1 - angles.cos_ellipsoid**2)
    cosine = 10 * np.log10(cosine_gamma0(sample(image, *at) * theta, angles)[inner])
    assert high - low < 0.5 * np.subtract(*np.nanpercentile(cosine, (84, 16)))
