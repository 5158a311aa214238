"""A true product's metadata, moved to another place on the Earth. For synthetic scenes.

Along the meridian the scene moves in time along its own orbit: the annotated state vectors are
propagated in the Earth's field (central term and flattening, J2), which keeps the orbit's height
and heading true for the new latitude. Along the parallel everything is rotated about the Earth's
axis, an exact symmetry. Times, slant ranges and tables stay; geolocation grid, incidence angles and
the ratios of the calibration tables are computed anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.integrate import solve_ivp
from scipy.interpolate import RegularGridInterpolator
from scipy.optimize import brentq

from curupira.errors import InputError
from curupira.grd.annotation import SPEED_OF_LIGHT_M_S, Annotation, StateVectors
from curupira.grd.crop import at, numbers, text, to_bytes
from curupira.grd.locate import locate_range
from curupira.grd.orbit import Orbit
from curupira.grd.xml import parse

F64 = npt.NDArray[np.float64]

MU_M3_S2: Final = 3.986004418e14
J2: Final = 1.08262668e-3
EARTH_RADIUS_M: Final = 6_378_137.0
ROTATION_RAD_S: Final = 7.2921150e-5
#: Farther along its orbit than this the pass would turn (a quarter of a revolution).
_LONGEST_S: Final = 1400.0
#: 360 degrees in 98.6 minutes.
_DEG_PER_S: Final = 0.0608


def propagate(state: F64, seconds: F64) -> F64:
    """Earth-fixed states at other times.

    Parameters
    ----------
    state
        ``(6,)`` ECEF position (m) and velocity (m/s) at second 0.
    seconds
        ``(n,)`` increasing.

    Returns
    -------
    ``(n, 6)``
        Central gravity and J2 only: within a metre over a minute.
    """
    out = np.empty((len(seconds), 6))
    for side in (seconds >= 0, seconds < 0):
        if not side.any():
            continue
        at_times = seconds[side] if seconds[side][0] >= 0 else seconds[side][::-1]
        path = solve_ivp(
            _acceleration,
            (0.0, float(at_times[-1])),
            state,
            t_eval=at_times,
            method="DOP853",
            rtol=1e-12,
            atol=1e-6,
        ).y.T
        out[side] = path if at_times[0] >= 0 else path[::-1]
    return out


def _acceleration(_: float, state: F64) -> F64:
    r, v = state[:3], state[3:]
    distance = np.linalg.norm(r)
    flat = 1.5 * J2 * (EARTH_RADIUS_M / distance) ** 2
    z = 5 * (r[2] / distance) ** 2
    gravity = -MU_M3_S2 / distance**3 * r * (1 + flat * (np.array([1.0, 1.0, 3.0]) - z))
    turn = np.array([0.0, 0.0, ROTATION_RAD_S])
    pull = gravity - 2 * np.cross(turn, v) - np.cross(turn, np.cross(turn, r))
    return np.concatenate([v, pull])


def move(annotation: Annotation, latitude: float, longitude: float) -> Annotation:
    """The annotation of the same scene with its middle at another place.

    Raises
    ------
    InputError
        If the pass does not reach the latitude.
    """
    vectors = annotation.state_vectors
    middle = len(vectors.times) // 2
    state = np.concatenate([vectors.position_m[middle], vectors.velocity_m_s[middle]])
    after = (vectors.times - vectors.times[middle]) / np.timedelta64(1, "s")

    def moved(shift_s: float) -> StateVectors:
        path = propagate(state, after + shift_s)
        return replace(vectors, position_m=path[:, :3], velocity_m_s=path[:, 3:])

    def centre(there: StateVectors) -> tuple[float, float]:
        orbit = Orbit.fit(there, annotation.start, annotation.stop)
        grid = annotation.geolocation
        n = len(grid.line) // 2 + grid.shape[1] // 2
        place = locate_range(
            orbit,
            orbit.seconds(grid.azimuth_time[n : n + 1]),
            grid.slant_range_time[n : n + 1] * SPEED_OF_LIGHT_M_S / 2,
            0.0,
        )
        return float(place.latitude[0]), float(place.longitude[0])

    def miss(shift_s: float) -> float:
        return centre(moved(shift_s))[0] - latitude

    north_first = state[5] < 0
    guess = (centre(vectors)[0] - latitude) / _DEG_PER_S * (1 if north_first else -1)
    span = 60.0 + 0.1 * abs(guess)
    if abs(guess) > _LONGEST_S or miss(guess - span) * miss(guess + span) > 0:
        raise InputError(f"the pass does not reach the latitude {latitude:g}")
    there = moved(float(brentq(miss, guess - span, guess + span, xtol=1e-3)))
    there = _turn(there, np.radians(longitude - centre(there)[1]))
    return _with_grid(replace(annotation, state_vectors=there))


def _turn(vectors: StateVectors, angle: float) -> StateVectors:
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return replace(
        vectors,
        position_m=vectors.position_m @ matrix.T,
        velocity_m_s=vectors.velocity_m_s @ matrix.T,
    )


def _with_grid(annotation: Annotation) -> Annotation:
    grid = annotation.geolocation
    orbit = Orbit.fit(annotation.state_vectors, annotation.start, annotation.stop)
    place = locate_range(
        orbit,
        orbit.seconds(grid.azimuth_time),
        grid.slant_range_time * SPEED_OF_LIGHT_M_S / 2,
        grid.height,
    )
    new = replace(
        grid,
        latitude=place.latitude,
        longitude=place.longitude,
        incidence_deg=place.radial_incidence_deg,
        elevation_deg=place.elevation_deg,
    )
    return replace(annotation, geolocation=new)


def write_annotation(xml: bytes, annotation: Annotation) -> bytes:
    """The template's file with the state vectors and geolocation of ``annotation``."""
    root = parse(xml, "template").element
    vectors = annotation.state_vectors
    for n, orbit in enumerate(root.iterfind("generalAnnotation/orbitList/orbit")):
        for name, values in (
            ("position", vectors.position_m),
            ("velocity", vectors.velocity_m_s),
        ):
            for axis, value in zip("xyz", values[n], strict=True):
                at(orbit, f"{name}/{axis}").text = f"{value:.15e}"
    grid = annotation.geolocation
    for n, point in enumerate(at(root, "geolocationGrid/geolocationGridPointList")):
        for name, column in (
            ("latitude", grid.latitude),
            ("longitude", grid.longitude),
            ("incidenceAngle", grid.incidence_deg),
            ("elevationAngle", grid.elevation_deg),
        ):
            at(point, name).text = f"{column[n]:.15e}"
    return to_bytes(root)


