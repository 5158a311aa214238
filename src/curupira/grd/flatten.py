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

#: Facets a pixel of the height model is cut into, each way.
FACETS: Final = 2
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
    line: Floats,
    column: Floats,
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
    area, cover = _accumulate(
        ties.nodes,
        ties.step,
        height_m,
        ties.middle_m,
        ties.half_m,
        line - radar.y0,
        column - radar.x0,
        radar.shape,
        float(side * side),
        FACETS,
    )
    once = np.abs(cover - 1) < _ONCE
    area = np.where(once, area / np.where(once, cover, 1), area)
    return np.where(area > _LEAST_AREA, area, np.nan).astype(np.float32)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _accumulate(
    nodes: Floats,
    step: int,
    height_m: Float32,
    middle_m: float,
    half_m: float,
    line: Floats,
    column: Floats,
    shape: tuple[int, int],
    pixels: float,
    facets: int,
) -> tuple[Float32, Float32]:
    rows, columns = height_m.shape
    area = np.zeros(shape, dtype=np.float32)
    cover = np.zeros(shape, dtype=np.float32)
    share = 1.0 / (facets * facets)
    for y in range(rows - 1):
        i = min(y // step, nodes.shape[0] - 2)
        v = (y + 0.5 - i * step) / step
        for x in range(columns - 1):
            h00, h01 = np.float64(height_m[y, x]), np.float64(height_m[y, x + 1])
            h10, h11 = np.float64(height_m[y + 1, x]), np.float64(height_m[y + 1, x + 1])
            middle = 0.25 * (h00 + h01 + h10 + h11)
            if np.isnan(middle):
                continue
            a00, a01, a10, a11 = line[y, x], line[y, x + 1], line[y + 1, x], line[y + 1, x + 1]
            b00, b01 = column[y, x], column[y, x + 1]
            b10, b11 = column[y + 1, x], column[y + 1, x + 1]
            if not _near(a00, b00, shape):
                continue
            j = min(x // step, nodes.shape[1] - 2)
            u = (x + 0.5 - j * step) / step
            w = (middle - middle_m) / half_m
            slant = _node(nodes, i, j, v, u, BETA_AREA) * pixels
            level = _form(nodes, i, j, v, u, w, AREA) / slant
            along_x = _form(nodes, i, j, v, u, w, AREA_DX) / slant
            along_y = _form(nodes, i, j, v, u, w, AREA_DY) / slant
            for m in range(facets):
                q = (m + 0.5) / facets
                for n in range(facets):
                    p = (n + 0.5) / facets
                    rise_x = (h01 - h00) * (1 - q) + (h11 - h10) * q
                    rise_y = (h10 - h00) * (1 - p) + (h11 - h01) * p
                    seen = level + rise_x * along_x + rise_y * along_y
                    ax = (a01 - a00) * (1 - q) + (a11 - a10) * q
                    ay = (a10 - a00) * (1 - p) + (a11 - a01) * p
                    bx = (b01 - b00) * (1 - q) + (b11 - b10) * q
                    by = (b10 - b00) * (1 - p) + (b11 - b01) * p
                    a = (a00 * (1 - p) + a01 * p) * (1 - q) + (a10 * (1 - p) + a11 * p) * q
                    b = (b00 * (1 - p) + b01 * p) * (1 - q) + (b10 * (1 - p) + b11 * p) * q
                    _share(
                        area, cover, a, b, max(seen, 0.0) * share, abs(ax * by - ay * bx) * share
                    )
    return area, cover


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _near(a: float, b: float, shape: tuple[int, int]) -> bool:
    # Cells that lie more than a few radar pixels outside add nothing; NaN fails.
    return bool(a > -8 and b > -8 and a < shape[0] + 8 and b < shape[1] + 8)


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _node(nodes: Floats, i: int, j: int, v: float, u: float, k: int) -> float:
    upper = nodes[i, j, k] * (1 - u) + nodes[i, j + 1, k] * u
    lower = nodes[i + 1, j, k] * (1 - u) + nodes[i + 1, j + 1, k] * u
    return float(upper * (1 - v) + lower * v)


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _form(nodes: Floats, i: int, j: int, v: float, u: float, w: float, k: int) -> float:
    return float(_node(nodes, i, j, v, u, k) + w * _node(nodes, i, j, v, u, k + 1))


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _share(area: Float32, cover: Float32, a: float, b: float, seen: float, size: float) -> None:
    """Share a facet between the four nearest pixels by bilinear weights."""
    i, j = int(np.floor(a)), int(np.floor(b))
    v, u = a - i, b - j
    for y in range(2):
        if i + y < 0 or i + y >= area.shape[0]:
            continue
        across = v if y else 1 - v
        for x in range(2):
            if j + x < 0 or j + x >= area.shape[1]:
                continue
            weight = across * (u if x else 1 - u)
            area[i + y, j + x] += np.float32(weight * seen)
            cover[i + y, j + x] += np.float32(weight * size)
