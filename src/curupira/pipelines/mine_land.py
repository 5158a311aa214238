"""Streams and heights from files, as bands of mining images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from curupira.errors import InputError
from curupira.grd.dem import open_dem, read_heights
from curupira.mining.context import Heights, with_land
from curupira.mining.scene import FloatArray, RadarScene
from curupira.sources.vector import read_vector


def add_land(scene: RadarScene, streams: Path | None, dem: Path | None) -> RadarScene:
    """An image with the bands of context for which a file is given.

    Parameters
    ----------
    streams
        Lines or polygons of water, any CRS.
    dem
        A raster of heights in metres, or a folder of them, any CRS.

    Raises
    ------
    InputError
        If a file cannot be read, or holds no streams.
    """
    lines = None
    if streams is not None:
        layer = read_vector(streams).to_crs(str(scene.grid.crs)).geometry
        lines = list(layer[~(layer.isna() | layer.is_empty)])
        if not lines:
            raise InputError("holds no streams", where=streams, remedy="give lines of streams")
    return with_land(scene, streams=lines, heights=None if dem is None else _heights(dem))


def _heights(path: Path) -> Heights:
    # Differences of height alone are looked at: no geoid is needed.
    dem = open_dem(path, geoid="none")

    def read(box: GeoBox) -> FloatArray:
        height, gap = read_heights(dem, box)
        return np.where(gap, np.nan, height).astype(np.float32)

    return read
