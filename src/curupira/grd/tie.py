"""The fast path of geocoding: exact positions at tie points and four heights, bilinear between.

A tie point also holds what the local incidence angle needs, which is linear in the slope. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from affine import Affine
from numba import njit
from odc.geo.geobox import GeoBox

from curupira.blocks import Window
from curupira.errors import InputError
from curupira.grd.drift import Drift, by_one_polynomial, place_run
from curupira.grd.zero_doppler import RadarGeometry
from curupira.grid import LONLAT, transformer

Floats = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

#: WGS 84: semi-major axis (m) and squared eccentricity.
_A_M: Final = 6_378_137.0
_E2: Final = 6.694379990141316e-3
#: Pixels between tie points to begin with, and at least.
STEP: Final = 64
_MIN_STEP: Final = 1
#: A block's largest deviation from Newton's positions, radar pixels; the bar is 0.01.
TOLERANCE_PX: Final = 0.005
#: Places at which a block is checked, at most.
_CHECKS: Final = 1200

#: Levels of height, and what turns the values there into a cubic in ``w``, ascending powers.
_LEVELS: Final = np.array([-1.0, -1 / 3, 1 / 3, 1.0])
_TO_POWERS: Final = np.linalg.inv(_LEVELS[:, None] ** np.arange(4))

#: What a tie point holds, by position in the last axis of ``TieGrid.nodes``. Line and sample are
#: cubic in the height, the area towards the sensor and the cosine of incidence linear.
LINE, SAMPLE, AREA, AREA_DX, AREA_DY, COSINE = 0, 4, 8, 10, 12, 14
NORMAL2, NORMAL_XX, NORMAL_XY, NORMAL_YY, BETA_AREA, WIDTH = 16, 17, 18, 19, 20, 21


@dataclass(frozen=True)
class TieGrid:
    """Tie points of a block.

    Parameters
    ----------
    nodes
        ``(ny, nx, WIDTH)``; node (i, j) is at the centre of pixel (i step, j step) of the block.
        With ``w = (h - middle_m) / half_m``: line and sample ``a + b w + c w^2 + d w^3``; ``AREA``
        the pixel's area projected towards the sensor on level ground (m2), ``AREA_DX`` and
        ``AREA_DY`` what it gains a metre of height difference to the next pixel; ``COSINE`` the
        cosine of the ellipsoidal incidence angle (all three ``a + b w``); ``NORMAL*`` the quadratic
        form of the slope that gives the squared area of the surface; ``BETA_AREA`` the slant area
        of a radar pixel (m2).
    step
        Pixels between tie points.
    middle_m, half_m
        Middle of the heights, and half their range.
    drift
        To be added to the samples.
    towards_far
        Step in pixels (x, y), and its length in metres, that leads away from the sensor.
    """

    nodes: Floats
    step: int
    middle_m: float
    half_m: float
    drift: Drift
    towards_far: tuple[float, float, float]

    def positions(self, height_m: Float32) -> tuple[Floats, Floats]:
        """Line and sample ``(y, x)`` of every pixel of the block; NaN where the height is."""
        line, sample = np.empty(height_m.shape), np.empty(height_m.shape)
        self._fill(height_m, 1.0, 0.0, 0.0, line, sample)
        return line, sample

    def looked(self, height_m: Float32, side: int) -> tuple[Float32, Float32, tuple[int, int]]:
        """Places in the multi-looked image (``geocode.looked``), counted from a pixel of it.

        Returns
        -------
        line, column
            float32 ``(y, x)``; within a block their last bit is a few 1e-4 pixels.
        origin
            The line and column of the multi-looked image that they are counted from.
        """
        scale, shift = 1.0 / side, -0.5 * (side - 1) / side
        origin = [int(np.floor(self.nodes[..., k].min() * scale)) for k in (LINE, SAMPLE)]
        line, column = np.empty(height_m.shape, np.float32), np.empty(height_m.shape, np.float32)
        self._fill(height_m, scale, shift - origin[0], shift - origin[1], line, column)
        return line, column, (origin[0], origin[1])

    def _fill(
        self,
        height_m: Float32,
        scale: float,
        line_0: float,
        sample_0: float,
        line: Any,
        sample: Any,
    ) -> None:
        level, drift = (self.middle_m, 1 / self.half_m), self.drift
        scaled = drift.middle, 1 / drift.half, float(drift.delay[0]), float(drift.delay[1])
        place = scale, line_0, sample_0
        _positions(
            self.nodes,
            self.step,
            height_m,
            level,
            drift.lines,
            drift.powers,
            scaled,
            place,
            line,
            sample,
        )


def block_box(grid: GeoBox, window: Window) -> GeoBox:
    """GeoBox of a window, which may reach beyond the grid's edges."""
    affine = grid.affine @ Affine.translation(window.x0, window.y0)
    return GeoBox(window.shape, affine, grid.crs)


