"""COGs made of blocks in any order: against GDAL's reading, rio-cogeo's rules and plain means."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds
from rio_cogeo.cogeo import cog_validate

from curupira.blocks import Window, split
from curupira.cog_tiles import TILE, TiledCog
from curupira.errors import InputError, StoreError

BLOCK = 2 * TILE


def grid_of(shape, crs="EPSG:32721", step=20.0):
    return GeoBox(shape, Affine(step, 0, 500_000, 0, -step, 9_400_000), crs)


def written(path, grid, values, nodata, seed=0):
    """The file, from blocks in random order by four threads; those all missing are not given."""
    windows = list(split(Window(0, grid.shape[0], 0, grid.shape[1]), BLOCK))
    np.random.default_rng(seed).shuffle(windows)
    with TiledCog(path, grid, values.dtype.name, nodata) as cog, ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda window: cog.put(window, values[window.slices]), windows):
            pass
        cog.finish()
    return path


def power_of(shape, seed=1):
    rng = np.random.default_rng(seed)
    values = rng.gamma(4.4, 0.1 / 4.4, shape).astype(np.float32)
    values[rng.random(shape) < 0.1] = np.nan
    values[: shape[0] // 3, : shape[1] // 2] = np.nan
    return values


def means(values, factor):
    """Means of what is known of squares, one after the other."""
    rows, columns = (-(-n // factor) for n in values.shape)
    out = np.full((rows, columns), np.nan)
    for y in range(rows):
        for x in range(columns):
            part = values[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
            if np.isfinite(part).any():
                out[y, x] = np.nanmean(part.astype(np.float64))
    return out


@pytest.mark.parametrize("shape", [(1100, 1301), (200, 300), (1024, 1025), (2049, 600)])
def test_values_come_back(tmp_path, shape):
    for name, values, nodata in (
        ("power", power_of(shape), np.nan),
        ("code", np.random.default_rng(2).integers(0, 5, shape).astype(np.uint8), 255),
    ):
        path = written(tmp_path / f"{name}.tif", grid_of(shape), values, nodata)
        with rasterio.open(path) as source:
            np.testing.assert_array_equal(source.read(1), values)
            assert source.crs.to_epsg() == 32721
            assert source.transform == grid_of(shape).affine
            assert source.dtypes == (values.dtype.name,)
            np.testing.assert_equal(source.nodata, float(nodata))
            # GDAL takes tile sizes and order for granted where this is said.
            assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            factors = source.overviews(1)
        assert factors == [2**n for n in range(1, 1 + len(factors))]
        assert max(shape) <= TILE * max([1, *factors])
        valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
        assert valid, errors + warnings


def test_overviews_are_means_of_what_is_known(tmp_path):
    values = power_of((1030, 1030))
    path = written(tmp_path / "a.tif", grid_of(values.shape), values, np.nan)
    with rasterio.open(path, overview_level=0) as source:
        np.testing.assert_allclose(source.read(1), means(values, 2), rtol=1e-6)
    whole = np.full((1030, 1030), 3.0, np.float32)
    path = written(tmp_path / "b.tif", grid_of(whole.shape), whole, np.nan)
    for level in (0, 1):
        with rasterio.open(path, overview_level=level) as source:
            np.testing.assert_array_equal(source.read(1), 3.0)
    # Codes have no mean.
    codes = np.indices((1030, 1030)).sum(axis=0).astype(np.uint8)
    path = written(tmp_path / "c.tif", grid_of(codes.shape), codes, 255)
    with rasterio.open(path, overview_level=1) as source:
        np.testing.assert_array_equal(source.read(1), codes[::4, ::4])


def test_what_is_missing_takes_no_room(tmp_path):
    grid = grid_of((3000, 3000))
    values = np.full(grid.shape, np.nan, np.float32)
    values[2600:2610, 2600:2610] = 0.1
    with TiledCog(tmp_path / "a.tif", grid, "float32", np.nan) as cog:
        window = Window(2048, 3000, 2048, 3000)
        cog.put(window, values[window.slices])
        cog.finish()
    assert (tmp_path / "a.tif").stat().st_size < 20_000
    with rasterio.open(tmp_path / "a.tif") as source:
        np.testing.assert_array_equal(source.read(1), values)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:5880", "EPSG:4674"])
def test_other_systems(tmp_path, crs):
    step = 20.0 if crs == "EPSG:5880" else 2e-4
    corner = (5_000_000, 9_300_000) if crs == "EPSG:5880" else (-56, -6)
    grid = GeoBox((40, 50), Affine(step, 0, corner[0], 0, -step, corner[1]), crs)
    path = written(tmp_path / "a.tif", grid, power_of((40, 50)), np.nan)
    with rasterio.open(path) as source:
        assert source.crs == rasterio.crs.CRS.from_user_input(crs)
        here = transform_bounds(source.crs, "EPSG:4326", *source.bounds)
    assert here == pytest.approx(
        transform_bounds(crs, "EPSG:4326", *grid.extent.boundingbox), abs=1e-9
    )


def test_a_turned_grid(tmp_path):
    turned = GeoBox((40, 50), Affine(16, 12, 500_000, 12, -16, 9_400_000), "EPSG:32721")
    path = written(tmp_path / "a.tif", turned, power_of((40, 50)), np.nan)
    with rasterio.open(path) as source:
        assert source.transform == turned.affine


def test_refusals(tmp_path):
    grid = grid_of((1500, 1500))
    with TiledCog(tmp_path / "a.tif", grid, "float32", np.nan) as cog:
        for window, shape in (
            (Window(512, 1500, 0, 1024), (988, 1024)),
            (Window(0, 1024, 0, 1024), (1024, 1000)),
        ):
            with pytest.raises(InputError, match="do not fit"):
                cog.put(window, np.zeros(shape, np.float32))
    assert list(tmp_path.iterdir()) == []
    nowhere = TiledCog(tmp_path / "absent" / "a.tif", grid, "float32", np.nan)
    with pytest.raises(StoreError, match="cannot write"):
        nowhere.__enter__()
    with pytest.raises(StoreError, match="not open"):
        nowhere.put(Window(0, 1024, 0, 1024), np.ones((1024, 1024), np.float32))
