"""Pixels of an open raster on the pixels of a grid."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.warp import reproject
from rasterio.windows import Window as FileWindow

from curupira.blocks import Window
from curupira.errors import InputError
from curupira.sources.files import raster_grid

Points = npt.NDArray[np.float64]
FloatImage = npt.NDArray[np.float32]
#: Source pixels around a window that resampling may look at.
_MARGIN = 3
_ALIGNED = 1e-4


def check_band_number(dataset: DatasetReader, number: int) -> None:
    """Raise InputError if the file has no band of this number."""
    if number > dataset.count:
        raise InputError(
            f"has {dataset.count} bands, the catalogue names band {number}",
            where=dataset.name,
            remedy="index the folder again",
        )


def read_values(dataset: DatasetReader, band: int, window: FileWindow) -> FloatImage:
    """Read pixels of the file as float32; no-data and masked ones are NaN; scale and offset used.

    The window lies within the file.
    """
    masked = dataset.read(band, window=window, masked=True)
    values = masked.astype(np.float32).filled(np.nan)
    factor, offset = dataset.scales[band - 1], dataset.offsets[band - 1]
    if (factor, offset) != (1.0, 0.0):
        values = (values * np.float32(factor) + np.float32(offset)).astype(np.float32)
    return np.asarray(values, dtype=np.float32)


def resample(
    dataset: DatasetReader,
    band: int,
    target: GeoBox,
    clean: Callable[[FloatImage], FloatImage],
) -> FloatImage:
    """One band of an open file on the pixels of ``target``.

    Parameters
    ----------
    dataset, band
        The file, with a position, and the number of the band.
    target
        Where the result lies.
    clean
        Turns the file's values into those to be averaged, NaN where missing.
    """
    source = raster_grid(dataset)
    window = file_window(source, target)
    if window is None:
        return np.full(target.shape, np.nan, dtype=np.float32)
    values = clean(read_values(dataset, band, window))
    here = source[window.toslices()]
    ratio = _aligned_ratio(here, target)
    if ratio is not None:
        return _block_mean(values, here, target, ratio)
    return _warp(values, here, target)


def file_window(source: GeoBox, target: GeoBox) -> FileWindow | None:
    """Pixels of ``source`` that lie under ``target``, with a margin; None if there are none."""
    height, width = target.shape
    # Points along and across the target, not its corners alone: straight edges bend.
    xs, ys = np.meshgrid(np.linspace(0, width, 21), np.linspace(0, height, 21))
    x, y = _apply(target.affine, xs.ravel(), ys.ravel())
    if source.crs != target.crs:
        transform = Transformer.from_crs(str(target.crs), str(source.crs), always_xy=True)
        x, y = transform.transform(x, y)
    inside = np.isfinite(x) & np.isfinite(y)
    if not inside.any():
        return None
    columns, rows = _apply(~source.affine, np.asarray(x)[inside], np.asarray(y)[inside])
    x0 = max(math.floor(columns.min()) - _MARGIN, 0)
    y0 = max(math.floor(rows.min()) - _MARGIN, 0)
    x1 = min(math.ceil(columns.max()) + _MARGIN, source.shape[1])
    y1 = min(math.ceil(rows.max()) + _MARGIN, source.shape[0])
    return FileWindow(x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None


def _apply(affine: Affine, x: Points, y: Points) -> tuple[Points, Points]:
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f


def _aligned_ratio(source: GeoBox, target: GeoBox) -> int | None:
    """Source pixels along a target pixel where the edges coincide; None where they do not."""
    if source.crs != target.crs:
        return None
    relative = ~source.affine @ target.affine
    ratio = round(relative.a)
    offsets = (relative.c - round(relative.c), relative.f - round(relative.f))
    off = (relative.a - ratio, relative.e - ratio, relative.b, relative.d, *offsets)
    return ratio if ratio >= 1 and max(abs(v) for v in off) < _ALIGNED else None


def _block_mean(values: FloatImage, source: GeoBox, target: GeoBox, ratio: int) -> FloatImage:
    height, width = target.shape
    full = np.full((height * ratio, width * ratio), np.nan, dtype=np.float32)
    relative = ~source.affine @ target.affine
    canvas = Window(0, full.shape[0], 0, full.shape[1])
    y, x = -round(relative.f), -round(relative.c)
    placed = Window(y, y + values.shape[0], x, x + values.shape[1])
    common = placed.intersect(canvas)
    if not common.empty:
        full[common.slices] = values[common.relative_to(placed).slices]
    if ratio == 1:
        return full
    cells = full.reshape(height, ratio, width, ratio)
    valid = np.isfinite(cells)
    total = np.where(valid, cells, 0).sum(axis=(1, 3), dtype=np.float64)
    count = valid.sum(axis=(1, 3))
    mean: FloatImage = (total / np.where(count > 0, count, np.nan)).astype(np.float32)
    return mean


def _warp(values: FloatImage, source: GeoBox, target: GeoBox) -> FloatImage:
    def onto(method: Resampling) -> FloatImage:
        out = np.full(target.shape, np.nan, dtype=np.float32)
        reproject(
            values,
            out,
            src_transform=source.affine,
            src_crs=str(source.crs),
            src_nodata=np.nan,
            dst_transform=target.affine,
            dst_crs=str(target.crs),
            dst_nodata=np.nan,
            resampling=method,
            # Exact positions: an approximation would depend on the window that is read.
            tolerance=0,
        )
        return out

    if is_finer(source, target):
        return onto(Resampling.average)
    # Bilinear weights leave missing neighbours out, and so would fill the edge of a gap.
    seen = np.isfinite(onto(Resampling.nearest))
    return np.where(seen, onto(Resampling.bilinear), np.float32(np.nan))


def is_finer(source: GeoBox, target: GeoBox) -> bool:
    """Whether a source pixel covers clearly less ground than a target pixel, at its middle."""
    column, row = target.shape[1] / 2, target.shape[0] / 2
    corner = np.array([column, column + 1, column]), np.array([row, row, row + 1])
    xs, ys = _apply(target.affine, *corner)
    if source.crs != target.crs:
        transform = Transformer.from_crs(str(target.crs), str(source.crs), always_xy=True)
        xs, ys = transform.transform(xs, ys)
    columns, rows = _apply(~source.affine, np.asarray(xs), np.asarray(ys))
    across = (columns[1] - columns[0]) * (rows[2] - rows[0])
    along = (columns[2] - columns[0]) * (rows[1] - rows[0])
    return abs(float(across - along)) > 1.02
