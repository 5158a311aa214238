"""Reference level: the median of the unfiltered learning images (method.md 1A 8)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curupira.detect.lanes import (
    DB_PER_OCTAVE,
    LANES,
    Float32,
    kernel,
    lane_medians,
    log2,
    piece,
    scratch,
    store_strip,
    strips_of,
    wide,
)
from curupira.detect.networks import median_network
from curupira.errors import InputError

Index = npt.NDArray[np.int64]


def reference_level(stack: Float32, minimum: int) -> Float32:
    """Median over time of the learning images, in linear power, then in dB.

    Parameters
    ----------
    stack
        (t, y, x) linear gamma0 of the learning period, seasonally stabilised, unfiltered. NaN is
        left out.
    minimum
        Least number of valid images.

    Returns
    -------
    array
        (y, x) dB; NaN where fewer than ``minimum`` images are valid, or none.

    Raises
    ------
    InputError
        If the stack holds no image.
    """
    if stack.shape[0] == 0:
        raise InputError(
            "the learning period holds no image", remedy="choose a later date or add scenes"
        )
    flat, pixels = strips_of(stack)
    out = np.empty(flat.shape[1], np.float32)
    used = np.arange(len(flat))
    _median_strips(flat, used, median_network(len(flat)), np.float32(minimum), out)
    return out[:pixels].reshape(stack.shape[1:])


@piece
def level_strip(
    stack: Float32,
    p0: int,
    used: Index,
    network: Index,
    minimum: np.float32,
    wires: Float32,
    out: Float32,
) -> None:
    """Level in dB of the strip at p0 of (t, pixel), into the start of ``out`` or what of it fits.

    ``used``: which images. ``wires`` (used + 2, lane) is scratch.
    """
    wide()
    size = used.shape[0]
    values, sign, valid = wires[:size], wires[size], wires[size + 1]
    for k in range(size):
        source, wire = stack[used[k], p0:], values[k]
        for lane in range(LANES):
            wire[lane] = source[lane]
    lane_medians(values, network, sign, valid, sign)
    for lane in range(LANES):
        level = log2(sign[lane]) * DB_PER_OCTAVE
        sign[lane] = level if valid[lane] >= minimum else np.float32(np.nan)
    store_strip(sign, out)


@kernel
def _median_strips(
    stack: Float32, used: Index, network: Index, minimum: np.float32, out: Float32
) -> None:
    wide()
    pixels = stack.shape[1]
    wires = scratch((used.shape[0] + 2) * LANES).reshape(used.shape[0] + 2, LANES)
    for first in range(0, pixels, LANES):
        p0 = min(first, pixels - LANES)
        level_strip(stack, p0, used, network, minimum, wires, out[p0:])
