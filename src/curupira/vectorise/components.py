"""Connected components of a sparse set of pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from curupira.vectorise.morphology import Keys

Labels = npt.NDArray[np.int64]


def label(keys: Keys, stride: int, connectivity: int) -> Labels:
    """Component number of every pixel, counted from 0 in raster order of their first pixels.

    Parameters
    ----------
    keys
        Sorted, unique pixel keys ``row * stride + column``, shape (n,).
    stride
        At least the grid's columns + 1.
    connectivity
        4 (edges) or 8 (edges and corners).
    """
    labels: Labels = _label(keys, stride, connectivity == 8)
    return labels


def drop_small(keys: Keys, labels: Labels, maximum: int) -> tuple[Keys, Labels]:
    """Drop the components of ``maximum`` pixels or fewer; labels stay dense and in order.

    Source: method.md 1A step 13 (25 pixels dropped, 26 kept at 1 ha and 20 m).
    """
    keep = np.bincount(labels) > maximum
    inside = keep[labels]
    return keys[inside], (np.cumsum(keep) - 1)[labels[inside]]


@njit(cache=True, nogil=True)
def _root(parent, i):  # type: ignore[no-untyped-def]
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _join(parent, a, b):  # type: ignore[no-untyped-def]
    a = _root(parent, a)
    b = _root(parent, b)
    # The smaller index wins: a root is its component's first pixel.
    if a < b:
        parent[b] = a
    else:
        parent[a] = b


@njit(cache=True, nogil=True)
def _label(keys, stride, corners):  # type: ignore[no-untyped-def]
    n = keys.size
    parent = np.arange(n)
    reach = 1 if corners else 0
    above = 0
    for i in range(n):
        if i > 0 and keys[i - 1] == keys[i] - 1:
            _join(parent, i, i - 1)
        lowest = keys[i] - stride - reach
        while keys[above] < lowest:
            above += 1
        j = above
        while keys[j] <= lowest + 2 * reach:
            _join(parent, i, j)
            j += 1
    labels = np.empty(n, np.int64)
    count = 0
    for i in range(n):
        root = _root(parent, i)
        if root == i:
            labels[i] = count
            count += 1
        else:
            labels[i] = labels[root]
    return labels
