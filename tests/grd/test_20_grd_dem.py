"""Heights on a grid: resampling, geoids, several files, gaps, and what is refused."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from grd_dem import hills, write_dem
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from curupira.errors import InputError
from curupira.grd.dem import EGM96, geoid_height, open_dem, read_heights, refuse_gap
from curupira.grd.tie import to_lonlat

#: In the S1A scene, 200 pixels of 20 m.
BOX = GeoBox((200, 200), Affine(20, 0, 600_000, 0, -20, 8_000_000), "EPSG:32736")


def bounds(box=BOX, margin=0.02):
    west, south, east, north = transform_bounds(str(box.crs), "EPSG:4326", *box.extent.boundingbox)
    return west - margin, south - margin, east + margin, north + margin


def truth(box=BOX, ground=hills):
    y, x = np.mgrid[: box.shape[0], : box.shape[1]].astype(float)
    return ground(*to_lonlat(box, x, y))


@pytest.fixture
def dem(tmp_path):
    return write_dem(tmp_path / "dem.tif", bounds(), hills)


def altered(path, source, **changes):
    """Copy of a raster with another profile or other values (``change``)."""
    change = changes.pop("change", lambda values: values)
    with rasterio.open(source) as old:
        values = change(old.read())
        profile = old.profile | changes | {"height": values.shape[1], "width": values.shape[2]}
        with rasterio.open(path, "w", **profile) as new:
            new.write(values)
    return path


@pytest.mark.parametrize(("pixel_m", "worst_m"), [(10, 0.3), (20, 0.3), (35, 0.8), (90, 2.0)])
def test_heights_between_the_dems_own(dem, pixel_m, worst_m):
    """Hills of 3 km waves on one arc second: bicubic, bilinear, and averaged."""
    box = GeoBox((50, 50), Affine(pixel_m, 0, 600_000, 0, -pixel_m, 8_000_000), "EPSG:32736")
    height, gap = read_heights(open_dem(dem, geoid="none"), box)
    assert not gap.any()
    assert height.dtype == np.float32
    expected = truth(box)
    # What the hills have at a kink of their ramp is no matter of resampling.
    off = np.abs(height - expected)
    assert np.percentile(off, 99) < worst_m
    assert np.ptp(expected) > 10


def test_the_geoid_of_1996(dem):
    """NGA's own test points of EGM96 (longitude, latitude, metres)."""
    points = [
        (269.7791550, 38.6281550, -31.628),
        (305.0211140, -14.6212170, -2.969),
        (102.4487290, 46.8743190, -43.575),
        (133.8747120, -23.6174460, 15.871),
        (359.9995000, 38.6254730, 50.066),
        (0.0023000, -0.4667440, 17.329),
    ]
    for longitude, latitude, expected in points:
        west, step = (longitude + 180) % 360 - 180, 1e-4
        corner = Affine(step, 0, west - step, 0, -step, latitude + step)
        found = geoid_height(EGM96, GeoBox((2, 2), corner, "EPSG:4326"))
        # Bilinear in 15 minutes, where NGA's program takes splines.
        assert found.mean() == pytest.approx(expected, abs=0.35)
    above, _ = read_heights(open_dem(dem), BOX)
    flat, _ = read_heights(open_dem(dem, geoid="none"), BOX)
    np.testing.assert_allclose(above - flat, geoid_height(EGM96, BOX), atol=1e-3)
    # Mozambique lies below the ellipsoid.
    assert -20 < (above - flat).mean() < 0


def test_what_the_heights_are_above(dem, tmp_path):
    """Ellipsoidal systems need no geoid; heights on EGM96 and of unknown kind get EGM96."""
    for name, crs, geoid in (
        ("plain", "EPSG:4326", EGM96),
        ("ellipsoid", "EPSG:4979", None),
        ("egm96", "EPSG:4326+5773", EGM96),
        ("srtm", "EPSG:9707", EGM96),
    ):
        path = altered(tmp_path / f"{name}.tif", dem, crs=CRS.from_user_input(crs))
        assert open_dem(path).geoid == geoid, name
        height, _ = read_heights(open_dem(path, geoid="none"), BOX)
        # GDAL is not to shift heights on its own account.
        assert np.percentile(np.abs(height - truth()), 99) < 0.3
    own = altered(tmp_path / "own.tif", EGM96, change=lambda values: np.full_like(values, 12))
    found = open_dem(dem, geoid=str(own))
    assert found.geoid_name == "own.tif"
    height, _ = read_heights(found, BOX)
    with rasterio.open(own) as source:
        constant = 12 * source.scales[0] + source.offsets[0]
    assert np.percentile(np.abs(height - truth() - constant), 99) < 0.3


