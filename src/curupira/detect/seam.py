"""Noise along the seam of two slices of a pass: whether an image has it. Pure.

The first and last lines of a slice may be too dark, by up to 20 dB and some hundred metres wide. A
single such image looks like a clearing as long as the swath is wide. What tells it apart is that it
lies along all of the seam and ends on both sides of it, and that the seam's own past is bright.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curupira.detect.params import GeometryParams
from curupira.units import to_db

FloatArray = npt.NDArray[np.float32]

#: Width of the strips along a seam whose levels are compared, metres.
STRIP_M = 100.0
#: Side of the cells that a strip is cut into, pixels: 640 m; a clearing fills one or two.
CELL_PX = 32
#: A cell's part of a strip needs so many pixels, a strip so many cells, to be believed.
MINIMUM_PIXELS, MINIMUM_CELLS = 32, 5


class SeamStrips:
    """Strips along a straight piece of a seam in one window, as far as twice the border.

    Parameters
    ----------
    ahead_m
        ``(y, x)`` metres from the seam, negative behind it.
    normal
        ``(y, x)`` linear power that is usual there, NaN where it is not to be looked at.
    origin
        Row and column of the first pixel on the grid: cells are aligned to it.
    """

    def __init__(
        self,
        ahead_m: npt.NDArray[np.floating],
        normal: FloatArray,
        origin: tuple[int, int],
        params: GeometryParams,
    ) -> None:
        self.strips = 2 * strips_a_side(params)
        strip = np.floor(ahead_m / STRIP_M).astype(np.int64) + self.strips // 2
        near = (strip >= 0) & (strip < self.strips) & np.isfinite(normal)
        self._at = np.flatnonzero(near)
        rows, columns = (
            (np.arange(n) + o) // CELL_PX - o // CELL_PX
            for n, o in zip(normal.shape, origin, strict=True)
        )
        cell = (rows[:, np.newaxis] * (columns[-1] + 1) + columns).ravel()[self._at]
        occupied = np.bincount(cell) > 0
        self._normal = normal.ravel()[self._at]
        self._cells = int(occupied.sum())
        place = (np.cumsum(occupied) - 1)[cell]
        self._part = place * self.strips + strip.ravel()[self._at]

    def anomaly_db(self, image: FloatArray) -> FloatArray:
        """How much brighter than usual each cell is, ``(cell, strip)``; NaN with few pixels."""
        ratio = image.ravel()[self._at] / self._normal
        valid = np.isfinite(ratio)
        size = self._cells * self.strips
        count = np.bincount(self._part[valid], minlength=size)
        total = np.bincount(self._part[valid], weights=ratio[valid], minlength=size)
        mean = np.full(size, np.nan, dtype=np.float32)
        np.divide(total, count, out=mean, where=count >= MINIMUM_PIXELS, casting="same_kind")
        return to_db(mean).reshape(self._cells, self.strips)


def strips_a_side(params: GeometryParams) -> int:
    """Strips on one side of a seam: those that may be cut off, and as many to compare with."""
    return 2 * int(np.ceil(params.border_m / STRIP_M))


def dark_along(anomaly_db: FloatArray, params: GeometryParams) -> bool:
    """Whether an image is dark along a seam, by ``(cell, strip)`` of the whole seam.

    The level of a strip is the median of its cells, so that clearings do not count; it has to lie
    ``border_dark_db`` below the land beyond the border, on both sides where there is land.
    """
    level = np.full(anomaly_db.shape[1], np.nan)
    some = np.isfinite(anomaly_db).sum(axis=0) >= MINIMUM_CELLS
    level[some] = np.nanmedian(anomaly_db[:, some], axis=0)
    quarter = strips_a_side(params) // 2
    flanks = [np.median(f[np.isfinite(f)]) for f in (level[:quarter], level[-quarter:]) if _any(f)]
    middle = level[quarter:-quarter]
    if not flanks or not _any(middle):
        return False
    return bool(np.nanmin(middle) < min(flanks) - params.border_dark_db)


def _any(level: npt.NDArray[np.floating]) -> bool:
    return bool(np.isfinite(level).any())
