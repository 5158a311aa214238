"""Frozen mode through the daily routine: ``[algorithm] frozen_days``."""

from __future__ import annotations

import resource
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from watching import detector_on, scene_at

from curupira.blocks import Window, executor
from curupira.cube.archive import Cube
from curupira.errors import ConfigError, StoreError
from curupira.grid import LONLAT, project
from curupira.pipelines import frozen
from curupira.pipelines.frozen import candidates
from curupira.pipelines.images import Detector
from curupira.pipelines.masks import MONITORED, OUTSIDE
from curupira.pipelines.regions import regions
from curupira.pipelines.warn import detect_acquisition
from curupira.records import Acquisition, group_acquisitions
from curupira.units import flag_days

IMAGES = 14


@pytest.fixture(scope="module")
def world(builder: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    b = builder
    squares = [b.Square(4, 4, b.day(8)), b.Square(24, 44, b.day(10)), b.Square(50, 20, b.day(11))]
    return b.World(tmp_path_factory.mktemp("frozen"), squares)


def ws(b: ModuleType, world: Any, folder: Path, days: int) -> Any:
    return world.workspace(folder, b.series(IMAGES), algorithm={"frozen_days": days})


def states(workspace: Any) -> list[str]:
    return sorted(p.name for p in (workspace.folder / frozen.FOLDER).glob("*"))


def test_a_state_of_each_day_gives_the_warnings_of_the_method(
    builder: ModuleType, world: Any, tmp_path: Path
) -> None:
    exact, daily = ws(builder, world, tmp_path / "exact", 0), ws(builder, world, tmp_path / "d", 1)
    builder.play(exact)
    builder.play(daily)
    assert builder.state(daily) == builder.state(exact) != []
    assert states(exact) == []
    # Only the newest two of a track are kept, and nothing half written.
    assert len(states(daily)) == 2
    assert all(name.endswith(".npy") for name in states(daily))


def test_a_state_is_made_once_and_later_nights_read_no_older_images(
    builder: ModuleType, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = builder
    workspace = ws(b, world, tmp_path / "ws", 366)
    read: list[int] = []
    plain = frozen.freeze_region

    def counted(task: frozen.Task) -> Any:
        read.append(len(task.images))
        return plain(task)

    monkeypatch.setattr(frozen, "freeze_region", counted)
    b.play(workspace)
    # The first has too few images to learn from, the second one's state serves all others.
    assert flag_days(b.day(b.LEARNING)) // 366 == flag_days(b.day(IMAGES)) // 366
    assert len(read) == 2
    squares = [b.at(workspace, s) for s in world.squares]
    assert all(len(found) == 1 for found in squares)
    world.publish(workspace, b.series(IMAGES + 1))
    b.play(workspace)
    assert len(read) == 2


def test_what_decides_is_the_first_acquisition_of_the_period(
    builder: ModuleType, world: Any
) -> None:
    b = builder
    known = group_acquisitions([world.scene(s) for s in b.series(IMAGES)])
    days = 60
    for a in known[b.LEARNING :]:
        found = candidates(a, reversed(known), days, b.SINCE)
        assert found[-1] == a
        assert found == known[known.index(found[0]) : known.index(a) + 1]
        assert b.SINCE <= found[0].day <= a.day < found[0].day + timedelta(days=days)
        before = known[known.index(found[0]) - 1]
        elsewhere = flag_days(before.day) // days != flag_days(a.day) // days
        assert before.day < b.SINCE or elsewhere


def test_a_state_says_nothing_beyond_its_window(tmp_path: Path) -> None:
    from curupira.blocks import Window
    from curupira.pipelines.frozen import PLANES, State

    planes = np.arange(PLANES * 12, dtype=np.float32).reshape(PLANES, 3, 4)
    np.save(tmp_path / "s.npy", planes)
    state = State(tmp_path / "s.npy", Window(10, 13, 20, 24))
    part = state.read(Window(11, 15, 18, 22))
    np.testing.assert_array_equal(part[:, :2, 2:], planes[:, 1:, :2])
    assert np.isnan(part[:, 2:]).all()
    assert np.isnan(part[:, :, :2]).all()


def test_presets_with_evidence_are_refused(builder: ModuleType, world: Any, tmp_path: Path) -> None:
    workspace = world.workspace(
        tmp_path / "ws",
        builder.series(IMAGES),
        algorithm={"frozen_days": 30, "preset": "curupira"},
    )
    with pytest.raises(ConfigError, match="frozen_days needs"):
        builder.play(workspace)


def half_forest(folder: Path, border: int) -> tuple[Detector, list[Acquisition]]:
    """30 images of 64 x 160 pixels, of which those west of a border are monitored."""
    rows, columns = 64, 160
    grid = GeoBox.from_bbox(
        (500_000, 9_500_000 - 20 * rows, 500_000 + 20 * columns, 9_500_000),
        crs="EPSG:32721",
        resolution=20,
    )
    cube = Cube.open(folder / "cube", grid, create=True)
    rng = np.random.default_rng(4)
    known = []
    for n in range(30):
        moment = datetime(2022, 1, 3, 9, 30, tzinfo=UTC) + timedelta(days=24 * n)
        power = rng.gamma(4.4, 0.04 / 4.4, (rows, columns)).astype(np.float32)
        with cube.scene_writer(83, f"image_{n}", moment) as writer:
            writer.write("vh", Window(0, rows, 0, columns), power)
        footprint = project(grid.extent.geom, "EPSG:32721", LONLAT)
        scene = scene_at(f"image_{n}", moment, footprint)
        known.append(Acquisition((scene,)))
    zones = np.full((rows, columns), OUTSIDE, dtype=np.uint8)
    zones[:, :border] = MONITORED
    detector = detector_on(cube, zones, folder, tile_px=64, memory=100_000_000)
    return detector, known


def test_a_state_reaches_as_far_beyond_the_forest_as_filters_look(tmp_path: Path) -> None:
    """Of a region without forest too, where that of its neighbour ends at their common edge."""
    whole = Window(0, 64, 0, 160)
    large, known = half_forest(tmp_path, border=120)
    small = replace(large, memory=1_500_000)
    assert [w.x0 for w in regions(large, [], whole)] == [0]
    assert [w.x0 for w in regions(small, [], whole)] == [0, 59, 123]
    found = []
    for detector in (large, small):
        excess = np.full(whole.shape, np.nan, dtype=np.float32)

        def keep(window: Window, layers: Any, _: Any, into: np.ndarray[Any, Any] = excess) -> None:
            into[window.slices] = layers.excess_db

        with executor(workers=1) as run:
            state = frozen.ensure(tmp_path, detector, known[-1], known, str(detector.memory), run)
            detect_acquisition(detector, known[-1], known[-3:], [], run, keep, state)
        found.append(excess)
    assert np.isfinite(found[0][:, :120]).all()
    np.testing.assert_array_equal(*found)


def test_a_state_has_its_room_before_pixels_come(tmp_path: Path) -> None:
    """A mapped file with holes would kill the process where the disk is full."""
    path = tmp_path / "frozen" / "state.partial"
    array = frozen.reserve(path, (3, 400, 500))
    assert not array.any()
    assert path.stat().st_blocks * 512 >= array.nbytes
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = path.with_name("other.partial")
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreError, match=r"other.partial: cannot write \(File too large\)"):
            frozen.reserve(path, (3, 400, 500))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not path.exists()
