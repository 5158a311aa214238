"""Map tiles as pictures: radar composites and warning layers coloured, as PNG. Pure."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from PIL import Image as Pillow
from shapely.geometry.base import BaseGeometry

from curupira.pipelines.products import NODATA
from curupira.report import SarImage
from curupira.report.mapparts import STRETCH_DB
from curupira.units import to_db

Bytes = npt.NDArray[np.uint8]
COLOURS = {
    "n_alerts": ((255, 233, 74), (255, 106, 19), (178, 24, 43)),
    "first_flag_days": ((69, 117, 180), (254, 224, 144), (215, 48, 39)),
    "excess_db": ((255, 255, 204), (253, 141, 60), (128, 0, 38)),
    "confidence": ((237, 248, 177), (65, 182, 196), (8, 29, 88)),
}
_RANGES = {"n_alerts": (1, 6), "excess_db": (0, 600), "confidence": (0, 100)}


def indices(
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    place: GeoBox,
    shape: tuple[int, ...],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Rows and columns of an array under places, and which of them lie within."""
    box = place.boundingbox
    step_x, step_y = float(place.resolution.x), abs(float(place.resolution.y))
    with np.errstate(invalid="ignore"):
        cols = np.floor((x - box.left) / step_x)
        rows = np.floor((box.top - y) / step_y)
        inside = (cols >= 0) & (rows >= 0) & (cols < shape[1]) & (rows < shape[0])
    rows, cols = np.where(inside, rows, 0), np.where(inside, cols, 0)
    return rows.astype(np.intp), cols.astype(np.intp), np.asarray(inside, dtype=np.bool_)


def sampled(
    image: SarImage,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    stretch: tuple[float, float],
) -> Bytes:
    """A composite at places, ``(y, x, 4)``; transparent outside."""
    colours = composite(image, stretch)
    rows, cols, inside = indices(x, y, image.grid, image.vh.shape)
    out = colours[rows, cols]
    out[~inside] = 0
    return out


def composite(image: SarImage, stretch: tuple[float, float] = STRETCH_DB["VH"]) -> Bytes:
    """R = VV, G = VH, B = VV - VH in dB; grey where there is no VV; transparent without image."""
    vv, vh = to_db(image.vv), to_db(image.vh)
    alone = np.isnan(vv)
    moved = [given - usual for given, usual in zip(stretch, STRETCH_DB["VH"], strict=True)]
    bands = {"VV": np.where(alone, vh, vv), "VH": vh, "VV-VH": np.where(alone, vh, vv - vh)}
    out = np.zeros((*vh.shape, 4), np.uint8)
    for k, (name, band) in enumerate(bands.items()):
        own = STRETCH_DB[name] if name == "VV-VH" else np.add(STRETCH_DB[name], moved)
        bottom, top = (np.where(alone, stretch[end], own[end]) for end in (0, 1))
        scaled = np.clip((np.nan_to_num(band, nan=-99.0) - bottom) / (top - bottom), 0, 1)
        out[..., k] = np.round(255 * scaled)
    out[..., 3] = np.where(np.isnan(vh), 0, 255)
    return out


def coloured(
    value: npt.NDArray[np.int16],
    flags: npt.NDArray[np.int16],
    inside: npt.NDArray[np.bool_],
    band: str,
) -> Bytes:
    """A product's layer in colours; a grey veil where nothing was observed."""
    out = np.zeros((*value.shape, 4), np.uint8)
    out[inside & (flags == NODATA)] = (90, 90, 90, 70)
    shown = inside & (value != NODATA) & (flags > 0)
    if shown.any():
        low, high = _RANGES.get(band) or (int(value[shown].min()), int(value[shown].max()))
        share = np.clip((value[shown].astype(np.float64) - low) / max(high - low, 1), 0, 1)
        stops = np.array(COLOURS[band], dtype=np.float64)
        at = np.linspace(0, 1, len(stops))
        rgb = [np.interp(share, at, stops[:, k]) for k in range(3)]
        out[shown] = np.stack([*rgb, np.full(share.shape, 230)], axis=-1).astype(np.uint8)
    return out


def outline(geometry: BaseGeometry, bounds: tuple[float, float, float, float]) -> str:
    """Rings of polygons as an SVG path over a picture of such bounds, in percent of its sides.

    ``bounds``: west, south, east, north, in the geometry's reference system.
    """
    west, south, east, north = bounds
    path = ""
    for ring in shapely.get_rings(shapely.get_parts(geometry)):
        x, y = shapely.get_coordinates(ring)[:-1].T
        places = zip(
            100 * (x - west) / (east - west), 100 * (north - y) / (north - south), strict=True
        )
        path += "M" + " ".join(f"{right:.2f},{down:.2f}" for right, down in places) + "Z"
    return path


def png(pixels: Bytes) -> bytes:
    """Pixels ``(y, x, 4)`` as a PNG."""
    buffer = io.BytesIO()
    Pillow.fromarray(pixels, "RGBA").save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
