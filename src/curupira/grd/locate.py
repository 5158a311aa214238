"""Where a line and a slant range lie on the ground: range-Doppler equations, forwards. Pure.

A point P at geodetic latitude, longitude and height h is imaged at slant range R when the platform
is at S with velocity V: ``|P - S| = R`` and ``V . (P - S) = 0`` (zero Doppler), to the right of the
track (Curlander and McDonough 1991, Synthetic Aperture Radar, chapter 8). Newton's method in
latitude and longitude, at the exact ellipsoidal height.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from curupira.errors import InputError
from curupira.grd.annotation import SPEED_OF_LIGHT_M_S, Annotation
from curupira.grd.orbit import Orbit

F64 = npt.NDArray[np.float64]
#: Ellipsoidal height (m) at longitudes and latitudes (degrees).
Height = Callable[[F64, F64], F64]

WGS84_A_M: Final = 6_378_137.0
WGS84_F: Final = 1 / 298.257223563
_E2: Final = WGS84_F * (2 - WGS84_F)
_STEPS, _TERRAIN_STEPS = 12, 30


class Place(NamedTuple):
    """Where pixels lie and how the radar sees them; degrees, ellipsoidal metres, one shape.

    ``incidence_deg`` is the angle to the ellipsoid's normal; ``radial_incidence_deg`` that to the
    line from the Earth's centre, which is what Sentinel-1 annotates (docs/grd.md); the elevation
    is the angle off nadir at the sensor.
    """

    longitude: F64
    latitude: F64
    height_m: F64
    incidence_deg: F64
    radial_incidence_deg: F64
    elevation_deg: F64


def slant_range_m(annotation: Annotation, line: npt.ArrayLike, sample: npt.ArrayLike) -> F64:
    """Slant range (m) of fractional lines and samples, by the annotated polynomials."""
    lines, samples = np.broadcast_arrays(np.asarray(line, float), np.asarray(sample, float))
    ground, table = samples * annotation.range_spacing_m, annotation.ground_range
    distinct, inverse = np.unique(lines, return_inverse=True)
    sets = [table.back_at(annotation.line_time(at)) for at in distinct]
    origin = np.array([o for o, _ in sets])[inverse].reshape(lines.shape)
    coefficients = np.stack([c for _, c in sets])[inverse].reshape(*lines.shape, -1)
    slant = np.zeros(lines.shape)
    for k in range(coefficients.shape[-1] - 1, -1, -1):
        slant = slant * (ground - origin) + coefficients[..., k]
    return slant


def bistatic_shift(annotation: Annotation) -> tuple[float, float]:
    """Zero-Doppler time less annotated line time, ``constant + factor * two-way time`` (s).

    The processor corrects the platform's motion during the echo's way for the middle of the swath
    only; the geolocation grid's azimuth times hold the rest, half the two-way time's difference.
    """
    grid = annotation.geolocation
    times = (grid.azimuth_time - annotation.start) / np.timedelta64(1, "s")
    factor, constant = np.polyfit(
        grid.slant_range_time, times - grid.line * annotation.line_interval_s, 1
    )
    return float(constant), float(factor)


def locate(
    annotation: Annotation,
    orbit: Orbit,
    line: npt.ArrayLike,
    sample: npt.ArrayLike,
    height_m: float | F64 | Height = 0.0,
    *,
    bistatic: bool = True,
) -> Place:
    """Place on the ground of image coordinates.

    Parameters
    ----------
    annotation, orbit
        Of the scene.
    line, sample
        Fractional image coordinates, broadcast together.
    height_m
        Ellipsoidal height, or a function of longitude and latitude. On a slope towards the radar
        that is steeper than the look (layover) several places share a sample; one is found.
    bistatic
        Take a line's zero-Doppler time at each range from the geolocation grid (``bistatic_shift``)
        rather than the line's annotated time.

    Raises
    ------
    InputError
        If there is no place at that range and height.
    """
    lines, samples = np.broadcast_arrays(np.asarray(line, float), np.asarray(sample, float))
    slant = slant_range_m(annotation, lines, samples)
    seconds = orbit.seconds(annotation.start) + lines * annotation.line_interval_s
    if bistatic:
        constant, factor = bistatic_shift(annotation)
        seconds = seconds + constant + factor * two_way_time_s(slant)
    return locate_range(orbit, seconds, slant, height_m)


def locate_range(
    orbit: Orbit, seconds: F64, slant_m: F64, height_m: float | F64 | Height = 0.0
) -> Place:
    """As ``locate``, of zero-Doppler seconds after the orbit's epoch and slant ranges."""
    s, v = orbit.position(seconds), orbit.velocity(seconds)
    lat, lon = _start(s, v, slant_m)
    if callable(height_m):
        function, height = height_m, np.zeros(slant_m.shape)
        for _ in range(_TERRAIN_STEPS):
            lat, lon = _newton(s, v, slant_m, lat, lon, height)
            new = np.asarray(function(np.degrees(lon), np.degrees(lat)), float)
            done = float(np.nanmax(np.abs(new - height), initial=0.0)) < 1e-3
            # Half a step: on a slope the found place moves by more than the height does.
            height = new if done else 0.5 * (height + new)
            if done:
                break
    else:
        height = np.broadcast_to(np.asarray(height_m, float), slant_m.shape).copy()
    lat, lon = _newton(s, v, slant_m, lat, lon, height)
    p, _, _, up = _frame(lat, lon, height)
    look = (s - p) / np.linalg.norm(s - p, axis=-1, keepdims=True)
    nadir = s / np.linalg.norm(s, axis=-1, keepdims=True)
    radial = p / np.linalg.norm(p, axis=-1, keepdims=True)
    return Place(
        np.degrees(lon),
        np.degrees(lat),
        height,
        *(
            np.degrees(np.arccos(np.clip((look * axis).sum(-1), -1, 1)))
            for axis in (up, radial, nadir)
        ),
    )


