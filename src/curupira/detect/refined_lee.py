"""Refined Lee 7 x 7 speckle filter (Lee 1981), in the two forms of method.md 1D.

Nine samples, the 3 x 3 means two pixels apart, are numbered row by row: 0 NW, 1 N, 2 NE, 3 W,
4 centre, 5 E, 6 SW, 7 S, 8 SE. The steepest of the gradients |1-7|, |6-2|, |3-5|, |0-8| picks one
of four edges, and a comparison along it one of the two half-windows on its sides. With mean m and
variance v of the half-window (28 pixels, centre row or diagonal included) and s the mean of the
five smallest var / mean^2 of the samples, the result is m + b (I - m) with
b = (v - m^2 s) / (v (1 + s)).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from curupira.detect.lanes import (
    LANES,
    TAIL,
    Float32,
    border_index,
    compile_lanes,
    kernel,
    load_strip,
    piece,
    scratch,
    store_strip,
    wide,
)
from curupira.detect.networks import batcher, prune, straight_line
from curupira.errors import InputError

Side = Literal["scripts", "nearest"]
Index = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

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
    _lee_strips(source, rows, columns, side == "nearest", clamp, out)
    return out


def _direction_lines() -> list[str]:
    """Number of the half-window, in the order of ``_WINDOWS``."""
    codes = {name: f"f4({code})" for code, name in enumerate(_WINDOWS)}
    lines = [f"m{i} = means[{2 * (i // 3) * _PITCH + 2 * (i % 3)} + x]" for i in range(9)]
    lines += ["steepest = f4(-2)", "code = f4(0)"]
    for a, b, side_a, side_b in _EDGES:
        lines += [
            f"gradient = abs(m{a} - m{b})",
            "gradient = f4(-1) if np.isnan(gradient) else gradient",
            f"convex = m{a} - m4 > m4 - m{b}",
            f"near = abs(m{a} - m4) < abs(m4 - m{b})",
            # The scripts number the lower half 1 although sample a, the north, heads its gradient.
            "at_a = near if nearest else " + ("not convex" if side_a == "upper" else "convex"),
            "wins = gradient > steepest",
            "steepest = gradient if wins else steepest",
            f"code = ({codes[side_a]} if at_a else {codes[side_b]}) if wins else code",
        ]
    return [*lines, "window[x] = code"]


def _column_lines() -> list[str]:
    """Of each column of seven rows, the sums of its first 1 to 7 and of its last 1 to 6 pixels."""
    lines = [f"v{r} = rows[{r * _PITCH} + x]" for r in range(7)]
    for sign, order in ((1, range(7)), (-1, range(6, 0, -1))):
        for size, r in enumerate(order, start=1):
            lines += [
                f"total = total + v{r}" if size > 1 else f"total = v{r}",
                f"columns[{_column_row(sign * size) * _PITCH} + x] = total",
            ]
    return lines


def _chosen_lines() -> list[str]:
    """Sum over the chosen half-window, from the sums of `_column_lines`."""
    lines = ["code = window[x]", "total = f4(0)"]
    for code, (name, columns) in enumerate(_WINDOWS.items()):
        parts = [
            f"columns[{_column_row(size) * _PITCH + c} + x]"
            for c, size in enumerate(columns)
            if size
        ]
        lines += [
            f"{name} = " + " + ".join(parts),
            f"total = {name} if code == f4({code}) else total",
        ]
    return [*lines, "out[x] = total"]


def _column_row(size: int) -> int:
    """Where `_column_lines` puts the sum of so many pixels from the north, or (negative) south."""
    return size - 1 if size > 0 else 6 - size


def _blend_lines() -> list[str]:
    """Noise from the samples, weight from noise and variance, result from the weight."""
    names = [f"w{i}" for i in range(9)]
    lines = [f"w{i} = ratios[{2 * (i // 3) * _PITCH + 2 * (i % 3)} + x]" for i in range(9)]
    # The five smallest variations, or those there are.
    lines += straight_line(prune(batcher(9), range(5)), names)
    lines += ["noise = f4(0)", "used = f4(0)"]
    for i in range(5):
        lines += [
            f"noise += w{i} if w{i} < f4(np.inf) else f4(0)",
            f"used += f4(1) if w{i} < f4(np.inf) else f4(0)",
        ]
    return [
        *lines,
        f"centre = values[{_HALO} + x]",
        "m = total[x] * share[x]",
        "variance = squares[x] * share[x] - m * m",
        # The noise is the mean noise / used, here without its division.
        "b = (variance * used - m * m * noise) / ((used + noise) * variance)",
        # Less is rounding: there is nothing in the window but its mean.
        "b = b if variance > m * m * f4(1e-6) else f4(0)",
        "limited = f4(0) if b < f4(0) else (f4(1) if b > f4(1) else b)",
        "b = limited if clamp else b",
        f"out[x] = m + b * (centre - m) if valid[{_HALO} + x] > f4(0) else f4(np.nan)",
    ]


_direction = compile_lanes("_direction", "means, nearest, window", _direction_lines(), __name__)
_columns = compile_lanes("_columns", "rows, columns", _column_lines(), __name__, _PITCH)
_chosen = compile_lanes("_chosen", "columns, window, out", _chosen_lines(), __name__)
_blend = compile_lanes(
    "_blend", "values, valid, total, squares, share, ratios, clamp, out", _blend_lines(), __name__
)


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


@piece
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


@piece
def _split(strip: Float32, valid: Float32, holes: BoolArray) -> None:
    """Put 0 for NaN, and into ``valid`` 1 for a value and 0 for NaN; ``holes``: rows with NaN."""
    wide()
    for r in range(strip.shape[0]):
        row, known = strip[r], valid[r * _PITCH :]
        missing = np.int32(0)
        for x in range(_PITCH):
            value = row[x]
            missing = np.int32(missing + np.int32(np.isnan(value)))
            known[x] = np.float32(0) if np.isnan(value) else np.float32(1)
            row[x] = np.float32(0) if np.isnan(value) else value
        holes[r] = missing > 0


@piece
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
    image: Float32, rows: Index, columns: Index, nearest: bool, clamp: bool, out: Float32
) -> None:
    wide()
    height, width = image.shape
    values = scratch((_ROWS + 2 * _HALO) * _PITCH)
    strip = values.reshape(_ROWS + 2 * _HALO, _PITCH)
    squares, valid = scratch(values.size), scratch(values.size)
    holes = np.zeros(_ROWS + 2 * _HALO, np.bool_)
    column = scratch(_SAMPLES + 2)
    means, ratios, shares = scratch(_SAMPLES), scratch(_SAMPLES), scratch(_SAMPLES)
    sums = scratch(13 * _PITCH)
    work = scratch(5 * LANES).reshape(5, LANES)
    window, total, power, share, filtered = work[0], work[1], work[2], work[3], work[4]
    # Where nothing is missing: 1 / pixels of a sample, of a half-window. Divided by the same code.
    ninth, whole = np.full(_SAMPLES, 9, np.float32), np.full(LANES, 28, np.float32)
    _invert(ninth)
    _invert(whole)
    all_valid = np.ones(_PITCH, np.float32)
    for first in range(0, width, LANES):
        x0 = max(min(first, width - LANES), 0)
        for y0 in range(0, height, _ROWS):
            gaps = load_strip(image, rows, columns, y0, x0, _HALO, strip) > 0
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
                _direction(means[top:], nearest, window)
                _columns(values[top:], sums)
                _chosen(sums, window, total)
                _columns(squares[top:], sums)
                _chosen(sums, window, power)
                known, part = all_valid, whole
                if gaps and holes[r : r + 7].any():
                    _columns(valid[top:], sums)
                    _chosen(sums, window, share)
                    _invert(share)
                    known, part = valid[top + _HALO * _PITCH :], share
                centre = values[top + _HALO * _PITCH :]
                _blend(centre, known, total, power, part, ratios[top:], clamp, filtered)
                store_strip(filtered, out[y0 + r, x0:])
