"""Quegan-Yu multitemporal speckle filter (Quegan and Yu 2001; method.md 1A 6).

J_k = E[I_k] * (1/n) * sum_i I_i / E[I_i], with E the local expectation of one image and n the
number of images valid at the pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from curupira.detect.lanes import (
    LANES,
    Float32,
    border_index,
    inlined,
    kernel,
    load_strip,
    piece,
    scratch,
    store_strip,
    wide,
)
from curupira.detect.networks import median_network
from curupira.detect.windows import (
    PAIR_ROWS,
    PITCH,
    median5_pair,
    median5_pair_gaps,
    repair_median5,
    sort_columns,
    sort_columns_gaps,
    window_mean,
    window_median,
)
from curupira.errors import InputError

Expectation = Literal["median", "box"]
Index = npt.NDArray[np.int64]
#: Rows of all images, from a first one to before a last one: ``(t, rows, x)`` linear gamma0.
Rows = Callable[[int, int], Float32]

#: Rows of all images filtered together when they are made on the way; even.
_BAND = 16


def local_expectation(image: Float32, window: int, kind: Expectation) -> Float32:
    """Median or mean of the valid pixels in a square window around each pixel.

    Parameters
    ----------
    image
        (y, x) linear gamma0; NaN missing.
    window
        Odd side of the window in pixels.
    kind
        ``median`` (an even count takes the mean of the middle two) or ``box`` (mean).

    Returns
    -------
    array
        (y, x); NaN where the centre is NaN. The image is mirrored at its border, edge pixel
        included (scipy's ``reflect``).

    Raises
    ------
    InputError
        If the window is not odd or the image is empty.
    """
    keep = np.ones(1, dtype=np.bool_)
    expectations, _ = _filter_stack(image[np.newaxis], window, kind, keep)
    expectation: Float32 = expectations[0]
    return expectation


def quegan_yu(
    stack: Float32,
    *,
    window: int,
    kind: Expectation,
    keep: slice | npt.NDArray[np.bool_] = slice(None),
) -> Float32:
    """Filter the kept images of a stack; the common factor is taken from all of them.

    Parameters
    ----------
    stack
        (t, y, x) linear gamma0; NaN missing.
    window, kind
        Of `local_expectation`.
    keep
        Which images to return: a slice or (t,) flags.

    Returns
    -------
    array
        (kept, y, x) filtered gamma0; NaN where the image is NaN.

    Raises
    ------
    InputError
        If the window is not odd or the stack is empty.
    """
    kept = np.zeros(stack.shape[0], dtype=np.bool_)
    kept[keep] = True
    return _filtered(*_filter_stack(stack, window, kind, kept))


def quegan_yu_by_rows(
    rows: Rows,
    shape: tuple[int, int, int],
    *,
    window: int,
    kind: Expectation,
    keep: npt.NDArray[np.bool_],
) -> Float32:
    """`quegan_yu` of images ``(t, y, x)`` that are made some rows at a time, while in the cache.

    ``rows`` may be asked for a row more than once.
    """
    return _filtered(*_filter(rows, shape, _BAND, window, kind, keep))


def _filtered(expectations: Float32, factor: Float32) -> Float32:
    for image in expectations:
        np.multiply(image, factor, out=image)
    return expectations


def common_factor(stack: Float32, *, window: int, kind: Expectation) -> Float32:
    """Mean over time of image / expectation ``(y, x)``: what `quegan_yu` multiplies by."""
    return _filter_stack(stack, window, kind, np.zeros(len(stack), dtype=np.bool_))[1]


def _filter_stack(
    stack: Float32, window: int, kind: Expectation, kept: npt.NDArray[np.bool_]
) -> tuple[Float32, Float32]:
    return _filter(
        lambda first, last: stack[:, first:last],
        (stack.shape[0], stack.shape[1], stack.shape[2]),
        stack.shape[1],
        window,
        kind,
        kept,
    )


def _filter(
    rows: Rows,
    shape: tuple[int, int, int],
    band: int,
    window: int,
    kind: Expectation,
    kept: npt.NDArray[np.bool_],
) -> tuple[Float32, Float32]:
    """Expectations of the kept images, and the mean over time of image / expectation."""
    if window < 1 or window % 2 == 0:
        raise InputError(f"a window of {window} pixels has no centre", remedy="use an odd window")
    images, height, width = shape
    if height == 0 or width == 0:
        raise InputError("the image is empty")
    halo = window // 2
    source = border_index(height, halo, height + 1 + 2 * halo)
    columns = border_index(width, halo, max(width, LANES) + 2 * halo)
    slot = np.where(kept, np.cumsum(kept) - 1, -1)
    out = np.empty((int(kept.sum()), height, width), np.float32)
    factor = np.empty((height, width), np.float32)
    box = kind == "box"
    network = median_network(1 if box else window * window)
    for y0 in range(0, height, band):
        y1, first = min(y0 + band, height), max(y0 - halo, 0)
        part = np.ascontiguousarray(rows(first, min(y1 + halo, height)), dtype=np.float32)
        flat = part.reshape(images, -1)
        # Of the rows that this band reaches; of others they mean nothing.
        starts = width * (source - first)
        if (kind, window) == ("median", 5):
            _median5_strips(flat, starts, columns, y0, y1, slot, out, factor)
        else:
            _window_strips(flat, window, box, starts, columns, y0, y1, network, slot, out, factor)
    return out, factor


@piece
def _accumulate(
    centre: Float32, expected: Float32, total: Float32, count: Float32, kept: Float32
) -> None:
    """Add image / expectation of one strip to the sums; ``kept`` is the expectation, masked."""
    wide()
    for lane in range(LANES):
        value = centre[lane]
        level = expected[lane]
        ratio = value / level
        usable = (value > np.float32(0)) & (level > np.float32(0))
        total[lane] += ratio if usable else np.float32(0)
        count[lane] += np.float32(1) if usable else np.float32(0)
        kept[lane] = np.float32(np.nan) if np.isnan(value) else level


@inlined
def _store_factor(total: Float32, count: Float32, row: Float32) -> None:
    for lane in range(min(LANES, row.shape[0])):
        n = count[lane]
        row[lane] = total[lane] / n if n > np.float32(0) else np.float32(np.nan)


@inlined
def filter_pair(
    images: Float32,
    starts: Index,
    columns: Index,
    y: int,
    width: int,
    slot: Index,
    out: Float32,
    factor: Float32,
) -> None:
    """5 x 5 medians of rows y and y + 1 of all images (t, pixel), and their factor.

    ``starts`` and ``columns``: of `load_strip`. ``slot`` (t,): where in ``out`` (kept, y, x) an
    image goes, -1 nowhere.
    """
    wide()
    strips = (width + LANES - 1) // LANES
    flat, ordered = scratch(PAIR_ROWS * PITCH), scratch(4 * PITCH)
    strip = flat.reshape(PAIR_ROWS, PITCH)
    filled, counts = scratch(PAIR_ROWS * PITCH), scratch(2 * PITCH)
    medians, gone = scratch(2 * LANES), scratch(2 * LANES)
    wires, work = scratch(25 * LANES), scratch(LANES)
    touched = np.empty(LANES, np.int64)
    kept = scratch(LANES)
    total = scratch(strips * 2 * LANES).reshape(strips, 2, LANES)
    count = scratch(strips * 2 * LANES).reshape(strips, 2, LANES)
    below = min(2, factor.shape[0] - y)
    # Along the rows within each date: strip by strip through all dates, every access would be
    # on another page of memory.
    for t in range(images.shape[0]):
        for s in range(strips):
            x0 = max(min(s * LANES, width - LANES), 0)
            missing = load_strip(images[t], width, starts, columns, y, x0, np.int64(2), strip)
            if missing == 0:
                sort_columns((flat, ordered))
                median5_pair((flat, ordered, medians))
            elif missing < PAIR_ROWS * (LANES + 4):
                sort_columns_gaps((flat, ordered, filled, counts))
                median5_pair_gaps((filled, ordered, medians, counts, gone))
                for k in range(2):
                    first = k * LANES
                    repair_median5(strip[k:], gone[first:], touched, wires, work, medians[first:])
            for k in range(below):
                expected = medians[k * LANES : (k + 1) * LANES]
                _accumulate(strip[2 + k, 2:], expected, total[s, k], count[s, k], kept)
                if slot[t] >= 0:
                    store_strip(kept, out[slot[t], y + k, x0:])
    for s in range(strips):
        x0 = max(min(s * LANES, width - LANES), 0)
        for k in range(below):
            _store_factor(total[s, k], count[s, k], factor[y + k, x0:])


@kernel
def _median5_strips(
    stack: Float32,
    starts: Index,
    columns: Index,
    y0: int,
    y1: int,
    slot: Index,
    out: Float32,
    factor: Float32,
) -> None:
    wide()
    width = factor.shape[1]
    for y in range(y0, y1, 2):
        filter_pair(stack, starts, columns, y, width, slot, out, factor)


@kernel
def _window_strips(
    stack: Float32,
    window: int,
    box: bool,
    starts: Index,
    columns: Index,
    y0: int,
    y1: int,
    network: Index,
    slot: Index,
    out: Float32,
    factor: Float32,
) -> None:
    wide()
    width = factor.shape[1]
    halo = window // 2
    strips = (width + LANES - 1) // LANES
    strip = np.empty((window, LANES + 2 * halo), np.float32)
    wires = np.empty((window * window, LANES), np.float32)
    work = np.empty((3, LANES + 2 * halo), np.float32)
    expected, kept = scratch(LANES), scratch(LANES)
    total = scratch(strips * LANES).reshape(strips, LANES)
    count = scratch(strips * LANES).reshape(strips, LANES)
    for y in range(y0, y1):
        total[:] = 0
        count[:] = 0
        # Along the row within each date, as in `filter_pair`.
        for t in range(stack.shape[0]):
            for s in range(strips):
                x0 = max(min(s * LANES, width - LANES), 0)
                load_strip(stack[t], width, starts, columns, y, x0, halo, strip)
                if box:
                    window_mean(strip, window, work, expected)
                else:
                    window_median(strip, window, network, wires, work, expected)
                _accumulate(strip[halo, halo:], expected, total[s], count[s], kept)
                if slot[t] >= 0:
                    store_strip(kept, out[slot[t], y, x0:])
        for s in range(strips):
            x0 = max(min(s * LANES, width - LANES), 0)
            _store_factor(total[s], count[s], factor[y, x0:])