def test_tiles(tmp_path):
    """A folder of tiles that overlap by a row is one surface; the first file counts."""
    west, south, east, north = bounds()
    middle = (west + east) / 2
    folder = tmp_path / "dem"
    folder.mkdir()
    write_dem(folder / "b.tif", (middle - 0.002, south, east, north), hills)
    write_dem(folder / "a.tif", (west, south, middle + 0.002, north), hills)
    write_dem(folder / "far.tif", (west + 5, south, west + 5.01, north), hills)
    (folder / "readme.txt").write_text("heights")
    found = open_dem(folder, geoid="none")
    assert [name.rpartition("/")[2] for name in found.files] == ["a.tif", "b.tif", "far.tif"]
    height, gap = read_heights(found, BOX)
    assert not gap.any()
    assert np.percentile(np.abs(height - truth()), 99.5) < 0.5
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no height model in the folder"):
        open_dem(tmp_path / "none")


def test_tiles_that_only_touch_have_no_seam(dem, tmp_path):
    """As Copernicus' tiles: cut between two columns and two rows, heights are the whole's."""
    folder = tmp_path / "tiles"
    folder.mkdir()
    with rasterio.open(dem) as source:
        middle_y, middle_x = source.height // 2, source.width // 2
        for n, (y, x) in enumerate([(0, 0), (0, middle_x), (middle_y, 0), (middle_y, middle_x)]):
            part = source.read(1)[y:, x:] if n == 3 else source.read(1)[y : y + middle_y, x:]
            part = part[:, :middle_x] if x == 0 else part
            moved = source.transform @ Affine.translation(x, y)
            shape = {"height": part.shape[0], "width": part.shape[1], "transform": moved}
            with rasterio.open(folder / f"{n}.tif", "w", **(source.profile | shape)) as tile:
                tile.write(part, 1)
    whole, _ = read_heights(open_dem(dem, geoid="none"), BOX)
    tiles, gap = read_heights(open_dem(folder, geoid="none"), BOX)
    assert not gap.any()
    np.testing.assert_allclose(tiles, whole, atol=1e-3)


def test_gaps_are_sea_level_or_refused(tmp_path):
    west, south, east, north = bounds()
    half = write_dem(tmp_path / "half.tif", (west, south, (west + east) / 2, north), hills)
    height, gap = read_heights(open_dem(half), BOX)
    assert 0.4 < gap.mean() < 0.6
    np.testing.assert_allclose(height[gap], geoid_height(EGM96, BOX)[gap])
    refusing = open_dem(half, on_gap="refuse")
    with pytest.raises(InputError, match="% of a part of the target grid has no height"):
        refuse_gap(refusing, gap)
    refuse_gap(refusing, np.zeros_like(gap))
    outside, gap = read_heights(
        open_dem(half), GeoBox((10, 10), Affine(20, 0, 2e5, 0, -20, 8_500_000), "EPSG:32736")
    )
    assert gap.all()
    assert np.isfinite(outside).all()


def test_voids_are_gaps(dem, tmp_path):
    def hole(values):
        values = values.copy()
        values[0, 60:90, 60:90] = -32768
        return values

    declared = altered(tmp_path / "void.tif", dem, nodata=-32768, change=hole)
    height, gap = read_heights(open_dem(declared, geoid="none"), BOX)
    assert 0.005 < gap.mean() < 0.3
    assert np.abs(height - truth())[~gap].max() < 15
    undeclared = altered(tmp_path / "undeclared.tif", dem, change=hole)
    with pytest.raises(InputError, match="declare the value that means missing"):
        read_heights(open_dem(undeclared), BOX)


def test_refusals(dem, tmp_path):
    with pytest.raises(InputError, match="no height model that GDAL reads"):
        open_dem(tmp_path / "none.tif")
    two = tmp_path / "two.tif"
    altered(two, dem, count=2, change=lambda values: np.repeat(values, 2, axis=0))
    with pytest.raises(InputError, match="one band, not 2"):
        open_dem(two)
    with pytest.raises(InputError, match="no coordinate reference system"):
        open_dem(altered(tmp_path / "nowhere.tif", dem, crs=None))
    small = write_dem(tmp_path / "small.tif", bounds(margin=-0.01), lambda x, y: 0 * x + 3.0)
    with pytest.raises(InputError, match="does not cover the target grid"):
        read_heights(open_dem(dem, geoid=str(small)), BOX)
    utm = altered(tmp_path / "utm.tif", dem, crs=CRS.from_epsg(32736))
    with pytest.raises(InputError, match="longitude and latitude"):
        open_dem(dem, geoid=str(utm))
