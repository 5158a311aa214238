"""The first steps of a user: images before ``monitor_since``, then a begin moved into the past."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from postgis import free_port

from curupira.codes import RunState
from curupira.config import Workspace
from curupira.errors import ConfigError, StoreError
from curupira.pipelines.status import collect, in_words
from curupira.store import Store, run


def test_a_begin_moved_into_the_past_is_evaluated(builder: ModuleType, tmp_path: Path) -> None:
    """Nobody has to force it, and it ends as if the begin had been there from the start."""
    b = builder
    world = b.World(tmp_path / "images", [b.Square(10, 10, b.day(8))])
    direct = world.workspace(tmp_path / "direct", b.series(12))
    b.play(direct)
    moved = world.workspace(tmp_path / "moved", b.series(12))
    file = moved.folder / "monitor.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(str(b.SINCE), "2023-12-01"), encoding="utf-8")
    early = Workspace.open(moved.folder)
    assert b.play(early).counts["evaluated"] == 0
    assert "serves as history only" in "\n".join(in_words(collect(early)))
    file.write_text(text, encoding="utf-8")
    again = Workspace.open(moved.folder)
    assert b.play(again).counts["evaluated"] == 12 - b.LEARNING
    assert b.state(again) == b.state(direct) != []
    assert collect(again)["notice"] is None
    assert b.play(again).counts["evaluated"] == 0


def test_a_begin_moved_into_the_future_takes_nothing_back(
    builder: ModuleType, tmp_path: Path
) -> None:
    """What was issued stays; the images before the new day are only learned from."""
    b = builder
    world = b.World(tmp_path / "images", [b.Square(10, 10, b.day(7)), b.Square(50, 20, b.day(10))])
    still = world.workspace(tmp_path / "still", b.series(12))
    b.play(still)
    moved = world.workspace(tmp_path / "moved", b.series(12))
    b.play(moved, until=b.day(8))
    issued = b.state(moved)
    assert len(issued) == 1
    file = moved.folder / "monitor.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(str(b.SINCE), str(b.day(9))), encoding="utf-8")
    late = Workspace.open(moved.folder)
    assert b.play(late, until=b.day(8), force=True).counts["evaluated"] == 0
    assert b.state(late) == issued
    assert b.play(late).counts["evaluated"] == 3
    assert b.state(late) == b.state(still)
    # Also by force nothing from before the new day is evaluated again, or taken back.
    assert b.play(late, force=True).counts["evaluated"] == 3
    assert [row.issued_at for row in b.warning_rows(late)] == [
        row.issued_at for row in b.warning_rows(still)
    ]


def test_an_empty_workspace_says_why(builder: ModuleType, tmp_path: Path) -> None:
    workspace = builder.World(tmp_path / "images", []).workspace(tmp_path / "ws")
    assert "source check" in "\n".join(in_words(collect(workspace)))


def test_status_says_how_often_images_come_and_that_a_run_was_killed(
    builder: ModuleType, tmp_path: Path
) -> None:
    b = builder
    other = [b.Shot(b.day(k) + timedelta(days=5), orbit=10) for k in range(12)]
    workspace = b.World(tmp_path / "images", []).workspace(tmp_path / "ws", b.series(12) + other)
    b.play(workspace)
    found = collect(workspace)
    # Every 12 days in each of two orbits: five of each within 60 days.
    assert found["images_per_day"] == {"sentinel-1a": pytest.approx(10 / 60, abs=1e-3)}
    assert "images per day, last 60 days: sentinel-1a 0.167" in in_words(found)
    url = workspace.monitor.store.url
    opened = Store.open(url, base=workspace.folder, create=False)
    with opened as store, store.transaction() as session:
        row = run.latest(session)
        assert row is not None
        row.state, row.finished_at = RunState.RUNNING, None
    assert any("or killed: run it again" in line for line in in_words(collect(workspace)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"grid": {"crs": "EPSG:4326"}},
        {"compute": {"memory": "lots"}},
        {"compute": {"scheduler": "slurm"}},
    ],
)
def test_a_dry_run_refuses_what_a_run_would(
    builder: ModuleType, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    b = builder
    workspace = b.World(tmp_path / "i", []).workspace(tmp_path / "ws", b.series(2), **wrong)
    ((section, keys),) = wrong.items()
    with pytest.raises(ConfigError, match=f"{section}|{keys.get('scheduler')}"):
        b.play(workspace, dry_run=True)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_scheduler_that_is_not_there_is_told_before_anything_is_read(
    builder: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    monkeypatch.setattr("curupira.blocks._ANSWER_S", 1)
    b = builder
    workspace = b.World(tmp_path / "i", []).workspace(tmp_path / "ws", b.series(2))
    (tmp_path / "i").rename(tmp_path / "gone")  # No image, no catalogue: it is told all the same.
    nobody = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(ConfigError, match=f"{nobody}: no Dask scheduler answers") as caught:
        b.play(workspace, scheduler=nobody, dry_run=dry_run)
    assert caught.value.exit_code == 2
    assert not (workspace.folder / "cube").exists()
    opened = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with opened as store, store.reading() as session:
        assert run.latest(session) is None


def test_a_dry_run_refuses_a_cube_on_another_grid(builder: ModuleType, tmp_path: Path) -> None:
    b = builder
    world = b.World(tmp_path / "i", [])
    workspace = world.workspace(tmp_path / "ws", b.series(2))
    # Nothing is there yet, and a dry run makes nothing.
    assert len(b.play(workspace, dry_run=True).pending) == 2
    assert not (workspace.folder / "cube").exists()
    b.play(workspace)
    b.play(workspace, dry_run=True)
    wider = workspace.monitor.grid.model_copy(update={"resolution_m": 40.0})
    monitor = workspace.monitor.model_copy(update={"grid": wider})
    with pytest.raises(StoreError, match="the cube's grid is"):
        b.play(Workspace(workspace.folder, monitor), dry_run=True)
