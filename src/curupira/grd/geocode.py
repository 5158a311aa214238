"""From the radar image to the target grid: multi-looking, bilinear sampling, and its inverse. Pure.

Area-preserving: a grid coarser than the image's pixels gets the mean power over radar pixels as
wide as its own (``multilook``), sampled bilinearly (``sample``).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

Float32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

#: Least share of valid pixels in a looked pixel: less is the image's border.
_VALID: Final = 0.5


def looks(resolution_m: float, spacing_m: float) -> int:
    """Pixels of the image, each way, that one pixel of the grid takes in: at least 1."""
    return max(1, round(resolution_m / spacing_m))


def multilook(power: Float32, side: int) -> Float32:
    """Mean linear power over squares of ``side`` x ``side`` pixels.

    Parameters
    ----------
    power
        ``(line, sample)`` linear; NaN missing. Lines and samples that fill no square are left out.
    side
        Pixels; 1 returns the image.

    Returns
    -------
    ``(line / side, sample / side)``; NaN where fewer than half of a square's pixels are valid. The
    sum times ``side ** 2`` is the image's sum: power is conserved.
    """
    if side == 1:
        return power
    found: Float32 = _multilook(np.ascontiguousarray(power), side, int(np.ceil(_VALID * side**2)))
    return found


def looked(place: Floats, side: int) -> Floats:
    """Line or sample of the image as one of the multi-looked image (centres are whole numbers)."""
    return (place - 0.5 * (side - 1)) / side


def sample(
    image: Float32,
    line: Floats | Float32,
    column: Floats | Float32,
    first: tuple[int, int] = (0, 0),
) -> Float32:
    """Bilinear value of an image at fractional places.

    Parameters
    ----------
    image
        ``(line, sample)``; NaN missing.
    line, column
        ``(y, x)``; centres of pixels are whole numbers.
    first
        Line and column of the image's first pixel.

    Returns
    -------
    float32 ``(y, x)``; NaN outside the outermost centres, at NaN places, and where a pixel of
    positive weight is NaN.
    """
    found: Float32 = _sample(image, line, column, first)
    return found


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _multilook(power: Float32, side: int, least: int) -> Float32:
    rows, columns = power.shape[0] // side, power.shape[1] // side
    out = np.empty((rows, columns), dtype=np.float32)
    width = columns * side
    total, count = np.empty(width, np.float32), np.empty(width, np.float32)
    zero, one, missing = np.float32(0), np.float32(1), np.float32(np.nan)
    fewest = np.float32(least)
    for y in range(rows):
        # Down the lines first: whole lines run in vectors.
        total[:], count[:] = zero, zero
        for v in range(y * side, (y + 1) * side):
            line = power[v]
            for x in range(width):
                known = not np.isnan(line[x])
                total[x] += line[x] if known else zero
                count[x] += one if known else zero
        if side == 2:
            for x in range(columns):
                number = count[2 * x] + count[2 * x + 1]
                mean = (total[2 * x] + total[2 * x + 1]) / number
                out[y, x] = mean if number >= fewest else missing
        else:
            for x in range(columns):
                number, mean = zero, zero
                for u in range(x * side, (x + 1) * side):
                    number, mean = number + count[u], mean + total[u]
                out[y, x] = mean / number if number >= fewest else missing
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _sample(
    image: Float32, line: Floats | Float32, column: Floats | Float32, first: tuple[int, int]
) -> Float32:
    rows, columns = line.shape
    height, width = image.shape
    out = np.full((rows, columns), np.nan, dtype=np.float32)
    for y in range(rows):
        for x in range(columns):
            a, b = line[y, x] - first[0], column[y, x] - first[1]
            # Written so that NaN fails the test.
            if not (a >= 0 and b >= 0 and a <= height - 1 and b <= width - 1):
                continue
            i, j = int(a), int(b)
            k, n = min(i + 1, height - 1), min(j + 1, width - 1)
            v, u = np.float32(a - i), np.float32(b - j)
            upper = image[i, j] + u * (image[i, n] - image[i, j])
            lower = image[k, j] + u * (image[k, n] - image[k, j])
            value = upper + v * (lower - upper)
            if np.isnan(value):
                upper = _across(image[i, j], image[i, n], u)
                value = _across(upper, _across(image[k, j], image[k, n], u), v)
            out[y, x] = value
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _across(first: float, second: float, u: float) -> float:
    # A weight of zero must not spread the NaN of a neighbour.
    return first if u == 0 else first + u * (second - first)
