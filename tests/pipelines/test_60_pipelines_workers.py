"""Whoever does the work, and whoever dies at it: a run ends in the same bits."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import rasterio
from distributed import Client, LocalCluster, WorkerPlugin

from curupira.config import Workspace

DEATHS = 2
#: Four tasks an acquisition: with more memory one task reads all of the place.
SMALL, LITTLE = {"tile_px": 64}, {"memory": "8MB"}


class Death(WorkerPlugin):
    """Kills a worker in the middle of its first task, and the next one likewise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.begun = 0

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        self.begun += finish == "executing" and "detect_region" in str(key)
        for n in range(DEATHS if self.begun == 1 else 0):
            try:
                (self.folder / f"death_{n}").touch(exist_ok=False)
            except FileExistsError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def place(builder: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A place, its images, and a workspace that a single thread worked off as one block."""
    b = builder
    squares = [b.Square(4, 4, b.day(7)), b.Square(50, 30, b.day(7)), b.Square(56, 60, b.day(8))]
    world = b.World(tmp_path_factory.mktemp("workers") / "images", squares)
    shots = b.series(10)
    whole = world.workspace(tmp_path_factory.mktemp("workers") / "whole", shots)
    b.play(whole)
    return b, world, shots, whole


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[LocalCluster]:
    """A scheduler and two workers, which die and are replaced."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", processes=True
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(Death(tmp_path))
        yield cluster


def products(workspace: Workspace) -> dict[str, np.ndarray[Any, Any]]:
    """All bands of all products."""
    found = {}
    for path in sorted((workspace.folder / "products").glob("*.tif")):
        with rasterio.open(path) as source:
            found[path.name] = source.read()
    return found


def same(b: ModuleType, workspace: Workspace, whole: Workspace) -> None:
    ours, expected = products(workspace), products(whole)
    assert ours.keys() == expected.keys()
    for name, bands in ours.items():
        np.testing.assert_array_equal(bands, expected[name])
    assert b.state(workspace) == b.state(whole)
    assert b.observation_places(workspace) == b.observation_places(whole)


def test_killed_workers_leave_no_trace(place: Any, mortal: LocalCluster, tmp_path: Path) -> None:
    b, world, shots, whole = place
    workspace = world.workspace(tmp_path / "ws", shots, grid=SMALL, compute=LITTLE)
    summary = b.play(workspace, scheduler=mortal.scheduler_address)
    assert summary.exit_code == 0
    assert len(list(tmp_path.glob("death_*"))) == DEATHS
    assert {str(w["status"]) for w in b.state(whole)} == {"confirmed"}
    same(b, workspace, whole)


@pytest.mark.parametrize("scheduler", ["", "local:3"])
def test_any_number_of_workers(place: Any, tmp_path: Path, scheduler: str) -> None:
    b, world, shots, whole = place
    compute = LITTLE | {"threads": 3, "scheduler": scheduler}
    workspace = world.workspace(tmp_path / "ws", shots, grid=SMALL, compute=compute)
    b.play(workspace)
    same(b, workspace, whole)
