"""Every bad image has a clear error that names the file and the remedy."""

import os

import numpy as np
import pytest
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from curupira.blocks import Window
from curupira.errors import ConfigError, InputError
from curupira.records import Asset
from curupira.sources.checks import check_scene
from curupira.sources.profiles import SourceParams
from curupira.sources.raster import read_band

LINEAR = SourceParams()
DB = SourceParams(scale="db")


def refused(scene, grid, params, match):
    with pytest.raises(InputError, match=match) as caught:
        check_scene(scene, grid, params)
    assert caught.value.where
    assert caught.value.exit_code == 7
    return caught.value


def test_a_good_scene_gives_its_window(write, make_scene, grid, gamma0):
    both = make_scene(vh=write("vh.tif", gamma0), vv=write("vv.tif", gamma0 * 4))
    assert check_scene(both, grid, LINEAR) == Window(0, 60, 0, 80)
    part = make_scene(vh=write("p.tif", gamma0[:30, :40], west=700_400, north=9_559_800))
    assert check_scene(part, grid, LINEAR) == Window(10, 40, 20, 60)
    decibels = make_scene(vh=write("db.tif", 10 * np.log10(gamma0)))
    assert check_scene(decibels, grid, DB) == Window(0, 60, 0, 80)


def test_missing_file(make_scene, grid, tmp_path):
    error = refused(make_scene(vh=tmp_path / "gone.tif"), grid, LINEAR, "the file is missing")
    assert "gone.tif" in str(error)
    assert error.remedy


@pytest.mark.parametrize("lost", [1, 200, 0.5])
@pytest.mark.parametrize("tiled", [True, False])
def test_truncated_file(write, make_scene, grid, gamma0, lost, tiled):
    options = {"tiled": True, "blockxsize": 16, "blockysize": 16} if tiled else {}
    path = write("vh.tif", gamma0, compress="deflate", **options)
    size = os.path.getsize(path)
    os.truncate(path, size - (lost if isinstance(lost, int) else int(size * lost)))
    refused(make_scene(vh=path), grid, LINEAR, "truncated|cannot be read|damaged")


def test_truncated_cog(make_scene, grid, gamma0, tmp_path):
    from curupira.cog import write_cog

    path = tmp_path / "vh.tif"
    write_cog(path, gamma0[None], grid, nodata=float("nan"))
    os.truncate(path, os.path.getsize(path) - 50)
    refused(make_scene(vh=path), grid, LINEAR, "truncated")


def test_damage_inside_surfaces_when_read(write, make_scene, grid, gamma0):
    path = write("vh.tif", gamma0, compress="deflate")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xff" * 400
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_band(make_scene(vh=path), "vh", grid, Window(0, 60, 0, 80), LINEAR)
    assert "vh.tif" in str(caught.value)


@pytest.mark.parametrize(
    "page",
    [b"<!DOCTYPE html><html>login</html>", b"\n <html><body>403</body>", b"<?xml v?><Error>"],
)
def test_web_page_saved_as_tif(make_scene, grid, tmp_path, page):
    path = tmp_path / "vh.tif"
    path.write_bytes(page)
    assert "login" in refused(make_scene(vh=path), grid, LINEAR, "web page").remedy


@pytest.mark.parametrize(("content", "match"), [(b"", "empty"), (b"II*\x00garbage", "damaged")])
def test_empty_and_garbage_files(make_scene, grid, tmp_path, content, match):
    path = tmp_path / "vh.tif"
    path.write_bytes(content)
    refused(make_scene(vh=path), grid, LINEAR, match)


def test_no_system_and_no_position(write, make_scene, grid, gamma0):
    refused(
        make_scene(vh=write("a.tif", gamma0, crs=None)), grid, LINEAR, "no coordinate reference"
    )
    with pytest.warns(NotGeoreferencedWarning):
        nowhere = write("b.tif", gamma0, transform=Affine.identity())
    refused(make_scene(vh=nowhere), grid, LINEAR, "no position on the ground")


