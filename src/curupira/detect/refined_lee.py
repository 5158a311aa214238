"""Refined Lee 7 x 7 speckle filter (Lee 1981), in the two forms of method.md 1D.

Nine samples, the 3 x 3 means two pixels apart, are numbered row by row: 0 NW, 1 N, 2 NE, 3 W,
4 centre, 5 E, 6 SW, 7 S, 8 SE. The steepest of the gradients |1-7|, |6-2|, |3-5|, |0-8| picks one
of four edges, and a comparison along it one of the two half-windows on its sides. With mean m and
variance v of the half-window (28 pixels, centre row or diagonal included) and s the mean of the
five smallest var / mean^2 of the samples, the result is m + b (I - m) with
b = (v - m^2 s) / (v (1 + s)).
"""

from __future__ import annotations

from collections.abc import Callable
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
    store_strip,
    wide,
)
from curupira.detect.networks import batcher, prune, straight_line
from curupira.errors import InputError

Side = Literal["scripts", "nearest"]
Index = npt.NDArray[np.int64]

_HALO = 3
_PITCH = LANES + TAIL + 2 * _HALO
# The half-windows: columns [first, last) of row r, both from 0 to 6, rows from the north.
_WINDOWS: dict[str, Callable[[int], tuple[int, int]]] = {
    "upper": lambda r: (0, 7 if r <= 3 else 0),
    "lower": lambda r: (0, 7 if r >= 3 else 0),
    "left": lambda r: (0, 4),
    "right": lambda r: (3, 7),
    "lower_left": lambda r: (0, r + 1),
    "upper_right": lambda r: (r, 7),
    "upper_left": lambda r: (0, 7 - r),
    "lower_right": lambda r: (6 - r, 7),
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
    rows = border_index(height, _HALO, height + 2 * _HALO)
    columns = border_index(width, _HALO, max(width, LANES) + 2 * _HALO)
    out = np.empty((height, width), np.float32)
    source = np.ascontiguousarray(image, dtype=np.float32)
    _lee_strips(source, rows, columns, side == "nearest", clamp, out)
    return out


def _sample_lines() -> list[str]:
    """Mean and, three rows on, var / mean^2 of the 3 x 3 pixels from x to the south-east."""
    names = [f"v{i}" for i in range(9)]
    lines = [f"{name} = strip[{(i // 3) * _PITCH + i % 3} + x]" for i, name in enumerate(names)]
    lines.append("n = " + " + ".join(f"(f4(0) if np.isnan({v}) else f4(1))" for v in names))
    lines += [f"z{i} = f4(0) if np.isnan({v}) else {v}" for i, v in enumerate(names)]
    lines.append("m = (" + " + ".join(f"z{i}" for i in range(9)) + ") / n")
    lines += [f"d{i} = f4(0) if np.isnan({v}) else {v} - m" for i, v in enumerate(names)]
    squares = " + ".join(f"d{i} * d{i}" for i in range(9))
    return [
        *lines,
        f"variance = ({squares}) / n",
        "samples[x] = m",
        # No mean, no variation; an empty sample sorts behind all others.
        "ratio = variance / (m * m) if m != f4(0) else f4(0)",
        f"samples[{3 * _PITCH} + x] = f4(np.inf) if np.isnan(m) else ratio",
    ]


def _noise_lines() -> list[str]:
    """Mean of the five smallest sample variations, or of those there are."""
    names = [f"w{i}" for i in range(9)]
    lines = [f"w{i} = samples[{(3 + i // 3) * _PITCH + 2 * (i % 3)} + x]" for i in range(9)]
    lines += straight_line(prune(batcher(9), range(5)), names)
    lines += ["noise = f4(0)", "used = f4(0)"]
    for i in range(5):
        lines += [
            f"noise += w{i} if w{i} < f4(np.inf) else f4(0)",
            f"used += f4(1) if w{i} < f4(np.inf) else f4(0)",
        ]
    return [*lines, "noise = noise / used"]


def _window_lines() -> list[str]:
    """Sums, sums of squares and counts of the eight half-windows, relative to the centre pixel.

    The difference to the centre keeps the variance exact where the image hardly varies.
    """
    sums = ("s", "q", "n")
    lines = [f"centre = strip[{3 * _PITCH + 3} + x]"]
    lines += [f"{quantity}_{name} = f4(0)" for name in _WINDOWS for quantity in sums]
    for r in range(7):
        for c in range(7):
            before = [f"{quantity}{c} + " if c else "" for quantity in sums]
            lines += [
                f"d = strip[{r * _PITCH + c} + x] - centre",
                f"n{c + 1} = {before[2]}(f4(0) if np.isnan(d) else f4(1))",
                "d = f4(0) if np.isnan(d) else d",
                f"s{c + 1} = {before[0]}d",
                f"q{c + 1} = {before[1]}d * d",
            ]
        for name, columns in _WINDOWS.items():
            first, last = columns(r)
            for quantity in sums if last > first else []:
                part = f"{quantity}{last} - {quantity}{first}" if first else f"{quantity}{last}"
                lines.append(f"{quantity}_{name} += {part}")
    return lines


def _choice_lines() -> list[str]:
    """Pick the half-window: sum, sum of squares and count."""
    sums = ("s", "q", "n")
    lines = [f"m{i} = samples[{(i // 3) * _PITCH + 2 * (i % 3)} + x]" for i in range(9)]
    lines += ["steepest = f4(-2)", *(f"{quantity} = f4(0)" for quantity in sums)]
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
        ]
        for quantity in sums:
            chosen = f"({quantity}_{side_a} if at_a else {quantity}_{side_b})"
            lines.append(f"{quantity} = {chosen} if wins else {quantity}")
    return lines


def _filter_lines() -> list[str]:
    return [
        *_window_lines(),
        *_choice_lines(),
        *_noise_lines(),
        "shift = s / n",
        "variance = q / n - shift * shift",
        "m = centre + shift",
        "b = (variance - m * m * noise) / ((f4(1) + noise) * variance)",
        "b = b if variance > f4(0) else f4(0)",
        "limited = f4(0) if b < f4(0) else (f4(1) if b > f4(1) else b)",
        "b = limited if clamp else b",
        # m + b (centre - m), with the centre taken out.
        "out[x] = centre + shift * (f4(1) - b)",
    ]


_SAMPLES = "strip, samples"
_FILTER = "strip, samples, nearest, clamp, out"
# One path for strips with and without gaps: a faster one for clean strips would round differently,
# and the result of a pixel would depend on where its strip, and so its block, begins.
_samples = compile_lanes("_samples", _SAMPLES, _sample_lines(), __name__, LANES + TAIL)
_filter = compile_lanes("_filter", _FILTER, _filter_lines(), __name__)


@kernel
def _lee_strips(
    image: Float32, rows: Index, columns: Index, nearest: bool, clamp: bool, out: Float32
) -> None:
    wide()
    height, width = image.shape
    flat = np.zeros(7 * _PITCH, np.float32)
    strip = flat.reshape(7, _PITCH)
    samples = np.empty(6 * _PITCH, np.float32)
    filtered = np.empty(LANES, np.float32)
    for y in range(height):
        for first in range(0, width, LANES):
            x0 = max(min(first, width - LANES), 0)
            load_strip(image, rows, columns, y, x0, _HALO, strip)
            for k in range(3):
                # Samples reach two pixels beyond the strip on either side: into its tail.
                _samples(flat[2 * k * _PITCH :], samples[k * _PITCH :])
            _filter(flat, samples, nearest, clamp, filtered)
            store_strip(filtered, out[y, x0:])
