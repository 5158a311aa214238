"""Terrain: gamma0 by area integration, by the cosine, and by Vollrath's angular models. Pure.

Sources: Small (2011), Flattening Gamma, doi 10.1109/TGRS.2011.2120616; Vollrath et al. (2020),
doi 10.3390/rs12111867; Doblas et al. (2022) for gamma0 = sigma0 / cos(LIA).
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from numba import njit

from curupira.blocks import Window
from curupira.grd.incidence import Incidence
from curupira.grd.tie import AREA, AREA_DX, AREA_DY, BETA_AREA, TieGrid

Float32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

#: Pixels around a window into which facets from beside it may fall.
_AROUND: Final = 8
#: Normalised area below which a radar pixel sees (almost) no ground: -30 dB, as in Small's mask.
_LEAST_AREA: Final = 1e-3
#: A cover this close to one is a surface seen once, sampled unevenly.
_ONCE: Final = 0.4


def cosine_gamma0(sigma0: Float32, angles: Incidence) -> Float32:
    """Gamma0 = sigma0 / cos(LIA), linear (DETER-R); NaN where the surface is turned away."""
    cosine = angles.cos_local
    return np.where(cosine > 0, sigma0 / np.where(cosine > 0, cosine, 1), np.nan).astype(np.float32)


def angular_gamma0(
    sigma0: Float32, angles: Incidence, model: Literal["volume", "surface"]
) -> Float32:
    """Gamma0 on level ground, divided by Vollrath's slope factor.

    Parameters
    ----------
    sigma0
        ``(y, x)`` linear, on the ellipsoid.
    angles
        Of the same pixels.
    model
        ``volume``: scatterers that fill a volume, ``tan(90 - theta + a_r) / tan(90 - theta)``;
        ``surface``: ``cos(90 - theta) / (cos(a_az) cos(90 - theta + a_r))``. ``a_r`` is positive
        where the slope faces the sensor.

    Returns
    -------
    float32 ``(y, x)``; NaN in layover (``a_r >= theta``) and shadow (``a_r <= theta - 90``).
    """
    theta = np.arccos(angles.cos_ellipsoid)
    elevation = np.float32(np.pi / 2) - theta
    slope = np.arctan(angles.slope_range)
    seen = (slope < theta) & (slope > -elevation)
    turned = np.where(seen, elevation + slope, 1)
    if model == "volume":
        factor = np.tan(turned) / np.tan(elevation)
    else:
        # Vollrath et al., equation 8, in which cos(a_az) is 1 / sqrt(1 + tan^2).
        factor = np.cos(elevation) * np.hypot(1, angles.slope_azimuth) / np.cos(turned)
    return np.where(seen, sigma0 / angles.cos_ellipsoid / factor, np.nan).astype(np.float32)


def projected_area(
    ties: TieGrid,
    height_m: Float32,
    line: Floats | Float32,
    column: Floats | Float32,
    radar: Window,
    side: int,
) -> Float32:
    """Area of the ground in each radar pixel, seen along the line of sight, over its slant area.

    Parameters
    ----------
    ties, height_m
        Of a block whose halo takes in all ground that folds onto the pixels of interest.
    line, column
        ``(y, x)`` places of its pixels in the multi-looked image (``geocode.looked``).
    radar
        Window of the multi-looked image that is asked for.
    side
        Radar pixels a multi-looked pixel takes in, each way.

    Returns
    -------
    float32 on ``radar``: ``A_gamma / A_beta`` of Small (2011), so that gamma0 = beta0 / area. The
    area of every facet of the bilinear surface that is turned to the sensor is shared between the
    four nearest radar pixels. Where the surface covers a radar pixel once, the unevenness of that
    sharing is divided out by the cover itself. NaN where there is no ground: beyond the block, or
    in shadow.
    """
    level = np.float32(ties.middle_m), np.float32(1 / ties.half_m)
    sums = np.zeros((radar.shape[0] + 2 * _AROUND, radar.shape[1] + 2 * _AROUND, 2), np.float32)
    _accumulate(
        _ratios(ties, side),
        ties.step,
        height_m,
        level,
        (line - (radar.y0 - _AROUND)).astype(np.float32, copy=False),
        (column - (radar.x0 - _AROUND)).astype(np.float32, copy=False),
        sums,
    )
    found: Float32 = _finished(sums)
    return found


def _ratios(ties: TieGrid, side: int) -> Float32:
    """Areas of a grid pixel at the tie points over the slant area of a looked pixel, ``(.., 6)``.

    Of level ground, and what a metre of rise in x and in y adds; each with its change by height.
    """
    slant = ties.nodes[..., BETA_AREA, None] * (side * side)
    areas = (ties.nodes[..., first : first + 2] / slant for first in (AREA, AREA_DX, AREA_DY))
    return np.concatenate(list(areas), axis=-1).astype(np.float32)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def _accumulate(
    nodes: Float32,
    step: int,
    height_m: Float32,
    level: tuple[float, float],
    line: Float32,
    column: Float32,
    sums: Float32,
) -> None:
    rows, columns = height_m.shape
    # A cell reaches at most so far: beyond, its facets may not fit.
    most_y, most_x = np.float32(sums.shape[0] - _AROUND), np.float32(sums.shape[1] - _AROUND)
    least, quarter, zero = np.float32(_AROUND - 1), np.float32(0.25), np.float32(0)
    near, far = np.float32(0.25), np.float32(0.75)
    left, right = np.empty(6, np.float32), np.empty(6, np.float32)
    for y in range(rows - 1):
        i = min(y // step, nodes.shape[0] - 2)
        v = np.float32((y + 0.5 - i * step) / step)
        for j in range(nodes.shape[1] - 1):
            for k in range(6):
                left[k] = nodes[i, j, k] + v * (nodes[i + 1, j, k] - nodes[i, j, k])
                end = nodes[i, j + 1, k] + v * (nodes[i + 1, j + 1, k] - nodes[i, j + 1, k])
                right[k] = (end - left[k]) / np.float32(step)
            first = j * step
            for x in range(first, min(first + step, columns - 1)):
                a00, b00 = line[y, x], column[y, x]
                # NaN fails; what lies some pixels outside adds nothing.
                if not (a00 > least and b00 > least and a00 < most_y and b00 < most_x):
                    continue
                h00, h01 = height_m[y, x], height_m[y, x + 1]
                h10, h11 = height_m[y + 1, x], height_m[y + 1, x + 1]
                a01, a10, a11 = line[y, x + 1], line[y + 1, x], line[y + 1, x + 1]
                b01, b10, b11 = column[y, x + 1], column[y + 1, x], column[y + 1, x + 1]
                w = (quarter * (h00 + h01 + h10 + h11) - level[0]) * level[1]
                if np.isnan(w):
                    continue
                u = np.float32(x - first) + np.float32(0.5)
                flat = left[0] + u * right[0] + w * (left[1] + u * right[1])
                along_x = left[2] + u * right[2] + w * (left[3] + u * right[3])
                along_y = left[4] + u * right[4] + w * (left[5] + u * right[5])
                for m in range(2):
                    q = far if m else near
                    rise_x = (h01 - h00) + q * ((h11 - h10) - (h01 - h00))
                    ax = (a01 - a00) + q * ((a11 - a10) - (a01 - a00))
                    bx = (b01 - b00) + q * ((b11 - b10) - (b01 - b00))
                    a0, b0 = a00 + q * (a10 - a00), b00 + q * (b10 - b00)
                    for n in range(2):
                        p = far if n else near
                        rise_y = (h10 - h00) + p * ((h11 - h01) - (h10 - h00))
                        ay = (a10 - a00) + p * ((a11 - a01) - (a10 - a00))
                        by = (b10 - b00) + p * ((b11 - b01) - (b10 - b00))
                        seen = flat + rise_x * along_x + rise_y * along_y
                        seen = quarter * (seen if seen > zero else zero)
                        size = quarter * abs(ax * by - ay * bx)
                        _share(sums, a0 + p * ax, b0 + p * bx, seen, size)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _finished(sums: Float32) -> Float32:
    """Areas without what lies around the window; sums of surfaces seen once by their cover."""
    rows, columns = sums.shape[0] - 2 * _AROUND, sums.shape[1] - 2 * _AROUND
    out = np.empty((rows, columns), dtype=np.float32)
    once, least, one = np.float32(_ONCE), np.float32(_LEAST_AREA), np.float32(1)
    for y in range(rows):
        for x in range(columns):
            area, cover = sums[y + _AROUND, x + _AROUND, 0], sums[y + _AROUND, x + _AROUND, 1]
            area = area / cover if abs(cover - one) < once else area
            out[y, x] = area if area > least else np.float32(np.nan)
    return out


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _share(sums: Float32, a: float, b: float, seen: float, size: float) -> None:
    """Share a facet's area and cover between the four nearest pixels by bilinear weights."""
    # Positive, so that cutting the fraction off rounds down.
    i, j = int(a), int(b)
    if i < 0 or j < 0 or i + 1 >= sums.shape[0] or j + 1 >= sums.shape[1]:
        return
    v, u = a - np.float32(i), b - np.float32(j)
    upper, lower = np.float32(1) - v, v
    before, after = np.float32(1) - u, u
    sums[i, j, 0] += upper * before * seen
    sums[i, j, 1] += upper * before * size
    sums[i, j + 1, 0] += upper * after * seen
    sums[i, j + 1, 1] += upper * after * size
    sums[i + 1, j, 0] += lower * before * seen
    sums[i + 1, j, 1] += lower * before * size
    sums[i + 1, j + 1, 0] += lower * after * seen
    sums[i + 1, j + 1, 1] += lower * after * size
