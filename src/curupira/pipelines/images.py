"""The images that one acquisition is compared with: which they are, and where they lie."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window, parse_memory, workers_of
from curupira.codes import OrbitState
from curupira.config import Workspace
from curupira.cube.reader import CubeReader
from curupira.detect.baseline import baselines
from curupira.detect.params import DetectParams
from curupira.detect.periods import Periods, periods
from curupira.errors import InputError
from curupira.grid import LONLAT, project
from curupira.pipelines.masks import MaskSet
from curupira.presets import Preset
from curupira.records import Acquisition, Scene
from curupira.sources.rain import DailyRain
from curupira.units import naive_utc
from curupira.vectorise.match import as_multipolygon

#: Beyond any orbit's number.
_OF_SENSOR = 1000


@dataclass(frozen=True)
class Detector:
    """What does not change from one acquisition to the next. Picklable, for Dask workers."""

    grid: GeoBox
    preset: Preset
    reader: CubeReader
    masks: MaskSet
    config_hash: str
    tile_px: int
    memory: int
    threads: int
    workers: int = 1
    on_dask: bool = False
    rain: DailyRain | None = None

    @classmethod
    def of(
        cls, workspace: Workspace, reader: CubeReader, masks: MaskSet, scheduler: str = ""
    ) -> Detector:
        """Detector of a workspace.

        ``threads`` work at once in this process and share the memory: one a process with a Dask
        ``scheduler``. ``workers`` work at once altogether; ``on_dask`` in processes of their own.
        """
        monitor = workspace.monitor
        threads = 1 if scheduler else monitor.compute.threads or os.cpu_count() or 1
        rain = monitor.rain
        return cls(
            grid=workspace.grid,
            preset=workspace.preset,
            reader=reader,
            masks=masks,
            config_hash=monitor.hash,
            tile_px=monitor.grid.tile_px,
            memory=parse_memory(monitor.compute.memory),
            threads=threads,
            workers=workers_of(scheduler) if scheduler else threads,
            on_dask=bool(scheduler),
            rain=DailyRain(workspace.path(rain.folder), rain.limit_mm) if rain.folder else None,
        )

    @cached_property
    def params(self) -> DetectParams:
        """Validated detection options."""
        return DetectParams.from_preset(self.preset)


@dataclass(frozen=True)
class Image:
    """One acquisition of the stack.

    For each of its scenes: the window around its footprint, and the part of it that may be used
    (None: all). A scene's pixels beyond that window are not read, whatever the block. ``dry``: its
    pixels under heavy rain are left out.
    """

    acquisition: Acquisition
    windows: tuple[Window, ...]
    usable: tuple[BaseGeometry | None, ...]
    dry: bool = False


def select_images(
    acquisition: Acquisition, known: Iterable[Acquisition], params: DetectParams
) -> tuple[Periods, list[Acquisition]]:
    """Acquisitions that the detection of one acquisition looks at, in time order, itself included.

    They lie in its learning and detection periods and not after it; with ``orbits = "same"`` they
    are of its relative orbit and sensor.
    """
    span = periods(acquisition.day, params.period)
    return span, [
        a
        for a in known
        if span.learning[0] <= a.day
        and a.acquired <= acquisition.acquired
        and (params.period.orbits == "all" or track(a) == track(acquisition))
    ]


def input_hash(
    detector: Detector, images: Sequence[Acquisition], sar_mask: Sequence[BaseGeometry]
) -> str:
    """Hash of everything that decides an acquisition's observations."""
    document: dict[str, Any] = {
        "config": detector.config_hash,
        "preset": detector.preset.hash,
        "masks": detector.masks.hash,
        "scenes": [[s.scene_id, s.created.isoformat()] for a in images for s in a.scenes],
        "sar_mask": sorted(shapely.normalize(as_multipolygon(g)).wkb_hex for g in sar_mask),
    }
    if detector.rain is not None:
        days = detection_days(images, detector.params)
        document["rain"] = detector.rain.digest(days, detector.grid)
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def detection_days(images: Sequence[Acquisition], params: DetectParams) -> list[date]:
    """Days of those images that lie in the detection period of the newest, in time order."""
    if not images:
        return []
    start = periods(images[-1].day, params.period).detection[0]
    return sorted({a.day for a in images if a.day >= start})


