"""Zero-Doppler geometry: where a point on the ground lies in the image, by Newton's method. Pure.

Source: Small and Schubert (2019), Guide to Sentinel-1 Geocoding, UZH-S1-GC-AD 1.10, sections 3-4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from curupira.grd.annotation import SPEED_OF_LIGHT_M_S, Annotation
from curupira.grd.locate import bistatic_shift
from curupira.grd.orbit import Orbit

Floats = npt.NDArray[np.float64]

#: Newton stops below this step: 1e-8 s is 0.07 mm along the track.
_TOLERANCE_S: Final = 1e-8
_ROUNDS: Final = 20
#: Beyond the swath, metres of ground range a metre of slant range: about 1 / sin of 30 degrees.
_STEEPNESS: Final = 2.0
#: Slant range beyond the swath to which its polynomials are continued: as far as high ground moves
#: tie points of a block that has a part in the image. Five per cent of the swath do no harm.
_BEYOND_M: Final = 10_000.0
_SECOND: Final = np.timedelta64(1, "s")


@dataclass(frozen=True)
class RadarGeometry:
    """All that turns an ECEF position into a line and a sample, as plain arrays for kernels.

    Parameters
    ----------
    orbit
        ``(3, k)`` ascending powers of ``t / scale_s``, ``t`` in seconds from the orbit's epoch.
    scale_s
        As the orbit's.
    first_line_s, line_interval_s
        Time of line 0 after the orbit's epoch, and between lines.
    table_s, origin_m, coefficients
        Slant to ground range: times ``(n,)`` after the epoch, origins ``(n,)``, and ascending
        coefficients ``(n, m)``; linear between times, held before the first and after the last.
    slant_m
        Slant range of the first and the last sample; the polynomials hold ten kilometres beyond,
        and are continued by straight lines.
    bistatic
        ``(constant s, factor)``: a line's annotated time plus ``constant + factor * tau``, tau the
        two-way time, is the zero-Doppler time of what the line shows at that range; (0, 0): none.
    spacing_m
        Ground range between samples.
    shape
        ``(lines, samples)``.
    """

    orbit: Floats
    scale_s: float
    first_line_s: float
    line_interval_s: float
    table_s: Floats
    origin_m: Floats
    coefficients: Floats
    slant_m: tuple[float, float]
    bistatic: tuple[float, float]
    spacing_m: float
    shape: tuple[int, int]

    @classmethod
    def of(cls, annotation: Annotation, orbit: Orbit, *, bistatic: bool = True) -> RadarGeometry:
        """Geometry of an image with an orbit.

        ``bistatic`` takes the small difference between a line's time and the zero-Doppler time,
        which grows with range (up to 0.19 lines), from the annotation's geolocation grid; without
        it lines are as SNAP and sarsen have them.
        """
        table = annotation.ground_range
        return cls(
            orbit=np.ascontiguousarray(orbit.coefficients, dtype=np.float64),
            scale_s=float(orbit.scale_s),
            first_line_s=float((annotation.start - orbit.epoch) / _SECOND),
            line_interval_s=annotation.line_interval_s,
            table_s=np.asarray((table.times - orbit.epoch) / _SECOND, dtype=np.float64),
            origin_m=np.asarray(table.origin_m, dtype=np.float64),
            coefficients=np.ascontiguousarray(table.coefficients, dtype=np.float64),
            slant_m=_slant_limits(annotation),
            bistatic=bistatic_shift(annotation) if bistatic else (0.0, 0.0),
            spacing_m=annotation.range_spacing_m,
            shape=(annotation.lines, annotation.samples),
        )

    @property
    def middle_s(self) -> float:
        """Time of the middle line after the orbit's epoch: where Newton starts."""
        return self.first_line_s + 0.5 * (self.shape[0] - 1) * self.line_interval_s

    def locate(self, ecef: Floats) -> tuple[Floats, Floats, Floats]:
        """Line, sample and line-of-sight vector of positions.

        Parameters
        ----------
        ecef
            ``(..., 3)`` metres, Earth-fixed (EPSG:4978).

        Returns
        -------
        line, sample
            ``(...)``, fractional; NaN where the position is NaN, lies left of the track, or has no
            zero-Doppler time within a minute of the orbit's polynomial. Sample 0 and line 0 are
            pixel centres.
        sight
            ``(..., 3)`` from the ground to the sensor, metres: its length is the slant range.
        """
        flat = np.ascontiguousarray(ecef, dtype=np.float64).reshape(-1, 3)
        seconds, sight = _solve(flat, self.orbit, self.scale_s, self.middle_s)
        slant = np.linalg.norm(sight, axis=-1)
        sample = self.samples(seconds, slant)
        constant, factor = self.bistatic
        delay = constant + factor * 2 / SPEED_OF_LIGHT_M_S * slant
        line = (seconds - delay - self.first_line_s) / self.line_interval_s
        shape = ecef.shape[:-1]
        return (
            line.reshape(shape),
            sample.reshape(shape),
            sight.reshape(ecef.shape),
        )

    def samples(self, seconds: Floats, slant_m: Floats) -> Floats:
        """Samples of zero-Doppler times (s after the epoch) and slant ranges, ``(n,)``."""
        ground: Floats = _ground_range(
            seconds, slant_m, self.table_s, self.origin_m, self.coefficients, self.slant_m
        )
        return ground / self.spacing_m


