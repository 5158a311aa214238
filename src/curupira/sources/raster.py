"""Images on the monitoring grid: linear gamma0, averaged in power, NaN where missing."""

from __future__ import annotations

import numpy as np
from odc.geo.geobox import GeoBox

from curupira.blocks import Window, split
from curupira.errors import InputError
from curupira.records import Scene
from curupira.sources.checks import check_scene
from curupira.sources.files import open_raster
from curupira.sources.profiles import SourceParams
from curupira.sources.resample import FloatImage, check_band_number, resample
from curupira.sources.values import ANGLES, angle_degrees, linear_power

__all__ = ["check_scene", "gamma0_from_sigma0", "read_band"]

#: Rows and columns of the grid that are read and resampled at a time: bounds the memory.
_BLOCK = 1024


def read_band(
    scene: Scene, band: str, grid: GeoBox, window: Window, params: SourceParams
) -> FloatImage:
    """Read one band of a scene on a window of the grid.

    Parameters
    ----------
    scene, band
        ``vh`` or ``vv``: linear gamma0; ``lia`` or ``angle``: degrees.
    grid, window
        The monitoring grid and the pixels wanted.
    params
        What the images hold: ``radiometry`` and ``scale``.

    Returns
    -------
    float32 ``(y, x)``
        NaN where the image has no-data, zero or negative power, or does not reach. Finer images
        are averaged over the area of a grid pixel, in linear power and over its valid part;
        coarser or shifted ones are interpolated bilinearly, never into a missing pixel. An image
        on the grid's own pixels is returned as it is. sigma0 is divided by cos(LIA) on the grid
        (method.md 1A step 4).

    Raises
    ------
    InputError
        If the scene has no such band, or the file is missing or damaged.
    SourceError
        If a remote file cannot be opened.
    """
    image = _read(scene, band, grid, window, params)
    if band not in ANGLES and params.radiometry == "sigma0":
        lia_deg = _read(scene, "lia", grid, window, params)
        image = gamma0_from_sigma0(image, lia_deg)
    return image


def gamma0_from_sigma0(sigma0: FloatImage, lia_deg: FloatImage) -> FloatImage:
    """``gamma0 = sigma0 / cos(LIA)``, linear, of one shape.

    NaN where either is missing or the surface is not seen (LIA of 90 degrees or more).
    """
    cosine = np.cos(np.deg2rad(lia_deg))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(lia_deg < 90, sigma0 / cosine, np.nan).astype(np.float32)


def _read(
    scene: Scene, band: str, grid: GeoBox, window: Window, params: SourceParams
) -> FloatImage:
    if band not in scene.assets:
        raise InputError(f"has no band {band}", where=scene.scene_id, remedy="see [source] asset_*")
    asset = scene.assets[band]
    out = np.full(window.shape, np.nan, dtype=np.float32)

    def clean(raw: FloatImage) -> FloatImage:
        return angle_degrees(raw) if band in ANGLES else linear_power(raw, params.scale)

    with open_raster(asset.href) as dataset:
        check_band_number(dataset, asset.band)
        for block in split(window, _BLOCK):
            target = grid[block.slices]
            out[block.relative_to(window).slices] = resample(dataset, asset.band, target, clean)
    return out
