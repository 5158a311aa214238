"""One acquisition, from the cube to its observations: the method section of the paper."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Executor, Window, shares
from curupira.codes import NOT_OBSERVED, IntensityClass, Status
from curupira.detect.baseline import takes_codes
from curupira.detect.layers import Layers, block_layers
from curupira.pipelines.frozen import State
from curupira.pipelines.images import (
    Detector,
    Image,
    bounding_window,
    detection_days,
    footprint,
    on_grid,
    rasterise,
)
from curupira.pipelines.masks import MASKED, MONITORED
from curupira.pipelines.reading import hold, read_block
from curupira.pipelines.regions import cache_bytes, regions, tile_size
from curupira.pipelines.seen import SeenLayers, seen_layers
from curupira.pipelines.usable import usable_images
from curupira.records import Acquisition, Observation
from curupira.units import FLAG_EPOCH
from curupira.vectorise.params import VectoriseParams
from curupira.vectorise.pixels import AlertPixels
from curupira.vectorise.polygons import extract


@dataclass(frozen=True)
class Task:
    """One region of one acquisition: read at once, worked on block by block.

    ``sar_mask``: what was warned of, in the window grown by the halo.
    """

    detector: Detector
    images: tuple[Image, ...]
    day: date
    window: Window
    sar_mask: npt.NDArray[np.bool_]
    frozen: State | None = None


@dataclass(frozen=True)
class BlockResult:
    """Layers of a block, and how many of its monitored pixels were seen."""

    window: Window
    layers: Layers
    seen: SeenLayers
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


def detect_acquisition(
    detector: Detector,
    acquisition: Acquisition,
    images: Sequence[Acquisition],
    sar_mask: Sequence[BaseGeometry],
    run_blocks: Executor,
    on_block: Callable[[Window, Layers, SeenLayers], None],
    frozen: State | None = None,
) -> Detection:
    """Compare an acquisition with its own past, and return what changed.

    Parameters
    ----------
    images
        From ``select_images``.
    sar_mask
        Geometries in the grid's CRS of earlier warnings that are not to be warned again.
    on_block
        Called with every block's layers, and what was seen of it, for the raster product.
    frozen
        State that the images, of the detection period alone, are compared with; None: the method.
    """
    outline = footprint(acquisition, detector.grid)
    area = bounding_window(outline, detector.grid)
    recent = set(detection_days(images, detector.params))
    stack = tuple(
        replace(image, dry=image.acquisition.day in recent)
        for image in usable_images(images, detector)
    )
    around = with_halo(area, detector)
    masked = rasterise(sar_mask, detector.grid, around)
    tasks = (
        Task(
            detector,
            stack,
            acquisition.day,
            window,
            masked[with_halo(window, detector).relative_to(around).slices],
            frozen,
        )
        for window in regions(detector, stack, area)
    )
    chunks: list[AlertPixels] = []
    counts = np.zeros(3, dtype=np.int64)
    for result in itertools.chain.from_iterable(run_blocks(detect_region, tasks)):
        counts += (result.monitored, result.masked, result.unobserved)
        chunks.append(result.pixels)
        on_block(result.window, result.layers, result.seen)
    frame = extract(
        AlertPixels.concatenate(chunks), detector.grid, VectoriseParams.from_preset(detector.preset)
    )
    monitored, hidden, unobserved = counts * detector.grid.resolution.x**2 / 1e6
    observations = to_observations(frame, acquisition, detector)
    return Detection(observations, float(monitored), float(hidden), float(unobserved))


def with_halo(window: Window, detector: Detector) -> Window:
    """A window and the pixels around it that detection looks at."""
    whole = Window(0, detector.grid.shape.y, 0, detector.grid.shape.x)
    return window.grow(detector.params.halo, whole)


def detect_region(task: Task) -> list[BlockResult]:
    """Read a region's codes with their halo, and detect block by block."""
    if not task.detector.on_dask:
        return _blocks_of(task)
    # A worker is another process than the one that has limited GDAL's cache for itself.
    with rasterio.Env(GDAL_CACHEMAX=cache_bytes(task.detector)):
        return _blocks_of(task)


def _blocks_of(task: Task) -> list[BlockResult]:
    detector = task.detector
    around = with_halo(task.window, detector)
    if (detector.masks.read_zones(task.window) == MONITORED).any():
        detector = hold(detector, task.images, around)
    return [
        detect_block(
            replace(
                task,
                detector=detector,
                window=window,
                sar_mask=task.sar_mask[with_halo(window, detector).relative_to(around).slices],
            )
        )
        for window in shares(task.window, tile_size(detector, task.images))
    ]


def detect_block(task: Task) -> BlockResult:
    """Detect in a block with its halo, and trim."""
    detector, params = task.detector, task.detector.params
    outer = with_halo(task.window, detector)
    inner = task.window.relative_to(outer)
    zones = detector.masks.read_zones(outer)
    distance = detector.masks.read_distance(outer)
    # What was warned of is no forest: neither watched, nor a measure of weather and roughness.
    forest = (zones == MONITORED) & ~task.sar_mask
    trimmed = (zones == MONITORED)[inner.slices]
    warned = task.sar_mask[inner.slices]
    masked = int(((zones == MASKED)[inner.slices] | (warned & trimmed)).sum())
    # Where nothing is watched nothing is observed, whatever the images hold.
    images = task.images if forest.any() else task.images[-1:]
    codes = task.frozen is None and takes_codes(params)
    block = replace(read_block(detector, images, outer, codes=codes), background=forest)
    state = None if task.frozen is None else task.frozen.read(outer)
    layers = block_layers(
        block, task.day, params, distance_m=distance, forest=forest, frozen=state, inner=inner
    )
    observed = layers.n_alerts != NOT_OBSERVED
    monitored = forest[inner.slices]
    return BlockResult(
        window=task.window,
        layers=layers,
        seen=seen_layers(block, inner, layers, zones[inner.slices], warned, params),
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
        unobserved=int((monitored & ~observed).sum()),
    )


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
