"""A run that is killed at any moment and started again ends where an uninterrupted one ends."""

from __future__ import annotations

import multiprocessing
import random
import signal
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from curupira.blocks import Window
from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.pipelines import daily

KILLS = 20
#: A server that has the libraries loaded forks the runs: a start costs milliseconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["curupira.pipelines.daily", "rasterio", "scipy.ndimage"])


@pytest.fixture(scope="module")
def world(builder: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    b = builder
    squares = [
        b.Square(4, 4, b.day(7)),
        b.Square(30, 4, b.day(7), b.day(8)),
        b.Square(4, 40, b.day(9)),
    ]
    return b.World(tmp_path_factory.mktemp("kill") / "images", squares)


def start(workspace: Workspace) -> Any:
    """Start a run in a process of its own."""
    process = PROCESSES.Process(target=daily.run, args=(workspace, daily.RunOptions()))
    process.start()
    return process


def sound(workspace: Workspace) -> None:
    """Assert that database and cube can be read as they are."""
    database = workspace.folder / "warnings.gpkg"
    if database.exists():
        with closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    if (workspace.folder / "cube").exists():
        cube = Cube.open(workspace.cube_path, workspace.grid, create=True)
        reader = cube.reader()
        for orbit in reader.orbits():
            for scene_id in reader.scene_ids(orbit):
                assert reader.read(orbit, scene_id, "vh", Window(0, 8, 0, 8)).shape == (8, 8)


def leftovers(workspace: Workspace) -> list[str]:
    """Half-written files."""
    return [
        str(p.relative_to(workspace.folder))
        for p in workspace.folder.rglob("*")
        if "cube" not in p.parts and (".raw" in p.name or ".part" in p.name)
    ]


def test_killed_twenty_times(builder: ModuleType, world: Any, tmp_path: Path) -> None:
    b = builder
    # One scene is weeks late, so that a repeated fold is among what is interrupted.
    shots = [*b.series(7), b.Shot(b.day(7), late_days=40), *b.series(11, start=8)]
    # The second of two: the first one starts the server and may have to compile kernels.
    for name in ("warm", "whole"):
        whole = world.workspace(tmp_path / name, shots)
        started = time.monotonic()
        process = start(whole)
        process.join()
        lasts = time.monotonic() - started
        assert process.exitcode == 0
    expected = b.state(whole)
    assert {str(w["status"]) for w in expected} == {"confirmed", "closed"}

    rng = random.Random(20240601)
    kills = rounds = 0
    while kills < KILLS:
        rounds += 1
        workspace = world.workspace(tmp_path / f"ws{rounds}", shots)
        # Some are killed once and late, others again and again.
        for _ in range(times := rng.choice((1, 2, 4, 8))):
            process = start(workspace)
            process.join(rng.uniform(0.02, 1.2 / times) * lasts)
            process.kill()
            process.join()
            assert process.exitcode in (0, -signal.SIGKILL)
            kills += process.exitcode != 0
            sound(workspace)
        b.play(workspace)
        assert b.state(workspace) == expected
        assert b.observation_places(workspace) == b.observation_places(whole)
        assert leftovers(workspace) == []


def test_the_lock_dies_with_the_process(builder: ModuleType, world: Any, tmp_path: Path) -> None:
    workspace = world.workspace(tmp_path / "ws", builder.series(9))
    process = start(workspace)
    lock = workspace.folder / "warnings.gpkg.lock"
    _wait_for(lambda: lock.exists() and lock.read_text().strip() == str(process.pid))
    process.kill()
    process.join()
    summary = builder.play(workspace)
    assert summary.exit_code == 0
    assert builder.play(workspace, dry_run=True).pending == []


def test_leftovers_are_swept(builder: ModuleType, world: Any, tmp_path: Path) -> None:
    workspace = world.workspace(tmp_path / "ws", builder.series(7))
    halves = {
        "products": ("gone.raw.tif", "gone.part.tif", ".gone.json.1234abcd.part"),
        "masks": (".zones.tif.1234abcd.part", ".masks.json.1234abcd.part"),
        "frozen": ("sentinel-1_083_2022-05-03_0123456789abcdef.partial",),
        ".": (".backlog.json.1234abcd.part", ".export.gpkg.1234abcd.part"),
    }
    for folder, names in halves.items():
        (workspace.folder / folder).mkdir(exist_ok=True)
        for name in names:
            (workspace.folder / folder / name).write_bytes(b"half")
    builder.play(workspace)
    # An export may be at work while a run begins: it cleans up after itself.
    assert leftovers(workspace) == [".export.gpkg.1234abcd.part"]
    assert len(list((workspace.folder / "products").glob("*.tif"))) == 1


def test_masks_without_their_record_are_built_again(
    builder: ModuleType, world: Any, tmp_path: Path
) -> None:
    workspace = world.workspace(tmp_path / "ws", builder.series(8))
    builder.play(workspace)
    before = builder.state(workspace)
    record = workspace.folder / "masks" / "masks.json"
    record.unlink()
    world.publish(workspace, [builder.Shot(builder.day(8))])
    builder.play(workspace)
    assert record.exists()
    assert len(builder.state(workspace)) >= len(before)


def _wait_for(condition: Any, patience: timedelta = timedelta(seconds=30)) -> None:
    until = time.monotonic() + patience.total_seconds()
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)