def to_ecef(box: GeoBox, x_px: Floats, y_px: Floats, height_m: Floats | float) -> Floats:
    """ECEF ``(..., 3)`` of pixel centres: (0, 0) is the centre of the first pixel.

    Raises
    ------
    InputError
        If the box has no coordinate reference system.
    """
    longitude, latitude = to_lonlat(box, x_px, y_px)
    return ecef(longitude, latitude, height_m)


def to_lonlat(box: GeoBox, x_px: Floats, y_px: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude (degrees) of pixel centres."""
    if box.crs is None:
        raise InputError("the grid has no coordinate reference system")
    a, b, c, d, e, f = tuple(box.affine)[:6]
    x, y = x_px + 0.5, y_px + 0.5
    lon, lat = transformer(str(box.crs), LONLAT).transform(a * x + b * y + c, d * x + e * y + f)
    return lon, lat


def ecef(longitude: Floats, latitude: Floats, height_m: Floats | float) -> Floats:
    """ECEF ``(..., 3)`` (m) of longitude, latitude (degrees) and height above WGS 84 (m)."""
    lon, lat = np.radians(longitude), np.radians(latitude)
    radius = _A_M / np.sqrt(1 - _E2 * np.sin(lat) ** 2)
    across = (radius + height_m) * np.cos(lat)
    return np.stack(
        (
            across * np.cos(lon),
            across * np.sin(lon),
            (radius * (1 - _E2) + height_m) * np.sin(lat),
        ),
        axis=-1,
    )


def tie_grid(
    geometry: RadarGeometry, box: GeoBox, heights_m: tuple[float, float], step: int = STEP
) -> TieGrid:
    """Tie points over a block, for heights between two bounds.

    Raises
    ------
    InputError
        If a tie point has no place in the image's time: the block lies far outside the scene.
    """
    low, high = heights_m
    middle, half = (low + high) / 2, max((high - low) / 2, 50.0)
    rows, columns = box.shape
    y, x = np.meshgrid(
        np.arange(rows // step + 2) * float(step),
        np.arange(columns // step + 2) * float(step),
        indexing="ij",
    )
    place = to_lonlat(box, x, y)
    line, _, sight = geometry.locate(
        np.stack([ecef(*place, middle + level * half) for level in _LEVELS])
    )
    if not np.isfinite(line).all():
        raise InputError("the target grid lies far outside the scene")
    nodes = np.empty((*x.shape, WIDTH))
    slant = np.linalg.norm(sight, axis=-1)
    sample, drift = by_one_polynomial(geometry, line, slant)
    for first, value in ((LINE, line), (SAMPLE, sample)):
        nodes[..., first : first + 4] = np.einsum("pl,lyx->yxp", _TO_POWERS, value)
    frame = _frame(place, middle, step)
    _fill_areas(nodes, frame, sight / slant[..., None])
    slopes = _by_pixel(nodes[..., LINE], step), _by_pixel(nodes[..., SAMPLE], step)
    (line_x, line_y), (sample_x, sample_y) = slopes
    pixels = np.abs(line_x * sample_y - line_y * sample_x)
    sine = np.sqrt(1 - nodes[..., COSINE] ** 2)
    nodes[..., BETA_AREA] = sine * np.sqrt(nodes[..., NORMAL2]) / pixels
    far = _towards_far(slopes, frame)
    return TieGrid(nodes, step, middle, half, drift, far)


def _fill_areas(nodes: Floats, frame: tuple[Floats, Floats, Floats], look: Floats) -> None:
    """What the local incidence needs: the normal is ``level + h_x rise_x + h_y rise_y``."""
    east, south, up = frame
    sign = np.sign(_dot(np.cross(east, south), up))[..., None]
    level, rise_x, rise_y = (
        sign * part for part in (np.cross(east, south), np.cross(up, south), np.cross(east, up))
    )
    for first, form in ((AREA, level), (AREA_DX, rise_x), (AREA_DY, rise_y), (COSINE, up)):
        nodes[..., first] = _dot(form, look[1] + look[2]) / 2
        nodes[..., first + 1] = _dot(form, look[3] - look[0]) / 2
    nodes[..., NORMAL2] = _dot(level, level)
    nodes[..., NORMAL_XX] = _dot(rise_x, rise_x)
    nodes[..., NORMAL_XY] = _dot(rise_x, rise_y)
    nodes[..., NORMAL_YY] = _dot(rise_y, rise_y)


def _towards_far(
    slopes: tuple[tuple[Floats, Floats], tuple[Floats, Floats]],
    frame: tuple[Floats, Floats, Floats],
) -> tuple[float, float, float]:
    # On a line of constant time: line_x dx + line_y dy = 0, with growing range.
    (line_x, line_y), (sample_x, sample_y) = slopes
    dx, dy = float(np.mean(line_y)), float(-np.mean(line_x))
    if np.mean(sample_x) * dx + np.mean(sample_y) * dy < 0:
        dx, dy = -dx, -dy
    size = float(np.hypot(dx, dy))
    dx, dy = dx / size, dy / size
    length = np.linalg.norm(dx * frame[0] + dy * frame[1], axis=-1).mean()
    return dx, dy, float(length)


def fitting_tie_grid(
    geometry: RadarGeometry, box: GeoBox, height_m: Float32, *, tolerance_px: float = TOLERANCE_PX
) -> tuple[TieGrid, float]:
    """Tie points close enough to keep a tolerance, and the largest error that was found.

    See ``tie_error``; the heights are the pixels' own.

    Raises
    ------
    InputError
        If the tolerance is not met with a tie point at every pixel.
    """
    finite = height_m[np.isfinite(height_m)]
    bounds = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    # Tie points reach a step beyond the block: no farther than it is wide.
    step = min(STEP, 1 << (max(box.shape).bit_length() - 1))
    while True:
        ties = tie_grid(geometry, box, bounds, step)
        error = tie_error(geometry, box, ties, height_m)
        if error <= tolerance_px:
            return ties, error
        if step <= _MIN_STEP:
            raise InputError(
                f"positions between tie points are {error:.3f} pixels off",
                remedy="choose a finer grid",
            )
        step //= 2


def tie_error(geometry: RadarGeometry, box: GeoBox, ties: TieGrid, height_m: Float32) -> float:
    """Largest distance (radar pixels) of fast positions from Newton's, midway between tie points.

    There straight lines are farthest from curves, and from the kinks that the range polynomials
    have in time. Of fine grids a part is looked at.
    """
    first, stride = ties.step // 2, ties.step
    while -(-height_m.shape[0] // stride) * -(-height_m.shape[1] // stride) > _CHECKS:
        stride += ties.step
    y, x = (
        n.ravel()
        for n in np.mgrid[first : height_m.shape[0] : stride, first : height_m.shape[1] : stride]
    )
    known = np.isfinite(height_m[y, x])
    y, x = y[known], x[known]
    if y.size == 0:
        return 0.0
    heights = height_m[y, x].astype(np.float64)
    line, sample, _ = geometry.locate(
        to_ecef(box, x.astype(np.float64), y.astype(np.float64), heights)
    )
    fast_line, fast_sample = _at_points(
        ties.nodes, ties.step, y, x, (heights - ties.middle_m) / ties.half_m
    )
    fast_sample += ties.drift.at(fast_line, fast_sample)
    # Beyond the image both continue the range polynomials by straight lines, each its own.
    lines, samples = geometry.shape
    inside = (line >= 0) & (line <= lines - 1) & (sample >= 0) & (sample <= samples - 1)
    off = np.hypot(fast_line - line, fast_sample - sample)[inside]
    return float(off.max()) if off.size else 0.0


def _dot(a: Floats, b: Floats) -> Floats:
    found: Floats = (a * b).sum(axis=-1)
    return found


def _frame(place: tuple[Floats, Floats], height: float, step: int) -> tuple[Floats, Floats, Floats]:
    """ECEF steps (m) to the next pixel in x and in y, and the unit vector up."""
    lon, lat = (np.radians(v) for v in place)
    up = np.stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)), axis=-1)
    return *_by_pixel(ecef(*place, height), step), up


def _by_pixel(values: Floats, step: int) -> tuple[Floats, Floats]:
    """What values at tie points gain a pixel in x and in y: smooth, so differences will do."""
    order: Literal[1, 2] = 2 if min(values.shape[:2]) > 2 else 1
    along_x, along_y = (
        np.asarray(np.gradient(values, step, axis=axis, edge_order=order)) for axis in (1, 0)
    )
    return along_x, along_y


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _positions(
    nodes: Floats,
    step: int,
    height_m: Float32,
    level: tuple[float, float],
    lines: Floats,
    powers: Floats,
    scaled: tuple[float, float, float, float],
    place: tuple[float, float, float],
    line: Any,
    sample: Any,
) -> None:
    rows, columns = height_m.shape
    left, right = np.empty(8), np.empty(8)
    at_line, at_s = np.empty(step), np.empty(step)
    for y in range(rows):
        i = min(y // step, nodes.shape[0] - 2)
        v = (y - i * step) / step
        for j in range(nodes.shape[1] - 1):
            for k in range(8):
                left[k] = nodes[i, j, k] + v * (nodes[i + 1, j, k] - nodes[i, j, k])
                end = nodes[i, j + 1, k] + v * (nodes[i + 1, j + 1, k] - nodes[i, j + 1, k])
                right[k] = (end - left[k]) / step
            a0, a1, a2, a3, b0, b1, b2, b3 = left
            c0, c1, c2, c3, d0, d1, d2, d3 = right
            first = j * step
            count = min(step, columns - first)
            for n in range(count):
                u = np.float64(n)
                w = (height_m[y, first + n] - level[0]) * level[1]
                linear = a1 + u * c1 + w * (a2 + u * c2 + w * (a3 + u * c3))
                at_line[n] = a0 + u * c0 + w * linear
                linear = b1 + u * d1 + w * (b2 + u * d2 + w * (b3 + u * d3))
                at_s[n] = (b0 + u * d0 + w * linear - scaled[0]) * scaled[1]
            place_run(
                at_line[:count],
                at_s[:count],
                lines,
                powers,
                scaled,
                place,
                line[y, first : first + count],
                sample[y, first : first + count],
            )


def _at_points(
    nodes: Floats,
    step: int,
    y: npt.NDArray[np.int64],
    x: npt.NDArray[np.int64],
    w: Floats,
) -> Floats:
    """Line and sample ``(2, n)`` of single pixels."""
    i, j = np.minimum(y // step, nodes.shape[0] - 2), np.minimum(x // step, nodes.shape[1] - 2)
    v, u = ((y - i * step) / step)[:, None], ((x - j * step) / step)[:, None]
    upper = nodes[i, j, :8] * (1 - u) + nodes[i, j + 1, :8] * u
    lower = nodes[i + 1, j, :8] * (1 - u) + nodes[i + 1, j + 1, :8] * u
    powers = (upper * (1 - v) + lower * v).reshape(-1, 2, 4)
    found: Floats = (powers * (w[:, None] ** np.arange(4))[:, None]).sum(axis=-1).T
    return found
