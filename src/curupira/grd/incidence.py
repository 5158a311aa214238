"""Local incidence angle in three dimensions, slopes in radar directions, shadow and layover. Pure.

Sources: Small (2011), doi 10.1109/TGRS.2011.2120616; Vollrath et al. (2020),
doi 10.3390/rs12111867; Kropatsch and Strobl (1990), doi 10.1109/36.45752 (shadow and layover).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

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
    (positive where it faces the sensor) and across it (without a sign).
    """

    cos_local: Float32
    cos_ellipsoid: Float32
    slope_range: Float32
    slope_azimuth: Float32


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
    found = _incidence(ties.nodes, ties.step, height_m, ties.middle_m, ties.half_m)
    return Incidence(*found)


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
    if not _can_fold(angles):
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


def _can_fold(angles: Incidence) -> bool:
    """Whether any slope is steep enough for layover or shadow; both begin at such a slope."""
    valid = np.isfinite(angles.cos_local)
    if not valid.any():
        return False
    cosine = angles.cos_ellipsoid[valid]
    tangent = np.sqrt(1 / cosine.astype(np.float64) ** 2 - 1)
    slope = angles.slope_range[valid]
    # A sweep sees differences of neighbours, which exceed central ones: hence the half.
    return bool((slope >= 0.5 * tangent).any() or (-slope >= 0.5 / tangent).any())


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _difference(before: float, here: float, after: float) -> float:
    """Rise to the next pixel: central where both neighbours have a height, else one-sided."""
    if np.isnan(before):
        return 0.0 if np.isnan(after) else after - here
    return here - before if np.isnan(after) else 0.5 * (after - before)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _incidence(
    nodes: Floats, step: int, height_m: Float32, middle_m: float, half_m: float
) -> tuple[Float32, Float32, Float32, Float32]:
    rows, columns = height_m.shape
    local = np.full((rows, columns), np.nan, dtype=np.float32)
    ellipsoid = np.full((rows, columns), np.nan, dtype=np.float32)
    ranging = np.full((rows, columns), np.nan, dtype=np.float32)
    across = np.full((rows, columns), np.nan, dtype=np.float32)
    count = NORMAL_YY + 1 - AREA
    left, right = np.empty(count), np.empty(count)
    for y in range(rows):
        i = min(y // step, nodes.shape[0] - 2)
        v = (y - i * step) / step
        above, below = max(y - 1, 0), min(y + 1, rows - 1)
        for j in range(nodes.shape[1] - 1):
            for k in range(count):
                n = AREA + k
                left[k] = nodes[i, j, n] + v * (nodes[i + 1, j, n] - nodes[i, j, n])
                end = nodes[i, j + 1, n] + v * (nodes[i + 1, j + 1, n] - nodes[i, j + 1, n])
                right[k] = (end - left[k]) / step
            for x in range(j * step, min((j + 1) * step, columns)):
                here = np.float64(height_m[y, x])
                if np.isnan(here):
                    continue
                u = x - j * step
                w = (here - middle_m) / half_m
                before = height_m[y, x - 1] if x > 0 else np.float32(np.nan)
                after = height_m[y, x + 1] if x < columns - 1 else np.float32(np.nan)
                rise_x = _difference(before, here, after)
                before = height_m[above, x] if y > 0 else np.float32(np.nan)
                after = height_m[below, x] if y < rows - 1 else np.float32(np.nan)
                rise_y = _difference(before, here, after)
                level = left[0] + u * right[0] + w * (left[1] + u * right[1])
                along_x = left[2] + u * right[2] + w * (left[3] + u * right[3])
                along_y = left[4] + u * right[4] + w * (left[5] + u * right[5])
                seen = level + rise_x * along_x + rise_y * along_y
                cosine = left[6] + u * right[6] + w * (left[7] + u * right[7])
                flat2 = left[8] + u * right[8]
                surface2 = (
                    flat2
                    + rise_x * rise_x * (left[9] + u * right[9])
                    + 2 * rise_x * rise_y * (left[10] + u * right[10])
                    + rise_y * rise_y * (left[11] + u * right[11])
                )
                towards = (seen / np.sqrt(flat2) - cosine) / np.sqrt(1 - cosine * cosine)
                steep2 = surface2 / flat2 - 1 - towards * towards
                local[y, x] = seen / np.sqrt(surface2)
                ellipsoid[y, x] = cosine
                ranging[y, x] = towards
                across[y, x] = np.sqrt(max(steep2, 0.0))
    return local, ellipsoid, ranging, across


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
