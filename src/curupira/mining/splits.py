"""Training and validation patches: random, by place, or by block of land. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from curupira.errors import InputError
from curupira.mining.params import SplitParams

BoolArray = npt.NDArray[np.bool_]
#: Draws of blocks before giving up.
_TRIES = 200


def split_patches(
    index: pd.DataFrame, params: SplitParams, *, size_m: float, seed: int
) -> tuple[BoolArray, BoolArray]:
    """Which patches train and which validate.

    Parameters
    ----------
    index
        One row a patch: ``point``, ``label``, and the patch's centre ``x_m``, ``y_m`` in one
        metric CRS.
    params
        ``random``: patches drawn one by one within each class, as the paper did; the same place may
        be on both sides. ``point``: places are drawn whole, and places whose patches overlap are
        one place. ``block``: blocks of land are drawn; training patches that overlap a validation
        patch, or lie within ``block_gap_km`` of one, are on neither side.
    size_m
        Side of a patch, metres.
    seed
        Of the draw.

    Returns
    -------
    train, validate
        bool ``(patch,)``, never both true; both classes are on both sides.

    Raises
    ------
    InputError
        If there are too few patches, places or blocks for that.
    """
    rng = np.random.default_rng(seed)
    labels = index["label"].to_numpy()
    if params.split == "random":
        validate = _draw_groups(np.arange(len(index)), labels, params.validation_share, rng)
        train = ~validate
    elif params.split == "point":
        groups = _places(index, size_m)
        validate = _draw_groups(groups, labels, params.validation_share, rng)
        train = ~validate
    else:
        train, validate = _draw_blocks(index, params, size_m, rng)
    for name, chosen in (("training", train), ("validation", validate)):
        if set(labels[chosen]) != {0, 1}:
            raise InputError(
                f"split {params.split!r} leaves no patches of both classes for {name}",
                where=f"{len(index)} patches",
                remedy="add points, make blocks and gap smaller, or take another split",
            )
    return train, validate


def _draw_groups(
    groups: npt.NDArray[np.int_],
    labels: npt.NDArray[np.int_],
    share: float,
    rng: np.random.Generator,
) -> BoolArray:
    # Class by class, so that both sides keep the balance; a group of both classes goes as a whole.
    validate = np.zeros(len(groups), dtype=bool)
    for label in np.unique(labels):
        wanted = max(1, round(share * int((labels == label).sum())))
        for group in rng.permutation(np.unique(groups[labels == label])):
            if validate[labels == label].sum() >= wanted:
                break
            validate |= groups == group
    return validate


def _places(index: pd.DataFrame, size_m: float) -> npt.NDArray[np.int_]:
    """Group number of every patch: linked where patches may overlap, whatever their grids."""
    points = index.groupby("point")[["x_m", "y_m"]].mean()
    # Squares of two UTM zones are turned against each other: the diagonal is safe.
    reach = size_m * np.sqrt(2)
    pairs = cKDTree(points.to_numpy()).query_pairs(reach, output_type="ndarray")
    n = len(points)
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    numbers = pd.Series(component, index=points.index)
    return np.asarray(numbers.loc[index["point"]].to_numpy(), dtype=np.int_)


def _draw_blocks(
    index: pd.DataFrame, params: SplitParams, size_m: float, rng: np.random.Generator
) -> tuple[BoolArray, BoolArray]:
    xy = index[["x_m", "y_m"]].to_numpy()
    labels = index["label"].to_numpy()
    cells = np.floor(xy / (params.block_km * 1000)).astype(np.int64)
    _, block = np.unique(cells, axis=0, return_inverse=True)
    block = block.reshape(-1)
    gap = max(params.block_gap_km * 1000, size_m * np.sqrt(2))
    wanted = params.validation_share * len(index)
    for _ in range(_TRIES):
        validate = np.zeros(len(index), dtype=bool)
        for chosen in rng.permutation(np.unique(block)):
            validate |= block == chosen
            if validate.sum() >= wanted and set(labels[validate]) == {0, 1}:
                break
        distance, _ = cKDTree(xy[validate]).query(xy)
        train = ~validate & (distance > gap)
        if set(labels[train]) == {0, 1}:
            return train, validate
    raise InputError(
        f"no choice of {params.block_km:g} km blocks with a gap of {params.block_gap_km:g} km "
        "leaves both classes on both sides",
        where=f"{len(index)} patches",
        remedy="make block_km or block_gap_km smaller, or take --split point",
    )
