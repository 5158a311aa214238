"""Small frozen records that stages hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from shapely.geometry.base import BaseGeometry

from curupira.codes import IntensityClass, OrbitState

#: Slices of one pass closer than this belong to one acquisition (product.md 3, point 1).
SLICE_GAP = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Asset:
    """One band of a scene: a raster file (absolute path or URL) and its 1-based band number.

    ``checksum`` is the multihash that the catalogue states (``file:checksum``), or empty.
    """

    href: str
    band: int = 1
    checksum: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Scene:
    """One Sentinel-1 product as a catalogue describes it.

    ``acquired`` and ``created`` are aware UTC; ``created`` is the product clock (when the provider
    published it). ``footprint`` is lon/lat (EPSG:4326). ``assets`` are keyed ``vh``, ``vv`` and,
    where the source has them, ``lia`` and ``angle`` (degrees). ``slice_number`` is None where the
    footprint is only the raster's outline, so that no along-track edge can be told from it.
    """

    scene_id: str
    platform: str
    acquired: datetime
    created: datetime
    relative_orbit: int
    orbit_state: OrbitState
    footprint: BaseGeometry
    assets: Mapping[str, Asset] = field(hash=False)
    slice_number: int | None = None

    @property
    def sensor(self) -> str:
        """Instrument: the satellites of Sentinel-1 are one; an orbit's number is a sensor's own."""
        return "sentinel-1" if self.platform.startswith("sentinel-1") else self.platform


@dataclass(frozen=True, slots=True)
class Acquisition:
    """The scenes of one platform, relative orbit and pass, in time order."""

    scenes: tuple[Scene, ...]

    @property
    def acquisition_id(self) -> str:
        """Platform, relative orbit and the first scene's time."""
        first = self.scenes[0]
        when = first.acquired.strftime("%Y%m%dT%H%M%S")
        return f"{first.platform}_{first.relative_orbit:03d}_{when}"

    @property
    def platform(self) -> str:
        """Satellite."""
        return self.scenes[0].platform

    @property
    def sensor(self) -> str:
        """Instrument, which has a baseline of its own."""
        return self.scenes[0].sensor

    @property
    def relative_orbit(self) -> int:
        """Relative orbit number (1 to 175 of Sentinel-1)."""
        return self.scenes[0].relative_orbit

    @property
    def acquired(self) -> datetime:
        """Time of the first scene, UTC."""
        return self.scenes[0].acquired

    @property
    def day(self) -> date:
        """UTC day of the first scene."""
        return self.acquired.date()

    @property
    def created(self) -> datetime:
        """Time when the last of its scenes was published: the clock of what it causes."""
        return max(scene.created for scene in self.scenes)


@dataclass(frozen=True, slots=True)
class Observation:
    """One polygon of flagged pixels that one acquisition shows.

    ``geometry`` is in the grid's CRS with every vertex on a pixel corner; ``seq`` orders the
    observations of an acquisition. Numbers are medians over the flagged pixels (``n_alerts_mean``:
    the mean), NaN where undefined.
    """

    acquisition_id: str
    seq: int
    day: date
    scene_id: str
    geometry: BaseGeometry = field(hash=False)
    confirmed: bool
    intensity_class: IntensityClass
    n_alerts: float
    n_alerts_mean: float
    intensity: float
    excess_db: float
    confidence: float
    first_flag: date
    last_flag: date
    threshold_db: float
    distance_m: float
    n_pixels: int
    area_ha: float
    area_geodesic_ha: float


def group_acquisitions(scenes: list[Scene]) -> list[Acquisition]:
    """Group scenes into acquisitions, in time order.

    One platform and relative orbit with gaps under 10 minutes form one acquisition. The result
    depends on the set of scenes alone, not on their order.
    """
    ordered = sorted(scenes, key=lambda s: (s.platform, s.relative_orbit, s.acquired, s.scene_id))
    groups: list[list[Scene]] = []
    for scene in ordered:
        last = groups[-1][-1] if groups else None
        if (
            last is not None
            and (last.platform, last.relative_orbit) == (scene.platform, scene.relative_orbit)
            and scene.acquired - last.acquired < SLICE_GAP
        ):
            groups[-1].append(scene)
        else:
            groups.append([scene])
    found = [Acquisition(tuple(group)) for group in groups]
    return sorted(found, key=lambda a: (a.acquired, a.acquisition_id))
