"""Small real files: GeoTIFFs written by rasterio, and scenes that point at them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from shapely.geometry import box

from curupira.codes import OrbitState
from curupira.grid import LONLAT, project
from curupira.records import Asset, Scene

TIME = datetime(2024, 6, 1, 9, 45, 1, tzinfo=UTC)
WEST, NORTH = 700_000, 9_560_000


@pytest.fixture
def grid() -> GeoBox:
    """60 x 80 pixels of 20 m in UTM 21 S."""
    return GeoBox.from_bbox(
        (WEST, NORTH - 1200, WEST + 1600, NORTH), crs="EPSG:32721", resolution=20, tight=True
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write bands ``(y, x)`` or ``(band, y, x)`` as a GeoTIFF."""

    def _write(name: str, values: np.ndarray, **options) -> Path:
        bands = values if values.ndim == 3 else values[None]
        pixel = options.pop("pixel", 20)
        profile = {
            "crs": "EPSG:32721",
            "transform": rasterio.transform.from_origin(
                options.pop("west", WEST), options.pop("north", NORTH), pixel, pixel
            ),
            "nodata": np.nan if np.issubdtype(bands.dtype, np.floating) else None,
            **options,
        }
        tags = profile.pop("tags", {})
        band_tags = profile.pop("band_tags", [])
        descriptions = profile.pop("descriptions", [])
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=bands.shape[0],
            height=bands.shape[1],
            width=bands.shape[2],
            dtype=bands.dtype.name,
            **profile,
        ) as target:
            target.write(bands)
            target.update_tags(**tags)
            for number, pairs in enumerate(band_tags, start=1):
                target.update_tags(number, **pairs)
            for number, text in enumerate(descriptions, start=1):
                target.set_band_description(number, text)
        return path

    return _write


@pytest.fixture
def make_scene(grid: GeoBox) -> Callable[..., Scene]:
    """Build a scene over the grid; keyword arguments replace its fields, paths become assets."""
    outline = project(box(*grid.extent.boundingbox.bbox), "EPSG:32721", LONLAT)

    def _scene(scene_id: str = "scene", **changes) -> Scene:
        assets = {
            band: Asset(str(changes.pop(band))) for band in ("vh", "vv", "lia") if band in changes
        }
        fields = {
            "scene_id": scene_id,
            "platform": "sentinel-1a",
            "acquired": TIME,
            "created": TIME + timedelta(days=1),
            "relative_orbit": 39,
            "orbit_state": OrbitState.DESCENDING,
            "footprint": outline,
            "assets": assets,
        }
        return Scene(**{**fields, **changes})

    return _scene


@pytest.fixture
def gamma0() -> np.ndarray:
    """Speckled forest on the grid: gamma distribution, 4.4 looks, median near -12.7 dB."""
    rng = np.random.default_rng(7)
    return rng.gamma(4.4, 10**-1.27 / 4.4, (60, 80)).astype(np.float32)