def _start(s: F64, v: F64, slant: F64) -> tuple[F64, F64]:
    """On a sphere through the ground below: to the right of the track at the slant range."""
    radius = np.linalg.norm(s, axis=-1)
    nadir_lat = np.arcsin(s[..., 2] / radius)
    earth = WGS84_A_M * (1 - WGS84_F * np.sin(nadir_lat) ** 2)
    cosine = (radius**2 + earth**2 - slant**2) / (2 * radius * earth)
    if (np.abs(cosine) > 1).any() or not np.isfinite(cosine).all():
        raise InputError("a slant range does not reach the ground")
    angle = np.arccos(cosine)[..., None]
    up = s / radius[..., None]
    along = v - (v * up).sum(-1, keepdims=True) * up
    right = np.cross(along / np.linalg.norm(along, axis=-1, keepdims=True), up)
    p = np.cos(angle) * up + np.sin(angle) * right
    return np.arctan2(p[..., 2], np.hypot(p[..., 0], p[..., 1]) * (1 - _E2)), np.arctan2(
        p[..., 1], p[..., 0]
    )


def _frame(lat: F64, lon: F64, height: F64) -> tuple[F64, F64, F64, F64]:
    """ECEF position, its derivatives by latitude and longitude (radians), and the normal."""
    sin, cos = np.sin(lat), np.cos(lat)
    w = np.sqrt(1 - _E2 * sin**2)
    n, m = WGS84_A_M / w, WGS84_A_M * (1 - _E2) / w**3
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], axis=-1)
    north = np.stack([-sin * np.cos(lon), -sin * np.sin(lon), cos], axis=-1)
    up = np.stack([cos * np.cos(lon), cos * np.sin(lon), sin], axis=-1)
    p = np.stack(
        [
            (n + height) * cos * np.cos(lon),
            (n + height) * cos * np.sin(lon),
            (n * (1 - _E2) + height) * sin,
        ],
        axis=-1,
    )
    return p, north * (m + height)[..., None], east * ((n + height) * cos)[..., None], up


def _newton(s: F64, v: F64, slant: F64, lat: F64, lon: F64, height: F64) -> tuple[F64, F64]:
    for _ in range(_STEPS):
        p, by_lat, by_lon, _ = _frame(lat, lon, height)
        look = p - s
        distance = np.linalg.norm(look, axis=-1)
        f, g = distance - slant, (v * look).sum(-1)
        fa, fo = (look * by_lat).sum(-1) / distance, (look * by_lon).sum(-1) / distance
        ga, go = (v * by_lat).sum(-1), (v * by_lon).sum(-1)
        determinant = fa * go - fo * ga
        da, do = (f * go - fo * g) / determinant, (fa * g - f * ga) / determinant
        lat, lon = lat - da, lon - do
        # 1e-11 rad are 0.06 mm.
        if float(np.nanmax(np.abs(da) + np.abs(do), initial=0.0)) < 1e-11:
            return lat, lon
    raise InputError("no place on the ground at that range and height")


def two_way_time_s(slant_m: F64) -> F64:
    """Two-way travel time of a slant range."""
    return 2 * slant_m / SPEED_OF_LIGHT_M_S
