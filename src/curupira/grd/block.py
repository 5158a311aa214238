"""One block of the target grid: heights, positions, angles, masks and normalised backscatter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from scipy.ndimage import binary_dilation

from curupira.blocks import Window
from curupira.errors import InputError
from curupira.grd.dem import Dem, read_heights, refuse_gap
from curupira.grd.flatten import angular_gamma0, cosine_gamma0, projected_area
from curupira.grd.geocode import looked, sample
from curupira.grd.image import RadarImage
from curupira.grd.incidence import Flag, Incidence, fill_layers, incidence, shadow_and_layover
from curupira.grd.tie import TieGrid, block_box, fitting_tie_grid, to_ecef
from curupira.grd.zero_doppler import RadarGeometry

Float32 = npt.NDArray[np.float32]
Radiometry = Literal["sigma0", "gamma0", "gamma0_rtc", "gamma0_volume", "gamma0_surface"]

#: Halo of a block, pixels, to begin with and at most.
_HALO: Final = 32
_MOST: Final = 512
#: Tangent of the smallest incidence angle of IW (29 degrees): folded ground lies this close.
_STEEPEST: Final = 0.55
#: Lowest and highest ground, metres.
_GROUND_M: Final = (-500.0, 7000.0)


@dataclass(frozen=True)
class Target:
    """What the blocks of one run share.

    ``images`` are by polarisation, in beta0 for ``gamma0_rtc`` and in sigma0 otherwise.
    """

    geometry: RadarGeometry
    grid: GeoBox
    dem: Dem
    images: Mapping[str, RadarImage]
    radiometry: Radiometry


@dataclass(frozen=True)
class Block:
    """Arrays ``(y, x)`` of a window.

    ``power`` by polarisation, ``lia`` and ``angle`` in degrees, float32 with NaN outside the image;
    ``mask`` uint8 sums of ``Flag``; ``error_px`` the fast positions' largest deviation.
    """

    window: Window
    power: Mapping[str, Float32]
    lia: Float32
    angle: Float32
    mask: npt.NDArray[np.uint8]
    error_px: float


def kind_of(radiometry: Radiometry) -> Literal["beta0", "sigma0"]:
    """The calibration that a radiometry starts from."""
    return "beta0" if radiometry == "gamma0_rtc" else "sigma0"


def process(target: Target, window: Window) -> Block | None:
    """Geocode a window of the grid; None where the image does not reach it.

    Raises
    ------
    InputError
        If the DEM does not cover it and is to refuse that, or has no plausible heights.
    """
    if not _meets(target, block_box(target.grid, window)):
        return None
    outer, height, gap = _heights(target, window)
    ties, error = fitting_tie_grid(target.geometry, block_box(target.grid, outer), height)
    angles, flags = _angles(ties, height, gap)
    inner = window.relative_to(outer)
    if target.dem.on_gap == "refuse":
        refuse_gap(target.dem, gap[inner.slices])
    places = _Places(*ties.looked(height, next(iter(target.images.values())).side))
    area = None
    if target.radiometry == "gamma0_rtc":
        area = _area(target, ties, height, places, inner)
    part = angles.part(inner.slices)
    power = {
        name: _normalised(target.radiometry, one, places, inner, part, area)
        for name, one in target.images.items()
    }
    lia, angle, mask = _layers(target, places, angles, flags, inner)
    return Block(window, power, lia, angle, mask, error)


@dataclass(frozen=True)
class _Places:
    """See ``TieGrid.looked``."""

    line: Float32
    column: Float32
    origin: tuple[int, int]

    def relative(self, window: Window) -> Window:
        """A window of the multi-looked image, counted from the origin."""
        y, x = self.origin
        return Window(window.y0 - y, window.y1 - y, window.x0 - x, window.x1 - x)


def _angles(
    ties: TieGrid, height: Float32, gap: npt.NDArray[np.bool_]
) -> tuple[Incidence, npt.NDArray[np.uint8]]:
    """Angles and flags; a gap is level ground, and the step at its edge is no slope."""
    if not gap.any():
        angles = incidence(ties, height)
        return angles, shadow_and_layover(ties, height, angles)
    known = np.where(gap, np.float32(np.nan), height)
    angles = incidence(ties, known)
    flags = shadow_and_layover(ties, known, angles)
    level = incidence(ties, height).cos_ellipsoid
    angles = Incidence(
        np.where(gap, level, angles.cos_local),
        level,
        np.where(gap, np.float32(0), angles.slope_range),
        np.where(gap, np.float32(0), angles.slope_azimuth),
        angles.folds,
    )
    # Area integration sees the step: flag what lies beside it as well.
    flags[binary_dilation(gap, iterations=2)] |= np.uint8(Flag.NO_HEIGHT)
    return angles, flags


def _layers(
    target: Target,
    places: _Places,
    angles: Incidence,
    flags: npt.NDArray[np.uint8],
    inner: Window,
) -> tuple[Float32, Float32, npt.NDArray[np.uint8]]:
    """Local and ellipsoidal incidence (degrees), and the mask, of the inner window."""
    side = next(iter(target.images.values())).side
    first = looked(np.zeros(2), side) - places.origin
    last = looked(np.array(target.geometry.shape) - 1.0, side) - places.origin
    lia, angle = (np.empty(inner.shape, dtype=np.float32) for _ in range(2))
    mask = np.empty(inner.shape, dtype=np.uint8)
    limits = np.array([first, last], dtype=np.float32)
    arrays = places.line, places.column, angles.cos_local, angles.cos_ellipsoid, flags
    fill_layers(*arrays, (inner.y0, inner.x0), limits, lia, angle, mask)
    return lia, angle, mask


def _meets(target: Target, box: GeoBox) -> bool:
    """Whether ground of any height within the box may lie in the image."""
    rows, columns = box.shape
    y, x = np.meshgrid(
        np.linspace(-0.5, rows - 0.5, 5), np.linspace(-0.5, columns - 0.5, 5), indexing="ij"
    )
    line, column, _ = target.geometry.locate(
        np.stack([to_ecef(box, x, y, height) for height in _GROUND_M])
    )
    if not np.isfinite(line).all():
        return False
    lines, samples = target.geometry.shape
    return bool(
        line.max() >= 0 and line.min() < lines and column.max() >= 0 and column.min() < samples
    )


def _heights(target: Target, window: Window) -> tuple[Window, Float32, npt.NDArray[np.bool_]]:
    """Heights of the window and as much around it as may fold onto it."""
    halo = _HALO
    while True:
        outer = Window(window.y0 - halo, window.y1 + halo, window.x0 - halo, window.x1 + halo)
        box = block_box(target.grid, outer)
        height, gap = read_heights(target.dem, box)
        relief = float(np.ptp(height[~gap])) if not gap.all() else 0.0
        needed = int(relief / _STEEPEST / _pixel_m(box)) + 4
        if needed <= halo or halo >= _MOST:
            return outer, height, gap
        halo = min(needed, _MOST)


def _pixel_m(box: GeoBox) -> float:
    middle = np.array([box.shape[1] / 2, box.shape[1] / 2 + 1])
    across = to_ecef(box, middle, np.full(2, box.shape[0] / 2), 0.0)
    return float(np.linalg.norm(across[1] - across[0]))


def _area(
    target: Target, ties: TieGrid, height: Float32, places: _Places, inner: Window
) -> tuple[Float32, Window]:
    """Projected area on the radar window that the inner pixels are sampled from.

    The window is counted from the places' origin.
    """
    image = next(iter(target.images.values()))
    line, column = places.line[inner.slices], places.column[inner.slices]
    radar = Window(
        int(np.floor(line.min())) - 1,
        int(np.ceil(line.max())) + 2,
        int(np.floor(column.min())) - 1,
        int(np.ceil(column.max())) + 2,
    ).intersect(places.relative(image.window))
    if radar.empty:
        return np.empty((0, 0), dtype=np.float32), radar
    return projected_area(ties, height, places.line, places.column, radar, image.side), radar


def _normalised(
    radiometry: Radiometry,
    image: RadarImage,
    places: _Places,
    inner: Window,
    angles: Incidence,
    area: tuple[Float32, Window] | None,
) -> Float32:
    line, column = places.line[inner.slices], places.column[inner.slices]
    whole = places.relative(image.window)
    if area is not None:
        ground, radar = area
        if radar.empty:
            return np.full(line.shape, np.nan, dtype=np.float32)
        beta0 = image.power[radar.relative_to(whole).slices]
        return sample(beta0 / ground, line, column, (radar.y0, radar.x0))
    sigma0 = sample(image.power, line, column, (whole.y0, whole.x0))
    match radiometry:
        case "sigma0":
            return sigma0
        case "gamma0":
            return cosine_gamma0(sigma0, angles)
        case "gamma0_volume":
            return angular_gamma0(sigma0, angles, "volume")
        case "gamma0_surface":
            return angular_gamma0(sigma0, angles, "surface")
    raise InputError(f"no radiometry {radiometry!r}")
