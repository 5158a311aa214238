"""Median and mean of the square windows of one strip of pixels: the inner loops of Quegan-Yu."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from curupira.detect.lanes import (
    LANES,
    TAIL,
    Float32,
    balance_missing,
    exchange,
    pick_median,
    piece,
    wide,
)
from curupira.detect.networks import batcher, drop_idle, prune, sorted_runs
from curupira.detect.vectors import Writer, straight_line

Index = npt.NDArray[np.int64]

#: Rows that two output rows of a 5 x 5 window need together.
PAIR_ROWS = 6
#: Values in a row of the strip that `sort_columns` and `median5_pair` work on.
PITCH = LANES + TAIL


def _write_median5(w: Writer, gaps: bool) -> None:
    """Medians of two 5 x 5 windows, one above the other, from the 6 rows they cover.

    The windows share 20 pixels: rows 1 to 4. Of these only ranks 7 to 12 can be the median of a
    window of 25, whatever the five pixels are that it has alone. So: sort the shared columns
    (`sort_columns`), sort ranks 7 to 12 of the 20, sort each window's own row of five,
    and take rank 5 of those six and five.

    With ``gaps`` the value below the median is found as well, by the same step from one rank lower:
    where one or two of the 25 are missing and stand as +inf, the median lies there or between both.
    """
    first = 6 if gaps else 7
    strip, columns, medians, lower = range(4)
    shared = [w.load(columns, row * PITCH + column) for column in range(5) for row in range(4)]
    w.run(prune(drop_idle(batcher(20), sorted_runs(5, 4)), range(first, 13)), shared)
    for output, row in enumerate((0, 5)):
        own = [w.load(strip, row * PITCH + i) for i in range(5)]
        w.run(batcher(5), own)
        for rank in range(first, 8):
            # Rank 5 of ascending a (6) and b (5): the least of a5 and max(a[i], b[4 - i]).
            least = shared[rank + 5]
            for i in range(5):
                least = w.low(w.high(shared[rank + i], own[4 - i]), least)
            w.store(least, medians if rank == 7 else lower, output * LANES)


def _write_columns(w: Writer) -> None:
    """Sort rows 1 to 4 of each column of the strip."""
    values = [w.load(0, row * PITCH) for row in range(1, 5)]
    w.run(batcher(4), values)
    for row, value in enumerate(values):
        w.store(value, 1, row * PITCH)


# Of (strip, columns), and of (strip, columns, medians) or, with gaps, (..., lower).
sort_columns = straight_line(_write_columns, PITCH)
median5_pair = straight_line(partial(_write_median5, gaps=False), LANES)
_median5_gaps = straight_line(partial(_write_median5, gaps=True), LANES)


@piece
def median5_pair_gaps(
    strip: Float32,
    filled: Float32,
    columns: Float32,
    lower: Float32,
    gone: Float32,
    medians: Float32,
) -> None:
    """`median5_pair` of a strip (PAIR_ROWS, PITCH) with NaN: right where a window misses up to two.

    ``filled`` (as the strip, flat), ``columns`` and ``lower`` are scratch. ``gone`` (2, LANES)
    receives how many each window misses.
    """
    wide()
    rows = filled.reshape(PAIR_ROWS, PITCH)
    counts = columns.reshape(4, PITCH)[:2]
    counts[:] = np.float32(0)
    for r in range(PAIR_ROWS):
        source, target = strip[r], rows[r]
        for i in range(LANES + 4):
            value = source[i]
            target[i] = np.float32(np.inf) if np.isnan(value) else value
        for k in range(max(0, r - 4), min(1, r) + 1):
            count = counts[k]
            for i in range(LANES + 4):
                count[i] += np.float32(1) if np.isnan(source[i]) else np.float32(0)
    for k in range(2):
        count, total = counts[k], gone[k]
        for lane in range(LANES):
            pairs = (count[lane] + count[lane + 1]) + (count[lane + 2] + count[lane + 3])
            total[lane] = pairs + count[lane + 4]
    sort_columns((filled, columns))
    _median5_gaps((filled, columns, medians, lower))
    for k in range(2):
        below, middle, missing = lower[k * LANES :], medians[k * LANES :], gone[k]
        for lane in range(LANES):
            a, b = below[lane], middle[lane]
            one = missing[lane] == np.float32(1)
            two = missing[lane] == np.float32(2)
            middle[lane] = a if two else (np.float32(0.5) * (a + b) if one else b)


@piece
def window_median(
    strip: Float32,
    window: int,
    network: Index,
    wires: Float32,
    work: Float32,
    out: Float32,
) -> None:
    """NaN-aware medians of one row of windows, by a network on (window^2, lane)."""
    for r in range(window):
        for c in range(window):
            wire = wires[r * window + c]
            source = strip[r, c:]
            for lane in range(LANES):
                wire[lane] = source[lane]
    balance_missing(wires, work[0], work[1], LANES)
    exchange(wires, network, LANES)
    pick_median(wires, work[1], out, LANES)


@piece
def repair_median5(
    strip: Float32,
    gone: Float32,
    network: Index,
    touched: Index,
    wires: Float32,
    work: Float32,
    out: Float32,
) -> None:
    """Do again those medians of a row whose windows (5, PITCH) miss more than two of 25.

    Windows around a missing pixel are left out: nobody asks for them. The others are moved
    together first: the edge of a gap then costs a few lanes, not a strip.
    """
    size = 0
    centre = strip[2, 2:]
    for lane in range(LANES):
        if gone[lane] > np.float32(2) and not np.isnan(centre[lane]):
            touched[size] = lane
            size += 1
    if size == 0:
        return
    width = min((size + 15) // 16 * 16, LANES)
    for k in range(size, width):
        touched[k] = touched[0]
    for r in range(5):
        for c in range(5):
            for k in range(width):
                wires[r * 5 + c, k] = strip[r, touched[k] + c]
    balance_missing(wires, work[0], work[1], width)
    exchange(wires, network, width)
    pick_median(wires, work[1], work[0], width)
    for k in range(size):
        out[touched[k]] = work[0, k]


@piece
def window_mean(strip: Float32, window: int, work: Float32, out: Float32) -> None:
    """NaN-aware means of one row of windows: columns first, then across.

    ``work``: three rows as long as those of the strip, overwritten.
    """
    wide()
    column, valid, count = work[0], work[1], work[2]
    for i in range(strip.shape[1]):
        column[i] = np.float32(0)
        valid[i] = np.float32(0)
    for r in range(window):
        row = strip[r]
        for i in range(strip.shape[1]):
            value = row[i]
            present = not np.isnan(value)
            column[i] += value if present else np.float32(0)
            valid[i] += np.float32(1) if present else np.float32(0)
    for lane in range(LANES):
        out[lane] = column[lane]
        count[lane] = valid[lane]
    for c in range(1, window):
        beside, known = column[c:], valid[c:]
        for lane in range(LANES):
            out[lane] += beside[lane]
            count[lane] += known[lane]
    for lane in range(LANES):
        n = count[lane]
        out[lane] = out[lane] / n if n > np.float32(0) else np.float32(np.nan)