def write_calibration(xml: bytes, old: Annotation, new: Annotation) -> bytes:
    """Calibration tables whose ratios fit the moved scene's incidence angles.

    ``sigma0 = beta0 sin(incidence)`` and ``gamma0 = sigma0 / cos(incidence)``: beta0's table stays,
    the others change by the ratio of the angles' functions.
    """
    root = parse(xml, "template").element
    before, after = (np.radians(a.geolocation.incidence_deg) for a in (old, new))
    sine = _interpolator(old, np.sqrt(np.sin(before) / np.sin(after)))
    tangent = _interpolator(old, np.sqrt(np.tan(before) / np.tan(after)))
    for vector in at(root, "calibrationVectorList"):
        pixel, line = numbers(at(vector, "pixel")), numbers(at(vector, "line"))
        nodes = np.column_stack([np.broadcast_to(line, pixel.shape), pixel])
        for name, ratio in (("sigmaNought", sine), ("gamma", tangent)):
            table = at(vector, name)
            table.text = text(numbers(table) * ratio(nodes))
    return to_bytes(root)


def _interpolator(annotation: Annotation, values: F64) -> RegularGridInterpolator:
    grid = annotation.geolocation
    lines = grid.line.reshape(grid.shape)[:, 0]
    pixels = grid.pixel.reshape(grid.shape)[0]
    return RegularGridInterpolator(
        (lines, pixels), values.reshape(grid.shape), bounds_error=False, fill_value=None
    )
