"""Reference level: the median of the unfiltered learning images (method.md 1A 8)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curupira.detect.lanes import (
    DB_PER_OCTAVE,
    LANES,
    Float32,
    balance_missing,
    exchange,
    kernel,
    log2,
    pick_median,
    scratch,
    strips_of,
    wide,
)
from curupira.detect.networks import median_network
from curupira.errors import InputError


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
    _median_strips(flat, np.float32(minimum), median_network(len(flat)), out)
    return out[:pixels].reshape(stack.shape[1:])


@kernel
def _median_strips(
    stack: Float32, minimum: np.float32, network: npt.NDArray[np.int64], out: Float32
) -> None:
    wide()
    dates, pixels = stack.shape
    wires = scratch(dates * LANES).reshape(dates, LANES)
    sign, valid = scratch(LANES), scratch(LANES)
    for first in range(0, pixels, LANES):
        p0 = min(first, pixels - LANES)
        for t in range(dates):
            source = stack[t, p0:]
            for lane in range(LANES):
                wires[t, lane] = source[lane]
        balance_missing(wires, sign, valid, LANES)
        exchange(wires, network, LANES)
        pick_median(wires, valid, sign, LANES)
        target = out[p0:]
        for lane in range(LANES):
            level = log2(sign[lane]) * DB_PER_OCTAVE
            target[lane] = level if valid[lane] >= minimum else np.float32(np.nan)
