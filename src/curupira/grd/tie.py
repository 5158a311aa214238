"""The fast path of geocoding: exact positions at tie points and three heights, bilinear between.

A tie point also holds what the local incidence angle needs, which is linear in the slope. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from affine import Affine
from numba import njit
from odc.geo.geobox import GeoBox

from curupira.blocks import Window
from curupira.errors import InputError
from curupira.grd.zero_doppler import RadarGeometry
from curupira.grid import LONLAT, transformer

Floats = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

#: WGS 84: semi-major axis (m) and squared eccentricity.
_A_M: Final = 6_378_137.0
_E2: Final = 6.694379990141316e-3
#: Pixels between tie points to begin with, and at least.
STEP: Final = 32
_MIN_STEP: Final = 1
#: A block's largest deviation from Newton's positions, radar pixels; the bar is 0.01.
TOLERANCE_PX: Final = 0.005
_CHECKS: Final = 128

#: What a tie point holds, by position in the last axis of ``TieGrid.nodes``. Line and slant range
#: are quadratic in the height, the area towards the sensor and the cosine of incidence linear.
LINE, RANGE, AREA, AREA_DX, AREA_DY, COSINE = 0, 3, 6, 8, 10, 12
NORMAL2, NORMAL_XX, NORMAL_XY, NORMAL_YY, BETA_AREA, WIDTH = 14, 15, 16, 17, 18, 19


@dataclass(frozen=True)
class TieGrid:
    """Tie points of a block.

    Parameters
    ----------
    nodes
        ``(ny, nx, WIDTH)``; node (i, j) is at the centre of pixel (i step, j step) of the block.
        With ``w = (h - middle_m) / half_m``: line and slant range ``a + b w + c w^2``; ``AREA`` the
        pixel's area projected towards the sensor on level ground (m2), ``AREA_DX`` and ``AREA_DY``
        what it gains a metre of height difference to the next pixel; ``COSINE`` the cosine of the
        ellipsoidal incidence angle (all three ``a + b w``); ``NORMAL*`` the quadratic form of the
        slope that gives the squared area of the surface; ``BETA_AREA`` the slant area of a radar
        pixel (m2).
    step
        Pixels between tie points.
    middle_m, half_m
        Heights of the three levels: middle, and half their range.
    samples
        What turns line and slant range into a sample: see ``RadarGeometry.samples_by_range``, and
        the fractional line of each of its rows.
    towards_far
        Step in pixels (x, y), and its length in metres, that leads away from the sensor.
    """

    nodes: Floats
    step: int
    middle_m: float
    half_m: float
    samples: tuple[Floats, Floats, float, float]
    towards_far: tuple[float, float, float]

    def positions(self, height_m: Float32) -> tuple[Floats, Floats]:
        """Line and sample ``(y, x)`` of every pixel of the block; NaN where the height is."""
        found: tuple[Floats, Floats] = _positions(
            self.nodes, self.step, height_m, self.middle_m, self.half_m, *self.samples
        )
        return found


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
    # The pixel's centre, and half a pixel to either side in x and in y.
    places = [
        to_lonlat(box, x + dx, y + dy)
        for dx, dy in ((0, 0), (0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))
    ]
    line, _, sight = geometry.locate(
        np.stack([ecef(*places[0], middle + level * half) for level in (-1, 0, 1)])
    )
    if not np.isfinite(line).all():
        raise InputError("the target grid lies far outside the scene")
    nodes = np.empty((*x.shape, WIDTH))
    slant = np.linalg.norm(sight, axis=-1)
    for first, value in ((LINE, line), (RANGE, slant)):
        nodes[..., first] = value[1]
        nodes[..., first + 1] = (value[2] - value[0]) / 2
        nodes[..., first + 2] = (value[2] + value[0]) / 2 - value[1]
    frame = _frame(places, middle)
    _fill_areas(nodes, frame, sight / slant[..., None])
    slopes = _slopes(geometry, places, middle)
    (line_x, line_y), (sample_x, sample_y) = slopes
    pixels = np.abs(line_x * sample_y - line_y * sample_x)
    sine = np.sqrt(1 - nodes[..., COSINE] ** 2)
    nodes[..., BETA_AREA] = sine * np.sqrt(nodes[..., NORMAL2]) / pixels
    far = _towards_far(slopes, frame)
    return TieGrid(nodes, step, middle, half, _sample_table(geometry), far)


def _fill_areas(nodes: Floats, frame: tuple[Floats, Floats, Floats], look: Floats) -> None:
    """What the local incidence needs: the normal is ``level + h_x rise_x + h_y rise_y``."""
    east, south, up = frame
    sign = np.sign(_dot(np.cross(east, south), up))[..., None]
    level, rise_x, rise_y = (
        sign * part for part in (np.cross(east, south), np.cross(up, south), np.cross(east, up))
    )
    for first, form in ((AREA, level), (AREA_DX, rise_x), (AREA_DY, rise_y), (COSINE, up)):
        nodes[..., first] = _dot(form, look[1])
        nodes[..., first + 1] = _dot(form, look[2] - look[0]) / 2
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

    The error is the distance in radar pixels between the fast position and Newton's at up to 128
    pixels spread over the block, at the pixels' own heights.

    Raises
    ------
    InputError
        If the tolerance is not met with a tie point at every pixel.
    """
    finite = height_m[np.isfinite(height_m)]
    bounds = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    step = STEP
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
    """Largest distance (radar pixels) of fast positions from Newton's, on a spread of pixels."""
    rows, columns = np.nonzero(np.isfinite(height_m))
    if rows.size == 0:
        return 0.0
    # A step that shares no factor with the tie step visits every place within a cell.
    pick = np.unique(np.linspace(0, rows.size - 1, _CHECKS).astype(np.int64))
    y, x = rows[pick], columns[pick]
    heights = height_m[y, x].astype(np.float64)
    line, sample, _ = geometry.locate(
        to_ecef(box, x.astype(np.float64), y.astype(np.float64), heights)
    )
    fast_line, fast_sample = _at_points(
        ties.nodes, ties.step, y, x, heights, ties.middle_m, ties.half_m, *ties.samples
    )
    # Beyond the image both continue the range polynomials by straight lines, each its own.
    lines, samples = geometry.shape
    inside = (line >= 0) & (line <= lines - 1) & (sample >= 0) & (sample <= samples - 1)
    off = np.hypot(fast_line - line, fast_sample - sample)[inside]
    return float(off.max()) if off.size else 0.0


