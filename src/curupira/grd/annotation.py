"""What a Sentinel-1 GRD annotation file says: times, orbit, geometry. Bytes in, records out.

Format: Sentinel-1 Product Specification, S1-RS-MDA-52-7441.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from curupira.errors import InputError
from curupira.grd.xml import Node, parse

Times = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SPEED_OF_LIGHT_M_S: Final = 299_792_458.0


@dataclass(frozen=True, slots=True)
class StateVectors:
    """Positions and velocities of the platform, Earth-fixed (ECEF), in time order.

    ``times`` ``(n,)`` datetime64[ns] UTC; ``position_m`` and ``velocity_m_s`` ``(n, 3)``.
    """

    times: Times
    position_m: Floats
    velocity_m_s: Floats

    def __post_init__(self) -> None:
        steps = np.diff(self.times)
        if len(self.times) < 2 or (steps <= np.timedelta64(0, "ns")).any():
            raise InputError("fewer than two state vectors, or not in time order")


@dataclass(frozen=True, slots=True)
class Geolocation:
    """The geolocation grid as annotated, row by row, every array ``(n,)``.

    Heights in metres above the ellipsoid, angles in degrees, two-way ``slant_range_time`` in
    seconds. ``shape`` is the grid's (lines, pixels): ``latitude.reshape(shape)``.
    """

    line: Ints
    pixel: Ints
    latitude: Floats
    longitude: Floats
    height: Floats
    incidence_deg: Floats
    elevation_deg: Floats
    azimuth_time: Times
    slant_range_time: Floats
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class GroundRange:
    """Polynomials between slant and ground range (m), one set a time.

    ``ground = sum_i coefficients[k, i] * (slant - origin_m[k])**i`` and back
    ``slant = sum_i grsr_coefficients[k, i] * (ground - grsr_origin_m[k])**i``; between two times
    interpolate linearly (``at``, ``back_at``). Ground range / range spacing = pixel (sample).
    """

    times: Times
    origin_m: Floats
    coefficients: Floats
    grsr_origin_m: Floats
    grsr_coefficients: Floats

    def at(self, time: np.datetime64) -> tuple[float, Floats]:
        """Origin (m) and coefficients ``(m,)`` slant -> ground at a time."""
        return self._blend(time, self.origin_m, self.coefficients)

    def back_at(self, time: np.datetime64) -> tuple[float, Floats]:
        """Origin (m) and coefficients ``(m,)`` ground -> slant at a time."""
        return self._blend(time, self.grsr_origin_m, self.grsr_coefficients)

    def _blend(
        self, time: np.datetime64, origin: Floats, coefficients: Floats
    ) -> tuple[float, Floats]:
        if len(self.times) == 1:
            return float(origin[0]), coefficients[0]
        k = int(np.clip(np.searchsorted(self.times, time) - 1, 0, len(self.times) - 2))
        step = self.times[k + 1] - self.times[k]
        # Beyond the first and last time hold that polynomial: extrapolated ones run away.
        w = float(np.clip((time - self.times[k]) / step, 0.0, 1.0))
        blend = (1 - w) * coefficients[k] + w * coefficients[k + 1]
        return float((1 - w) * origin[k] + w * origin[k + 1]), blend


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of the data take: number and sensing times."""

    number: int
    start: np.datetime64
    stop: np.datetime64


@dataclass(frozen=True, slots=True)
class Annotation:
    """Metadata of one polarisation.

    ``start`` is the zero-Doppler time of line 0, ``stop`` that of line ``lines - 1``;
    ``line_interval_s`` apart. ``near_range_time_s`` is the two-way time of sample 0.
    ``relative_orbit`` and ``ipf_version`` stand in the manifest only and are None without it.
    """

    platform: str
    mode: str
    product_type: str
    polarisation: str
    pass_direction: str
    absolute_orbit: int
    relative_orbit: int | None
    ipf_version: str | None
    lines: int
    samples: int
    start: np.datetime64
    stop: np.datetime64
    line_interval_s: float
    range_spacing_m: float
    azimuth_spacing_m: float
    near_range_time_s: float
    radar_frequency_hz: float
    heading_deg: float
    noise_removed: bool
    state_vectors: StateVectors
    geolocation: Geolocation
    ground_range: GroundRange
    slice_number: int
    slices: tuple[Slice, ...]

    def line_time(self, line: float) -> np.datetime64:
        """Zero-Doppler time of a (fractional) line."""
        return self.start + np.timedelta64(round(line * self.line_interval_s * 1e9), "ns")


