"""Folders of GeoTIFFs become catalogues: single files, stacks, and what is missing in them."""

import shutil
from datetime import UTC, datetime

import numpy as np
import pystac
import pytest

from curupira.blocks import Window
from curupira.codes import OrbitState
from curupira.errors import ConfigError, InputError
from curupira.pipelines.index import index_folder
from curupira.sources.catalogue import read_catalogue
from curupira.sources.index import build_index
from curupira.sources.profiles import SourceParams
from curupira.sources.raster import check_scene, read_band

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BANDS = {"vh": "vh", "vv": "vv"}
OPERA = "OPERA_L2_RTC-S1_T137-292319-IW2_{}Z_{}Z_S1A_30_v1.0_{}.tif"
ASCENDING = OrbitState.ASCENDING


def index(folder, **options):
    path = build_index(folder, now=NOW, **options)
    return read_catalogue(path, BANDS, on_bad=None)


def test_opera_single_band_files(write, gamma0, tmp_path):
    for pol, factor in (("VH", 1), ("VV", 4)):
        name = OPERA.format("20211119T015858", "20211120T030000", pol)
        write(f"in/{name}", gamma0 * factor)
    (found,) = index(tmp_path / "in", orbit_state=ASCENDING)
    assert found.scene_id.endswith("S1A_30_v1.0")
    assert found.platform == "sentinel-1a"
    assert found.relative_orbit == 137
    assert found.acquired == datetime(2021, 11, 19, 1, 58, 58, tzinfo=UTC)
    assert found.created == datetime(2021, 11, 20, 3, tzinfo=UTC)
    assert found.slice_number is None
    assert sorted(found.assets) == ["vh", "vv"]


def stack(write, name, images, pol, **options):
    days = [(2021, 11, 19), (2021, 11, 25)]
    names = [OPERA.format(f"{y}{m:02}{d:02}T015858", "20250830T120333", pol) for y, m, d in days]
    return write(
        name,
        np.stack(images),
        tags={"burst": "T137-292319-IW2", "polarisation": pol},
        descriptions=[f"{y}-{m:02}-{d:02}" for y, m, d in days],
        band_tags=[
            {"datetime": f"{y}-{m:02}-{d:02}T01:58:58Z", "platform": sat, "source": source}
            for (y, m, d), sat, source in zip(days, ("S1A", "S1B"), names, strict=True)
        ],
        **options,
    )


def test_stacks_laid_out_as_the_opera_ones(write, gamma0, grid, tmp_path):
    for pol, factor in (("VH", 1), ("VV", 4)):
        stack(write, f"in/T137-292319-IW2/{pol}.tif", [gamma0 * factor, gamma0 * factor * 2], pol)
    found = index(tmp_path / "in", orbit_state=ASCENDING)
    assert [one.platform for one in found] == ["sentinel-1a", "sentinel-1b"]
    assert [one.assets["vv"].band for one in found] == [1, 2]
    assert found[1].created == datetime(2025, 8, 30, 12, 3, 33, tzinfo=UTC)
    params = SourceParams()
    assert check_scene(found[1], grid, params) == Window(0, 60, 0, 80)
    got = read_band(found[1], "vv", grid, Window(0, 60, 0, 80), params)
    np.testing.assert_array_equal(got, gamma0 * 8)


def test_stack_with_dates_as_descriptions_only(write, gamma0, tmp_path):
    write("in/VH.tif", np.stack([gamma0, gamma0]), descriptions=["2021-11-19", "20211201"])
    found = index(tmp_path / "in", orbit_state=ASCENDING, platform="S1A", relative_orbit=137)
    assert [one.acquired.day for one in found] == [19, 1]
    assert [one.created == one.acquired for one in found] == [True, True]
    assert len({one.scene_id for one in found}) == 2


def test_one_file_with_both_polarisations(write, gamma0, tmp_path):
    write(
        "in/S1A_IW_20210101T012345_DVP_RTC20_G_gpuned_1234.tif",
        np.stack([gamma0, gamma0]),
        descriptions=["VV", "VH"],
    )
    (found,) = index(tmp_path / "in", orbit_state=ASCENDING, relative_orbit=5)
    assert {band: asset.band for band, asset in found.assets.items()} == {"vv": 1, "vh": 2}
    assert found.acquired == datetime(2021, 1, 1, 1, 23, 45, tzinfo=UTC)


def test_l_band_and_what_the_images_hold_are_said(write, gamma0, tmp_path):
    for pol in ("HH", "HV"):
        write(f"in/alos2_20220118_{pol}.tif", gamma0)
    path, left_out = index_folder(
        tmp_path / "in",
        now=NOW,
        relative_orbit=112,
        orbit_state="ascending",
        platform="alos-2",
        radiometry="sigma0",
        scale="db",
    )
    assert left_out == []
    (item,) = pystac.Catalog.from_file(path).get_items(recursive=True)
    assert item.properties["sar:polarizations"] == ["HH", "HV"]
    assert item.properties["sar:product_type"] == "SIGMA0"
    assert item.assets["hv"].extra_fields["unit"] == "dB"
    (found,) = read_catalogue(path, {"vh": "hv", "vv": "hh"}, on_bad=None)
    assert sorted(found.assets) == ["vh", "vv"]


