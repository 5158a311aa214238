"""DEM files on a grid: those whose pixels fit together are one raster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyproj
import rasterio
from affine import Affine
from numba import njit
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window as RasterWindow

from curupira.blocks import Window
from curupira.errors import InputError
from curupira.grid import LONLAT, transformer

Float32 = npt.NDArray[np.float32]

#: A DEM this much finer than the grid is averaged, not sampled.
_FINER: Final = 1.5
#: Positions in a DEM are transformed so many pixels or metres apart, and bilinear between.
_TIES: Final = 32
_BEND_M: Final = 1000.0


@contextmanager
def opened(name: str) -> Iterator[DatasetReader]:
    """A file of heights, open.

    Raises
    ------
    InputError
        If GDAL does not read it.
    """
    with ExitStack() as stack:
        try:
            source = stack.enter_context(rasterio.open(name))
        except RasterioError as error:
            raise InputError(
                "is no height model that GDAL reads", where=name, remedy="give a GeoTIFF"
            ) from error
        yield source


@dataclass(frozen=True)
class _Lattice:
    """What files share whose pixels fit together: system, pixel, and where pixels begin."""

    crs: str
    step: tuple[float, float]
    phase: tuple[float, float]


def groups(files: Sequence[str], box: GeoBox) -> list[list[str]]:
    """Files that touch a grid, in their order; together those of one system, pixel and origin."""
    found: dict[_Lattice, list[str]] = {}
    for name in files:
        with opened(name) as source:
            if _touches(source, box):
                t = source.transform
                # Files whose rows are turned, or run upwards, stand alone.
                plain = t.b == 0 and t.d == 0 and t.a > 0 and t.e < 0
                phase = (t.c / t.a % 1, t.f / t.e % 1) if plain else (float(len(found)), 2.0)
                rounded = (round(phase[0], 3) % 1, round(phase[1], 3) % 1) if plain else phase
                lattice = _Lattice(source.crs.to_wkt(), (round(t.a, 12), round(t.e, 12)), rounded)
                found.setdefault(lattice, []).append(name)
    return list(found.values())


def _touches(source: DatasetReader, box: GeoBox) -> bool:
    ours = transform_bounds(str(box.crs), LONLAT, *box.extent.boundingbox)
    theirs = transform_bounds(source.crs, LONLAT, *source.bounds)
    return bool(
        ours[0] < theirs[2] and theirs[0] < ours[2] and ours[1] < theirs[3] and theirs[1] < ours[3]
    )


def resampled(files: Sequence[str], box: GeoBox) -> Float32:
    """Heights of a group of files (``groups``) on a grid, float32 ``(y, x)``; NaN where none is.

    Cubic convolution where the grid is finer, bilinear where it is about as fine, means where it is
    coarser.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    with opened(files[0]) as first:
        finer = _finer(first, box)
        if finer > _FINER:
            return _averaged(files, box)
        affine, crs = first.transform, _horizontal(first.crs.to_wkt())
    rows, columns = box.shape
    # Systems bend little over a kilometre: the rest is bilinear between.
    step = max(1, min(_TIES, int(_BEND_M / _pixel_m(box))))
    y, x = np.meshgrid(
        np.linspace(0, rows - 1, max(2, -(-rows // step) + 1)),
        np.linspace(0, columns - 1, max(2, -(-columns // step) + 1)),
        indexing="ij",
    )
    a, b, c, d, e, f = tuple(box.affine)[:6]
    x, y = x + 0.5, y + 0.5
    place = transformer(_horizontal(str(box.crs)), crs).transform(
        a * x + b * y + c, d * x + e * y + f
    )
    column, row = ~affine * np.stack(place)
    column, row = column - 0.5, row - 0.5
    if not (np.isfinite(row).all() and np.isfinite(column).all()):
        return np.full(box.shape, np.nan, dtype=np.float32)
    window = Window(
        int(np.floor(row.min())) - 2,
        int(np.ceil(row.max())) + 3,
        int(np.floor(column.min())) - 2,
        int(np.ceil(column.max())) + 3,
    )
    native = _mosaic(files, affine, window)
    if np.isnan(native).all():
        return np.full(box.shape, np.nan, dtype=np.float32)
    shape = rows, columns
    at = (
        expanded((v - v0).astype(np.float32), shape)
        for v, v0 in ((row, window.y0), (column, window.x0))
    )
    found: Float32 = _interpolated(native, *at, finer <= 1 / 1.05)
    return found


def _mosaic(files: Sequence[str], affine: Affine, window: Window) -> Float32:
    """Pixels of files of one lattice on a window of the first one's; the first counts."""
    out = np.full(window.shape, np.nan, dtype=np.float32)
    for name in files:
        with opened(name) as source:
            column, row = (round(v) for v in ~affine * (source.transform.c, source.transform.f))
            own = Window(row, row + source.height, column, column + source.width)
            part = window.intersect(own)
            if part.empty:
                continue
            inside = part.relative_to(own)
            try:
                values = source.read(
                    1, window=RasterWindow.from_slices(*inside.slices), masked=True
                )
            except RasterioError as error:
                raise InputError(
                    f"the height model cannot be read ({error})", where=name
                ) from error
        target = out[part.relative_to(window).slices]
        np.copyto(target, values.astype(np.float32).filled(np.nan), where=np.isnan(target))
    return out


def _averaged(files: Sequence[str], box: GeoBox) -> Float32:
    """Files finer than the grid: means over its pixels, by GDAL."""
    height = np.full(box.shape, np.nan, dtype=np.float32)
    for name in files:
        with opened(name) as source:
            part = _warp(source, box)
        height = np.where(np.isnan(height), part, height)
    return height


def _warp(source: DatasetReader, box: GeoBox) -> Float32:
    # Not rasterio's reproject: around the array it writes to, it changes the process's warning
    # filters, and threads that do so at once undo one another.
    try:
        with WarpedVRT(
            source,
            src_crs=_horizontal(source.crs.to_wkt()),
            crs=_horizontal(str(box.crs)),
            transform=box.affine,
            height=box.shape[0],
            width=box.shape[1],
            nodata=np.nan,
            dtype="float32",
            resampling=Resampling.average,
        ) as warped:
            heights: Float32 = warped.read(1)
    except RasterioError as error:
        raise InputError(f"the height model cannot be read ({error})", where=source.name) from error
    return heights


def _horizontal(text: str) -> str:
    """Without the vertical part: GDAL would shift the heights by a grid it may not have."""
    crs = pyproj.CRS.from_user_input(text)
    return str((crs.sub_crs_list[0] if crs.is_compound else crs).to_2d().to_wkt())


def _pixel_m(box: GeoBox) -> float:
    degrees = box.crs is not None and box.crs.geographic
    return float(np.hypot(box.affine.a, box.affine.d) * (111_320.0 if degrees else 1.0))


def _finer(source: DatasetReader, box: GeoBox) -> float:
    """How many of the file's pixels one of the grid is wide."""
    west, south, east, north = transform_bounds(
        str(box.crs), source.crs, *box.extent.boundingbox, densify_pts=3
    )
    pixel = np.sqrt((east - west) * (north - south) / (box.shape[0] * box.shape[1]))
    return float(pixel / np.sqrt(abs(source.transform.a * source.transform.e)))


def expanded(coarse: Float32, shape: tuple[int, int]) -> Float32:
    """Bilinear values on ``shape`` pixels of an array whose corners are those of the pixels."""
    rows, columns = shape
    place = np.arange(columns, dtype=np.float32) * ((coarse.shape[1] - 1) / max(columns - 1, 1))
    k = np.minimum(place.astype(np.int64), coarse.shape[1] - 2)
    u = (place - k).astype(np.float32)
    along = coarse[:, k] + u * (coarse[:, k + 1] - coarse[:, k])
    place = np.arange(rows, dtype=np.float32) * ((coarse.shape[0] - 1) / max(rows - 1, 1))
    k = np.minimum(place.astype(np.int64), coarse.shape[0] - 2)
    found: Float32 = _between_rows(along, k, (place - k).astype(np.float32))
    return found


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _between_rows(rows: Float32, k: npt.NDArray[np.int64], share: Float32) -> Float32:
    columns = rows.shape[1]
    out = np.empty((k.size, columns), dtype=np.float32)
    for y in range(k.size):
        upper, lower, v = rows[k[y]], rows[k[y] + 1], share[y]
        for x in range(columns):
            out[y, x] = upper[x] + v * (lower[x] - upper[x])
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _interpolated(native: Float32, row: Float32, column: Float32, cubic: bool) -> Float32:
    """Cubic convolution (Keys 1981, a = -1/2); bilinear where a neighbour is missing or not.

    Half a pixel beyond the outermost centres, and beside missing ones, what is known of the four
    nearest is weighed; NaN where that is less than half.
    """
    rows, columns = native.shape
    out = np.empty_like(row)
    for y in range(row.shape[0]):
        for x in range(row.shape[1]):
            a, b = row[y, x], column[y, x]
            i, j = int(np.floor(a)), int(np.floor(b))
            out[y, x] = np.nan
            if i < -1 or j < -1 or i >= rows or j >= columns:
                continue
            v, u = a - np.float32(i), b - np.float32(j)
            if cubic and i >= 1 and j >= 1 and i < rows - 2 and j < columns - 2:
                w0, w1, w2, w3 = _keys(u)
                total = np.float32(0)
                for m, share in enumerate(_keys(v)):
                    line = native[i - 1 + m]
                    across = w0 * line[j - 1] + w1 * line[j] + w2 * line[j + 1] + w3 * line[j + 2]
                    total += share * across
                if not np.isnan(total):
                    out[y, x] = total
                    continue
            total, weight = np.float32(0), np.float32(0)
            for m in range(2):
                for n in range(2):
                    if 0 <= i + m < rows and 0 <= j + n < columns:
                        value = native[i + m, j + n]
                        if not np.isnan(value):
                            w = (v if m else 1 - v) * (u if n else 1 - u)
                            total, weight = total + w * value, weight + w
            if weight >= 0.5:
                out[y, x] = total / weight
    return out


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _keys(t: Any) -> tuple[Any, Any, Any, Any]:
    half, one = np.float32(0.5), np.float32(1)
    s = one - t
    return (
        -half * t * s * s,
        one + t * t * (np.float32(1.5) * t - np.float32(2.5)),
        one + s * s * (np.float32(1.5) * s - np.float32(2.5)),
        -half * s * t * t,
    )
