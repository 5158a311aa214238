"""Watching the watcher: metrics, the alarm, retries, and the replay of a past run."""

from __future__ import annotations

import json
import re
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.errors import SourceError
from curupira.pipelines import daily, watch
from curupira.pipelines.status import collect
from curupira.store import run as runs
from curupira.store import scene as scenes
from curupira.store.session import Store

SAMPLE = re.compile(r'^curupira_[a-z0-9_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+]+$')


def build(b: ModuleType, folder: Path, n: int = 10, **sections: Any) -> tuple[Any, Workspace]:
    world = b.World(folder / "images", [b.Square(10, 10, b.day(7)), b.Square(50, 50, b.day(10))])
    return world, world.workspace(folder / "ws", b.series(n), **sections)


def test_metrics_are_what_prometheus_reads(builder: ModuleType, tmp_path: Path) -> None:
    b = builder
    _, workspace = build(b, tmp_path)
    b.play(workspace)
    text = watch.metrics(collect(workspace))
    lines = text.splitlines()
    assert text.endswith("\n")
    samples = [line for line in lines if not line.startswith("#")]
    assert [line for line in samples if not SAMPLE.match(line)] == []
    values = dict(line.rsplit(" ", 1) for line in samples)
    last = b.series(10)[9]
    assert int(values["curupira_last_scene_acquired_seconds"]) == last.acquired.timestamp()
    assert int(values["curupira_last_scene_created_seconds"]) == last.created.timestamp()
    assert values["curupira_last_run_ok"] == "1"
    assert values['curupira_scenes{state="ingested"}'] == "10"
    assert values['curupira_warnings{status="confirmed"}'] == "1"
    assert float(values['curupira_last_run_stage_seconds{stage="evaluate"}']) > 0
    # A family is described once, before its samples.
    assert len([line for line in lines if line.startswith("# TYPE curupira_scenes ")]) == 1


def test_metrics_of_a_workspace_without_a_run(builder: ModuleType, tmp_path: Path) -> None:
    _, workspace = build(builder, tmp_path, 1)
    text = watch.metrics(collect(workspace))
    assert "curupira_last_run_ok" not in text
    assert 'curupira_warnings{status="confirmed"} 0' in text


def test_the_alarm_rings_when_nothing_new_came(builder: ModuleType, tmp_path: Path) -> None:
    b = builder
    tell = [sys.executable, "-c", "import sys; open('told.json', 'w').write(sys.stdin.read())"]
    _, workspace = build(b, tmp_path, 10, alarm={"days": 15, "command": tuple(tell)})
    b.play(workspace)
    told = workspace.folder / "told.json"
    newest = b.series(10)[9].created
    assert watch.alarm(workspace, newest + timedelta(days=14, hours=23)) is None
    assert not told.exists()
    message = watch.alarm(workspace, newest + timedelta(days=15))
    assert message is not None
    assert "no new image for 15 days" in message
    heard = json.loads(told.read_text())
    assert heard["days"] == 15
    assert heard["last_scene"]["scene"] == b.series(10)[9].scene_id


@pytest.mark.parametrize(
    "command", [["/nowhere/tell"], [sys.executable, "-c", "raise SystemExit(3)"]]
)
def test_an_alarm_that_cannot_ring_stops_nothing(
    builder: ModuleType, tmp_path: Path, command: list[str]
) -> None:
    _, workspace = build(builder, tmp_path, 2, alarm={"days": 1, "command": tuple(command)})
    builder.play(workspace)
    assert watch.alarm(workspace, builder.NOW) is not None


def test_status_and_run_on_the_command_line(builder: ModuleType, tmp_path: Path) -> None:
    from curupira.cli.main import app

    _, workspace = build(builder, tmp_path, 3, alarm={"days": 30})
    runner = CliRunner()
    first = runner.invoke(app, ["run", "-w", str(workspace.folder)])
    assert first.exit_code == 0, first.output
    assert "alarm: no new image for" in first.output
    shown = runner.invoke(app, ["status", "--metrics", "-w", str(workspace.folder)])
    assert shown.exit_code == 0
    assert 'curupira_scenes{state="ingested"} 3\n' in shown.output


