"""Daily precipitation: which file is of a day, where too much fell, what is refused."""

from __future__ import annotations

import pickle
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.transform import from_origin

from curupira.errors import ConfigError, InputError
from curupira.grid import LONLAT, project
from curupira.sources.rain import DailyRain

DAY = date(2024, 1, 31)
IMERG = "3B-DAY-L.MS.MRG.3IMERG.20240131-S000000-E235959.V07B.tif"
#: 4 x 4 km around 55.0 W, 5.0 S: the centre of a lattice of 0.1 degrees.
GRID = GeoBox.from_bbox((720_000, 9_445_000, 724_000, 9_449_000), crs="EPSG:32721", resolution=20)


def raster(path: Path, values: np.ndarray, crs: str | None = "EPSG:4326", **options: float) -> Path:
    """A raster of 0.1 degrees with its upper left at 55.4 W, 4.6 S."""
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1,
        dtype=values.dtype, crs=crs, transform=from_origin(-55.4, -4.6, 0.1, 0.1), **options,
    ) as target:  # fmt: skip
        target.write(values, 1)
    return path


def west_to_east(*columns: float) -> np.ndarray:
    return np.tile(np.array(columns, dtype=np.float32), (8, 1))


@pytest.mark.parametrize(
    "name", [IMERG, "chirps-v2.0.2024.01.31.tif", "rain_2024-01-31.TIF", "20240131.tiff"]
)
def test_the_day_is_read_from_the_name(tmp_path: Path, name: str) -> None:
    for other in (name, "chirps-v2.0.2024.02.01.tif", "20240131.txt", "notes_20241399.tif"):
        (tmp_path / other).touch()
    assert DailyRain(tmp_path, 20).of(DAY).name == name


def test_a_missing_day_and_a_double_one_are_refused(tmp_path: Path) -> None:
    rain = DailyRain(tmp_path, 20)
    with pytest.raises(InputError, match="no raster of 2024-01-31"):
        rain.of(DAY)
    for name in (IMERG, "20240131.tif"):
        (tmp_path / name).touch()
    rain = DailyRain(tmp_path, 20)
    with pytest.raises(InputError, match=r"several rasters of 2024-01-31: 20240131\.tif, 3B"):
        rain.of(DAY)
    with pytest.raises(ConfigError, match="is no folder"):
        DailyRain(tmp_path / "nowhere", 20).of(DAY)


def test_the_folder_is_listed_once_for_all_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raster(tmp_path / IMERG, west_to_east(0, 0, 0, 0, 40, 40, 40, 40))
    listed = []
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: listed.append(path) or iterdir(path))
    rain = DailyRain(tmp_path, 20)
    rain.digest([DAY], GRID)
    # As a Dask worker gets it.
    sent = pickle.loads(pickle.dumps(rain))
    for one in (rain, sent, rain):
        assert one.falls(DAY, GRID).any()
    assert listed == [tmp_path]


def test_rain_falls_where_the_limit_is_passed(tmp_path: Path) -> None:
    # 0 and 40 mm on either side of 55.0 W: half way between the centres there are 20.
    raster(tmp_path / IMERG, west_to_east(0, 0, 0, 0, 40, 40, 40, 40))
    lon = project(GRID.extent.geom, "EPSG:32721", LONLAT).centroid.x
    wet = DailyRain(tmp_path, 40 * (lon + 55.05) / 0.1).falls(DAY, GRID)
    share = wet.mean(axis=0)
    assert share[:80].max() == 0
    assert share[-80:].min() == 1
    assert wet.mean() == pytest.approx(0.5, abs=0.05)
    assert not DailyRain(tmp_path, 40).falls(DAY, GRID).any()


def test_scale_is_used_and_a_missing_value_is_no_rain(tmp_path: Path) -> None:
    # Tenths of millimetres, as IMERG's GeoTIFFs have them; -9999 is missing by its sign alone.
    tenths = np.full((8, 8), 300, dtype=np.int16)
    tenths[:, :4] = -9999
    path = raster(tmp_path / IMERG, tenths)
    with rasterio.open(path, "r+") as target:
        target.scales = (0.1,)
    wet = DailyRain(tmp_path, 29).falls(DAY, GRID)
    assert wet.any()
    assert not wet.all()
    assert not DailyRain(tmp_path, 31).falls(DAY, GRID).any()


def test_a_block_without_values_is_as_in_the_whole_area(tmp_path: Path) -> None:
    half = west_to_east(-9999, -9999, -9999, -9999, 5, 5, 5, 5)
    raster(tmp_path / IMERG, half)
    rain = DailyRain(tmp_path, 2)
    whole = rain.falls(DAY, GRID)
    assert whole.any()
    assert not whole[:, :40].any()
    for columns in (slice(0, 40), slice(160, 200)):
        np.testing.assert_array_equal(rain.falls(DAY, GRID[:, columns]), whole[:, columns])
    assert rain.digest([DAY], GRID)["limit_mm"] == 2


def test_a_raster_without_system_or_beside_the_area_is_refused(tmp_path: Path) -> None:
    path = raster(tmp_path / IMERG, west_to_east(40, 40, 40, 40, 40, 40, 40, 40), crs=None)
    rain = DailyRain(tmp_path, 20)
    for refuse in (lambda: rain.falls(DAY, GRID), lambda: rain.digest([DAY], GRID)):
        with pytest.raises(InputError, match="no coordinate reference system"):
            refuse()
    raster(path, west_to_east(40, 40))  # ends at 55.2 W
    with pytest.raises(InputError, match="no value over the monitored area"):
        rain.digest([DAY], GRID)
    path.write_bytes(b"not a raster")
    for refuse in (lambda: rain.falls(DAY, GRID), lambda: rain.digest([DAY], GRID)):
        with pytest.raises(InputError, match="raster"):
            refuse()


def test_digest_knows_limit_and_pixels(tmp_path: Path) -> None:
    path = raster(tmp_path / IMERG, west_to_east(0, 0, 0, 0, 0))
    before = DailyRain(tmp_path, 20).digest([DAY], GRID)
    assert DailyRain(tmp_path, 20).digest([DAY], GRID) == before
    assert DailyRain(tmp_path, 10).digest([DAY], GRID) != before
    raster(path, west_to_east(0, 0, 0, 0, 9))
    assert DailyRain(tmp_path, 20).digest([DAY], GRID) != before
