"""The monitoring grid: where it lies, and what it refuses."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiPolygon, Point, Polygon, box

from curupira import grid
from curupira.errors import ConfigError, InputError

AREA = box(-55.1, -6.2, -54.9, -6.0)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(-74, -44),
    st.floats(-17, 5),
    st.floats(0.01, 3),
    st.floats(0.01, 3),
    st.sampled_from([10.0, 20.0, 30.0]),
)
def test_grid_covers_the_area_and_is_snapped(west, south, width, height, resolution):
    area = box(west, south, west + width, south + height)
    made = grid.make_grid(area, resolution)
    assert made.resolution.x == resolution
    assert made.resolution.y == -resolution
    assert made.transform.c % resolution == 0
    assert made.transform.f % resolution == 0
    outline = shapely.segmentize(area.exterior, 0.02)
    xy = shapely.get_coordinates(grid.project(outline, grid.LONLAT, str(made.crs)))
    x = (xy[:, 0] - made.transform.c) / resolution
    y = (made.transform.f - xy[:, 1]) / resolution
    # Between the points by which edges are densified (0.1 degree), an edge may bend a little.
    assert x.min() >= -1
    assert y.min() >= -1
    assert x.max() <= made.shape.x + 1
    assert y.max() <= made.shape.y + 1
    # No wider than needed.
    assert np.floor(x.min()) <= 1
    assert np.ceil(x.max()) >= made.shape.x - 1


@pytest.mark.parametrize(
    ("area", "crs"),
    [
        (AREA, "EPSG:32721"),
        (box(-60.1, 2, -59.9, 2.2), "EPSG:32621"),
        (box(-66, -9, -60.5, -5), "EPSG:32720"),
        (box(179.5, -5, 180, -4), "EPSG:32760"),
        (box(-62, -9, -55, -5), "ESRI:102033"),
    ],
)
def test_default_crs(area, crs):
    assert grid.default_crs(area) == crs


def test_size_of_a_known_grid():
    # 0.2 by 0.2 degrees near 6 S: about 22.1 km each way.
    made = grid.make_grid(AREA, 20)
    assert made.shape.x == pytest.approx(1107, abs=10)
    assert made.shape.y == pytest.approx(1106, abs=10)


def test_projecting_there_and_back():
    there = grid.project(AREA, grid.LONLAT, "EPSG:32721")
    back = grid.project(there, "EPSG:32721", grid.LONLAT)
    assert shapely.equals_exact(back, AREA, tolerance=1e-8)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:2264", "nonsense", "EPSG:999999"])
def test_systems_that_are_refused(crs):
    with pytest.raises(ConfigError) as caught:
        grid.make_grid(AREA, 20, crs)
    assert caught.value.where == "[grid] crs"
    assert caught.value.remedy


@pytest.mark.parametrize(
    "area",
    [
        Polygon(),
        MultiPolygon(),
        Point(-55, -6),
        LineString([(-55, -6), (-54, -6)]),
        Polygon([(-55, -6), (-54, -5), (-54, -6), (-55, -5)]),
        box(600_000, 9_300_000, 620_000, 9_320_000),
    ],
)
def test_areas_that_are_refused(area):
    with pytest.raises(InputError) as caught:
        grid.check_area(area, where="area.geojson")
    assert caught.value.where == "area.geojson"
    assert caught.value.remedy


def test_areas_that_pass():
    assert grid.check_area(AREA) is AREA
    parts = MultiPolygon([AREA, box(-54, -6, -53.9, -5.9)])
    assert grid.check_area(parts) is parts
