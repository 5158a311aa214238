"""Local incidence angle in three dimensions, slopes in radar directions, shadow and layover. Pure.

Sources: Small (2011), doi 10.1109/TGRS.2011.2120616; Vollrath et al. (2020),
doi 10.3390/rs12111867; Kropatsch and Strobl (1990), doi 10.1109/36.45752 (shadow and layover).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from curupira.grd.tie import AREA, NORMAL_YY, TieGrid

Float32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.uint8]


class Flag(IntFlag):
    """What the mask layer says of a pixel, as a sum; ``OUTSIDE`` stands alone."""

    CLEAR = 0
    LAYOVER = 1
    SHADOW = 2
    NO_HEIGHT = 4
    OUTSIDE = 255


@dataclass(frozen=True)
class Incidence:
    """Angles of a block, every array ``(y, x)`` float32; NaN where the height is missing.

    ``cos_local`` is the cosine of the angle between the surface normal and the line of sight, not
    positive where the surface is turned away; ``cos_ellipsoid`` the same on level ground;
    ``slope_range`` and ``slope_azimuth`` the tangents of the terrain's slope along the ground range
    (positive where it faces the sensor) and across it (without a sign). ``folds`` is False where no
    slope is steep enough for layover or shadow, both of which begin at such a slope.
    """

    cos_local: Float32
    cos_ellipsoid: Float32
    slope_range: Float32
    slope_azimuth: Float32
    folds: bool = True

    def part(self, slices: tuple[slice, slice]) -> Incidence:
        """The angles of a window."""
        return Incidence(
            self.cos_local[slices],
            self.cos_ellipsoid[slices],
            self.slope_range[slices],
            self.slope_azimuth[slices],
            self.folds,
        )


def incidence(ties: TieGrid, height_m: Float32) -> Incidence:
    """Local incidence of a block.

    Parameters
    ----------
    ties
        Of the block.
    height_m
        ``(y, x)`` above the ellipsoid. Slopes are central differences, one-sided at the block's
        edges and beside missing heights: give the block a halo of a pixel, and cut it off.
    """
    found = np.empty((4, *height_m.shape), dtype=np.float32)
    level = np.float32(ties.middle_m), np.float32(1 / ties.half_m)
    folds = _incidence(ties.nodes.astype(np.float32), ties.step, height_m, level, *found)
    return Incidence(found[0], found[1], found[2], found[3], folds=bool(folds))


def shadow_and_layover(ties: TieGrid, height_m: Float32, angles: Incidence) -> Flags:
    """Pixels in shadow or layover, active and passive: ``Flag.SHADOW | Flag.LAYOVER``.

    A pixel is in layover where another one nearer to or farther from the sensor on the same line
    has its slant range or has passed it, and in shadow where one nearer hides it. Range lines run
    straight over the block; incidence is each pixel's own. Give the block a halo as wide as the
    relief divided by the tangent of the incidence angle.

    Parameters
    ----------
    ties, height_m
        As for ``incidence``; missing heights neither cast nor receive.
    angles
        Of the same block.
    """
    if not angles.folds:
        return np.zeros(height_m.shape, dtype=np.uint8)
    dx, dy, length = ties.towards_far
    heights = np.where(np.isnan(height_m), -np.inf, height_m).astype(np.float64)
    tangent = np.sqrt(1 / angles.cos_ellipsoid.astype(np.float64) ** 2 - 1)
    tangent = np.where(np.isnan(tangent), 1.0, tangent)
    # Sweep whole columns (or rows) at a time, whichever the range direction crosses faster.
    if abs(dx) < abs(dy):
        heights, tangent, dx, dy = heights.T, tangent.T, dy, dx
    if dx < 0:
        heights, tangent = heights[:, ::-1], tangent[:, ::-1]
    flags = _sweep(
        np.ascontiguousarray(heights), np.ascontiguousarray(tangent), dy / abs(dx), length / abs(dx)
    )
    if dx < 0:
        flags = flags[:, ::-1]
    if abs(ties.towards_far[0]) < abs(ties.towards_far[1]):
        flags = flags.T
    flags = np.ascontiguousarray(flags)
    flags[angles.cos_local <= 0] |= np.uint8(Flag.SHADOW)
    return flags


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _rises(before: Float32, here: Float32, after: Float32, out: Float32) -> None:
    """Rise to the next pixel: central where both neighbours have a height, else one-sided."""
    zero, half, one = np.float32(0), np.float32(0.5), np.float32(1)
    for x in range(here.size):
        back, ahead = here[x] - before[x], after[x] - here[x]
        no_back, no_ahead = np.isnan(back), np.isnan(ahead)
        share = one if no_back or no_ahead else half
        out[x] = ((zero if no_back else back) + (zero if no_ahead else ahead)) * share


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _incidence(
    nodes: Float32,
    step: int,
    height_m: Float32,
    level: tuple[float, float],
    local: Float32,
    ellipsoid: Float32,
    ranging: Float32,
    across: Float32,
) -> int:
    rows, columns = height_m.shape
    count = NORMAL_YY + 1 - AREA
    left, right = np.empty(count, np.float32), np.empty(count, np.float32)
    one, two, half, zero = np.float32(1), np.float32(2), np.float32(0.5), np.float32(0)
    # A row with what lies beside its ends, and above and below the block: no heights.
    padded = np.full(columns + 2, np.nan, np.float32)
    absent = np.full(columns, np.nan, np.float32)
    rise_x, rise_y = np.empty(columns, np.float32), np.empty(columns, np.float32)
    steep = 0
    for y in range(rows):
        i = min(y // step, nodes.shape[0] - 2)
        v = np.float32((y - i * step) / step)
        padded[1:-1] = height_m[y]
        _rises(padded[:-2], height_m[y], padded[2:], rise_x)
        above, below = (
            (height_m[y - 1] if y else absent),
            (height_m[y + 1] if y + 1 < rows else absent),
        )
        _rises(above, height_m[y], below, rise_y)
        for j in range(nodes.shape[1] - 1):
            for k in range(count):
                n = AREA + k
                left[k] = nodes[i, j, n] + v * (nodes[i + 1, j, n] - nodes[i, j, n])
                end = nodes[i, j + 1, n] + v * (nodes[i + 1, j + 1, n] - nodes[i, j + 1, n])
                right[k] = (end - left[k]) / np.float32(step)
            a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11 = left
            b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11 = right
            first = j * step
            for x in range(first, min(first + step, columns)):
                u = np.float32(x - first)
                w = (height_m[y, x] - level[0]) * level[1]
                p, q = rise_x[x], rise_y[x]
                seen = a0 + u * b0 + w * (a1 + u * b1)
                seen += p * (a2 + u * b2 + w * (a3 + u * b3))
                seen += q * (a4 + u * b4 + w * (a5 + u * b5))
                cosine = a6 + u * b6 + w * (a7 + u * b7)
                flat2 = a8 + u * b8
                surface2 = flat2 + p * p * (a9 + u * b9) + two * p * q * (a10 + u * b10)
                surface2 += q * q * (a11 + u * b11)
                sine2 = one - cosine * cosine
                level_seen = seen / np.sqrt(flat2)
                facing = level_seen - cosine
                towards = facing / np.sqrt(sine2)
                steep2 = surface2 / flat2 - one - towards * towards
                local[y, x] = seen / np.sqrt(surface2)
                ellipsoid[y, x] = cosine
                ranging[y, x] = towards
                across[y, x] = np.sqrt(steep2 if steep2 > zero else zero)
                # The halves: a sweep sees differences of neighbours, which exceed central ones.
                steep += (facing * cosine >= half * sine2) | (level_seen <= half * cosine)
    return steep


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sweep(heights: Floats, tangent: Floats, shift: float, length: float) -> Flags:
    """Sweep columns away from the sensor, and back; a range line shifts by ``shift`` rows each.

    Three fronts run with the sweep: the height of the shadow's upper edge over each pixel, the
    height above which a pixel comes before a nearer one in slant range, and, on the way back, the
    height below which it comes after a farther one.
    """
    rows, columns = heights.shape
    flags = np.zeros((rows, columns), dtype=np.uint8)
    front = np.empty((3, rows))
    shadow, nearer, farther = front[0], front[1], front[2]
    shadow[:], nearer[:], farther[:] = -np.inf, np.inf, -np.inf
    lit, low, high = np.empty(rows), np.empty(rows), np.empty(rows)
    for x in range(1, columns):
        for y in range(rows):
            h = heights[y, x - 1]
            lit[y] = max(shadow[y], h)
            low[y] = min(nearer[y], h) if h > -np.inf else nearer[y]
        for y in range(rows):
            a, b, v = _between(y - shift, rows)
            t = tangent[y, x]
            shadow[y] = _blend(lit[a], lit[b], v) - length / t
            nearer[y] = _blend(low[a], low[b], v) + length * t
            h = heights[y, x]
            if h > -np.inf:
                if shadow[y] > h:
                    flags[y, x] |= 2
                if nearer[y] < h:
                    flags[y, x] |= 1
    for x in range(columns - 2, -1, -1):
        for y in range(rows):
            high[y] = max(farther[y], heights[y, x + 1])
        for y in range(rows):
            a, b, v = _between(y + shift, rows)
            farther[y] = _blend(high[a], high[b], v) - length * tangent[y, x]
            if heights[y, x] > -np.inf and farther[y] > heights[y, x]:
                flags[y, x] |= 1
    return flags


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _between(place: float, rows: int) -> tuple[int, int, float]:
    inside = min(max(place, 0.0), rows - 1.0)
    first = int(inside)
    return first, min(first + 1, rows - 1), inside - first


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _blend(a: float, b: float, v: float) -> float:
    # Infinite fronts stay what they are instead of becoming NaN.
    if v == 0.0 or a == b:
        return a
    return a * (1 - v) + b * v


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def fill_layers(
    line: Float32,
    column: Float32,
    cos_local: Float32,
    cos_ellipsoid: Float32,
    flags: Flags,
    inner: tuple[int, int],
    limits: Float32,
    lia: Float32,
    angle: Float32,
    mask: Flags,
) -> None:
    """Fill angles (degrees) and mask of a part of a block that begins at row and column ``inner``.

    ``limits`` are the first and last line and column of the image, ``((y, x), (y, x))``; outside
    are NaN and ``Flag.OUTSIDE``. Angles are in steps of 1/128 degree: their last bits are noise,
    and compress badly.
    """
    rows, columns = lia.shape
    steps, part = np.float32(128 * 180 / np.pi), np.float32(1 / 128)
    missing, outside = np.float32(np.nan), np.uint8(255)
    for y in range(rows):
        v = y + inner[0]
        row_line, row_column = line[v, inner[1] :], column[v, inner[1] :]
        local, ellipsoid, flag = (
            cos_local[v, inner[1] :],
            cos_ellipsoid[v, inner[1] :],
            flags[v, inner[1] :],
        )
        for x in range(columns):
            a, b = row_line[x], row_column[x]
            inside = (a >= limits[0, 0]) & (a <= limits[1, 0])
            inside &= (b >= limits[0, 1]) & (b <= limits[1, 1])
            lia[y, x] = np.rint(_arccos(local[x]) * steps) * part if inside else missing
            angle[y, x] = np.rint(_arccos(ellipsoid[x]) * steps) * part if inside else missing
            mask[y, x] = flag[x] if inside else outside


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _arccos(cosine: Any) -> Any:
    """Within 1e-7 (Abramowitz and Stegun 4.4.46), and fit for vectors of pixels."""
    one = np.float32(1)
    x = abs(cosine)
    x = one if x > one else x
    low = np.float32(-0.0170881256) + x * (np.float32(0.0066700901) - x * np.float32(0.0012624911))
    low = np.float32(-0.0501743046) + x * (np.float32(0.0308918810) + x * low)
    low = np.float32(1.5707963050) + x * (
        np.float32(-0.2145988016) + x * (np.float32(0.0889789874) + x * low)
    )
    found = np.sqrt(one - x) * low
    return found if cosine >= np.float32(0) else np.float32(np.pi) - found
