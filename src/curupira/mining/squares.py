"""From windows to squares: four a hit, merged (the paper's Figure 5), or scored by all. Pure."""

from __future__ import annotations

from typing import Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import cKDTree

from curupira.errors import ConfigError
from curupira.mining.params import ClassifyParams
from curupira.mining.windows import WindowMap

FloatArray = npt.NDArray[np.float64]
Kind = Literal["quarters", "whole", "shared"]
#: Probabilities nearer to 0 or 1 count as this far from it.
_CERTAIN = 1e-6
#: Overlap is compared up to rounding of coordinates of millions of metres.
_ROUNDING = 1e-6


def squares_of(
    found: WindowMap, threshold: float, merge_overlap: float, squares: Kind = "quarters"
) -> gpd.GeoDataFrame:
    """Squares of the windows whose probability is above a threshold.

    Parameters
    ----------
    found
        The map; one serves every threshold.
    threshold
        A hit is strictly above it (method.md 1C, M14).
    merge_overlap
        Squares that share at least this part of their area become one.
    squares
        "quarters": four of each window, as the paper; "whole": the window itself; "shared": every
        square of half a window's side, with the mean log odds of the windows that hold it whole,
        weighted by how near to a window's middle it lies (a triangle, 0 where it sticks out). A
        mine fills all windows over its own square, and only some of those over the square beside.

    Returns
    -------
    GeoDataFrame
        In the scene's CRS, side half a window or a window: ``probability`` (highest of the windows
        that made the square; "shared": of them all) and ``n_windows`` (how many), most probable
        first.

    Raises
    ------
    ConfigError
        If squares are shared and the step does not divide half a window.
    """
    if squares == "shared":
        return _shared(found, threshold)
    x, y = found.centres()
    hit = found.probability > threshold
    side = found.size_px * abs(found.scene.affine.a)
    centres, probability = (
        np.column_stack([x[hit], y[hit]]),
        found.probability[hit].astype(np.float64),
    )
    if squares == "quarters":
        side /= 2
        centres, probability = four_squares(centres, probability, side)
    kept, score, count = merge_squares(centres, probability, side, merge_overlap)
    half = side / 2
    boxes = shapely.box(kept[:, 0] - half, kept[:, 1] - half, kept[:, 0] + half, kept[:, 1] + half)
    return gpd.GeoDataFrame(
        {"probability": score, "n_windows": count}, geometry=boxes, crs=str(found.scene.crs)
    )


def _shared(found: WindowMap, threshold: float) -> gpd.GeoDataFrame:
    p = np.clip(found.probability.astype(np.float64), _CERTAIN, 1 - _CERTAIN)
    odds = np.log(p / (1 - p))
    steps, rest = divmod(found.size_px, 2 * found.stride_px)
    if rest:
        raise ConfigError(
            f"a step of {found.stride_px} pixels does not divide half the window of "
            f"{found.size_px}",
            where="squares",
            remedy='take half the window, or squares = "quarters"',
        )
    # A square begins at every ``steps``-th window; those that hold it whole begin up to ``steps``
    # before it.
    shape = tuple((n - 1) // steps + 2 for n in odds.shape)
    padded = np.full([n * steps + 1 for n in shape], np.nan)
    padded[steps : steps + odds.shape[0], steps : steps + odds.shape[1]] = odds
    total, weights = np.zeros(shape), np.zeros(shape)
    count = np.zeros(shape, dtype=np.int64)
    for down in range(steps + 1):
        for right in range(steps + 1):
            seen = padded[down::steps, right::steps][: shape[0], : shape[1]]
            # In steps from the square's middle; half a window away the weight would be 0.
            weight = (steps - abs(down - steps / 2)) * (steps - abs(right - steps / 2))
            known = ~np.isnan(seen)
            total += np.where(known, weight * seen, 0)
            weights += weight * known
            count += known
    probability = 1 / (1 + np.exp(-total / np.where(count, weights, 1)))
    row, column = np.nonzero((count > 0) & (probability > threshold))
    order = np.argsort(-probability[row, column], kind="stable")
    row, column = row[order], column[order]
    side = found.size_px * found.scene.affine.a / 2
    left, top = found.scene.affine.c + column * side, found.scene.affine.f - row * side
    return gpd.GeoDataFrame(
        {"probability": probability[row, column], "n_windows": count[row, column]},
        geometry=shapely.box(left, top - side, left + side, top),
        crs=str(found.scene.crs),
    )


def drop_lone(squares: gpd.GeoDataFrame, params: ClassifyParams) -> gpd.GeoDataFrame:
    """Squares without those that stand alone and are not above ``lone_threshold``.

    Parameters
    ----------
    squares
        All that are above the threshold, in a metric CRS, with ``probability``.
    params
        A square is lone with fewer than ``lone_neighbours`` others whose middles lie within
        ``lone_km`` of its own.
    """
    if not len(squares) or params.lone_threshold == 0:
        return squares
    tree = cKDTree(shapely.get_coordinates(squares.centroid.to_numpy()))
    # A square is its own neighbour.
    others = tree.query_ball_point(tree.data, params.lone_km * 1000, return_length=True) - 1
    lone = others < params.lone_neighbours
    return squares[~lone | (squares["probability"] > params.lone_threshold)]


def four_squares(
    centroids: FloatArray, probability: FloatArray, side: float
) -> tuple[FloatArray, FloatArray]:
    """Centres of the four adjacent squares around each hit's centroid: quadrants of its window."""
    half = side / 2
    offsets = np.array([(-half, half), (half, half), (-half, -half), (half, -half)])
    centres = (centroids[:, None, :] + offsets[None]).reshape(-1, 2)
    return centres, np.repeat(probability, len(offsets))


def merge_squares(
    centres: FloatArray, probability: FloatArray, side: float, overlap: float
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Merge squares of one size that share at least ``overlap`` of their area.

    The most probable square stays where it is and takes in those that overlap it so much; then the
    next one left. The result does not depend on the order of the input.

    Returns
    -------
    centres, probability, count
        Of the squares that remain, the most probable first; ``count`` squares became each.
    """
    if not len(centres):
        return np.zeros((0, 2)), np.zeros(0), np.zeros(0, dtype=np.int64)
    order = np.lexsort((centres[:, 0], -centres[:, 1], -probability))
    centres, probability = centres[order], probability[order]
    reach = side * (1 - overlap) + _ROUNDING * side
    near = cKDTree(centres).query_ball_point(centres, reach, p=np.inf, return_sorted=True)
    taken = np.zeros(len(centres), dtype=bool)
    kept, count = [], []
    for number, others in enumerate(near):
        if taken[number]:
            continue
        rivals = np.array([n for n in others if not taken[n]])
        apart = np.abs(centres[rivals] - centres[number]) / side
        shared = np.prod(1 - apart, axis=1)
        same = rivals[shared >= overlap - _ROUNDING]
        taken[same] = True
        kept.append(number)
        count.append(len(same))
    return centres[kept], probability[kept], np.array(count, dtype=np.int64)
