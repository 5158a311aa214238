"""Masks: layers on the grid, distances, composition, areas, provenance."""

import hashlib
from datetime import date

import geopandas as gpd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shapely.geometry import LineString, Polygon, box

from curupira.errors import ConfigError, InputError
from curupira.grid import LONLAT, project
from curupira.sources.layers import rasterise_layers
from curupira.sources.masks import (
    MaskParams,
    area_mask,
    areas_km2,
    build_masks,
    compose_forest,
    dilate,
    distance_m,
)

WEST, NORTH = 700_000, 9_560_000


def square(x0, y0, x1, y1):
    """Rectangle by pixel columns and rows of the grid."""
    return box(WEST + 20 * x0, NORTH - 20 * y1, WEST + 20 * x1, NORTH - 20 * y0)


def layer(path, shapes, crs="EPSG:32721", name=None, **columns):
    frame = gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)
    frame.to_file(path, layer=name or path.stem, driver="GPKG" if path.suffix == ".gpkg" else None)
    return path


def test_polygons_follow_the_pixel_centre_rule(grid, tmp_path):
    # From 10.4 to 20.6 columns: centres 10.5 to 19.5 and 20.5 lie inside.
    layer(tmp_path / "a.gpkg", [square(10.4, 5, 20.6, 15)])
    mask, (record,) = rasterise_layers(["a.gpkg"], "non_forest", grid, base=tmp_path)
    expected = np.zeros(grid.shape, bool)
    expected[5:15, 10:21] = True
    np.testing.assert_array_equal(mask, expected)
    assert record.pixels == 110
    assert record.features == 1
    assert record.name == "a.gpkg"
    assert record.sha256 == hashlib.sha256((tmp_path / "a.gpkg").read_bytes()).hexdigest()


def test_lonlat_layers_are_reprojected(grid, tmp_path):
    shape = project(square(10, 5, 30, 25), "EPSG:32721", LONLAT)
    layer(tmp_path / "a.geojson", [shape], crs=LONLAT)
    mask, _ = rasterise_layers(["a.geojson"], "non_forest", grid, base=tmp_path)
    assert abs(mask.sum() - 400) <= 20
    assert mask[6:24, 11:29].all()


def test_layers_are_named_within_a_file(grid, tmp_path):
    path = tmp_path / "m.gpkg"
    layer(path, [square(0, 0, 10, 10)], name="one")
    layer(path, [square(20, 0, 25, 10)], name="two")
    mask, records = rasterise_layers(["m.gpkg|one", "m.gpkg|two"], "water", grid, base=tmp_path)
    assert [record.pixels for record in records] == [100, 50]
    assert mask.sum() == 150
    with pytest.raises(ConfigError, match=r"several layers.*one, two"):
        rasterise_layers(["m.gpkg"], "water", grid, base=tmp_path)
    with pytest.raises(ConfigError, match="no layer 'three'"):
        rasterise_layers(["m.gpkg|three"], "water", grid, base=tmp_path)


def test_newest_date(grid, tmp_path):
    shapes = [square(0, 0, 5, 5), square(10, 0, 15, 5)]
    layer(tmp_path / "y.gpkg", shapes, year=[2019, 2021])
    layer(tmp_path / "d.gpkg", shapes, year=["2020-02-03", "2019-01-01"])
    layer(tmp_path / "bad.gpkg", shapes, year=["2020-02-03", "soon"])

    def newest(name):
        _, (record,) = rasterise_layers(
            [name], "deforestation", grid, base=tmp_path, date_field="year"
        )
        return record.newest

    assert newest("y.gpkg") == date(2021, 7, 31)
    assert newest("d.gpkg") == date(2020, 2, 3)
    with pytest.raises(InputError, match="'soon'"):
        newest("bad.gpkg")
    with pytest.raises(ConfigError, match=r"no column 'month'.*year"):
        rasterise_layers(["y.gpkg"], "deforestation", grid, base=tmp_path, date_field="month")


def test_invalid_polygons_are_repaired_and_counted(grid, tmp_path):
    corners = square(10, 10, 30, 30).exterior.coords
    bow_tie = Polygon([corners[0], corners[2], corners[1], corners[3]])
    assert not bow_tie.is_valid
    layer(tmp_path / "a.gpkg", [bow_tie])
    mask, (record,) = rasterise_layers(["a.gpkg"], "non_forest", grid, base=tmp_path)
    assert record.repaired == 1
    assert 180 <= mask.sum() <= 220


