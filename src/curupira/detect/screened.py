"""Images over their local anomaly, made from the stack some rows at a time. Pure.

A stack of screened images would be written once and read once, at the price of memory that is
fetched and returned with every block. Filters ask for rows instead, and use them in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curupira.blocks import Window
from curupira.detect.lanes import kernel, piece, wide
from curupira.units import positive, power_table

FloatArray = npt.NDArray[np.float32]
#: Linear gamma0 (float32), or the cube's codes of it (uint16).
Stack = npt.NDArray[Any]

#: Rows that are made together.
_BAND = 16


@dataclass(frozen=True, slots=True)
class Screened:
    """Images of a window over their local anomaly; they are made when they are asked for.

    ``roughness_db``: ``(y, x)`` how much the cells around differ from one another in a learning
    image, robust standard deviation, their median over these images; NaN where too little forest
    is around, 0 where the images themselves are too small to tell. Patches of moisture make it. So
    would a clearing of some 40 ha and more felled about the middle of the learning period, if it
    counted as background; smaller ones fill too few cells.

    ``stack``, ``inner``: all images, and the window of them. ``factor``: ``(time, cells, cells)``
    what a cell's pixels are multiplied by; ``cell``: pixels of a cell's side; ``corner``: row and
    column of the window's first pixel, counted from the first cell's.
    """

    stack: Stack
    inner: Window
    factor: FloatArray
    cell: int
    corner: tuple[int, int]
    roughness_db: FloatArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Images, rows and columns."""
        return (len(self.stack), *self.inner.shape)

    @property
    def power(self) -> FloatArray:
        """All of it: ``(time, y, x)`` linear gamma0, NaN where missing or dropped."""
        out = np.empty(self.shape, dtype=np.float32)
        for first in range(0, self.shape[1], _BAND):
            out[:, first : first + _BAND] = self.rows(first, min(first + _BAND, self.shape[1]))
        return out

    def rows(self, first: int, last: int) -> FloatArray:
        """Some rows of it."""
        part = Window(self.inner.y0 + first, self.inner.y0 + last, self.inner.x0, self.inner.x1)
        out = np.empty((len(self.stack), *part.shape), dtype=np.float32)
        power = power_of(self.stack, part)
        spread_over(power, self.factor, self.cell, self.corner[0] + first, self.corner[1], out)
        return out


def power_of(stack: Stack, part: Window) -> FloatArray:
    """Linear gamma0 of a part of all images, NaN where missing."""
    if stack.dtype != np.uint16:
        return np.ascontiguousarray(positive(stack[(..., *part.slices)]), dtype=np.float32)
    power = np.empty((len(stack), *part.shape), dtype=np.float32)
    _decode(stack, power_table(), part.y0, part.x0, power)
    return power


@kernel
def _decode(
    codes: npt.NDArray[np.uint16], table: FloatArray, y0: int, x0: int, out: FloatArray
) -> None:
    for t in range(out.shape[0]):
        for y in range(out.shape[1]):
            source, target = codes[t, y0 + y, x0:], out[t, y]
            for x in range(target.shape[0]):
                target[x] = table[source[x]]


@piece
def _between(pixel: int, cell: int) -> tuple[int, np.float32]:
    """Cell whose centre a pixel comes after, and the share of the way to the next one.

    From the pixel's place within its cell alone: counted from the start of a block it would be
    rounded otherwise in every block.
    """
    at = (np.float32(pixel % cell) + np.float32(0.5)) / np.float32(cell) - np.float32(0.5)
    if at < 0:
        return pixel // cell - 1, at + np.float32(1)
    return pixel // cell, at


@kernel
def spread_over(
    power: FloatArray,
    factor: FloatArray,
    cell: int,
    row0: int,
    column0: int,
    out: FloatArray,
) -> None:
    """Multiply by the cells' factors, bilinear between their centres, beyond the outermost flat.

    The first pixel lies at (row0, column0) from the first cell's corner.
    """
    wide()
    dates, rows, columns = out.shape
    last_row, last_column = factor.shape[1] - 1, factor.shape[2] - 1
    left, right = np.empty(columns, np.int64), np.empty(columns, np.int64)
    way = np.empty(columns, np.float32)
    for x in range(columns):
        before, way[x] = _between(x + column0, cell)
        left[x] = min(max(before, 0), last_column)
        right[x] = min(max(before + 1, 0), last_column)
    # Cells' factors at the pixels' columns: above and below, left and right.
    corners = np.empty((4, columns), np.float32)
    for t in range(dates):
        known = -2
        for y in range(rows):
            top, down = _between(y + row0, cell)
            if top != known:
                known = top
                above, below = min(max(top, 0), last_row), min(max(top + 1, 0), last_row)
                for x in range(columns):
                    corners[0, x] = factor[t, above, left[x]]
                    corners[1, x] = factor[t, below, left[x]]
                    corners[2, x] = factor[t, above, right[x]]
                    corners[3, x] = factor[t, below, right[x]]
            source, target = power[t, y], out[t, y]
            for x in range(columns):
                one = corners[0, x] + down * (corners[1, x] - corners[0, x])
                two = corners[2, x] + down * (corners[3, x] - corners[2, x])
                target[x] = source[x] * (one + way[x] * (two - one))
