"""What of an image may be used: seams with noise; and what was warned of is no forest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from odc.geo.geobox import GeoBox
from watching import detector_on, scene_at

from curupira.blocks import Window, executor
from curupira.cube.archive import Cube
from curupira.grid import LONLAT, project
from curupira.pipelines.images import Detector, rasterise
from curupira.pipelines.masks import MONITORED
from curupira.pipelines.usable import usable_images
from curupira.pipelines.warn import detect_acquisition
from curupira.records import Acquisition, Observation

CRS = "EPSG:32721"
IMAGES, ROWS, COLUMNS = 36, 320, 360
WEST, NORTH = 500_000, 9_500_000
WHOLE = Window(0, ROWS, 0, COLUMNS)
#: Across the middle of the grid, leaning as the tracks do.
MIDDLE = np.array([WEST + 10 * COLUMNS, NORTH - 10 * ROWS])
FLIGHT = np.array([-0.2, -0.98]) / np.hypot(0.2, 0.98)
NOISY = {n for n in range(IMAGES) if n % 3 == 2}
#: Felled at the seam in the last four images; the first of these and the last are noisy.
CLEARING = (slice(150, 166), slice(200, 216))

Stack = npt.NDArray[np.float32]


def ahead_m() -> npt.NDArray[np.float64]:
    """Distance of the pixels from the seam along the track; negative in the earlier slice."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    return (WEST + 20 * (x + 0.5) - MIDDLE[0]) * FLIGHT[0] + (
        NORTH - 20 * (y + 0.5) - MIDDLE[1]
    ) * FLIGHT[1]


def outline(begin_m: float, end_m: float) -> shapely.Polygon:
    """A slice 60 km wide, from and to these distances ahead of the seam, in longitude, latitude."""
    side = np.array([FLIGHT[1], -FLIGHT[0]])
    corners = [
        MIDDLE + along * FLIGHT + 30_000 * turn * side
        for along, turn in ((begin_m, -1), (begin_m, 1), (end_m, 1), (end_m, -1))
    ]
    return project(shapely.segmentize(shapely.Polygon(corners), 2000), CRS, LONLAT)


def speckled() -> Stack:
    """Forest of nine looks."""
    power = np.random.default_rng(5).gamma(9, 0.05 / 9, (IMAGES, ROWS, COLUMNS))
    return power.astype(np.float32)


def watch(folder: Path, power: Stack, *, sliced: bool) -> tuple[Detector, list[Acquisition]]:
    """A cube of images every 24 days, of one slice each or of two."""
    grid = GeoBox.from_bbox(
        (WEST, NORTH - 20 * ROWS, WEST + 20 * COLUMNS, NORTH), crs=CRS, resolution=20
    )
    cube = Cube.open(folder / "cube", grid, create=True)
    halves = [(-50_000, 0), (0, 50_000)] if sliced else [(-50_000, 50_000)]
    known = []
    for n, image in enumerate(power):
        scenes = []
        for number, (begin, end) in enumerate(halves):
            moment = datetime(2022, 1, 3, 9, 30, number, tzinfo=UTC) + timedelta(days=24 * n)
            name = f"image_{n}_{number}"
            inside = (ahead_m() >= begin) & (ahead_m() < end)
            with cube.scene_writer(83, name, moment) as writer:
                writer.write("vh", WHOLE, np.where(inside, image, np.float32(np.nan)))
            scenes.append(scene_at(name, moment, outline(begin, end), slice_number=number + 1))
        known.append(Acquisition(tuple(scenes)))
    zones = np.full((ROWS, COLUMNS), MONITORED, dtype=np.uint8)
    detector = detector_on(cube, zones, folder, preset="curupira")
    return detector, known


def seen(
    detector: Detector, known: list[Acquisition], warned: list[shapely.Polygon] | None = None
) -> list[Observation]:
    """What the last image shows."""
    with executor(workers=1) as run:
        found = detect_acquisition(detector, known[-1], known, warned or [], run, lambda *_: None)
    return found.observations


def square(place: tuple[slice, slice]) -> shapely.Polygon:
    rows, columns = place
    return shapely.box(
        WEST + 20 * columns.start, NORTH - 20 * rows.stop,
        WEST + 20 * columns.stop, NORTH - 20 * rows.start,
    )  # fmt: skip


@pytest.fixture(scope="module")
def seamed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Detector, list[Acquisition]]:
    """Noise 400 m wide along the seam of every third image, the last one included."""
    power = speckled()
    power[-4:, *CLEARING] *= 0.25
    for n in NOISY:
        power[n] *= np.clip(np.abs(ahead_m()) / 400, 0.01, 1)
    return watch(tmp_path_factory.mktemp("seamed"), power, sliced=True)


def test_a_seam_is_cut_in_its_noisy_images_alone(
    seamed: tuple[Detector, list[Acquisition]],
) -> None:
    detector, known = seamed
    on_seam = np.abs(ahead_m()) < 900
    for n, image in enumerate(usable_images(known, detector)):
        parts = [rasterise([g], detector.grid, WHOLE) for g in image.usable if g is not None]
        usable = np.logical_or.reduce(parts)
        assert not (usable & on_seam).any() if n in NOISY else usable.all()
        assert usable[np.abs(ahead_m()) > 1100].all()


def test_noise_is_not_warned_of_and_a_clearing_at_the_seam_is(
    seamed: tuple[Detector, list[Acquisition]],
) -> None:
    detector, known = seamed
    found = seen(detector, known)
    assert found
    assert all(o.geometry.within(square(CLEARING).buffer(40)) for o in found)
    assert any(o.confirmed and o.area_ha > 0.8 * 10.24 for o in found)
    through = seen(replace(detector, preset=detector.preset.replace(border="pass")), known)
    elsewhere = [o for o in through if not o.geometry.intersects(square(CLEARING))]
    assert any(o.confirmed for o in elsewhere)


def test_the_cut_does_not_depend_on_tiles(seamed: tuple[Detector, list[Acquisition]]) -> None:
    detector, known = seamed
    small = seen(replace(detector, tile_px=97, memory=20_000_000), known)
    assert [repr(o) for o in small] == [repr(o) for o in seen(detector, known)]


def test_an_old_warning_does_not_make_the_forest_beside_it_rough(tmp_path: Path) -> None:
    """45 ha felled in the middle of the learning period; a new clearing 200 m away."""
    power = speckled()
    patches = np.random.default_rng(7).normal(0, 0.35, (IMAGES, ROWS // 20, COLUMNS // 20))
    power *= 10 ** (np.kron(patches, np.ones((20, 20))).astype(np.float32) / 10)
    old, new = (slice(120, 154), slice(120, 153)), (slice(130, 140), slice(163, 173))
    power[-2:, *new] *= 0.4
    untouched = power.copy()
    power[15:, *old] *= 0.25
    for name in ("beside", "alone"):
        (tmp_path / name).mkdir()
    beside = watch(tmp_path / "beside", power, sliced=False)
    alone = watch(tmp_path / "alone", untouched, sliced=False)

    def odds(found: list[Observation]) -> float:
        (one,) = [o for o in found if o.geometry.intersects(square(new))]
        return one.confidence / (1 - one.confidence)

    expected = odds(seen(*alone))
    assert odds(seen(*beside, [square(old)])) > 0.8 * expected
    assert odds(seen(*beside)) < 0.2 * expected
