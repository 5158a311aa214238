"""How long snapshots of the cube stay: ``[cube] keep_snapshots_days``; those of delivered runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.pipelines import daily
from curupira.store import DeliveryRow, Store, run


def opened(workspace: Workspace) -> Store:
    return Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)


def snapshot_of(workspace: Workspace, run_id: str) -> str:
    with opened(workspace) as store, store.reading() as session:
        return str(run.get(session, run_id).cube_snapshot)


def deliver(workspace: Workspace, warning_id: str, run_id: str) -> None:
    """What ``curupira deliver`` notes of a warning that reached its target."""
    with opened(workspace) as store, store.transaction() as session:
        row = DeliveryRow(target="agency", warning_id=warning_id, kind="new", state="sent")
        row.attempts, row.run_id = 1, run_id
        session.add(row)


def test_snapshots_of_delivered_runs_outlive_the_others(
    builder: ModuleType, tmp_path: Path
) -> None:
    b = builder
    world = b.World(tmp_path / "images", [b.Square(10, 10, b.day(7))])
    workspace = world.workspace(tmp_path / "ws", b.series(9), cube={"keep_snapshots_days": 30})
    delivered = snapshot_of(workspace, b.play(workspace).run_id)
    (row,) = b.warning_rows(workspace)
    deliver(workspace, row.warning_id, row.run_id)
    world.publish(workspace, [b.Shot(b.day(9))])
    another = snapshot_of(workspace, b.play(workspace).run_id)
    assert another != delivered

    later = datetime.now(UTC) + timedelta(days=31)
    world.publish(workspace, [b.Shot(b.day(10))])
    daily.run(workspace, daily.RunOptions(), now=lambda: later)
    cube = Cube.open(workspace.cube_path, workspace.grid)
    kept = {s.snapshot_id for s in cube.snapshots()}
    assert delivered in kept
    assert another not in kept
    assert len(cube.reader(delivered).scene_ids(b.Shot(b.day(0)).orbit)) == 9
    assert len(cube.reader().scene_ids(b.Shot(b.day(0)).orbit)) == 11
