"""Bands of a mining image: VV, VH, PA, those of several dates and of the land around. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from curupira.blocks import Window
from curupira.errors import InputError
from curupira.lee import additive_variance, lee
from curupira.mining.params import BandParams
from curupira.units import from_db, to_db

FloatArray = npt.NDArray[np.float32]
Scale = Literal["db", "linear"]
Radiometry = Literal["gamma0", "sigma0"]

#: Medians of real scenes lie well inside: Sentinel-1 over land, water and noise floor.
_DB_RANGE = (-45.0, 5.0)
_LINEAR_MAX = 3.0
#: How far a pixel may be from the size that the model was made for.
_PIXEL_TOLERANCE = 0.01
#: Images are kept in pieces of whole multiples of so many pixels. The windows at a place shift by
#: less than that, so that each side lies in one, in the next, or in both: nine pieces.
_PIECE_PX, _PIECES = 64, 9
_DATES = "give --scene once for each date of a year; they become one composite"
_REMEDIES = {
    "stream": "give --streams FILE",
    "slope": "give --dem FILE",
    "height": "give --dem FILE",
}


@dataclass(frozen=True)
class RadarScene:
    """One image: ``read(window)`` gives VV and VH in dB, float32 ``(y, x)``, NaN where missing.

    ``extra`` gives other bands by name, float32 ``(y, x)``: a composite of several dates has their
    spread and change, an image with a map of streams or of heights has those. ``radiometry`` is
    what VV and VH hold.
    """

    name: str
    day: date | None
    grid: GeoBox
    read: Callable[[Window], tuple[FloatArray, FloatArray]]
    extra: Mapping[str, Callable[[Window], FloatArray]] = field(default_factory=dict, hash=False)
    radiometry: Radiometry = "gamma0"

    @property
    def window(self) -> Window:
        """The whole image."""
        rows, columns = self.grid.shape
        return Window(0, rows, 0, columns)


def check_grid(grid: GeoBox, pixel_m: float, *, where: str) -> None:
    """Refuse an image that is not north-up, or whose pixels are not ``pixel_m`` metres.

    Raises
    ------
    InputError
        If the CRS is missing or in degrees, the image is turned, or the pixel has another size.
    """
    remedy = "warp it to the UTM zone: gdalwarp -t_srs EPSG:327xx -tr 10 10"
    crs = grid.crs
    if crs is None or not crs.projected or any(a.unit_name != "metre" for a in crs.proj.axis_info):
        raise InputError(
            f"the image lies in {crs or 'no coordinate system'}, but metres are needed",
            where=where,
            remedy=remedy,
        )
    a = grid.affine
    if a.b or a.d or a.a <= 0 or a.e >= 0:
        raise InputError("the image is turned or flipped", where=where, remedy=remedy)
    if max(abs(a.a - pixel_m), abs(-a.e - pixel_m)) > _PIXEL_TOLERANCE * pixel_m:
        raise InputError(
            f"its pixels are {a.a:g} x {-a.e:g} m, not {pixel_m:g} m", where=where, remedy=remedy
        )


def check_scale(vv: FloatArray, vh: FloatArray, scale: Scale, *, where: str) -> None:
    """Tell linear power from dB by the medians of a sample of the image.

    Parameters
    ----------
    vv, vh
        Values as they stand in the file, any shape; NaN where missing.
    scale
        What the values are said to be.
    where
        The image, for the message.

    Raises
    ------
    InputError
        If there is no valid pixel, or the values cannot be on that scale.
    """
    for name, values in (("VV", vv), ("VH", vh)):
        valid = values[np.isfinite(values)]
        if not valid.size:
            raise InputError(f"{name} has no valid pixel", where=where, remedy="take another image")
        middle = float(np.median(valid))
        linear = 0 < middle <= _LINEAR_MAX and float(np.mean(valid < 0)) < 0.01
        if scale == "db" and not _DB_RANGE[0] <= middle <= _DB_RANGE[1]:
            raise InputError(
                f"{name} has a median of {middle:g}: these are no dB",
                where=where,
                remedy="calibrate the image to sigma0 or gamma0",
            )
        if scale == "db" and linear:
            raise InputError(
                f"{name} has a median of {middle:g} and no negative values: this is linear power, "
                "not dB",
                where=where,
                remedy="say --scale linear",
            )
        if scale == "linear" and not linear:
            raise InputError(
                f"{name} has a median of {middle:g}: this is no linear power",
                where=where,
                remedy="say --scale db, or calibrate the image",
            )


def decibels(values: FloatArray, scale: Scale) -> FloatArray:
    """Values of a file in dB; not finite or, in linear power, not positive becomes NaN."""
    if scale == "linear":
        return to_db(values)
    return np.where(np.isfinite(values), values, np.nan).astype(np.float32)


def band_stack(
    vv_db: FloatArray,
    vh_db: FloatArray,
    params: BandParams,
    extra: Mapping[str, FloatArray] | None = None,
) -> FloatArray:
    """Bands of an image, in the order of ``params.bands``.

    Parameters
    ----------
    vv_db, vh_db
        ``(y, x)`` dB, NaN missing.
    extra
        The other bands that ``params`` wants, by name; never filtered.

    Returns
    -------
    float32 ``(band, y, x)``
        NaN in all bands where VV or VH is missing. ``vv``, ``vh`` and the half difference and half
        sum are dB; ratio and RVI are linear (method.md 1C, M4).
    """
    vv, vh = _filtered(vv_db, params), _filtered(vh_db, params)
    missing = np.isnan(vv) | np.isnan(vh)
    layers = {"vv": vv, "vh": vh, "pa": third_band(vv, vh, params), **(extra or {})}
    out = np.stack([layers[name] for name in params.bands]).astype(np.float32)
    out[:, missing] = np.nan
    return out


def third_band(vv_db: FloatArray, vh_db: FloatArray, params: BandParams) -> FloatArray:
    """The band PA by ``params.pa``; the half difference is the paper's."""
    match params.pa:
        case "half_difference":
            return np.asarray((vh_db - vv_db) / 2, dtype=np.float32)
        case "half_sum":
            return np.asarray((vh_db + vv_db) / 2, dtype=np.float32)
        case "ratio":
            return from_db(vh_db - vv_db)
        case "rvi":
            vv, vh = from_db(vv_db), from_db(vh_db)
            return 4 * vh / (vv + vh)