def test_planetary_computer_folders(write, gamma0, tmp_path):
    folder = "S1B_IW_GRDH_1SDV_20200101T091011_20200101T091036_019600_0250A1/measurement"
    for pol in ("vh", "vv"):
        write(f"in/{folder}/iw-{pol}.rtc.tiff", gamma0)
    (found,) = index(tmp_path / "in", orbit_state=OrbitState.DESCENDING, relative_orbit=39)
    assert found.platform == "sentinel-1b"
    assert found.acquired == datetime(2020, 1, 1, 9, 10, 11, tzinfo=UTC)
    assert sorted(found.assets) == ["vh", "vv"]


def test_tags_tell_orbit_and_direction(write, gamma0, tmp_path):
    write(
        "in/S1C_20250601T091011_VH.tif",
        gamma0,
        tags={"relative_orbit": "39", "ORBIT_PASS_DIRECTION": "DESCENDING"},
    )
    (found,) = index(tmp_path / "in", relative_orbit=1, orbit_state=ASCENDING)
    assert found.relative_orbit == 39
    assert found.orbit_state is OrbitState.DESCENDING


def test_folder_may_be_moved_and_indexed_again(write, gamma0, tmp_path):
    write("in/S1A_20250601T091011_VH.tif", gamma0)
    options = {"relative_orbit": 39, "orbit_state": ASCENDING}
    index(tmp_path / "in", **options)
    write("in/S1A_20250613T091011_VH.tif", gamma0)
    assert len(index(tmp_path / "in", **options)) == 2
    shutil.move(tmp_path / "in", tmp_path / "there")
    found = read_catalogue(tmp_path / "there" / "catalog.json", BANDS, on_bad=None)
    assert all(one.assets["vh"].href.startswith(str(tmp_path / "there")) for one in found)


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("x_20250601T091011_VH.tif", {}, "platform.*--platform"),
        ("S1A_20250601T091011_VH.tif", {}, "relative orbit.*--relative-orbit"),
        ("S1A_20250601T091011_VH.tif", {"relative_orbit": 3}, "orbit state.*--orbit-state"),
        ("S1A_20250601T091011.tif", {}, "polarisation"),
        ("S1A_VH.tif", {}, "date"),
        ("S1A_20251301T091011_VH.tif", {}, "no date"),
        (
            "S1A_20310601T091011_VH.tif",
            {"relative_orbit": 3, "orbit_state": ASCENDING},
            "in the future",
        ),
    ],
)
def test_what_is_missing_is_named_with_its_option(write, gamma0, tmp_path, name, options, match):
    write(f"in/{name}", gamma0)
    with pytest.raises(InputError, match=match) as caught:
        index(tmp_path / "in", **options)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("tags", "match"),
    [
        ({"datetime": "2025-06-01T09:10:11"}, "no time zone"),
        ({"datetime": "soon"}, "not ISO 8601"),
        ({"orbit_state": "up"}, "neither ascending nor descending"),
        ({"relative_orbit": "-3"}, "no number"),
    ],
)
def test_bad_tags(write, gamma0, tmp_path, tags, match):
    write("in/S1A_20250601T091011_VH.tif", gamma0, tags=tags)
    with pytest.raises(InputError, match=match):
        index(tmp_path / "in", relative_orbit=3, orbit_state=ASCENDING)


def test_bad_files_are_reported_and_the_rest_indexed(write, gamma0, tmp_path):
    write("in/S1A_20250601T091011_VH.tif", gamma0)
    write("in/S1A_20250613T091011_VH.tif", gamma0, crs=None)
    write("in/dem.tif", gamma0)
    (tmp_path / "in" / "S1A_20250625T091011_VH.tif").write_text("<html>")
    reasons = {}
    found = index(
        tmp_path / "in", relative_orbit=3, orbit_state=ASCENDING,
        on_bad=lambda name, error: reasons.update({name: str(error)}),
    )  # fmt: skip
    assert len(found) == 1
    assert sorted(reasons) == [
        "S1A_20250613T091011_VH.tif", "S1A_20250625T091011_VH.tif", "dem.tif",
    ]  # fmt: skip
    assert "web page" in reasons["S1A_20250625T091011_VH.tif"]


def test_two_files_for_one_band(write, gamma0, tmp_path):
    name = "S1A_20250601T091011_VH.tif"
    write(f"in/{name}", gamma0)
    write("in/S1A_20250601T091011-VH.tif", gamma0)
    with pytest.raises(InputError, match="two images for VH"):
        index(tmp_path / "in", relative_orbit=3, orbit_state=ASCENDING)


def test_polarisations_that_disagree(write, gamma0, tmp_path):
    write("in/S1A_20250601T091011_VH.tif", gamma0)
    write("in/S1A_20250601T091011_VV.tif", gamma0, tags={"relative_orbit": "9"})
    with pytest.raises(InputError, match="differ in relative_orbit"):
        index(tmp_path / "in", relative_orbit=3, orbit_state=ASCENDING)


def test_empty_folder_and_no_folder(tmp_path):
    with pytest.raises(InputError, match="no GeoTIFF"):
        index(tmp_path)
    with pytest.raises(ConfigError, match="no folder"):
        index(tmp_path / "none")
