"""Cloud-optimised GeoTIFFs: layout, overviews, atomic writing."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rio_cogeo import cog_validate
from shapely.geometry import box

from curupira.cog import write_atomic, write_cog
from curupira.errors import ConfigError, InputError, StoreError
from curupira.grid import make_grid


def grid_of(rows: int, columns: int) -> GeoBox:
    return make_grid(box(-55, -4.1, -54.9, -4), 20.0)[:rows, :columns]


def test_round_trip_keeps_values_place_and_provenance(tmp_path):
    grid = grid_of(40, 30)
    bands = np.arange(2 * 40 * 30, dtype=np.float32).reshape(2, 40, 30)
    bands[0, 3, 4] = np.nan
    path = tmp_path / "deep" / "image.tif"
    write_cog(path, bands, grid, nodata=float("nan"), descriptions=("vh", "vv"), tags={"RUN": "r1"})
    with rasterio.open(path) as found:
        np.testing.assert_array_equal(found.read(), bands)
        assert found.transform == grid.affine
        assert found.crs.to_epsg() == 32721
        assert found.descriptions == ("vh", "vv")
        assert found.tags()["RUN"] == "r1"
        assert np.isnan(found.nodata)
    assert cog_validate(path)[0]
    assert [file.name for file in path.parent.iterdir()] == ["image.tif"]


def test_overviews_average_floats_and_keep_codes(tmp_path):
    grid = make_grid(box(-55, -4.15, -54.85, -4), 20.0)[:600, :600]
    checker = (np.indices(grid.shape).sum(axis=0) % 2).astype(np.float32)
    write_cog(tmp_path / "f.tif", checker[None], grid, nodata=float("nan"))
    write_cog(tmp_path / "i.tif", (checker[None] * 7).astype(np.uint8), grid, nodata=255)
    with rasterio.open(tmp_path / "f.tif") as found:
        assert found.overviews(1) == [2]
        half = found.read(1, out_shape=(300, 300))
        np.testing.assert_allclose(half, 0.5)
    with rasterio.open(tmp_path / "i.tif") as found:
        assert set(np.unique(found.read(1, out_shape=(300, 300)))) <= {0, 7}


def test_bool_is_written_as_uint8(tmp_path):
    grid = grid_of(5, 6)
    write_cog(tmp_path / "m.tif", np.ones((1, 5, 6), dtype=bool), grid, nodata=None)
    with rasterio.open(tmp_path / "m.tif") as found:
        assert found.dtypes == ("uint8",)
        assert found.nodata is None
        assert found.read().sum() == 30


def test_wrong_shapes_are_refused(tmp_path):
    grid = grid_of(5, 6)
    with pytest.raises(InputError, match="does not lie on a grid"):
        write_cog(tmp_path / "a.tif", np.zeros((1, 6, 5), np.float32), grid, nodata=None)
    with pytest.raises(InputError, match="2 descriptions for 1 bands"):
        write_cog(
            tmp_path / "a.tif",
            np.zeros((1, 5, 6), np.float32),
            grid,
            nodata=None,
            descriptions=("a", "b"),
        )
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_the_old_file_and_nothing_beside(tmp_path):
    # A folder in the way of the rename stands for any refusal of the disk (root ignores modes).
    target = tmp_path / "taken"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot write") as caught:
        write_atomic(target, b"new")
    assert caught.value.exit_code == 5
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


def test_a_pipe_or_a_device_is_never_replaced_by_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, Path("/dev/stdout"), Path("/dev/curupira")):
        with pytest.raises(ConfigError, match="no ordinary file"):
            write_atomic(place, b"new")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert not Path("/dev/curupira").exists()


def test_a_name_that_cannot_be_is_a_clear_error(tmp_path):
    with pytest.raises(ConfigError, match="name is too long"):
        write_atomic(tmp_path / ("a" * 300), b"")


def test_full_disk_is_a_clear_error():
    with pytest.raises(StoreError, match="cannot write"):
        write_cog("/proc/curupira/x.tif", np.zeros((1, 5, 6), np.float32), grid_of(5, 6), nodata=0)
