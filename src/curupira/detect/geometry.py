"""Acquisition geometry: local incidence angle, gamma0, angle limits, along-track border. Pure."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import shapely
from shapely.affinity import translate
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from curupira.codes import OrbitState
from curupira.detect.params import GeometryParams
from curupira.errors import InputError

FloatArray = npt.NDArray[np.float32]


def lia(
    slope_deg: npt.NDArray[np.floating],
    aspect_deg: npt.NDArray[np.floating],
    theta_deg: npt.NDArray[np.floating],
    azimuth_deg: float,
) -> FloatArray:
    """Local incidence angle in degrees, by the authors' projection on the range plane.

    ``|theta - slope cos(azimuth - 90 - aspect)|``: not the exact three-dimensional angle.

    Parameters
    ----------
    slope_deg, aspect_deg
        ``(y, x)``; aspect is the compass direction a slope faces. NaN gives NaN.
    theta_deg
        Angle on the ellipsoid, ``(y, x)`` or a scalar array.
    azimuth_deg
        Flight direction, clockwise from north; the antenna looks to the right.

    Notes
    -----
    method.md 1A step 4.
    """
    facing = np.cos(np.deg2rad(azimuth_deg - 90 - aspect_deg))
    return np.asarray(np.abs(theta_deg - slope_deg * facing), dtype=np.float32)


def gamma0(sigma0: npt.NDArray[np.floating], lia_deg: npt.NDArray[np.floating]) -> FloatArray:
    """``sigma0 / cos(LIA)``, linear power. NaN where the LIA is 90 degrees or more, or missing."""
    cosine = np.cos(np.deg2rad(lia_deg))
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.where(cosine > 1e-6, sigma0 / cosine, np.nan)
    return power.astype(np.float32)


def angle_mask(
    angle_deg: npt.NDArray[np.floating], params: GeometryParams
) -> npt.NDArray[np.bool_]:
    """Pixels whose ellipsoid angle lies strictly within the limits. NaN is outside."""
    return _strictly_within(angle_deg, params.angle_min_deg, params.angle_max_deg)


def lia_mask(lia_deg: npt.NDArray[np.floating], params: GeometryParams) -> npt.NDArray[np.bool_]:
    """Pixels whose LIA lies strictly within the limits (detection images). NaN is outside."""
    return _strictly_within(lia_deg, params.lia_min_deg, params.lia_max_deg)


def flight_azimuth_deg(
    footprint_xy: BaseGeometry, orbit_state: OrbitState = OrbitState.DESCENDING
) -> float:
    """Flight direction from a slice's footprint, degrees clockwise from grid north.

    The side of the footprint's smallest rectangle that lies nearer to north-south is the flight
    direction (Sentinel-1 flies within 15 degrees of it in the tropics). Descending gives 90 to
    270, ascending -90 to 90.

    Raises
    ------
    InputError
        If the footprint has no area.
    """
    rectangle = footprint_xy.minimum_rotated_rectangle
    if not isinstance(rectangle, Polygon) or rectangle.area == 0:
        raise InputError("the footprint has no area", remedy="check the scene's metadata")
    xy = np.asarray(rectangle.exterior.coords)
    sides = np.diff(xy, axis=0)[:2]
    dx, dy = max(sides, key=lambda v: abs(v[1]) / np.hypot(*v))
    if dy < 0:
        dx, dy = -dx, -dy
    ascending = math.degrees(math.atan2(dx, dy))
    return ascending if orbit_state is OrbitState.ASCENDING else ascending + 180


def edge_eroded(footprint_xy: BaseGeometry, distance_m: float) -> BaseGeometry:
    """Footprint without its two along-track edges.

    It is shifted by ``distance_m`` forward and back along the flight direction, and all three are
    intersected: the range edges stay where they are.

    Parameters
    ----------
    footprint_xy
        A slice (or the joined slices of a pass) in the CRS of the grid, metres.
    distance_m
        Width cut off at either end; 0 returns the footprint.

    Returns
    -------
    An empty polygon where the slice is shorter than twice the distance.

    Raises
    ------
    InputError
        If the footprint has no area.

    Notes
    -----
    method.md 1A step 3.
    """
    if distance_m == 0:
        return footprint_xy
    azimuth = math.radians(flight_azimuth_deg(footprint_xy))
    dx, dy = distance_m * math.sin(azimuth), distance_m * math.cos(azimuth)
    left = translate(footprint_xy, dx, dy).intersection(translate(footprint_xy, -dx, -dy))
    inner = left.intersection(footprint_xy)
    # Slivers of a slightly concave outline are no image; the slice is the largest part.
    parts = [part for part in shapely.get_parts(inner) if isinstance(part, Polygon)]
    return max(parts, key=lambda part: part.area, default=Polygon())


def _strictly_within(
    angle: npt.NDArray[np.floating], low: float, high: float
) -> npt.NDArray[np.bool_]:
    return np.asarray((angle > low) & (angle < high), dtype=np.bool_)
