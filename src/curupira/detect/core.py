"""The temporal core in one pass: season, common speckle factor, reference level. Pure.

What `stabilise`, `quegan_yu` and `reference_level` do one after the other, bit for bit, with option
``intercept``, but two rows of the block at a time: rows of all images are read, the season is taken
out, their level is found, and while they and their neighbours lie in the cache the 5 x 5 medians
are. A ring holds the six rows that these reach; nothing of the stack's size is written.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from curupira.detect.harmonic import fit_strip
from curupira.detect.lanes import LANES, Float32, border_index, inlined, kernel, scratch, wide
from curupira.detect.networks import median_network
from curupira.detect.quegan_yu import filter_pair
from curupira.detect.reference import level_strip
from curupira.detect.season import (
    CODES,
    POWER,
    keep_level,
    normal_equations,
    take_out,
    to_octaves,
)

Index = npt.NDArray[np.int64]
#: Linear gamma0 (float32), or the cube's codes of it (uint16).
Stack = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]

#: Pairs of rows in the ring: the two filtered, and those above and below that windows reach.
_PAIRS = 3
_HALO = 2


def stable_images(
    stack: Stack,
    years: npt.NDArray[np.float64],
    fit: BoolArray,
    keep: BoolArray,
    learned: BoolArray,
    *,
    minimum: int,
    quegan_yu: bool,
) -> tuple[Float32, Float32]:
    """Stabilised images, filtered if wanted, and the level of the unfiltered learning images.

    Parameters
    ----------
    stack
        (t, y, x) linear gamma0, NaN or <= 0 missing; or the cube's codes of it, uint16.
    years
        (t,) years since 2016-01-01.
    fit, keep, learned
        (t,) images that the season is fitted on; that are returned; that the level is of. Without
        learned images the level is NaN.
    minimum
        Of `reference_level`.
    quegan_yu
        Whether to filter, with the 5 x 5 median; the common factor is over all images.

    Returns
    -------
    array, array
        (kept, y, x) linear gamma0, and (y, x) dB. From codes both are what the decoded stack
        gives but for rounding (1e-5 dB): no logarithm is taken.
    """
    _, height, width = stack.shape
    span = max(width, LANES)
    design, used, gram = normal_equations(years, fit)
    images = np.flatnonzero(learned)
    rows = border_index(height, _HALO, height + 1 + 2 * _HALO)
    pitch = _pitch(span)
    out = np.empty((int(keep.sum()), height, span), np.float32)
    factor = np.ones((height, span), np.float32)
    level = np.full((height, span), np.nan, np.float32)
    _core(
        _flat(stack, span),
        CODES if stack.dtype == np.uint16 else POWER,
        width,
        design,
        used,
        gram,
        images,
        median_network(max(len(images), 1)),
        np.float32(minimum),
        quegan_yu,
        rows // 2 % _PAIRS * pitch + rows % 2 * span,
        border_index(width, _HALO, span + 2 * _HALO),
        np.where(keep, np.cumsum(keep) - 1, -1),
        out,
        factor,
        level.ravel(),
    )
    for image in out if quegan_yu else ():
        np.multiply(image, factor, out=image)
    return out[:, :, :width], level[:, :width]


def _flat(stack: Stack, span: int) -> Stack:
    """(t, pixel) codes or float32, rows made as wide as ``span`` with missing pixels."""
    codes = stack.dtype == np.uint16
    blank = ((0, 0), (0, 0), (0, span - stack.shape[2]))
    if blank[2][1]:
        stack = np.pad(stack, blank, constant_values=0 if codes else np.nan)
    flat: Stack = np.ascontiguousarray(stack, dtype=np.uint16 if codes else np.float32)
    return flat.reshape(len(flat), -1)


def _pitch(span: int) -> int:
    """Values of a pair of rows in the ring: whole strips."""
    return (2 * span + LANES - 1) // LANES * LANES


@inlined
def _stabilise_pair(
    stack: Stack,
    unit: int,
    p0: int,
    width: int,
    design: Float32,
    used: Index,
    gram: npt.NDArray[np.float64],
    ring: Float32,
    first: int,
    pitch: int,
) -> None:
    """Take the season out of ``width`` pixels at p0 of (t, pixel), into the ring at ``first``."""
    wide()
    fitted = scratch(3 * pitch).reshape(pitch // LANES, 3, LANES)
    stable, sums = scratch(LANES), np.empty((6, LANES), np.float64)
    for t in range(stack.shape[0]):
        target = ring[t, first:]
        to_octaves(stack[t, p0:], target, width, unit)
        for i in range(width, pitch):
            target[i] = np.float32(0)
    for k in range(pitch // LANES):
        fit_strip(ring, first + k * LANES, design, used, gram, sums, fitted[k])
        keep_level(fitted[k])
    for t in range(stack.shape[0]):
        for k in range(pitch // LANES):
            strip = ring[t, first + k * LANES :]
            # By way of other memory: in place, LLVM's check for overlap would stop vectorising.
            take_out(strip, fitted[k], design[t, 1], design[t, 2], POWER, stable)
            for lane in range(LANES):
                strip[lane] = stable[lane]


@kernel
def _core(
    stack: Stack,
    unit: int,
    width: int,
    design: Float32,
    used: Index,
    gram: npt.NDArray[np.float64],
    learned: Index,
    middle: Index,
    minimum: np.float32,
    quegan_yu: bool,
    starts: Index,
    columns: Index,
    slot: Index,
    out: Float32,
    factor: Float32,
    level: Float32,
) -> None:
    wide()
    dates = stack.shape[0]
    height, span = factor.shape
    pitch = (2 * span + LANES - 1) // LANES * LANES
    ring = scratch(dates * _PAIRS * pitch).reshape(dates, _PAIRS * pitch)
    wires = scratch((learned.shape[0] + 2) * LANES).reshape(learned.shape[0] + 2, LANES)
    pairs = (height + 1) // 2
    for pair in range(pairs + 1):
        if pair < pairs:
            y = 2 * pair
            p0, size, first = y * span, min(2, height - y) * span, pair % _PAIRS * pitch
            _stabilise_pair(stack, unit, p0, size, design, used, gram, ring, first, pitch)
            if learned.shape[0] > 0:
                for k in range(0, size, LANES):
                    target = level[p0 + k : p0 + size]
                    level_strip(ring, first + k, learned, middle, minimum, wires, target)
            if not quegan_yu:
                _keep_pair(ring, first, slot, y, out)
        if quegan_yu and pair > 0:
            filter_pair(ring, starts, columns, 2 * pair - 2, width, slot, out, factor)


@inlined
def _keep_pair(ring: Float32, first: int, slot: Index, y: int, out: Float32) -> None:
    for t in range(slot.shape[0]):
        if slot[t] >= 0:
            for k in range(min(2, out.shape[1] - y)):
                target = out[slot[t], y + k]
                source = ring[t, first + k * target.shape[0] :]
                for i in range(target.shape[0]):
                    target[i] = source[i]
