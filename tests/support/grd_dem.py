"""Height models for tests, and where points of a synthetic scene lie on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import from_bounds

Floats = npt.NDArray[np.float64]
Ground = Callable[[Floats, Floats], Floats]

#: One arc second, as SRTM.
STEP_DEG = 1 / 3600


def hills(longitude: Floats, latitude: Floats) -> Floats:
    """Ellipsoidal height (m): waves of 3 to 4 km and 120 m, slopes up to 14 degrees."""
    x, y = np.radians(longitude) * 6.2e6, np.radians(latitude) * 6.37e6
    wave = 60 * np.sin(2 * np.pi * x / 3100) * np.cos(2 * np.pi * y / 4100)
    found: Floats = np.asarray(400 + wave + 0.002 * (x % 1e5), dtype=np.float64)
    return found


def write_dem(path: Path, bounds: tuple[float, float, float, float], ground: Ground) -> Path:
    """GeoTIFF of one arc second in longitude and latitude, float32 metres."""
    west, south, east, north = bounds
    columns, rows = (max(2, round(d / STEP_DEG)) for d in (east - west, north - south))
    affine = from_bounds(west, south, east, north, columns, rows)
    x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=rows,
        width=columns,
        count=1,
        dtype="float32",
        crs="EPSG:4326",
        transform=affine,
    ) as target:
        target.write(ground(*(affine * (x, y))).astype(np.float32), 1)
    return path