def _slant_limits(annotation: Annotation) -> tuple[float, float]:
    table = annotation.ground_range
    width = (annotation.samples - 1) * annotation.range_spacing_m
    powers = np.arange(table.grsr_coefficients.shape[1])
    far = (table.grsr_coefficients * (width - table.grsr_origin_m[:, None]) ** powers).sum(axis=1)
    near = annotation.near_range_time_s * SPEED_OF_LIGHT_M_S / 2
    return near - _BEYOND_M, float(far.max()) + _BEYOND_M


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _solve(points: Floats, orbit: Floats, scale_s: float, start_s: float) -> tuple[Floats, Floats]:
    """Zero-Doppler time and the vector from the point to the sensor."""
    count, degree = points.shape[0], orbit.shape[1] - 1
    seconds = np.full(count, np.nan)
    sight = np.full((count, 3), np.nan)
    state = np.empty((3, 3))
    t = start_s
    for n in range(count):
        # The last point's time is a good first guess for its neighbour.
        for _ in range(_ROUNDS):
            u = t / scale_s
            for axis in range(3):
                p, v, a = orbit[axis, degree], 0.0, 0.0
                for k in range(degree - 1, -1, -1):
                    a = a * u + v
                    v = v * u + p
                    p = p * u + orbit[axis, k]
                state[axis, 0] = p - points[n, axis]
                state[axis, 1] = v / scale_s
                state[axis, 2] = 2 * a / (scale_s * scale_s)
            # f = d . v is the Doppler frequency up to a factor; f' = v . v + d . a.
            f = state[0, 0] * state[0, 1] + state[1, 0] * state[1, 1] + state[2, 0] * state[2, 1]
            slope = 0.0
            for axis in range(3):
                slope += state[axis, 1] ** 2 + state[axis, 0] * state[axis, 2]
            step = f / slope
            t -= step
            # Not "<": NaN has to end the loop as well.
            if not abs(step) >= _TOLERANCE_S:
                break
        # The ground left of the track has the same times and ranges: it is not what is seen.
        if abs(t) <= 2 * scale_s and _to_the_right(state, points[n]):
            seconds[n] = t
            for axis in range(3):
                sight[n, axis] = state[axis, 0]
        else:
            t = start_s
    return seconds, sight


@njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _to_the_right(state: Floats, point: Floats) -> bool:
    """Whether a point lies right of the track; rows of ``state`` are sight and velocity by axis."""
    right = 0.0
    for axis in range(3):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        up_one, up_two = state[one, 0] + point[one], state[two, 0] + point[two]
        right -= state[axis, 0] * (state[one, 1] * up_two - state[two, 1] * up_one)
    return right > 0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _ground_range(
    seconds: Floats,
    slant: Floats,
    table_s: Floats,
    origin_m: Floats,
    coefficients: Floats,
    limits_m: tuple[float, float],
) -> Floats:
    out = np.full(seconds.shape[0], np.nan)
    last, degree = table_s.shape[0] - 1, coefficients.shape[1] - 1
    for n in range(seconds.shape[0]):
        if np.isnan(seconds[n]):
            continue
        k = min(max(np.searchsorted(table_s, seconds[n]) - 1, 0), max(last - 1, 0))
        weight = 0.0
        if last > 0:
            weight = (seconds[n] - table_s[k]) / (table_s[k + 1] - table_s[k])
            weight = min(max(weight, 0.0), 1.0)
        # Far outside the swath a polynomial of degree 8 comes back into the image.
        inside = min(max(slant[n], limits_m[0]), limits_m[1])
        total = _STEEPNESS * (slant[n] - inside)
        for side in range(2):
            row = min(k + side, last)
            x = inside - origin_m[row]
            value = coefficients[row, degree]
            for power in range(degree - 1, -1, -1):
                value = value * x + coefficients[row, power]
            total += value * (weight if side else 1 - weight)
        out[n] = total
    return out
