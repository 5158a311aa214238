"""Median and mean of the square windows of one strip of pixels: the inner loops of Quegan-Yu."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from curupira.detect.lanes import (
    LANES,
    TAIL,
    Float32,
    inlined,
    lane_medians,
    piece,
    wide,
)
from curupira.detect.networks import batcher, drop_idle, prune, sorted_runs
from curupira.detect.vectors import WIDTH, Writer, straight_line

Index = npt.NDArray[np.int64]

#: Rows that two output rows of a 5 x 5 window need together.
PAIR_ROWS = 6
#: Values in a row of the strip that `sort_columns` and `median5_pair` work on.
PITCH = LANES + TAIL


def _write_columns(w: Writer, gaps: bool) -> None:
    """Sort rows 1 to 4 of each column of the strip.

    With ``gaps`` NaN becomes +inf, in ``filled`` too, and ``counts`` gets how many are missing of
    rows 0 to 4 and of rows 1 to 5.
    """
    values = [w.load(0, row * PITCH) for row in range(PAIR_ROWS)]
    if gaps:
        zero, one, far = w.number(0), w.number(1), w.number(np.inf)
        missing = [w.nan(value) for value in values]
        values = [w.choose(gone, far, v) for gone, v in zip(missing, values, strict=True)]
        for row, value in enumerate(values):
            w.store(value, 2, row * PITCH)
        ones = [w.choose(gone, one, zero) for gone in missing]
        w.store(w.add(*ones[:5]), 3, 0)
        w.store(w.add(*ones[1:]), 3, PITCH)
    shared = values[1:5]
    w.run(batcher(4), shared)
    for row, value in enumerate(shared):
        w.store(value, 1, row * PITCH)


def _write_median5(w: Writer, gaps: bool) -> None:
    """Medians of two 5 x 5 windows, one above the other, from the 6 rows they cover.

    The windows share 20 pixels: rows 1 to 4. Of these only ranks 7 to 12 can be the median of a
    window of 25, whatever the five pixels are that it has alone. So: sort the shared columns
    (`sort_columns`), sort ranks 7 to 12 of the 20, sort each window's own row of five,
    and take rank 5 of those six and five.

    With ``gaps`` the value below the median is found as well, by the same step from one rank lower:
    where one or two of the 25 are missing and stand as +inf, the median lies there or between both.
    Right where a window misses up to two; ``gone`` gets how many each misses.
    """
    first = 6 if gaps else 7
    strip, columns, medians, counts, gone = range(5)
    shared = [w.load(columns, row * PITCH + column) for column in range(5) for row in range(4)]
    w.run(prune(drop_idle(batcher(20), sorted_runs(5, 4)), range(first, 13)), shared)
    for output, row in enumerate((0, 5)):
        own = [w.load(strip, row * PITCH + i) for i in range(5)]
        w.run(batcher(5), own)
        found = []
        for rank in range(first, 8):
            # Rank 5 of ascending a (6) and b (5): the least of a5 and max(a[i], b[4 - i]).
            least = shared[rank + 5]
            for i in range(5):
                least = w.low(w.high(shared[rank + i], own[4 - i]), least)
            found.append(least)
        median = found[-1]
        if gaps:
            missing = w.add(*(w.load(counts, output * PITCH + i) for i in range(5)))
            between = w.mul(w.number(0.5), w.add(*found))
            median = w.choose(w.equal(missing, w.number(1)), between, median)
            median = w.choose(w.equal(missing, w.number(2)), found[0], median)
            w.store(missing, gone, output * LANES)
        w.store(median, medians, output * LANES)


def _write_median25(w: Writer) -> None:
    """Median of 25 wires (wire, LANES) of which one at least is valid; NaN is missing.

    As `lanes.lane_medians`.
    """
    sign, wires = w.number(np.inf), []
    for wire in range(25):
        value = w.load(0, wire * LANES)
        missing = w.nan(value)
        wires.append(w.choose(missing, sign, value))
        sign = w.choose(missing, w.sub(w.number(0), sign), sign)
    w.run(prune(batcher(25), {11, 12}), wires)
    even = w.less(sign, w.number(0))
    between = w.mul(w.number(0.5), w.add(wires[11], wires[12]))
    w.store(w.choose(even, between, wires[12]), 1, 0)


# Of (strip, columns) and (strip, columns, medians); with gaps of (strip, columns, filled, counts)
# and (filled, columns, medians, counts, gone).
sort_columns = straight_line(partial(_write_columns, gaps=False), PITCH)
median5_pair = straight_line(partial(_write_median5, gaps=False), LANES)
sort_columns_gaps = straight_line(partial(_write_columns, gaps=True), PITCH)
median5_pair_gaps = straight_line(partial(_write_median5, gaps=True), LANES)
# Of (wires, medians), for as many lanes as a vector has.
_median25 = straight_line(_write_median25, WIDTH)


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
    lane_medians(wires, network, work[0], work[1], out)


@inlined
def repair_median5(
    strip: Float32,
    gone: Float32,
    touched: Index,
    wires: Float32,
    work: Float32,
    out: Float32,
) -> None:
    """Do again those medians of a row whose windows (5, PITCH) miss more than two of 25.

    Windows around a missing pixel are left out: nobody asks for them. The others are moved
    together first: the edge of a gap then costs a few lanes, not a strip. ``wires`` (25 LANES,)
    and ``work`` (LANES,) are scratch.
    """
    size = 0
    centre = strip[2, 2:]
    for lane in range(LANES):
        if gone[lane] > np.float32(2) and not np.isnan(centre[lane]):
            touched[size] = lane
            size += 1
    # The last vector is filled up with what is anywhere valid.
    for k in range(size, min(size + WIDTH, LANES)):
        touched[k] = touched[0]
    for first in range(0, size, WIDTH):
        for r in range(5):
            for c in range(5):
                row, wire = strip[r, c:], wires[(r * 5 + c) * LANES + first :]
                for k in range(WIDTH):
                    wire[k] = row[touched[first + k]]
        _median25((wires[first:], work[first:]))
    for k in range(size):
        out[touched[k]] = work[k]


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