def read_annotation(
    xml: bytes,
    where: object,
    *,
    relative_orbit: int | None = None,
    ipf_version: str | None = None,
) -> Annotation:
    """Read ``annotation/s1?-iw-grd-*.xml``.

    Parameters
    ----------
    xml
        The file's bytes.
    where
        Its name, for messages.
    relative_orbit, ipf_version
        As the manifest says.

    Raises
    ------
    InputError
        If it is no annotation, or an element is missing or unreadable.
    """
    root = parse(xml, where)
    header = root.find("adsHeader")
    general = root.find("generalAnnotation/productInformation")
    image = root.find("imageAnnotation/imageInformation")
    lines, samples = image.int("numberOfLines"), image.int("numberOfSamples")
    if min(lines, samples) < 2:
        raise InputError(f"the image has {lines} lines of {samples} samples", where=where)
    return Annotation(
        platform=header.text("missionId"),
        mode=header.text("mode"),
        product_type=header.text("productType"),
        polarisation=header.text("polarisation"),
        pass_direction=general.text("pass").lower(),
        absolute_orbit=header.int("absoluteOrbitNumber"),
        relative_orbit=relative_orbit,
        ipf_version=ipf_version,
        lines=lines,
        samples=samples,
        start=image.time("productFirstLineUtcTime"),
        stop=image.time("productLastLineUtcTime"),
        line_interval_s=image.float("azimuthTimeInterval"),
        range_spacing_m=image.float("rangePixelSpacing"),
        azimuth_spacing_m=image.float("azimuthPixelSpacing"),
        near_range_time_s=image.float("slantRangeTime"),
        radar_frequency_hz=general.float("radarFrequency"),
        heading_deg=general.float("platformHeading"),
        noise_removed=_noise_removed(root),
        state_vectors=_state_vectors(root),
        geolocation=_geolocation(root),
        ground_range=_ground_range(root),
        slice_number=image.int("sliceNumber") if image.has("sliceNumber") else 0,
        slices=_slices(image),
    )


def _noise_removed(root: Node) -> bool:
    path = "imageAnnotation/processingInformation/thermalNoiseCorrectionPerformed"
    return root.has(path) and root.text(path) == "true"


def _state_vectors(root: Node) -> StateVectors:
    orbits = root.all("generalAnnotation/orbitList/orbit")
    for orbit in orbits[:1]:
        if orbit.text("frame") != "Earth Fixed":
            raise InputError(
                f"state vectors are in the frame {orbit.text('frame')!r}, not Earth Fixed",
                where=root.where,
            )
    return StateVectors(
        times=np.array([o.time("time") for o in orbits]),
        position_m=np.array([[o.float(f"position/{axis}") for axis in "xyz"] for o in orbits]),
        velocity_m_s=np.array([[o.float(f"velocity/{axis}") for axis in "xyz"] for o in orbits]),
    )


def _geolocation(root: Node) -> Geolocation:
    points = root.all("geolocationGrid/geolocationGridPointList/geolocationGridPoint")
    line = np.array([p.int("line") for p in points], dtype=np.int64)
    pixel = np.array([p.int("pixel") for p in points], dtype=np.int64)
    shape = (len(np.unique(line)), len(np.unique(pixel)))
    rows = line.reshape(shape) if shape[0] * shape[1] == len(line) else None
    if rows is None or (rows != rows[:, :1]).any():
        raise InputError("the geolocation grid has holes", where=root.where)

    def column(name: str) -> Floats:
        return np.array([p.float(name) for p in points])

    return Geolocation(
        line=line,
        pixel=pixel,
        latitude=column("latitude"),
        longitude=column("longitude"),
        height=column("height"),
        incidence_deg=column("incidenceAngle"),
        elevation_deg=column("elevationAngle"),
        azimuth_time=np.array([p.time("azimuthTime") for p in points]),
        slant_range_time=column("slantRangeTime"),
        shape=shape,
    )


def _ground_range(root: Node) -> GroundRange:
    sets = root.all("coordinateConversion/coordinateConversionList/coordinateConversion")
    try:
        forth = np.stack([s.floats("srgrCoefficients") for s in sets])
        back = np.stack([s.floats("grsrCoefficients") for s in sets])
    except ValueError as error:
        raise InputError("ground range polynomials differ in degree", where=root.where) from error
    return GroundRange(
        times=np.array([s.time("azimuthTime") for s in sets]),
        origin_m=np.array([s.float("sr0") for s in sets]),
        coefficients=forth,
        grsr_origin_m=np.array([s.float("gr0") for s in sets]),
        grsr_coefficients=back,
    )


def _slices(image: Node) -> tuple[Slice, ...]:
    if not image.has("sliceList/slice"):
        return ()
    return tuple(
        Slice(s.int("sliceNumber"), s.time("sensingStartTime"), s.time("sensingStopTime"))
        for s in image.all("sliceList/slice")
    )