def season_refusal(
    acquisition: Acquisition, images: Sequence[Acquisition], params: DetectParams
) -> InputError | None:
    """Why the dates of an acquisition's images cannot carry the seasonal fit (method.md 1D).

    None where they can, where no fit is wanted, or where too few learning images are there at all.
    """
    try:
        for _ in baselines(times_of(images), baseline_orbits(images), acquisition.day, params):
            pass
    except InputError as error:
        return error
    return None


def has_baseline(
    acquisition: Acquisition, images: Sequence[Acquisition], params: DetectParams
) -> bool:
    """Whether there are images enough to compare an acquisition with."""
    try:
        return any(
            True
            for _ in baselines(times_of(images), baseline_orbits(images), acquisition.day, params)
        )
    except InputError:
        return False


def times_of(images: Sequence[Acquisition]) -> npt.NDArray[np.datetime64]:
    """Times of acquisitions, naive UTC."""
    return np.array([naive_utc(a.acquired) for a in images], dtype="datetime64[ns]")


def looks_east(acquisition: Acquisition) -> bool:
    """Where a right-looking radar looks: east on an ascending pass, west on a descending one."""
    return acquisition.scenes[0].orbit_state is OrbitState.ASCENDING


def baseline_orbits(images: Sequence[Acquisition]) -> npt.NDArray[np.int32]:
    """A number for each baseline: the relative orbit, told apart between sensors."""
    sensors = sorted({a.sensor for a in images})
    numbers = [a.relative_orbit + _OF_SENSOR * sensors.index(a.sensor) for a in images]
    return np.array(numbers, dtype=np.int32)


def track(acquisition: Acquisition) -> tuple[str, int]:
    """Sensor and relative orbit: acquisitions of one track are compared with each other."""
    return acquisition.sensor, acquisition.relative_orbit


def footprint(acquisition: Acquisition, grid: GeoBox) -> BaseGeometry:
    """Outline of an acquisition in the grid's CRS."""
    return shapely.union_all([on_grid(s, grid) for s in acquisition.scenes])


def on_grid(scene: Scene, grid: GeoBox) -> BaseGeometry:
    """Footprint of a scene in the grid's CRS."""
    return project(scene.footprint, LONLAT, str(grid.crs))


def bounding_window(geometry: BaseGeometry, grid: GeoBox) -> Window:
    """Grid window around a geometry in the grid's CRS; may be empty."""
    whole = Window(0, grid.shape.y, 0, grid.shape.x)
    if geometry.is_empty:
        return Window(0, 0, 0, 0)
    west, south, east, north = geometry.bounds
    r, box = grid.resolution.x, grid.boundingbox
    window = Window(
        int(np.floor((box.top - north) / r)),
        int(np.ceil((box.top - south) / r)),
        int(np.floor((west - box.left) / r)),
        int(np.ceil((east - box.left) / r)),
    ).intersect(whole)
    return Window(0, 0, 0, 0) if window.empty else window


def rasterise(
    geometries: Sequence[BaseGeometry], grid: GeoBox, window: Window
) -> npt.NDArray[np.bool_]:
    """Burn geometries in the grid's CRS into a window: a pixel belongs where its centre lies."""
    if window.empty or not geometries:
        return np.zeros(window.shape, dtype=bool)
    transform = grid[window.slices].affine
    burnt = rasterize(geometries, out_shape=window.shape, transform=transform, dtype="uint8")
    return np.asarray(burnt, dtype=bool)
