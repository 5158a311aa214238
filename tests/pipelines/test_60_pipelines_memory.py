"""A detection holds what ``[compute] memory`` allows, however large the scene."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from rasterio.env import getenv

from curupira import presets
from curupira.blocks import Window, executor
from curupira.codes import NOT_OBSERVED, OrbitState
from curupira.cog import write_cog
from curupira.cube.archive import Cube
from curupira.cube.codec import decode
from curupira.cube.layout import CHUNK
from curupira.detect.block import StackBlock, block_layers
from curupira.grid import LONLAT, project
from curupira.pipelines.corrections import Correction, corrected
from curupira.pipelines.images import Detector
from curupira.pipelines.masks import MONITORED, ZONES, MaskSet
from curupira.pipelines.reading import code_bytes, hold, read_block, rim_bytes
from curupira.pipelines.regions import cache_bytes, planes_alive, region_size, tile_size
from curupira.pipelines.usable import usable_images
from curupira.pipelines.warn import Detection, Task, detect_acquisition, detect_region
from curupira.records import Acquisition, Asset, Scene

CRS = "EPSG:32721"
IMAGES, ROWS, COLUMNS = 30, 1024, 1536
MEMORY = 60_000_000


def scene_of(columns: int, folder: Path) -> tuple[Detector, list[Acquisition]]:
    """A cube of forest with a clearing, its masks, and its images."""
    grid = GeoBox.from_bbox(
        (500_000, 9_500_000 - 20 * ROWS, 500_000 + 20 * columns, 9_500_000), crs=CRS, resolution=20
    )
    cube = Cube.open(folder / "cube", grid, create=True)
    power = np.random.default_rng(1).gamma(4.4, 0.04 / 4.4, (ROWS, columns)).astype(np.float32)
    known = []
    for n in range(IMAGES):
        moment = datetime(2022, 1, 3, 9, 30, tzinfo=UTC) + timedelta(days=24 * n)
        image = np.roll(power, 37 * n, axis=(0, 1))
        if n >= IMAGES - 3:
            image[500:530, 480:520] *= 0.3
        name = f"image_{n}"
        with cube.scene_writer(83, name, moment) as writer:
            writer.write("vh", Window(0, ROWS, 0, columns), image)
        known.append(
            Acquisition(
                (
                    Scene(
                        scene_id=name,
                        platform="sentinel-1a",
                        acquired=moment,
                        created=moment,
                        relative_orbit=83,
                        orbit_state=OrbitState.DESCENDING,
                        footprint=project(grid.extent.geom, CRS, LONLAT),
                        assets={"vh": Asset("nowhere.tif")},
                    ),
                )
            )
        )
    zones = np.full((1, ROWS, columns), MONITORED, dtype=np.uint8)
    write_cog(folder / ZONES, zones, grid, nodata=None)
    detector = Detector(
        grid=grid,
        preset=presets.load("deter_r"),
        reader=cube.reader(),
        masks=MaskSet(folder, {"has_distance": False}),
        config_hash="",
        tile_px=512,
        memory=MEMORY,
        threads=1,
    )
    return detector, known


def detected(detector: Detector, known: list[Acquisition]) -> tuple[Detection, int]:
    """What the last image shows, and the most bytes held meanwhile."""
    with executor(workers=1) as run:
        found = detect_acquisition(detector, known[-1], known, [], run, lambda *_: None)
        tracemalloc.start()
        try:
            again = detect_acquisition(detector, known[-1], known, [], run, lambda *_: None)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert plain(again) == plain(found)
    return found, peak


def plain(detection: Detection) -> list[tuple[str, str]]:
    """Observations as text: an unknown distance, NaN, is not equal to itself."""
    return [(o.geometry.wkt, repr(o)) for o in detection.observations]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Detector, list[Acquisition]]:
    return scene_of(COLUMNS, tmp_path_factory.mktemp("large"))


def test_memory_does_not_grow_with_the_scene(
    large: tuple[Detector, list[Acquisition]], tmp_path: Path
) -> None:
    small = scene_of(512, tmp_path)
    _, of_small = detected(*small)
    found, of_large = detected(*large)
    assert 4 * IMAGES * ROWS * COLUMNS > 3 * MEMORY
    assert of_large < MEMORY
    # Planes of one or two bytes a pixel and the results in flight may grow, not stacks.
    assert of_large - of_small < 8 * ROWS * (COLUMNS - 512)
    assert found.observations


def test_moved_images_are_held_where_they_were_moved_from(
    large: tuple[Detector, list[Acquisition]],
) -> None:
    detector, known = large
    moved = {
        "image_3": Correction(move_y=-4, move_x=7),
        "image_5": Correction(offset_db=0.3),
    }
    reader = corrected(detector.reader, moved, detector.grid)
    images = usable_images(known[2:7], detector)
    for region in (Window(500, 540, 505, 560), Window(0, 30, COLUMNS - 40, COLUMNS)):
        plain = read_block(replace(detector, reader=reader), images, region)
        held = hold(replace(detector, reader=reader), images, region)
        assert held.reader is not reader
        np.testing.assert_array_equal(read_block(held, images, region).vh, plain.vh)
        codes = read_block(held, images, region, codes=True)
        assert codes.vh.dtype == np.uint16
        np.testing.assert_array_equal(decode(codes.vh), plain.vh)
        assert all((codes.valid(k) == plain.valid(k)).all() for k in range(len(images)))
    offset = read_block(detector, images, region).vh[3] / plain.vh[3]
    np.testing.assert_allclose(offset, 10**0.03, rtol=1e-5)
    assert np.isnan(plain.vh[1, :4]).all()
    assert np.isnan(plain.vh[1, :, -7:]).all()


def test_memory_decides_how_much_is_read_at_once_and_no_result(
    large: tuple[Detector, list[Acquisition]],
) -> None:
    detector, known = large
    few, held = detected(detector, known)
    much = replace(detector, memory=20 * MEMORY)
    whole = Window(0, ROWS, 0, COLUMNS)
    assert region_size(much, [], whole) > region_size(detector, [], whole)
    many, held_more = detected(much, known)
    assert held_more > 1.5 * held
    assert plain(few) == plain(many)
    assert few.monitored_km2 == many.monitored_km2 > 0


@pytest.mark.parametrize(
    ("threads", "workers", "side", "chunks"),
    [(1, 1, 8, 4), (2, 2, 4, 2), (2, 2, 8, 4), (8, 8, 4, 1), (1, 2, 8, 2), (1, 64, 2, 1)],
)
def test_small_areas_are_cut_so_that_all_have_work_and_tasks_of_dask_are_short(
    large: tuple[Detector, list[Acquisition]], threads: int, workers: int, side: int, chunks: int
) -> None:
    detector = replace(large[0], memory=900 * MEMORY, threads=threads, workers=workers)
    detector = replace(detector, on_dask=workers > threads)
    area = Window(0, side * CHUNK, 0, side * CHUNK)
    assert region_size(detector, [], area) == (chunks * CHUNK, chunks * CHUNK)


@pytest.mark.parametrize(("images", "down", "across"), [(30, 2, 2), (90, 1, 2), (180, 1, 1)])
def test_tasks_of_dask_have_no_more_codes_than_take_a_second(
    large: tuple[Detector, list[Acquisition]], images: int, down: int, across: int
) -> None:
    detector, known = large
    detector = replace(detector, memory=900 * MEMORY, workers=2, on_dask=True)
    stack = usable_images(known[:1], detector) * images
    area = Window(0, 8500, 0, 12_500)
    assert region_size(detector, stack, area) == (down * CHUNK, across * CHUNK)


@pytest.mark.parametrize("preset", ["deter_r", "curupira"])
@pytest.mark.parametrize(("memory", "threads"), [(3e9, 2), (3e9, 1), (1e9, 8), (3e8, 2), (2e10, 4)])
def test_the_parts_of_the_memory_add_up_to_it(
    large: tuple[Detector, list[Acquisition]], preset: str, memory: float, threads: int
) -> None:
    detector, known = large
    detector = replace(
        detector, preset=presets.load(preset), memory=int(memory), threads=threads, tile_px=4096
    )
    images = usable_images(known[:10], replace(detector, preset=presets.load("deter_r"))) * 9
    area = Window(0, 8500, 0, 12_500)
    halo = 2 * detector.params.halo
    (side, across), tile = region_size(detector, images, area), tile_size(detector, images)
    assert side == across
    codes = code_bytes(detector, images) * (side + halo) ** 2
    results = 2 * 32 * side**2
    stacks = 4 * planes_alive(detector, len(images), angles=False) * (tile + halo) ** 2
    together = threads * (codes + results + stacks)
    together += rim_bytes(detector, images) + cache_bytes(detector)
    assert together <= memory or tile == 64
    assert side >= tile


@pytest.mark.parametrize(("images", "angles"), [(30, False), (60, False), (60, True)])
def test_a_block_of_the_default_preset_holds_what_it_is_counted_for(
    large: tuple[Detector, list[Acquisition]], images: int, angles: bool
) -> None:
    detector = replace(large[0], preset=presets.load("curupira"))
    halo, side = detector.params.halo, 512
    rng = np.random.default_rng(2)
    shape = (images, side + 2 * halo, side + 2 * halo)
    vh, vv = (rng.integers(4000, 5500, shape, dtype=np.uint16) for _ in range(2))
    first = np.datetime64("2022-01-03T09:30", "ns")
    times = first + np.arange(images) * np.timedelta64(24 * 840 // images, "h")
    lia = np.full(shape, 38, dtype=np.float32) if angles else None
    block = StackBlock(vh=vh, times=times, vv=vv, lia_deg=lia)
    inner = Window(halo, halo + side, halo, halo + side)
    day = times[-1].astype("datetime64[D]").item()
    small = Window(halo, halo + 9, halo, halo + 9)
    block_layers(block, day, detector.params, inner=small)  # what is loaded once is not counted
    tracemalloc.start()
    try:
        found = block_layers(block, day, detector.params, inner=inner)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    counted = 4 * planes_alive(detector, images, angles=angles) * vh[0].size
    held = vh.nbytes + vv.nbytes + (0 if lia is None else lia.nbytes)
    assert 0.6 * counted < held + peak < counted
    assert (found.n_alerts != NOT_OBSERVED).all()


class Watched(MaskSet):
    """Masks that look, when they are read, at how much GDAL may keep."""

    def read_zones(self, window: Window) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
        (self.folder / f"seen_{getenv().get('GDAL_CACHEMAX')}").touch()
        return super().read_zones(window)


def test_workers_of_dask_limit_what_gdal_keeps(
    large: tuple[Detector, list[Acquisition]],
) -> None:
    detector, known = large
    masks = Watched(detector.masks.folder, detector.masks.record)
    images = tuple(usable_images(known, detector))
    window = Window(0, 100, 0, 120)
    task = Task(
        replace(detector, masks=masks, on_dask=True),
        images,
        known[-1].day,
        window,
        np.zeros((105, 125), dtype=bool),
    )
    (block,) = detect_region(task)
    seen = [path.name for path in masks.folder.glob("seen_*")]
    assert seen == [f"seen_{cache_bytes(detector)}"]
    assert block.monitored == 100 * 120