def quarantine(workspace: Workspace) -> list[Any]:
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        return scenes.quarantined(session)


def play(b: ModuleType, workspace: Workspace, days: int = 0) -> daily.RunSummary:
    return daily.run(workspace, daily.RunOptions(), now=lambda: b.NOW + timedelta(days=days))


def test_a_scene_that_its_source_fails_to_give_is_tried_again(
    builder: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule by itself: what a source is, other tests show against a server."""
    from curupira.pipelines import ingest

    b = builder
    world, workspace = build(b, tmp_path, 9)
    failing = {b.series(9)[4].scene_id}
    plain = ingest.store_image

    def store_image(scene: Any, *rest: Any) -> str:
        if scene.scene_id in failing:
            raise SourceError("breaks off", where=scene.scene_id)
        return plain(scene, *rest)

    monkeypatch.setattr(ingest, "store_image", store_image)
    first = play(b, workspace)
    assert (first.exit_code, first.counts["scenes"]) == (4, 8)
    (row,) = quarantine(workspace)
    assert "breaks off" in row.reason
    assert row.retry_until == b.NOW + timedelta(days=14)
    # Still broken: tried, but no news, and the end of the tries does not move. With nothing else
    # pending a failure is the source's: the run says so.
    with pytest.raises(SourceError):
        play(b, workspace, days=1)
    assert quarantine(workspace)[0].retry_until == b.NOW + timedelta(days=14)
    # After the time has run out it is left alone ...
    assert play(b, workspace, days=15).exit_code == 0
    failing.clear()
    assert play(b, workspace, days=16).counts["scenes"] == 0
    # ... until somebody insists.
    forced = daily.RunOptions(force=True)
    assert daily.run(workspace, forced, now=lambda: b.NOW).counts["scenes"] == 1
    assert quarantine(workspace) == []
    calm = world.workspace(tmp_path / "calm", b.series(9))
    b.play(calm)
    assert b.state(workspace) == b.state(calm)


def test_a_source_that_fails_for_all_stops_the_run(
    builder: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curupira.pipelines import ingest

    b = builder
    _, workspace = build(b, tmp_path, 9)

    def store_image(scene: Any, *rest: Any) -> str:
        raise SourceError("is down", where=scene.scene_id)

    with monkeypatch.context() as down:
        down.setattr(ingest, "store_image", store_image)
        with pytest.raises(SourceError, match="is down"):
            play(b, workspace)
    assert len(quarantine(workspace)) == 2
    # The next night takes all of them.
    assert play(b, workspace, days=1).counts["scenes"] == 9
    assert quarantine(workspace) == []


def test_the_replay_of_a_past_run_gives_the_same_polygons(
    builder: ModuleType, tmp_path: Path
) -> None:
    """A run can be repeated from its ledger: the snapshot of the cube, the preset, the masks."""
    b = builder
    world, workspace = build(b, tmp_path, 9)
    b.play(workspace)
    then = b.state(workspace)
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        entry = runs.latest(session)
    assert entry is not None
    assert entry.cube_snapshot is not None
    assert entry.preset_hash == workspace.preset.hash

    # Later images arrive; then the past run is asked for again.
    world.publish(workspace, b.series(14))
    b.play(workspace)
    assert b.state(workspace) != then
    reader = Cube.open(workspace.cube_path, workspace.grid).reader(entry.cube_snapshot)
    assert len(reader.scene_ids(83)) == 9
    again = tmp_path / "replay"
    shutil.copytree(workspace.folder, again, ignore=shutil.ignore_patterns("warnings.gpkg*"))
    replayed = Workspace.open(again)
    daily.run(replayed, daily.RunOptions(until=b.day(8)), now=lambda: b.NOW)
    assert b.state(replayed) == then