def test_rasters_non_zero_is_the_class(write, grid, tmp_path):
    codes = np.zeros((60, 80), np.uint8)
    codes[0:10, 0:10], codes[20:30, 0:10] = 3, 255
    write("codes.tif", codes, nodata=255)
    mask, (record,) = rasterise_layers(["codes.tif"], "non_forest", grid, base=tmp_path)
    np.testing.assert_array_equal(mask, codes == 3)
    assert record.features is None
    floats = np.where(codes == 3, 1, np.nan).astype(np.float32)
    write("floats.tif", floats)
    mask, _ = rasterise_layers(["floats.tif"], "non_forest", grid, base=tmp_path)
    np.testing.assert_array_equal(mask, codes == 3)


def test_finer_rasters_go_by_majority_and_coarser_by_nearest(write, grid, tmp_path):
    fine = np.zeros((240, 320), np.uint8)
    fine[:40, :40] = 1
    fine[100, 100] = 1
    write("fine.tif", fine, pixel=5)
    mask, _ = rasterise_layers(["fine.tif"], "forest", grid, base=tmp_path)
    expected = np.zeros(grid.shape, bool)
    expected[:10, :10] = True
    np.testing.assert_array_equal(mask, expected)
    coarse = np.zeros((20, 27), np.uint8)
    coarse[2, 3] = 1
    write("coarse.tif", coarse, pixel=60)
    mask, _ = rasterise_layers(["coarse.tif"], "forest", grid, base=tmp_path)
    assert mask.sum() == 9
    assert mask[6:9, 9:12].all()


def test_bad_layers(write, grid, tmp_path):
    def load(name, kind="non_forest"):
        return rasterise_layers([name], kind, grid, base=tmp_path)

    with pytest.raises(ConfigError, match="does not exist"):
        load("none.gpkg")
    (tmp_path / "junk.gpkg").write_bytes(b"junk")
    with pytest.raises(InputError, match="no file that GDAL reads"):
        load("junk.gpkg")
    layer(tmp_path / "empty.gpkg", [], crs="EPSG:4326")
    with pytest.raises(InputError, match="empty"):
        load("empty.gpkg")
    layer(tmp_path / "lines.gpkg", [LineString([(WEST, NORTH), (WEST + 500, NORTH - 500)])])
    with pytest.raises(InputError, match="no polygons"):
        load("lines.gpkg")
    write("nocrs.tif", np.ones((60, 80), np.uint8), crs=None)
    with pytest.raises(InputError, match="no coordinate reference"):
        load("nocrs.tif")
    (tmp_path / "page.tif").write_text("<html>")
    with pytest.raises(InputError, match="web page"):
        load("page.tif")


def test_layer_without_a_system(grid, tmp_path):
    frame = gpd.GeoDataFrame(geometry=[square(0, 0, 5, 5)])
    with pytest.warns(UserWarning, match="crs"):
        frame.to_file(tmp_path / "a.shp")
    with pytest.raises(InputError, match="no coordinate reference"):
        rasterise_layers(["a.shp"], "non_forest", grid, base=tmp_path)


def test_off_the_grid_is_an_error_but_for_water(write, grid, tmp_path):
    layer(tmp_path / "far.gpkg", [square(500, 500, 510, 510)])
    write("far.tif", np.ones((10, 10), np.uint8), west=800_000)
    for name in ("far.gpkg", "far.tif"):
        for kind in ("forest", "non_forest", "deforestation"):
            with pytest.raises(InputError, match="does not touch"):
                rasterise_layers([name], kind, grid, base=tmp_path)
        mask, (record,) = rasterise_layers([name], "water", grid, base=tmp_path)
        assert not mask.any()
        assert record.pixels == 0


small = arrays(bool, (9, 12))


@given(mask=small, radius=st.sampled_from([0, 20, 29, 45, 60]))
@settings(max_examples=30, deadline=None)
def test_dilation_and_distance_against_a_slow_loop(mask, radius):
    rows, columns = np.nonzero(mask)
    slow = np.full(mask.shape, np.inf)
    for y in range(9):
        for x in range(12):
            if rows.size:
                slow[y, x] = 20 * np.hypot(rows - y, columns - x).min()
    got = distance_m(mask, 20.0)
    if rows.size:
        np.testing.assert_allclose(got, slow, rtol=1e-6)
    else:
        assert np.isnan(got).all()
    np.testing.assert_array_equal(dilate(mask, radius, 20.0), slow <= radius + 1e-6)


