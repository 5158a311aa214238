"""Opening and closing of a sparse set of pixels.

A scene has 106 million pixels and few flags, so pixels are kept as sorted keys
``row * stride + column`` and every step costs time and memory by the number of keys. There are no
tiles, hence no result can depend on them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Keys = npt.NDArray[np.int64]
_CHUNK = 16


def key_stride(columns: int, radius: int) -> int:
    """Row stride of the keys of a grid ``columns`` wide, for kernels up to ``radius`` pixels.

    The empty columns between two rows take what a dilation adds on both sides and what the
    erosion after it asks for, so that rows never touch.
    """
    return columns + 4 * max(radius, 1)


def opening_closing(keys: Keys, stride: int, *, opening_radius: int, closing_radius: int) -> Keys:
    """Opening by a square, then closing by a circle (method.md 1A step 12).

    Everything beyond the grid is not flagged. The closing is that of the unbounded plane: it may
    look beyond the border but needs no crop (a closing never leaves the bounding box), and it
    removes nothing at the border: every pixel that survives the opening is in the result. A pixel
    that is missing or not observed counts as not flagged.

    Parameters
    ----------
    keys
        Sorted, unique pixel keys ``row * stride + column``, shape (n,).
    stride
        Of ``key_stride`` for the larger radius, or more.
    opening_radius, closing_radius
        Pixels; 0 leaves the step out. A circle holds the offsets with dy^2 + dx^2 <= r^2.

    Returns
    -------
    Sorted keys of the occupied pixels; some may not have been in ``keys`` (filled by the closing).
    """
    if opening_radius:
        square = _offsets(opening_radius, stride, round_=False)
        keys = _dilate(_erode(keys, square), square)
    if closing_radius:
        circle = _offsets(closing_radius, stride, round_=True)
        keys = _erode(_dilate(keys, circle), circle)
    return keys


def _offsets(radius: int, stride: int, *, round_: bool) -> Keys:
    dy, dx = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside = (dy**2 + dx**2 <= radius**2) if round_ else np.ones(dy.shape, bool)
    offsets: Keys = (dy * stride + dx)[inside].astype(np.int64)
    return offsets


def _dilate(keys: Keys, offsets: Keys) -> Keys:
    # A few offsets at a time: memory stays a small multiple of the pixels for large circles too.
    grown = keys
    for start in range(0, offsets.size, _CHUNK):
        grown = np.union1d(grown, (keys[:, None] + offsets[start : start + _CHUNK]).ravel())
    return grown


def _erode(keys: Keys, offsets: Keys) -> Keys:
    kept: Keys = keys[_has_all(keys, offsets)]
    return kept


@njit(cache=True, nogil=True)
def _has_all(keys, offsets):  # type: ignore[no-untyped-def]
    keep = np.ones(keys.size, np.bool_)
    for offset in offsets:
        j = 0
        for i in range(keys.size):
            if keep[i]:
                # Targets rise with i, so one pass over the keys answers all of them.
                target = keys[i] + offset
                while j < keys.size and keys[j] < target:
                    j += 1
                keep[i] = j < keys.size and keys[j] == target
    return keep
