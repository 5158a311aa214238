"""Exact outlines of components, every vertex on a pixel corner."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from numba import njit

from curupira.vectorise.components import Labels, label
from curupira.vectorise.morphology import Keys

Geometries = npt.NDArray[np.object_]


def outlines(keys: Keys, labels: Labels, stride: int, transform: Affine) -> Geometries:
    """Pixel outline of every component, with holes, as valid (Multi)Polygons.

    A 4-connected component is a Polygon. Of an 8-connected one, each 4-connected part is a
    Polygon, and several are a MultiPolygon whose parts touch in corners. Holes that meet in a
    corner are separate rings. Shells run counter-clockwise, holes clockwise.

    Parameters
    ----------
    keys, labels
        Pixels ``row * stride + column``, sorted, and their components, dense from 0; shape (n,).
    stride
        At least the grid's columns + 1.
    transform
        From (column, row) corners to the grid's CRS.

    Returns
    -------
    Geometries, shape (components,), in order of the labels.
    """
    if not keys.size:
        return np.empty(0, object)
    parts = label(keys, stride, 4)
    corners, ring_starts, ring_parts = _trace(keys, _neighbours(keys, parts, stride), parts, stride)
    columns, rows = corners[:, 0], corners[:, 1]
    x = transform.a * columns + transform.b * rows + transform.c
    y = transform.d * columns + transform.e * rows + transform.f
    ring = np.repeat(np.arange(ring_parts.size), np.diff(ring_starts))
    # The shell first: with rows growing downwards it is traced with positive area, holes negative.
    order = np.lexsort((_twice_area(corners, ring_starts) < 0, ring_parts))
    rings = np.asarray(shapely.linearrings(np.column_stack([x, y]), indices=ring))[order]
    polygons = np.asarray(
        shapely.orient_polygons(shapely.polygons(rings, indices=ring_parts[order]))
    )
    _, first = np.unique(parts, return_index=True)
    part_labels = labels[first]
    if (np.bincount(part_labels) == 1).all():
        return polygons[np.argsort(part_labels)]
    by_label = np.argsort(part_labels, kind="stable")
    merged = np.asarray(shapely.multipolygons(polygons[by_label], indices=part_labels[by_label]))
    single = shapely.get_num_geometries(merged) == 1
    merged[single] = shapely.get_geometry(merged[single], 0)
    return merged


def _neighbours(keys: Keys, parts: Labels, stride: int) -> npt.NDArray[np.int64]:
    """Index of the N, NE, E, SE, S, SW, W, NW pixel of the same part, or -1; shape (n, 8)."""
    steps = np.array([-stride, 1 - stride, 1, stride + 1, stride, stride - 1, -1, -stride - 1])
    wanted = keys[:, None] + steps
    found = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    same = (keys[found] == wanted) & (parts[found] == parts[:, None])
    return np.where(same, found, -1)


def _twice_area(
    corners: npt.NDArray[np.int64], ring_starts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    following = np.arange(1, len(corners) + 1)
    following[ring_starts[1:] - 1] = ring_starts[:-1]
    x, y = corners[:, 0], corners[:, 1]
    cross = x * y[following] - x[following] * y
    return np.asarray(np.add.reduceat(cross, ring_starts[:-1]))


@njit(cache=True, nogil=True)
def _trace(keys, neighbours, parts, stride):  # type: ignore[no-untyped-def]
    """Follow the edges between a part and what is not of it; keep the corners where they turn.

    Edges of a pixel: 0 top (eastwards), 1 right (south), 2 bottom (west), 3 left (north). The part
    lies to the right of the walk. Where two pixels of a part meet only in a corner, the walk goes
    on along the other pixel, that is, it stays with the outside pixel on its left. So a ring is the
    border to one 4-connected outside region and never passes a corner twice (4-connected parts).
    """
    n = keys.size
    edges = 0
    for i in range(n):
        for d in range(4):
            if neighbours[i, 2 * d] < 0:
                edges += 1
    corners = np.empty((edges, 2), np.int64)
    ring_starts = np.zeros(edges // 4 + 1, np.int64)
    ring_parts = np.empty(edges // 4, np.int64)
    done = np.zeros((n, 4), np.bool_)
    corner = 0
    ring = 0
    for i in range(n):
        for d in range(4):
            if neighbours[i, 2 * d] >= 0 or done[i, d]:
                continue
            p = i
            e = d
            while not done[p, e]:
                done[p, e] = True
                diagonal = neighbours[p, 2 * e + 1]
                ahead = neighbours[p, (2 * e + 2) % 8]
                if diagonal < 0 and ahead >= 0:
                    p = ahead
                    continue
                if diagonal >= 0:
                    p = diagonal
                    e = (e + 3) % 4
                else:
                    e = (e + 1) % 4
                row = keys[p] // stride
                corners[corner, 0] = keys[p] - row * stride + (1 if e in (1, 2) else 0)
                corners[corner, 1] = row + (1 if e in (2, 3) else 0)
                corner += 1
            ring_parts[ring] = parts[i]
            ring += 1
            ring_starts[ring] = corner
    return corners[:corner], ring_starts[: ring + 1], ring_parts[:ring]