def test_sixty_metres_is_a_disc_of_29_pixels():
    point = np.zeros((9, 9), bool)
    point[4, 4] = True
    assert dilate(point, 60.0, 20.0).sum() == 29


@given(parts=st.tuples(small, small, small, small))
@settings(max_examples=20, deadline=None)
def test_composition(parts):
    forest, other, cleared, water = parts
    got = compose_forest(forest, non_forest=other, deforestation=cleared, water=water)
    np.testing.assert_array_equal(got, forest & ~other & ~cleared & ~water)
    everywhere = compose_forest(None, non_forest=other, deforestation=cleared, water=water)
    np.testing.assert_array_equal(got, forest & everywhere)


def test_masks_as_a_whole(write, grid, tmp_path):
    forest = np.ones((60, 80), np.uint8)
    forest[:, 70:] = 0
    write("forest.tif", forest)
    layer(tmp_path / "prodes.gpkg", [square(0, 0, 10, 10)], year=[2022])
    # Two pixels west of the grid: its 60 m reach one column into it.
    layer(tmp_path / "river.gpkg", [square(-12, 30, -2, 40)])
    params = MaskParams(
        forest=("forest.tif",),
        deforestation=("prodes.gpkg",),
        water=("river.gpkg",),
        deforestation_date_field="year",
    )
    got = build_masks(params, grid, base=tmp_path, max_distance_m=5120)
    assert got.deforestation.sum() == 100
    assert got.water[30:40, 0].all()
    assert not got.water[:, 1:].any()
    assert not got.forest[:10, :10].any()
    assert not got.forest[:, 70:].any()
    assert got.forest[50, 50]
    assert got.distance_m[0, 0] == 0
    assert got.distance_m[5, 19] == pytest.approx(200)
    assert got.distance_m.dtype == np.float32
    assert [record.kind for record in got.records] == ["forest", "deforestation", "water"]
    assert got.records[1].newest == date(2022, 7, 31)

    inside = np.ones(grid.shape, bool)
    inside[:, 40:] = False
    areas = areas_km2(got, inside, 20.0)
    assert areas["area"] == pytest.approx(60 * 40 * 400 / 1e6)
    assert areas["monitored"] + areas["masked"] == pytest.approx(areas["area"])
    assert areas["deforestation"] == pytest.approx(0.04)


def test_cut_grids_give_the_same_masks(grid, tmp_path):
    layer(tmp_path / "p.gpkg", [square(0, 0, 10, 10), square(60, 40, 70, 50)])
    layer(tmp_path / "w.gpkg", [square(38, 10, 40, 50)])
    params = MaskParams(deforestation=("p.gpkg",), water=("w.gpkg",))
    whole = build_masks(params, grid, base=tmp_path, max_distance_m=2000)
    for piece in (np.s_[:, :40], np.s_[:, 40:], np.s_[20:45, 13:77]):
        part = build_masks(params, grid[piece], base=tmp_path, max_distance_m=2000)
        np.testing.assert_array_equal(part.forest, whole.forest[piece])
        np.testing.assert_allclose(part.distance_m, whole.distance_m[piece])


def test_no_layers_at_all(grid, tmp_path):
    got = build_masks(MaskParams(), grid, base=tmp_path, max_distance_m=5120)
    assert got.forest.all()
    assert np.isnan(got.distance_m).all()
    assert got.records == ()


def test_empty_forest_is_refused(grid, tmp_path):
    layer(tmp_path / "all.gpkg", [square(-5, -5, 100, 100)])
    with pytest.raises(InputError, match="forest mask is empty"):
        build_masks(MaskParams(non_forest=("all.gpkg",)), grid, base=tmp_path, max_distance_m=500)


def test_area_mask(grid):
    area = project(square(10, 10, 30, 20), "EPSG:32721", LONLAT)
    mask = area_mask(area, grid)
    assert mask[11:19, 11:29].all()
    assert abs(mask.sum() - 200) <= 30
