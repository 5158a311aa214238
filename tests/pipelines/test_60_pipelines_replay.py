"""A past run once more: `curupira replay`, `curupira runs`, and a forced period."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from click.testing import Result
from sqlalchemy import delete
from typer.testing import CliRunner

from curupira.cli import main
from curupira.config import Workspace
from curupira.errors import ConfigError
from curupira.pipelines.replay import replay
from curupira.pipelines.workspace import write
from curupira.store import observation as observations
from curupira.store.session import Store
from curupira.store.tables import ObservationRow


@pytest.fixture(scope="module")
def played(
    builder: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, str, str]:
    """Two runs; the second finds a late image that lies before two others, and a newer one."""
    b, folder = builder, tmp_path_factory.mktemp("replay")
    world = b.World(folder, [b.Square(10, 10, b.day(7)), b.Square(50, 50, b.day(10))])
    shots = b.series(13)
    workspace = world.workspace(folder / "ws", [s for s in shots[:12] if s.day != b.day(9)])
    first = b.play(workspace).run_id
    world.publish(workspace, shots)
    return workspace, first, b.play(workspace).run_id


def stored(workspace: Workspace) -> dict[str, int]:
    """Polygons of every acquisition in the store."""
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        found: dict[str, int] = {}
        for row in observations.load(session):
            found[row.acquisition_id] = found.get(row.acquisition_id, 0) + 1
        return found


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, [*arguments])


def test_runs_give_their_polygons_again(
    builder: ModuleType, played: tuple[Workspace, str, str]
) -> None:
    workspace, first, second = played
    before = builder.state(workspace), stored(workspace)
    old, new = replay(workspace, first), replay(workspace)
    assert (old.run_id, new.run_id) == (first, second)
    assert old.same
    assert new.same
    assert not old.expired
    # Each acquisition belongs to the run that evaluated it last: those after the late one, too.
    polygons = {one.acquisition_id: one.polygons for one in (*old.found, *new.found)}
    assert len(polygons) == len(old.found) + len(new.found) == 7
    assert len(new.found) == 4
    assert {name: n for name, n in polygons.items() if n} == stored(workspace)
    assert all(one.same_inputs for one in (*old.found, *new.found))
    assert (builder.state(workspace), stored(workspace)) == before


def test_a_forced_period_changes_nothing(
    builder: ModuleType, played: tuple[Workspace, str, str]
) -> None:
    workspace, _, _ = played
    before = builder.state(workspace), builder.observation_places(workspace)
    again = builder.play(workspace, force=True, since=builder.day(10), until=builder.day(11))
    # Two images of the period, and what follows them.
    assert again.counts["evaluated"] == 3
    assert (builder.state(workspace), builder.observation_places(workspace)) == before
    assert replay(workspace, again.run_id).same


def test_a_lost_polygon_is_told(played: tuple[Workspace, str, str]) -> None:
    workspace, first, _ = played
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.transaction() as session:
        lost = next(one for one in replay(workspace, first).found if one.polygons)
        rows = observations.load(session, acquisition_ids=[lost.acquisition_id])
        session.execute(delete(ObservationRow).where(ObservationRow.id == rows[-1].id))
    answer = call("replay", first, "-w", str(workspace.folder))
    assert answer.exit_code == 7
    assert f"{lost.acquisition_id}: 0 of {lost.polygons - 1} polygons not found" in answer.output
    assert "1 found that were not there" in answer.output


def test_images_from_after_the_run_take_no_part(builder: ModuleType, tmp_path: Path) -> None:
    b = builder
    world = b.World(tmp_path, [b.Square(10, 10, b.day(7))])
    shots = b.series(10)
    workspace = world.workspace(tmp_path / "ws", shots, override={"orbits": "all"})
    first = b.play(workspace).run_id
    # Taken into the cube, but before the days that the second run evaluates.
    world.publish(workspace, [*shots, b.Shot(b.day(8), orbit=10)])
    assert b.play(workspace, since=b.day(9)).counts["scenes"] == 1
    again = replay(workspace, first)
    assert again.found
    assert again.same
    assert all(one.same_inputs for one in again.found)


def test_runs_are_listed_newest_first(played: tuple[Workspace, str, str]) -> None:
    workspace, first, second = played
    answer = call("runs", "-w", str(workspace.folder))
    assert answer.exit_code == 0
    lines = answer.output.splitlines()
    where = {run: next(n for n, line in enumerate(lines) if run in line) for run in (first, second)}
    assert where[second] < where[first]
    assert "done" in lines[where[first]]
    assert "scenes" in lines[where[first]]


def test_what_cannot_be_replayed_is_refused(
    builder: ModuleType, played: tuple[Workspace, str, str], tmp_path: Path
) -> None:
    workspace, first, _ = played
    with pytest.raises(ConfigError, match="no such run"):
        replay(workspace, "none")
    empty = builder.World(tmp_path, []).workspace(tmp_path / "ws", builder.series(2))
    assert call("status", "-w", str(empty.folder)).exit_code == 0
    assert "no run yet" in call("runs", "-w", str(empty.folder)).output
    run_id = builder.play(empty).run_id
    with pytest.raises(ConfigError, match="nothing was evaluated yet"):
        replay(empty)
    with pytest.raises(ConfigError, match="none of its acquisitions stands"):
        replay(empty, run_id)
    algorithm = workspace.monitor.algorithm.model_copy(
        update={"override": builder.OVERRIDE | {"threshold_min": 3.0}}
    )
    other = write(workspace.folder, workspace.monitor.model_copy(update={"algorithm": algorithm}))
    with pytest.raises(ConfigError, match="the run had preset"):
        replay(other, first)
