"""`curupira grd`: a synthetic scene on true metadata through the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from affine import Affine
from grd_dem import hills, write_dem
from grd_samples import scene

from curupira.grd import fields
from curupira.grd.locate import locate
from curupira.grd.orbit import resolve
from curupira.grd.product import open_product
from curupira.grid import project
from curupira.pipelines.grd import GrdInput, outline, process_grd
from curupira.pipelines.grd_run import GrdParams

Curupira = Callable[..., Any]

NAME = "S1A_IW_GRDH_1SDV_20210119T031653_20210119T031718_036201_043ED0_8255"
ROWS, COLS = (3000, 3700), (8600, 9500)
#: Bright points, by line and sample of the part, far from each other.
POINTS = ((120.3, 200.7), (350.0, 450.0), (560.6, 700.2))
SIGMA0 = 0.08
#: A chequerboard.
VH = (0.01, 0.04)


class Given(NamedTuple):
    safe: Path
    dem: Path


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    folder = tmp_path_factory.mktemp("grd-cli")
    targets = [fields.PointTarget(line, sample, 60.0) for line, sample in POINTS]
    safe = scene(
        folder / f"{NAME}.SAFE",
        sigma0={
            "VV": fields.with_points(fields.flat(SIGMA0), targets),
            "VH": fields.edges(*VH, 60),
        },
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
    out = tmp_path_factory.mktemp("grd-out")
    params = GrdParams(radiometry="sigma0", resolution_m=10, geoid="none")
    process_grd(GrdInput(given.safe), given.dem, out, params, now=datetime.now(UTC))
    return out


def layer(folder: Path, name: str) -> tuple[np.ndarray, Any]:
    with rasterio.open(folder / NAME / f"{name}.tif") as source:
        return source.read(1), Namespace(**source.profile)


def db(values: Any) -> Any:
    return 10 * np.log10(values)


def test_sigma0_comes_back(sigma0: Path) -> None:
    power, source = layer(sigma0, "vv")
    assert source.dtype == "float32"
    assert np.isnan(source.nodata)
    assert abs(np.nanmedian(db(power)) - db(SIGMA0)) < 0.05
    assert np.nanpercentile(np.abs(db(power) - db(SIGMA0)), 95) < 0.3
    power, _ = layer(sigma0, "vh")
    quarters = np.nanpercentile(power, (25, 75))
    np.testing.assert_allclose(db(quarters), db(np.array(VH)), atol=0.05)
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


#: Empty; it stays beside every catalogue.
LOCK = ".catalog.json.lock"


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def area(given: Given, path: Path) -> Path:
    """The middle of the scene as a vector file."""
    inner = outline(open_product(given.safe).first).buffer(-0.015)
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(inner)}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def test_a_workspace_takes_the_scene_in(given: Given, curupira: Curupira, tmp_path: Path) -> None:
    catalogue = tmp_path / "images" / "catalog.json"
    made = curupira(
        "init",
        tmp_path / "ws",
        "--area",
        area(given, tmp_path / "a.json"),
        "--catalogue",
        catalogue,
    )
    assert made.code == 0, made.err
    answer = curupira(
        "grd", given.safe, "--dem", given.dem, "-o", catalogue.parent, "-w", tmp_path / "ws"
    )
    assert answer.code == 0, answer.err
    assert "orbit: annotation" in answer.out
    run = curupira("run", "-w", tmp_path / "ws")
    assert run.code == 0, run.err
    assert "1 scene in" in run.out
    status = curupira("status", "-w", tmp_path / "ws")
    assert NAME in status.out
    assert "0 quarantined" in status.out
    # gamma0_rtc on hills, at the workspace's own grid: what sigma0 of flat ground would be.
    power, source = layer(catalogue.parent, "vv")
    angle, _ = layer(catalogue.parent, "angle")
    assert source.transform.a == 20
    flat = SIGMA0 / np.cos(np.radians(np.nanmedian(angle)))
    assert abs(np.nanmedian(db(power)) - db(flat)) < 0.15


def test_mining_reads_the_item(sigma0: Path, curupira: Curupira, tmp_path: Path) -> None:
    (item,) = (sigma0 / "items").iterdir()
    _, source = layer(sigma0, "vv")
    features = []
    for label, column in enumerate((source.width / 2 - 60, source.width / 2 + 60)):
        place = shapely.Point(source.transform * (column, source.height / 2))
        lonlat = shapely.geometry.mapping(project(place, str(source.crs), "EPSG:4326"))
        features.append({"type": "Feature", "properties": {"label": label}, "geometry": lonlat})
    points = tmp_path / "points.geojson"
    points.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    command = ["mining", "patches", "--scene", item, "--points", points, "-o", tmp_path / "patches"]
    answer = curupira(*command, "--size", 28, "--lee", "none")
    assert answer.code == 0, answer.err
    patches = list((tmp_path / "patches").rglob("*.tif"))
    assert len(patches) == 2
    for patch in patches:
        with rasterio.open(patch) as cut:
            assert cut.shape == (28, 28)
            assert cut.transform.a == 10
            vv, vh = cut.read(1), cut.read(2)
        assert np.median(vv) == pytest.approx(db(SIGMA0), abs=0.1)
        assert db(VH[0]) - 0.1 < np.median(vh) < db(VH[1]) + 0.1


def test_compare(given: Given, sigma0: Path, curupira: Curupira, tmp_path: Path) -> None:
    """Beside a copy that is 0.7 dB brighter, in dB, and a pixel and a half displaced."""
    power, source = layer(sigma0, "vh")
    brighter = (db(power) + 0.7).astype(np.float32)
    rng = np.random.default_rng(1)
    brighter += rng.normal(0, 0.05, brighter.shape).astype(np.float32)
    reference = tmp_path / "provider_iw_vh.tif"
    profile = vars(source) | {"transform": source.transform * Affine.translation(-1.5, 0)}
    with rasterio.open(reference, "w", **profile) as target:
        target.write(brighter, 1)
    command = ["grd", given.safe, "--dem", given.dem, "--geoid", "none", "--resolution", 10]
    command += ["--radiometry", "sigma0", "--polarisation", "vh", "-o", tmp_path / "out"]
    answer = curupira(*command, "--compare", reference)
    assert answer.code == 0, answer.err
    (line,) = [text for text in answer.out.splitlines() if text.startswith("VH beside")]
    assert "(dB)" in line
    assert float(line.split("bias ")[1].split()[0]) == pytest.approx(-0.7, abs=0.01)
    assert float(line.split("spread ")[1].split()[0]) < 0.1
    words = line.split("shift ")[1].split()
    assert float(words[0]) == pytest.approx(1.5, abs=0.1)
    assert float(words[2]) == pytest.approx(0, abs=0.1)
    no_raster = tmp_path / "none.tif"
    refused = curupira(*command, "--compare", no_raster)
    assert refused.code == 2
    assert "none.tif does not exist" in refused.err
    no_raster.write_text("mine")
    refused = curupira(*command, "--compare", no_raster)
    assert refused.code == 7
    assert "none.tif: cannot be read" in refused.err


def test_an_earlier_result_stands_until_the_new_one_is_complete(
    given: Given, sigma0: Path, curupira: Curupira, tmp_path: Path
) -> None:
    out = shutil.copytree(sigma0, tmp_path / "out")
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    half = tmp_path / "half.tif"
    with rasterio.open(given.dem) as source:
        profile = source.profile | {"height": source.height // 2}
        with rasterio.open(half, "w", **profile) as target:
            target.write(source.read(1)[: source.height // 2], 1)
    command = ("grd", given.safe, "--dem", half, "--geoid", "none", "-o", out)
    answer = curupira(*command, "--dem-gaps", "refuse")
    assert answer.code == 7
    assert "has no height" in answer.err
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert left_in(out) == [LOCK, NAME, "catalog.json", "items"]
    filled = curupira(*command, "--polarisation", "VV", "--resolution", 40)
    assert filled.code == 0, filled.err
    mask, _ = layer(out, "mask")
    assert 0.3 < (mask[mask != 255] & 4 > 0).mean() < 0.7
    assert left_in(out / NAME) == ["angle.tif", "lia.tif", "mask.tif", "vv.tif"]


def test_a_catalogue_that_cannot_be_written_costs_no_result(
    given: Given, sigma0: Path, curupira: Curupira, tmp_path: Path
) -> None:
    out = shutil.copytree(sigma0, tmp_path / "out")
    command = ("grd", given.safe, "--dem", given.dem, "-o", out, "--polarisation", "VV")
    layers = {p.name: p.read_bytes() for p in (out / NAME).iterdir()}
    # Its place is taken: found out only when it is written, after the layers.
    (out / "catalog.json").unlink()
    shutil.rmtree(out / "items")
    (out / "items").write_text("mine")
    assert curupira(*command).code == 5
    assert {p.name: p.read_bytes() for p in (out / NAME).iterdir()} == layers
    # One that is none is found before any work.
    (out / "catalog.json").write_text("mine")
    no_orbit = tmp_path / "none.EOF"
    no_orbit.write_text("")
    answer = curupira(*command, "--orbit", no_orbit)
    assert (answer.code, "no STAC catalogue" in answer.err) == (7, True), answer.err
    assert {p.name: p.read_bytes() for p in (out / NAME).iterdir()} == layers
    assert left_in(out) == [LOCK, NAME, "catalog.json", "items"]


def test_a_killed_run_leaves_nothing_half_written(
    given: Given, curupira: Curupira, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["grd", given.safe, "--dem", given.dem, "-o", out, "--polarisation", "VV", "-q"]
    program = "from curupira.cli.main import run; run()"
    with subprocess.Popen([sys.executable, "-c", program, *map(str, command)]) as process:
        until = time.monotonic() + 60
        while not list(out.glob(".*.part")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    (left,) = left_in(out)
    assert left.endswith(".part")
    long_ago = time.time() - 2 * 86_400
    os.utime(out / left, (long_ago, long_ago))
    assert curupira(*command).code == 0
    assert left_in(out) == [LOCK, NAME, "catalog.json", "items"]


def test_bad_input(given: Given, curupira: Curupira, tmp_path: Path) -> None:
    def refused(code: int, words: str, product: object, *options: object) -> None:
        answer = curupira("grd", product, "-o", tmp_path / "out", *options)
        assert answer.code == code, answer
        assert words in " ".join(answer.err.split()), answer.err
        assert left_in(tmp_path / "out") == []

    cut = tmp_path / f"{NAME}.SAFE"
    shutil.copytree(given.safe, cut)
    (gone,) = cut.glob("measurement/*-vh-*.tiff")
    gone.unlink()
    nowhere = tmp_path / "no_dem.tif"
    for option in ("--dem", "--orbit", "--orbit-folder", "--geoid", "--compare"):
        given_too = ("--dem", given.dem, option, nowhere)
        refused(2, f"{option}: {nowhere} does not exist", given.safe, *given_too)
    nowhere.write_text("mine")
    # The product's completeness is checked before the DEM.
    refused(7, f"missing: measurement/{gone.name}", cut, "--dem", nowhere)
    refused(7, "process VV alone", cut, "--dem", nowhere)
    refused(7, "no height model that GDAL reads", given.safe, "--dem", nowhere)
    slc = shutil.copytree(given.safe, tmp_path / "slc.SAFE")
    manifest = slc / "manifest.safe"
    manifest.write_text(manifest.read_text().replace(">GRD<", ">SLC<"))
    refused(7, "SLC", slc, "--dem", given.dem)
    refused(2, "no such product", tmp_path / "x.SAFE", "--dem", given.dem)
    refused(7, "no polarisation HH", given.safe, "--dem", given.dem, "--polarisation", "HH")
    refused(2, "--radiometry", given.safe, "--dem", given.dem, "--radiometry", "beta")
    refused(2, "--filter", given.safe, "--dem", given.dem, "--filter", "median")
    refused(
        2, "unknown coordinate reference system", given.safe, "--dem", given.dem, "--crs", "EPSG:1"
    )