def _sample_table(geometry: RadarGeometry) -> tuple[Floats, Floats, float, float]:
    table, first, step = geometry.samples_by_range
    lines = (geometry.table_s - geometry.first_line_s) / geometry.line_interval_s
    return table, lines, first, step


def _dot(a: Floats, b: Floats) -> Floats:
    found: Floats = (a * b).sum(axis=-1)
    return found


def _frame(places: Sequence[tuple[Floats, Floats]], height: float) -> tuple[Floats, Floats, Floats]:
    """ECEF steps (m) to the next pixel in x and in y, and the unit vector up."""
    lon, lat = (np.radians(v) for v in places[0])
    right, left, down, above = (ecef(*place, height) for place in places[1:])
    up = np.stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)), axis=-1)
    return right - left, down - above, up


def _slopes(
    geometry: RadarGeometry, places: Sequence[tuple[Floats, Floats]], height: float
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Lines and samples gained a pixel in x and in y, at one height."""
    line, sample, _ = geometry.locate(np.stack([ecef(*place, height) for place in places[1:]]))
    return (line[0] - line[1], line[2] - line[3]), (sample[0] - sample[1], sample[2] - sample[3])


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _sample(
    line: float, slant: float, table: Floats, lines: Floats, first: float, step: float
) -> float:
    """Bilinear in a table of samples by polynomial and slant range; held beyond the polynomials.

    The polynomials' times are those of lines up to the bistatic delay, whose quarter of a line
    moves a sample by 0.002 pixels at most.
    """
    last = lines.shape[0] - 1
    k, weight = 0, 0.0
    if last > 0:
        # The polynomials come at an even interval, but for the last one.
        guess = int((line - lines[0]) / (lines[1] - lines[0]))
        k = min(max(guess, 0), last - 1)
        weight = min(max((line - lines[k]) / (lines[k + 1] - lines[k]), 0.0), 1.0)
    place = (slant - first) / step
    n = min(max(int(place), 0), table.shape[1] - 2)
    u = place - n
    near = table[k, n] + u * (table[k, n + 1] - table[k, n])
    if weight == 0.0:
        return float(near)
    after = table[k + 1, n] + u * (table[k + 1, n + 1] - table[k + 1, n])
    return float(near + weight * (after - near))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _positions(
    nodes: Floats,
    step: int,
    height_m: Float32,
    middle_m: float,
    half_m: float,
    table: Floats,
    lines: Floats,
    first_m: float,
    step_m: float,
) -> tuple[Floats, Floats]:
    rows, columns = height_m.shape
    line = np.empty((rows, columns))
    sample = np.empty((rows, columns))
    left, right = np.empty(6), np.empty(6)
    for y in range(rows):
        i = min(y // step, nodes.shape[0] - 2)
        v = (y - i * step) / step
        for j in range(nodes.shape[1] - 1):
            for k in range(6):
                left[k] = nodes[i, j, k] + v * (nodes[i + 1, j, k] - nodes[i, j, k])
                end = nodes[i, j + 1, k] + v * (nodes[i + 1, j + 1, k] - nodes[i, j + 1, k])
                right[k] = (end - left[k]) / step
            for x in range(j * step, min((j + 1) * step, columns)):
                u = x - j * step
                w = (height_m[y, x] - middle_m) / half_m
                linear = left[1] + u * right[1] + w * (left[2] + u * right[2])
                line[y, x] = left[0] + u * right[0] + w * linear
                linear = left[4] + u * right[4] + w * (left[5] + u * right[5])
                slant = left[3] + u * right[3] + w * linear
                if np.isnan(slant):
                    sample[y, x] = np.nan
                else:
                    sample[y, x] = _sample(line[y, x], slant, table, lines, first_m, step_m)
    return line, sample


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _at_points(
    nodes: Floats,
    step: int,
    y: npt.NDArray[np.int64],
    x: npt.NDArray[np.int64],
    height_m: Floats,
    middle_m: float,
    half_m: float,
    table: Floats,
    lines: Floats,
    first_m: float,
    step_m: float,
) -> tuple[Floats, Floats]:
    found = np.empty((2, y.size))
    for n in range(y.size):
        i = min(y[n] // step, nodes.shape[0] - 2)
        j = min(x[n] // step, nodes.shape[1] - 2)
        v, u = (y[n] - i * step) / step, (x[n] - j * step) / step
        w = (height_m[n] - middle_m) / half_m
        for which in range(2):
            total, power = 0.0, 1.0
            for k in range(3 * which, 3 * which + 3):
                upper = nodes[i, j, k] * (1 - u) + nodes[i, j + 1, k] * u
                lower = nodes[i + 1, j, k] * (1 - u) + nodes[i + 1, j + 1, k] * u
                total += power * (upper * (1 - v) + lower * v)
                power *= w
            found[which, n] = total
        found[1, n] = _sample(found[0, n], found[1, n], table, lines, first_m, step_m)
    return found[0], found[1]
