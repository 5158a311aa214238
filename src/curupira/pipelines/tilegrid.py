"""Web Mercator tiles of the map, and what of the monitoring grid they show. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from shapely import Polygon

from curupira.blocks import Window

#: Side of a map tile, pixels; half the circumference of the Web Mercator world, metres.
TILE, WORLD = 256, 20037508.342789244
#: A tile is made from windows of the grid of at most about this many.
_MOST_READ = 4096


@dataclass(frozen=True)
class TileAddress:
    """Column and row of a Web Mercator tile."""

    z: int
    x: int
    y: int

    @property
    def valid(self) -> bool:
        """Whether the world has such a tile."""
        return 0 <= self.z <= 22 and 0 <= self.x < 2**self.z and 0 <= self.y < 2**self.z

    @property
    def box(self) -> Polygon:
        """The tile's outline in longitude and latitude."""
        side = 2 * WORLD / 2**self.z
        x = np.array([self.x, self.x + 1]) * side - WORLD
        y = WORLD - np.array([self.y + 1, self.y]) * side
        (west, east), (south, north) = _to_grid("EPSG:4326").transform(x, y)
        return Polygon.from_bounds(west, south, east, north)

    def centres(self, crs: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Coordinates of the tile's pixel centres in a reference system, ``(y, x)`` each."""
        step = 2 * WORLD / 2**self.z / TILE
        along = (np.arange(TILE) + 0.5) * step
        x = -WORLD + self.x * TILE * step + along
        y = WORLD - self.y * TILE * step - along
        xx, yy = np.meshgrid(x, y)
        found = _to_grid(crs).transform(xx, yy)
        return np.asarray(found[0]), np.asarray(found[1])


@lru_cache(maxsize=8)
def _to_grid(crs: str) -> Transformer:
    return Transformer.from_crs("EPSG:3857", crs, always_xy=True)


def least_zoom(grid: GeoBox) -> int:
    """Zoom from which tiles are offered: below, one would read too much of a large area."""
    metres = float(grid.resolution.x) * min(max(grid.shape), _MOST_READ)
    return max(4, math.ceil(math.log2(2 * WORLD / metres))) if max(grid.shape) > _MOST_READ else 4


def window_of(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], grid: GeoBox) -> Window:
    """Window of the grid that a tile may show; empty where it shows none of it."""
    finite = np.isfinite(x) & np.isfinite(y)
    whole = Window(0, grid.shape.y, 0, grid.shape.x)
    if not finite.any():
        return Window(0, 0, 0, 0)
    box, r = grid.boundingbox, float(grid.resolution.x)
    limit = float(max(whole.shape)) + 10
    bounds = [
        (box.top - y[finite].max()) / r - 1,
        (box.top - y[finite].min()) / r + 1,
        (x[finite].min() - box.left) / r - 1,
        (x[finite].max() - box.left) / r + 1,
    ]
    y0, y1, x0, x1 = (int(np.clip(b, -10, limit)) for b in bounds)
    return Window(y0, y1, x0, x1).intersect(whole)
