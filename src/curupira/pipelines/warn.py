"""One acquisition, from the cube to its observations: the method section of the paper."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Executor, Window, split
from curupira.codes import NOT_OBSERVED, IntensityClass, Status
from curupira.cube.reader import CubeReader
from curupira.detect.geometry import angle_mask, edge_eroded
from curupira.detect.layers import Layers, StackBlock, block_layers
from curupira.detect.params import DetectParams
from curupira.detect.periods import Periods, periods
from curupira.grid import LONLAT, project
from curupira.pipelines.masks import MASKED, MONITORED, MaskSet
from curupira.presets import Preset
from curupira.records import Acquisition, Observation, Scene
from curupira.units import FLAG_EPOCH, naive_utc
from curupira.vectorise.params import VectoriseParams
from curupira.vectorise.pixels import AlertPixels
from curupira.vectorise.polygons import extract

#: Arrays of the stack's size alive at once in a block (stack, dB, stabilised, filtered, scratch).
COPIES = 6


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

    @property
    def params(self) -> DetectParams:
        """Validated detection options."""
        return DetectParams.from_preset(self.preset)


@dataclass(frozen=True)
class Image:
    """One acquisition of the stack.

    For each of its scenes: the window around its footprint, and the part of it that may be used
    (None: all). A scene's pixels beyond that window are not read, whatever the block.
    """

    acquisition: Acquisition
    windows: tuple[Window, ...]
    usable: tuple[BaseGeometry | None, ...]


@dataclass(frozen=True)
class Task:
    """One block of one acquisition."""

    detector: Detector
    images: tuple[Image, ...]
    day: date
    window: Window
    sar_mask: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class BlockResult:
    """Layers of a block, and how many of its monitored pixels were seen."""

    window: Window
    layers: Layers
    pixels: AlertPixels
    monitored: int
    masked: int
    unobserved: int


@dataclass(frozen=True)
class Detection:
    """What one acquisition shows."""

    observations: list[Observation]
    monitored_km2: float
    masked_km2: float
    unobserved_km2: float


def select_images(
    acquisition: Acquisition, known: Iterable[Acquisition], params: DetectParams
) -> tuple[Periods, list[Acquisition]]:
    """Acquisitions that the detection of one acquisition looks at, in time order, itself included.

    They lie in its learning and detection periods and not after it; with ``orbits = "same"`` they
    are of its relative orbit.
    """
    span = periods(acquisition.day, params.period)
    return span, [
        a
        for a in known
        if span.learning[0] <= a.day
        and a.acquired <= acquisition.acquired
        and (params.period.orbits == "all" or a.relative_orbit == acquisition.relative_orbit)
    ]


def input_hash(
    detector: Detector, images: Sequence[Acquisition], sar_mask: Sequence[BaseGeometry]
) -> str:
    """Hash of everything that decides an acquisition's observations."""
    document = {
        "config": detector.config_hash,
        "preset": detector.preset.hash,
        "masks": detector.masks.hash,
        "scenes": [[s.scene_id, s.created.isoformat()] for a in images for s in a.scenes],
        "sar_mask": sorted(shapely.normalize(g).wkb_hex for g in sar_mask),
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def detect_acquisition(
    detector: Detector,
    acquisition: Acquisition,
    images: Sequence[Acquisition],
    sar_mask: Sequence[BaseGeometry],
    run_blocks: Executor,
    on_block: Callable[[Window, Layers], None],
) -> Detection:
    """Compare an acquisition with its own past, and return what changed.

    Parameters
    ----------
    images
        From ``select_images``.
    sar_mask
        Geometries in the grid's CRS of earlier warnings that are not to be warned again.
    on_block
        Called with every block's layers, for the acquisition's raster product.
    """
    outline = footprint(acquisition, detector.grid)
    area = bounding_window(outline, detector.grid)
    stack = tuple(usable_image(a, detector) for a in images)
    masked = rasterise(sar_mask, detector.grid, area)
    tasks = (
        Task(detector, stack, acquisition.day, w, masked[w.relative_to(area).slices])
        for w in split(area, tile_size(detector, len(images)))
    )
    chunks: list[AlertPixels] = []
    counts = np.zeros(3, dtype=np.int64)
    for result in run_blocks(detect_block, tasks):
        counts += (result.monitored, result.masked, result.unobserved)
        chunks.append(result.pixels)
        on_block(result.window, result.layers)
    frame = extract(
        AlertPixels.concatenate(chunks), detector.grid, VectoriseParams.from_preset(detector.preset)
    )
    monitored, hidden, unobserved = counts * detector.grid.resolution.x**2 / 1e6
    observations = to_observations(frame, acquisition, detector)
    return Detection(observations, float(monitored), float(hidden), float(unobserved))


def detect_block(task: Task) -> BlockResult:
    """Read a block's stack with its halo, detect, and trim."""
    detector, params = task.detector, task.detector.params
    whole = Window(0, detector.grid.shape.y, 0, detector.grid.shape.x)
    outer = task.window.grow(params.halo, whole)
    inner = task.window.relative_to(outer)
    zones = detector.masks.read_zones(outer)
    distance = detector.masks.read_distance(outer)
    forest = zones == MONITORED
    trimmed = forest[inner.slices]
    masked = int(((zones == MASKED)[inner.slices] | (task.sar_mask & trimmed)).sum())
    forest[inner.slices] &= ~task.sar_mask
    # Where nothing is watched nothing is observed, whatever the images hold.
    images = task.images if forest.any() else task.images[-1:]
    block = read_block(detector, images, outer)
    layers = block_layers(block, task.day, params, distance_m=distance, forest=forest).crop(inner)
    seen = layers.n_alerts != NOT_OBSERVED
    monitored = trimmed & ~task.sar_mask
    return BlockResult(
        window=task.window,
        layers=layers,
        pixels=AlertPixels.from_block(
            task.window,
            layers.n_alerts,
            layers.first_flag_days,
            layers.last_flag_days,
            layers.excess_db,
            layers.threshold_db,
            layers.confidence,
            distance_m=None if distance is None else distance[inner.slices],
        ),
        monitored=int(monitored.sum()),
        masked=masked,
        unobserved=int((monitored & ~seen).sum()),
    )


def read_block(detector: Detector, images: Sequence[Image], window: Window) -> StackBlock:
    """Read the stack of a window; of one pass, a later slice fills the gaps of an earlier one."""
    shape = (len(images), *window.shape)
    vh = np.full(shape, np.nan, dtype=np.float32)
    lia: npt.NDArray[np.float32] | None = None
    for k, image in enumerate(images):
        acquired = zip(image.acquisition.scenes, image.windows, image.usable, strict=True)
        for scene, around, usable in acquired:
            part = around.intersect(window)
            if part.empty:
                continue
            place = part.relative_to(window).slices
            values = detector.reader.read(scene.relative_orbit, scene.scene_id, "vh", part)
            good = within_angles(detector, scene, part)
            if usable is not None:
                good &= rasterise([usable], detector.grid, part)
            gaps = np.isnan(vh[k][place]) & good
            vh[k][place][gaps] = values[gaps]
            if "lia" in scene.assets:
                if lia is None:
                    lia = np.full(shape, np.nan, dtype=np.float32)
                angles = detector.reader.read(scene.relative_orbit, scene.scene_id, "lia", part)
                lia[k][place][gaps] = angles[gaps]
    return StackBlock(
        vh=vh,
        times=np.array([naive_utc(i.acquisition.acquired) for i in images]),
        vv=None,
        lia_deg=lia,
        orbit=np.array([i.acquisition.relative_orbit for i in images], dtype=np.int32),
    )


def within_angles(detector: Detector, scene: Scene, window: Window) -> npt.NDArray[np.bool_]:
    """Where a scene's ellipsoid incidence angle, if it has one, lies within the limits."""
    if "angle" not in scene.assets:
        return np.ones(window.shape, dtype=bool)
    angle = detector.reader.read(scene.relative_orbit, scene.scene_id, "angle", window)
    return angle_mask(angle, detector.params.geometry)


def usable_image(acquisition: Acquisition, detector: Detector) -> Image:
    """Cut the along-track edges off an acquisition's scenes (method.md 1A step 3, 1B row 17)."""
    params = detector.params.geometry
    outlines = [on_grid(s, detector.grid) for s in acquisition.scenes]
    windows = tuple(bounding_window(o, detector.grid) for o in outlines)
    known = [s.slice_number is not None for s in acquisition.scenes]
    if params.border == "none" or not all(known):
        return Image(acquisition, windows, (None,) * len(outlines))
    if params.border == "pass":
        outlines = [shapely.convex_hull(shapely.union_all(outlines))] * len(outlines)
    return Image(acquisition, windows, tuple(edge_eroded(o, params.border_m) for o in outlines))


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


def to_observations(
    frame: gpd.GeoDataFrame, acquisition: Acquisition, detector: Detector
) -> list[Observation]:
    """Polygons as records, in the raster order that ``extract`` gives them."""
    scenes = [(s.scene_id, on_grid(s, detector.grid)) for s in acquisition.scenes]
    found = []
    for seq, (_, row) in enumerate(frame.iterrows()):
        point = row.geometry.representative_point()
        scene_id = next((name for name, outline in scenes if outline.covers(point)), scenes[0][0])
        found.append(
            Observation(
                acquisition_id=acquisition.acquisition_id,
                seq=seq,
                day=acquisition.day,
                scene_id=scene_id,
                geometry=row.geometry,
                confirmed=row["status"] == Status.CONFIRMED,
                intensity_class=IntensityClass(row["intensity_class"]),
                n_alerts=float(row["n_alerts"]),
                n_alerts_mean=float(row["n_alerts_mean"]),
                intensity=float(row["intensity"]),
                excess_db=float(row["excess_db"]),
                confidence=float(row["confidence"]),
                first_flag=date.fromordinal(FLAG_EPOCH.toordinal() + int(row["first_flag_days"])),
                last_flag=date.fromordinal(FLAG_EPOCH.toordinal() + int(row["last_flag_days"])),
                threshold_db=float(row["threshold_db"]),
                distance_m=float(row["distance_to_deforestation_m"]),
                n_pixels=int(row["n_pixels"]),
                area_ha=float(row["area_ha"]),
                area_geodesic_ha=float(row["area_geodesic_ha"]),
            )
        )
    return found


def tile_size(detector: Detector, images: int) -> int:
    """Side of a block such that all threads' stacks together fit into the memory allowed."""
    budget = detector.memory / detector.threads
    side = int((budget / (4 * COPIES * max(images, 1))) ** 0.5)
    return max(64, min(detector.tile_px, side))
