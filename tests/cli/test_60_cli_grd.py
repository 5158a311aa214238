"""`curupira grd`: a synthetic scene on true metadata through the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pystac
import pytest
import rasterio
from grd_dem import hills, write_dem
from grd_samples import scene

from curupira.grd import fields
from curupira.grd.locate import locate
from curupira.grd.orbit import resolve
from curupira.grd.product import open_product
from curupira.grid import project
from curupira.pipelines.grd import outline

Curupira = Callable[..., Any]

NAME = "S1A_IW_GRDH_1SDV_20210119T031653_20210119T031718_036201_043ED0_8255"
ROWS, COLS = (3000, 3700), (8600, 9500)
#: Bright points, by line and sample of the part, far from each other.
POINTS = ((120.3, 200.7), (350.0, 450.0), (560.6, 700.2))
SIGMA0 = 0.08


class Given(NamedTuple):
    safe: Path
    dem: Path


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    folder = tmp_path_factory.mktemp("grd-cli")
    targets = [fields.PointTarget(line, sample, 60.0) for line, sample in POINTS]
    safe = scene(
        folder / f"{NAME}.SAFE",
        sigma0={"VV": fields.with_points(fields.flat(SIGMA0), targets), "VH": fields.flat(0.02)},
        rows=ROWS,
        cols=COLS,
        border={"samples": 40, "noise_ratio": 0.02},
    )
    west, south, east, north = outline(open_product(safe).first).bounds
    dem = write_dem(
        folder / "dem.tif", (west - 0.03, south - 0.03, east + 0.03, north + 0.03), hills
    )
    return Given(safe, dem)


@pytest.fixture(scope="module")
def sigma0(given: Given, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the scene in sigma0 at 10 m."""
    from datetime import UTC, datetime

    from curupira.pipelines.grd import GrdInput, process_grd
    from curupira.pipelines.grd_run import GrdParams

    out = tmp_path_factory.mktemp("grd-out")
    params = GrdParams(radiometry="sigma0", resolution_m=10, geoid="none")
    process_grd(GrdInput(given.safe), given.dem, out, params, now=datetime.now(UTC))
    return out


def layer(folder: Path, name: str) -> tuple[np.ndarray, Any]:
    with rasterio.open(folder / NAME / f"{name}.tif") as source:
        return source.read(1), source


def db(values: np.ndarray) -> np.ndarray:
    return 10 * np.log10(values)


def test_sigma0_comes_back(sigma0: Path) -> None:
    for name, truth in (("vv", SIGMA0), ("vh", 0.02)):
        power, source = layer(sigma0, name)
        assert source.dtypes[0] == "float32"
        assert np.isnan(source.nodata)
        assert abs(np.nanmedian(db(power)) - db(np.array(truth))) < 0.05
        assert np.nanpercentile(np.abs(db(power) - db(np.array(truth))), 95) < 0.3
    mask, _ = layer(sigma0, "mask")
    assert set(np.unique(mask)) <= {0, 1, 2, 3, 255}
    lia, _ = layer(sigma0, "lia")
    angle, _ = layer(sigma0, "angle")
    np.testing.assert_array_equal(np.isnan(lia), mask == 255)
    assert 30 < np.nanmin(angle) <= np.nanmax(angle) < 46
    # Waves of 120 m over 3.1 km slope by up to 7 degrees towards the sensor, and away from it.
    assert 3 < np.nanmax(np.abs(lia - angle)) < 8


def test_points_lie_where_they_were_put(given: Given, sigma0: Path) -> None:
    annotation = open_product(given.safe).first
    line, sample = np.array(POINTS).T
    place = locate(annotation, resolve(annotation), line, sample, hills)
    power, source = layer(sigma0, "vv")
    xy = np.array([place.longitude, place.latitude]).T
    import shapely

    on_grid = shapely.get_coordinates(project(shapely.MultiPoint(xy), "EPSG:4326", str(source.crs)))
    for x, y in on_grid:
        column, row = ~source.transform * (x, y)
        i, j = int(row), int(column)
        part = power[i - 12 : i + 13, j - 12 : j + 13] - SIGMA0
        part = np.where(part > 0.01 * part.max(), part, 0)
        v, u = np.mgrid[i - 12 : i + 13, j - 12 : j + 13] + 0.5
        off = np.hypot((v * part).sum() / part.sum() - row, (u * part).sum() / part.sum() - column)
        assert off < 0.1, off


def test_border_noise_is_left_out(given: Given, sigma0: Path) -> None:
    power, _ = layer(sigma0, "vv")
    mask, _ = layer(sigma0, "mask")
    seen = mask != 255
    # 40 of 900 samples at either edge, and a cell where both mix.
    lost = 1 - np.isfinite(power[seen]).mean()
    assert 0.08 < lost < 0.2
    assert np.nanmin(power) > 0.5 * SIGMA0


def test_the_item_is_valid_stac_and_says_how(sigma0: Path) -> None:
    (path,) = (sigma0 / "items").iterdir()
    item = pystac.Item.from_file(path)
    assert item.id == NAME
    assert item.properties["sat:relative_orbit"] == 79
    assert item.properties["sar:product_type"] == "SIGMA0"
    assert sorted(item.properties["sar:polarizations"]) == ["VH", "VV"]
    told = item.properties["curupira:grd"]
    assert told["orbit"] == "annotation"
    assert told["radiometry"] == "sigma0"
    assert float(told["tie_grid_error_px"]) <= 0.01
    assert set(item.assets) == {"vv", "vh", "lia", "angle", "mask"}
    for asset in item.assets.values():
        assert (path.parent / asset.href).is_file()
        assert asset.media_type == pystac.MediaType.COG
    catalogue = pystac.Catalog.from_file(sigma0 / "catalog.json")
    assert [i.id for i in catalogue.get_items()] == [NAME]