def test_wrong_system(write, make_scene, grid, gamma0):
    # The neighbouring zone puts it six degrees away from what the catalogue says.
    path = write("vh.tif", gamma0, crs="EPSG:32720")
    refused(make_scene(vh=path), grid, LINEAR, "EPSG:32720 is wrong")


def test_outside_the_area(write, make_scene, grid, gamma0):
    from shapely.geometry import box

    path = write("vh.tif", gamma0, west=720_000)
    scene = make_scene(vh=path, footprint=box(-56, -5, -54, -3))
    refused(scene, grid, LINEAR, "outside the area")


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_nothing_valid(write, make_scene, grid, value):
    path = write("vh.tif", np.full((60, 80), value, np.float32))
    refused(make_scene(vh=path), grid, LINEAR, "no valid VH pixel")


def test_a_single_valid_pixel_is_found(write, make_scene, grid):
    # A thinned sample of this image sees none of it.
    image = np.full((1200, 1600), np.nan, np.float32)
    image[601, 803] = 0.05
    scene = make_scene(vh=write("vh.tif", image, pixel=1))
    assert check_scene(scene, grid, LINEAR) == Window(0, 60, 0, 80)


def test_missing_polarisation(write, make_scene, grid, gamma0):
    scene = make_scene(vh=write("vh.tif", gamma0))
    error = refused(scene, grid, SourceParams(polarisations=("vh", "vv")), "no VV image")
    assert "asset_vv" in error.remedy


def test_decibels_declared_linear_and_the_reverse(write, make_scene, grid, gamma0):
    linear = make_scene(vh=write("lin.tif", gamma0))
    decibels = make_scene(vh=write("db.tif", 10 * np.log10(gamma0)))
    assert 'scale = "db"' in refused(decibels, grid, LINEAR, "in dB but declared linear").remedy
    assert 'scale = "linear"' in refused(linear, grid, DB, "linear power but declared dB").remedy


def test_digital_numbers(write, make_scene, grid, gamma0):
    scene = make_scene(vh=write("dn.tif", gamma0 * 5000))
    refused(scene, grid, LINEAR, "digital numbers")
    refused(scene, grid, DB, "no backscatter in dB")
    refused(make_scene(vh=write("s.tif", gamma0 * 1e-5)), grid, LINEAR, "too weak")


def test_noise_with_negative_power_is_accepted(write, make_scene, grid):
    # Noise-subtracted ocean: a third of the pixels below zero, median above.
    rng = np.random.default_rng(0)
    ocean = rng.normal(1e-3, 2e-3, (60, 80)).astype(np.float32)
    assert check_scene(make_scene(vh=write("vh.tif", ocean)), grid, LINEAR).shape == (60, 80)


def test_bands_of_different_shape(write, make_scene, grid, gamma0):
    scene = make_scene(vh=write("vh.tif", gamma0), vv=write("vv.tif", gamma0[:50]))
    refused(scene, grid, LINEAR, r"\(50, 80\).*\(60, 80\)|\(60, 80\).*\(50, 80\)")
    moved = make_scene(vh=write("vh.tif", gamma0), vv=write("vv2.tif", gamma0, west=700_040))
    refused(moved, grid, LINEAR, "of the same scene")


def test_angle_in_radians(write, make_scene, grid, gamma0):
    lia = np.full((60, 80), 0.7, np.float32)
    params = SourceParams(radiometry="sigma0", asset_lia="lia")
    scene = make_scene(vh=write("vh.tif", gamma0), lia=write("lia.tif", lia))
    refused(scene, grid, params, "radians")


def test_band_number_beyond_the_file(write, make_scene, grid, gamma0):
    path = write("vh.tif", gamma0)
    refused(make_scene(assets={"vh": Asset(str(path), 3)}), grid, LINEAR, "names band 3")


def test_settings_that_cannot_work():
    with pytest.raises(ConfigError, match="asset_lia"):
        SourceParams(radiometry="sigma0")
    with pytest.raises(ConfigError, match="asset_vv"):
        SourceParams(asset_vv="", polarisations=("vv",))
    assert SourceParams(platforms=("S1A",)).platforms == ("sentinel-1a",)
    assert SourceParams(asset_vv="").assets == {"vh": "vh"}