def _filtered(db: FloatArray, params: BandParams) -> FloatArray:
    if params.lee == "none":
        return db
    if params.lee == "linear":
        return to_db(lee(from_db(db), params.lee_window, params.lee_looks))
    noise = additive_variance(params.lee_looks)
    return lee(db, params.lee_window, params.lee_looks, additive_variance=noise)


def read_bands(scene: RadarScene, window: Window, params: BandParams) -> FloatArray:
    """Bands ``(band, y, x)`` of a window, read with the halo the filter needs.

    Equal to the same window cut out of the whole image's bands.

    Raises
    ------
    InputError
        If a band needs several dates, streams or heights, and the image has none.
    """
    outer = window.grow(params.halo, scene.window)
    vv, vh = scene.read(outer)
    lacking = [name for name in params.others if name not in scene.extra]
    if lacking:
        raise InputError(
            f"the model looks at {lacking[0]}, which the image does not have",
            where=scene.name,
            remedy=_REMEDIES.get(lacking[0], _DATES),
        )
    extra: dict[str, FloatArray] = {name: scene.extra[name](outer) for name in params.others}
    inner = window.relative_to(outer).slices
    return band_stack(vv, vh, params, extra)[(slice(None), *inner)]


def remembering(scene: RadarScene) -> RadarScene:
    """The same image, read in pieces that are kept: for many windows near each other, in turn."""

    @lru_cache(maxsize=_PIECES)
    def piece(window: Window) -> tuple[FloatArray, FloatArray]:
        return scene.read(window)

    def read(window: Window) -> tuple[FloatArray, FloatArray]:
        whole = scene.window
        outer = Window(
            window.y0 // _PIECE_PX * _PIECE_PX,
            min(-(-window.y1 // _PIECE_PX) * _PIECE_PX, whole.y1),
            window.x0 // _PIECE_PX * _PIECE_PX,
            min(-(-window.x1 // _PIECE_PX) * _PIECE_PX, whole.x1),
        )
        inner = window.relative_to(outer).slices
        vv, vh = piece(outer)
        return vv[inner], vh[inner]

    return replace(scene, read=read)


def incomplete(bands: FloatArray) -> npt.NDArray[np.bool_]:
    """Pixels ``(y, x)`` of an image ``(band, y, x)`` that lack any of its bands."""
    return np.asarray(np.isnan(bands).any(axis=0))


def missing_share(bands: FloatArray) -> float:
    """Share of an image's pixels that lack any of its bands."""
    return float(incomplete(bands).mean())


def fill_missing(patches: FloatArray, mean: list[float] | None) -> FloatArray:
    """Patches with NaN replaced by the training mean of the band, or by the patch's own.

    The mean is 0 after the z-score. A patch without any valid pixel stays NaN where no training
    mean is given.
    """
    missing = np.isnan(patches)
    if not missing.any():
        return patches
    if mean is not None:
        values = np.asarray(mean, dtype=np.float32)[None, :, None, None]
    else:
        count = (~missing).sum(axis=(2, 3), keepdims=True)
        total = np.where(missing, 0, patches).sum(axis=(2, 3), keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = (total / count).astype(np.float32)
    return np.where(missing, values, patches)
