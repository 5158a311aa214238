"""Reading on the grid: exact, averaged in linear power, never across a gap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from curupira.blocks import Window, split
from curupira.errors import InputError
from curupira.sources.profiles import SourceParams
from curupira.sources.raster import gamma0_from_sigma0, read_band

LINEAR = SourceParams()
ALL = Window(0, 60, 0, 80)


def test_the_grids_own_pixels_come_back_exactly(write, make_scene, grid, gamma0):
    gamma0[5, 5] = np.nan
    scene = make_scene(vh=write("vh.tif", gamma0))
    np.testing.assert_array_equal(read_band(scene, "vh", grid, ALL, LINEAR), gamma0)
    window = Window(10, 31, 7, 55)
    np.testing.assert_array_equal(
        read_band(scene, "vh", grid, window, LINEAR), gamma0[window.slices]
    )


def test_ten_metres_average_as_a_slow_loop_does(write, make_scene, grid):
    rng = np.random.default_rng(1)
    fine = rng.gamma(4.4, 0.01, (120, 160)).astype(np.float32)
    fine[rng.random(fine.shape) < 0.3] = np.nan
    fine[10:14, 10:14] = 0
    fine[20, 20:30] = -0.01
    scene = make_scene(vh=write("vh.tif", fine, pixel=10))
    got = read_band(scene, "vh", grid, ALL, LINEAR)
    slow = np.full((60, 80), np.nan)
    for y in range(60):
        for x in range(80):
            cell = fine[2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
            good = cell[np.isfinite(cell) & (cell > 0)]
            if good.size:
                slow[y, x] = good.astype(float).mean()
    np.testing.assert_allclose(got, slow, rtol=1e-6)
    assert np.isnan(got[5:7, 5:7]).all()


def test_decibels_are_averaged_as_power(write, make_scene, grid):
    # -10 and -20 dB: the mean power is -12.6 dB, the mean of dB would be -15 dB.
    fine = np.tile(np.array([[-10, -20], [-20, -10]], np.float32), (60, 80))
    scene = make_scene(vh=write("vh.tif", fine, pixel=10))
    got = read_band(scene, "vh", grid, ALL, SourceParams(scale="db"))
    np.testing.assert_allclose(got, 0.055, rtol=1e-5)


@pytest.mark.parametrize("pixel", [7, 13, 15])
def test_shifted_finer_images_keep_the_mean(write, make_scene, grid, pixel):
    rng = np.random.default_rng(2)
    size = 2000 // pixel
    fine = rng.gamma(4.4, 0.01, (size, size)).astype(np.float32)
    scene = make_scene(vh=write("vh.tif", fine, pixel=pixel, west=699_895, north=9_560_105))
    got = read_band(scene, "vh", grid, ALL, LINEAR)
    assert np.isfinite(got).all()
    assert got.mean() == pytest.approx(fine.mean(), rel=0.02)
    assert got.std() < fine.std()


def test_another_system_lands_in_place(write, make_scene, grid):
    # A bright column at a known longitude, in lon/lat of about 11 m.
    lon0, lat0, step = -55.205, -3.975, 1e-4
    image = np.full((200, 240), 0.05, np.float32)
    image[:, 100:104] = 0.5
    scene = make_scene(
        vh=write("vh.tif", image, crs="EPSG:4326", west=lon0, north=lat0, pixel=step)
    )
    got = read_band(scene, "vh", grid, ALL, LINEAR)
    from pyproj import Transformer

    x, _ = Transformer.from_crs("EPSG:4326", "EPSG:32721", always_xy=True).transform(
        lon0 + 102 * step, -3.985
    )
    column = (x - 700_000) / 20
    bright = np.nanargmax(np.nanmean(got[20:40], axis=0))
    assert abs(bright + 0.5 - column) <= 1.0


def test_coarser_images_are_interpolated_but_not_into_gaps(write, make_scene, grid):
    ramp = np.tile(np.arange(1, 61, dtype=np.float32), (50, 1)) / 100
    ramp[20:25, 20:25] = np.nan
    scene = make_scene(vh=write("vh.tif", ramp, pixel=30))
    got = read_band(scene, "vh", grid, ALL, LINEAR)
    # Value at the centre of column j (20 m) of a ramp of 0.01 per 30 m whose first centre is 15 m.
    expected = 0.01 + (np.arange(80) * 20 + 10 - 15) / 30 * 0.01
    np.testing.assert_allclose(got[10, 2:50], expected[2:50], rtol=1e-4)
    for y in range(60):
        for x in range(80):
            row, column = int((y * 20 + 10) // 30), int((x * 20 + 10) // 30)
            assert np.isnan(got[y, x]) == np.isnan(ramp[row, column])


@pytest.mark.parametrize(("pixel", "crs"), [(10, 32721), (13, 32721), (30, 32721)])
def test_blocks_equal_the_whole(write, make_scene, grid, pixel, crs):
    rng = np.random.default_rng(3)
    image = rng.gamma(4.4, 0.01, (1800 // pixel, 1800 // pixel)).astype(np.float32)
    image[rng.random(image.shape) < 0.1] = np.nan
    scene = make_scene(vh=write("vh.tif", image, pixel=pixel, crs=f"EPSG:{crs}"))
    whole = read_band(scene, "vh", grid, ALL, LINEAR)
    for block in split(ALL, 17):
        part = read_band(scene, "vh", grid, block, LINEAR)
        np.testing.assert_allclose(part, whole[block.slices], rtol=1e-5)


def test_beyond_the_image_is_missing(write, make_scene, grid, gamma0):
    scene = make_scene(vh=write("vh.tif", gamma0[:30, :40], west=700_000 + 400))
    got = read_band(scene, "vh", grid, ALL, LINEAR)
    np.testing.assert_array_equal(got[:30, 20:60], gamma0[:30, :40])
    assert np.isnan(got[30:]).all()
    assert np.isnan(got[:, :20]).all()
    far = make_scene(vh=write("far.tif", gamma0, west=900_000))
    assert np.isnan(read_band(far, "vh", grid, ALL, LINEAR)).all()


def test_declared_nodata_and_scale_are_used(write, make_scene, grid):
    # Planetary Computer declares -32768.
    image = np.full((60, 80), 0.05, np.float32)
    image[3, 3] = -32768
    scene = make_scene(vh=write("vh.tif", image, nodata=-32768))
    got = read_band(scene, "vh", grid, ALL, LINEAR)
    assert np.isnan(got[3, 3])
    assert np.count_nonzero(np.isnan(got)) == 1

    path = write("coded.tif", np.full((60, 80), -1270, np.int16), nodata=-9999)
    import rasterio

    with rasterio.open(path, "r+") as coded:
        coded.scales = (0.01,)
    scene = make_scene(vh=path)
    got = read_band(scene, "vh", grid, ALL, SourceParams(scale="db"))
    np.testing.assert_allclose(got, 10**-1.27, rtol=1e-4)


def test_sigma0_is_divided_by_the_cosine(write, make_scene, grid):
    sigma = np.full((60, 80), 0.04, np.float32)
    lia = np.full((60, 80), 60, np.float32)
    lia[0, 0], lia[0, 1], lia[0, 2] = np.nan, 95, 0
    scene = make_scene(vh=write("vh.tif", sigma), lia=write("lia.tif", lia))
    params = SourceParams(radiometry="sigma0", asset_lia="lia")
    got = read_band(scene, "vh", grid, ALL, params)
    assert np.isnan(got[0, :2]).all()
    assert got[0, 2] == pytest.approx(0.04)
    np.testing.assert_allclose(got[1:], 0.08, rtol=1e-5)
    np.testing.assert_array_equal(read_band(scene, "lia", grid, ALL, params)[5], lia[5])


@given(angle=st.floats(0, 89), power=st.floats(1e-4, 1))
@settings(max_examples=25, deadline=None)
def test_gamma0_is_never_below_sigma0(angle, power):
    image = np.array([[power]], np.float32)
    got = gamma0_from_sigma0(image, np.array([[angle]], np.float32))
    assert got[0, 0] >= image[0, 0]
    twice = gamma0_from_sigma0(image * 2, np.array([[angle]], np.float32))
    assert twice[0, 0] == pytest.approx(2 * got[0, 0], rel=1e-5)


def test_missing_band_is_named(write, make_scene, grid, gamma0):
    scene = make_scene(vh=write("vh.tif", gamma0))
    with pytest.raises(InputError, match="has no band vv"):
        read_band(scene, "vv", grid, ALL, LINEAR)


def test_a_band_of_a_stack_is_the_one_asked_for(write, make_scene, grid, gamma0):
    from curupira.records import Asset

    path = write("stack.tif", np.stack([gamma0, gamma0 * 2, gamma0 * 3]))
    scene = make_scene(assets={"vh": Asset(str(path), 2)})
    np.testing.assert_array_equal(read_band(scene, "vh", grid, ALL, LINEAR), gamma0 * 2)
    beyond = make_scene(assets={"vh": Asset(str(path), 4)})
    with pytest.raises(InputError, match="has 3 bands, the catalogue names band 4"):
        read_band(beyond, "vh", grid, ALL, LINEAR)


def test_grid_in_albers_reads_utm(write, make_scene, gamma0):
    wide = GeoBox.from_bbox((-100_000, 3_000_000, 0, 3_100_000), crs="ESRI:102033", resolution=100)
    scene = make_scene(vh=write("vh.tif", gamma0))
    got = read_band(scene, "vh", wide, Window(0, 40, 0, 40), LINEAR)
    assert got.shape == (40, 40)
    assert np.isnan(got).all()
