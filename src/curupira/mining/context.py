"""The land around as bands: distance to streams, slope, and height above the valley. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window
from curupira.mining.scene import FloatArray, RadarScene

#: Beyond this, one place is as far from streams as another.
_FAR_M = 2000.0
#: The valley floor is the lowest ground so near.
_VALLEY_M = 500.0

#: Heights in metres ``(y, x)`` on a grid, NaN where unknown.
Heights = Callable[[GeoBox], FloatArray]


def with_land(
    scene: RadarScene, *, streams: Sequence[BaseGeometry] | None, heights: Heights | None
) -> RadarScene:
    """The image with the band ``stream`` if streams are given, ``slope`` and ``height`` if heights.

    Parameters
    ----------
    streams
        Lines (or polygons of water) in the CRS of the scene, in metres.
    heights
        Of the ground, or of the surface: canopy edges then are slopes, which is no harm.

    Returns
    -------
    RadarScene
        ``stream`` in km, 2 at most; ``slope`` in degrees; ``height`` in metres above the lowest
        ground within 500 m. Every window is computed with what lies around it, so that blocks fit.
    """
    extra = dict(scene.extra)
    if streams is not None:
        lines = list(streams)
        extra["stream"] = lambda window: stream_km(lines, scene.grid[window.slices])
    if heights is not None:
        extra["slope"] = _of_heights(scene.grid, heights, 1, slope_deg)
        reach = round(_VALLEY_M / scene.grid.affine.a)
        extra["height"] = _of_heights(scene.grid, heights, reach, above_valley)
    return replace(scene, extra=extra)


def _of_heights(
    grid: GeoBox, heights: Heights, halo: int, of: Callable[[FloatArray, float], FloatArray]
) -> Callable[[Window], FloatArray]:
    def read(window: Window) -> FloatArray:
        found = of(heights(grid[window.slices].pad(halo)), grid.affine.a)
        return found[halo:-halo, halo:-halo]

    return read


def stream_km(streams: Sequence[BaseGeometry], grid: GeoBox) -> FloatArray:
    """Distance ``(y, x)`` to the nearest stream, kilometres, 2 at most."""
    halo = round(_FAR_M / grid.affine.a)
    wide = grid.pad(halo)
    near = [s for s in streams if s.intersects(wide.extent.geom)]
    if not near:
        return np.full(grid.shape, _FAR_M / 1000, dtype=np.float32)
    wet = rasterize(near, wide.shape, transform=wide.affine, all_touched=True, dtype="uint8")
    away = ndimage.distance_transform_edt(wet == 0)[halo:-halo, halo:-halo] * grid.affine.a
    return np.asarray(np.minimum(away, _FAR_M) / 1000, dtype=np.float32)


def slope_deg(height_m: FloatArray, pixel_m: float) -> FloatArray:
    """Slope ``(y, x)`` in degrees by central differences; NaN beside missing heights."""
    down, right = np.gradient(height_m, pixel_m)
    return np.asarray(np.degrees(np.arctan(np.hypot(down, right))), dtype=np.float32)


def above_valley(height_m: FloatArray, pixel_m: float) -> FloatArray:
    """Height ``(y, x)`` above the lowest known ground within a square of 500 m each way, metres."""
    known = np.where(np.isnan(height_m), np.inf, height_m)
    lowest = ndimage.minimum_filter(known, size=2 * round(_VALLEY_M / pixel_m) + 1)
    return np.asarray(height_m - lowest, dtype=np.float32)
