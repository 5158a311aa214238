"""Refined Lee 7 x 7 speckle filter (Lee 1981), in the two forms of method.md 1D.

Nine samples, the 3 x 3 means two pixels apart, are numbered row by row: 0 NW, 1 N, 2 NE, 3 W,
4 centre, 5 E, 6 SW, 7 S, 8 SE. The steepest of the gradients |1-7|, |6-2|, |3-5|, |0-8| picks one
of four edges, and a comparison along it one of the two half-windows on its sides. With mean m and
variance v of the half-window (28 pixels, centre row or diagonal included) and s the mean of the
five smallest var / mean^2 of the samples, the result is m + b (I - m) with
b = (v - m^2 s) / (v (1 + s)).
"""

from __future__ import annotations

from itertools import accumulate
from typing import Literal

import numpy as np
import numpy.typing as npt

from curupira.detect.lanes import (
    LANES,
    TAIL,
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
from curupira.detect.networks import batcher, prune
from curupira.detect.vectors import Writer, straight_line
from curupira.errors import InputError

Side = Literal["scripts", "nearest"]
Index = npt.NDArray[np.int64]

_HALO = 3
#: Rows of a strip that are filtered together, so that their samples are computed once.
_ROWS = 16
#: Values in a row of a strip: the lanes and their halo, in whole vectors.
_PITCH = LANES + TAIL // 2
#: Samples of a strip, one beginning at every pixel; at the end of a row they mean nothing.
_SAMPLES = (_ROWS + 4) * _PITCH
# The half-windows: of each column, west to east, how many of its seven pixels belong to it, counted
# from the north (positive) or from the south (negative).
_WINDOWS: dict[str, tuple[int, ...]] = {
    "upper": (4,) * 7,
    "lower": (-4,) * 7,
    "left": (7,) * 4,
    "right": (0,) * 3 + (7,) * 4,
    "lower_left": (7, -6, -5, -4, -3, -2, -1),
    "upper_right": (1, 2, 3, 4, 5, 6, 7),
    "upper_left": (7, 6, 5, 4, 3, 2, 1),
    "lower_right": (-1, -2, -3, -4, -5, -6, 7),
}
# Each gradient's samples a and b, with the half-windows on the side of a and of b.
_EDGES = (
    (1, 7, "upper", "lower"),
    (6, 2, "lower_left", "upper_right"),
    (3, 5, "left", "right"),
    (0, 8, "upper_left", "lower_right"),
)


def refined_lee(image: Float32, *, side: Side, clamp: bool) -> Float32:
    """Filter one image.

    Parameters
    ----------
    image
        (y, x) linear power; NaN missing.
    side
        ``scripts``: the half-window by the scripts' signed comparison m_a - m_4 > m_4 - m_b, a test
        of convexity that takes the far side at half of the edges (what DETER-R ran). ``nearest``:
        the side whose sample mean is nearer the centre's; that of b at a tie.
    clamp
        Limit b to [0, 1]; the scripts do not.

    Returns
    -------
    array
        (y, x). Statistics are over the valid pixels of each window; NaN where the centre is NaN.
        A gradient with an empty sample never wins; where all four have one, it is the window of
        the comparison failing on the first (N-S) edge. The image is mirrored at its border, edge
        pixel included; the outermost 5 pixels are not to be trusted.

    Raises
    ------
    InputError
        If the image is empty.
    """
    height, width = image.shape
    if height == 0 or width == 0:
        raise InputError("the image is empty")
    rows = border_index(height, _HALO, height + _ROWS + 2 * _HALO)
    columns = border_index(width, _HALO, max(width, LANES) + 2 * _HALO)
    out = np.empty((height, width), np.float32)
    source = np.ascontiguousarray(image, dtype=np.float32)
    _lee_strips(source.ravel(), rows * width, columns, side == "nearest", clamp, out)
    return out


def _write_direction(w: Writer) -> None:
    """Number of the half-window, in the order of ``_WINDOWS``."""
    means, flags, window = range(3)
    m = [w.load(means, 2 * (i // 3) * _PITCH + 2 * (i % 3)) for i in range(9)]
    codes = {name: w.number(code) for code, name in enumerate(_WINDOWS)}
    nearest = w.less(w.number(0), w.same(flags))
    steepest, code = w.number(-2), w.number(0)
    for a, b, side_a, side_b in _EDGES:
        gradient = w.size(w.sub(m[a], m[b]))
        gradient = w.choose(w.nan(gradient), w.number(-1), gradient)
        to_a, to_b = w.sub(m[a], m[4]), w.sub(m[4], m[b])
        convex = w.less(to_b, to_a)
        near = w.less(w.size(to_a), w.size(to_b))
        # The scripts number the lower half 1 although sample a, the north, heads its gradient.
        at_a = w.choose(nearest, near, w.no(convex) if side_a == "upper" else convex)
        wins = w.less(steepest, gradient)
        steepest = w.choose(wins, gradient, steepest)
        code = w.choose(wins, w.choose(at_a, codes[side_a], codes[side_b]), code)
    w.store(code, window, 0)


def _write_columns(w: Writer) -> None:
    """Of each column of seven rows, the sums of its first 1 to 7 and of its last 1 to 6 pixels."""
    values = [w.load(0, r * _PITCH) for r in range(7)]
    for sign, order in ((1, values), (-1, values[:0:-1])):
        for size, total in enumerate(accumulate(order, w.add), start=1):
            w.store(total, 1, _column_row(sign * size) * _PITCH)


def _write_chosen(w: Writer) -> None:
    """Sum over the chosen half-window, from the sums of `_write_columns`."""
    columns, window, out = range(3)
    code, total = w.load(window, 0), w.number(0)
    for number, sizes in enumerate(_WINDOWS.values()):
        parts = (
            w.load(columns, _column_row(size) * _PITCH + c) for c, size in enumerate(sizes) if size
        )
        chosen = w.equal(code, w.number(number))
        total = w.choose(chosen, w.add(*parts), total)
    w.store(total, out, 0)


def _column_row(size: int) -> int:
    """Where `_column_lines` puts the sum of so many pixels from the north, or (negative) south."""
    return size - 1 if size > 0 else 6 - size


def _write_blend(w: Writer) -> None:
    """Noise from the samples, weight from noise and variance, result from the weight."""
    values, valid, total, squares, share, ratios, flags, out = range(8)
    zero, one = w.number(0), w.number(1)
    samples = [w.load(ratios, 2 * (i // 3) * _PITCH + 2 * (i % 3)) for i in range(9)]
    # The five smallest variations, or those there are.
    w.run(prune(batcher(9), range(5)), samples)
    noise, used = zero, zero
    for sample in samples[:5]:
        there = w.less(sample, w.number(np.inf))
        noise = w.add(noise, w.choose(there, sample, zero))
        used = w.add(used, w.choose(there, one, zero))
    part = w.load(share, 0)
    m = w.mul(w.load(total, 0), part)
    square = w.mul(m, m)
    variance = w.sub(w.mul(w.load(squares, 0), part), square)
    # The noise is the mean noise / used, here without its division.
    signal = w.sub(w.mul(variance, used), w.mul(square, noise))
    b = w.div(signal, w.mul(w.add(used, noise), variance))
    # Less is rounding: there is nothing in the window but its mean.
    b = w.choose(w.less(w.mul(square, w.number(1e-6)), variance), b, zero)
    limited = w.choose(w.less(b, zero), zero, w.choose(w.less(one, b), one, b))
    b = w.choose(w.less(zero, w.same(flags)), limited, b)
    filtered = w.add(m, w.mul(b, w.sub(w.load(values, _HALO), m)))
    w.store(w.choose(w.less(zero, w.load(valid, _HALO)), filtered, w.number(np.nan)), out, 0)


# Of tuples of arrays, in the order that each of the above names them.
_direction = straight_line(_write_direction, LANES)
_columns = straight_line(_write_columns, _PITCH)
_chosen = straight_line(_write_chosen, LANES)
_blend = straight_line(_write_blend, LANES)


@piece
def _sum_samples(values: Float32, column: Float32, out: Float32) -> None:
    """Sums of the 3 x 3 pixels from each one to the south-east."""
    wide()
    a, b, c = values, values[_PITCH:], values[2 * _PITCH :]
    for i in range(_SAMPLES):
        column[i] = a[i] + b[i] + c[i]
    one, two = column[1:], column[2:]
    for i in range(_SAMPLES):
        out[i] = column[i] + one[i] + two[i]


@inlined
def _compare_samples(total: Float32, squares: Float32, share: Float32) -> None:
    """Turn sums of samples into means and variance / mean^2, in place; NaN and +inf if empty."""
    wide()
    for i in range(_SAMPLES):
        m = total[i] * share[i]
        variance = squares[i] * share[i] - m * m
        # No mean, no variation; an empty sample sorts behind all others.
        ratio = variance / (m * m) if m != np.float32(0) else np.float32(0)
        ratio = ratio if ratio > np.float32(0) else np.float32(0)
        total[i] = m
        squares[i] = np.float32(np.inf) if np.isnan(m) else ratio


@inlined
def _split(strip: Float32, valid: Float32, holes: Float32) -> None:
    """Put 0 for NaN, and into ``valid`` 1 for a value and 0 for NaN; ``holes``: NaN of each row."""
    wide()
    for r in range(strip.shape[0]):
        row, known = strip[r], valid[r * _PITCH :]
        missing = np.int32(0)
        for x in range(_PITCH):
            value = row[x]
            missing = np.int32(missing + np.int32(np.isnan(value)))
            known[x] = np.float32(0) if np.isnan(value) else np.float32(1)
            row[x] = np.float32(0) if np.isnan(value) else value
        holes[r] = np.float32(missing)


@inlined
def _square(values: Float32, squares: Float32) -> None:
    wide()
    for i in range(values.shape[0]):
        squares[i] = values[i] * values[i]


@piece
def _invert(counts: Float32) -> None:
    wide()
    for i in range(counts.shape[0]):
        counts[i] = np.float32(1) / counts[i]


@kernel
def _lee_strips(
    image: Float32, starts: Index, columns: Index, nearest: bool, clamp: bool, out: Float32
) -> None:
    wide()
    height, width = out.shape
    values = scratch((_ROWS + 2 * _HALO) * _PITCH)
    strip = values.reshape(_ROWS + 2 * _HALO, _PITCH)
    squares, valid = scratch(values.size), scratch(values.size)
    holes = scratch(_ROWS + 2 * _HALO)
    column = scratch(_SAMPLES + 2)
    means, ratios, shares = scratch(_SAMPLES), scratch(_SAMPLES), scratch(_SAMPLES)
    sums = scratch(13 * _PITCH)
    work = scratch(5 * LANES).reshape(5, LANES)
    window, total, power, share, filtered = work[0], work[1], work[2], work[3], work[4]
    # Where nothing is missing: 1 / pixels of a sample, of a half-window. Divided by the same code.
    ninth, whole = scratch(_SAMPLES), scratch(LANES)
    ninth[:] = np.float32(9)
    whole[:] = np.float32(28)
    _invert(ninth)
    _invert(whole)
    all_valid, near, limit = scratch(_PITCH), scratch(LANES), scratch(LANES)
    all_valid[:] = np.float32(1)
    near[:] = np.float32(nearest)
    limit[:] = np.float32(clamp)
    for first in range(0, width, LANES):
        x0 = max(min(first, width - LANES), 0)
        for y0 in range(0, height, _ROWS):
            gaps = load_strip(image, width, starts, columns, y0, x0, np.int64(_HALO), strip) > 0
            if gaps:
                _split(strip, valid, holes)
                _sum_samples(valid, column, shares)
                _invert(shares)
            _square(values, squares)
            _sum_samples(values, column, means)
            _sum_samples(squares, column, ratios)
            _compare_samples(means, ratios, shares if gaps else ninth)
            for r in range(min(_ROWS, height - y0)):
                top = r * _PITCH
                _direction((means[top:], near, window))
                _columns((values[top:], sums))
                _chosen((sums, window, total))
                _columns((squares[top:], sums))
                _chosen((sums, window, power))
                known, part = all_valid, whole
                missing = np.float32(0)
                for k in range(7 if gaps else 0):
                    missing += holes[r + k]
                if missing > np.float32(0):
                    _columns((valid[top:], sums))
                    _chosen((sums, window, share))
                    _invert(share)
                    known, part = valid[top + _HALO * _PITCH :], share
                centre = values[top + _HALO * _PITCH :]
                samples = ratios[top:]
                _blend((centre, known, total, power, part, samples, limit, filtered))
                store_strip(filtered, out[y0 + r, x0:])
