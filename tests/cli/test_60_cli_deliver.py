"""`curupira deliver` and `retract` as an operator calls them, on a simulated district."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curupira.cli.main import app
from curupira.codes import ClosedReason, RunState, Status
from curupira.config import Workspace
from curupira.pipelines import daily
from curupira.store import Store, acquisition, run
from curupira.store import warning as warnings

TARGETS = """
[delivery.local]
kind = "folder"
url = "outbox"
formats = ["geojson", "kml", "gpx"]
unvalidated_classes = ["high_intensity", "low_intensity"]

[delivery.nobody]
kind = "ftp"
url = "ftp://127.0.0.1:9/in"
attempts = 1
unvalidated_classes = ["high_intensity", "low_intensity"]
"""


@pytest.fixture
def folder(district: Path, tmp_path: Path) -> Path:
    """A copy of the district with two targets, one of which nobody answers."""
    target = tmp_path / "w"
    shutil.copytree(district, target)
    with (target / "monitor.toml").open("a", encoding="utf-8") as stream:
        stream.write(TARGETS)
    return target


def call(*words: str):
    return CliRunner().invoke(app, list(words), standalone_mode=False)


def code(result) -> int:
    error = result.exception
    return getattr(error, "exit_code", None) or (result.return_value or 0)


def told(outbox: Path) -> list[str]:
    return [
        feature["properties"]["delivery"]
        for path in sorted(outbox.glob("*/*.geojson"))
        for feature in json.loads(path.read_text())["features"]
    ]


def test_deliver_then_retract_then_force(folder: Path) -> None:
    workspace = Workspace.open(folder)
    with (
        Store.open(workspace.monitor.store.url, base=folder, create=False) as store,
        store.reading() as session,
    ):
        latest = run.latest(session)
        assert latest is not None
        run_id = latest.run_id
        confirmed = len(warnings.query(session, status=Status.CONFIRMED))
        issued = len(warnings.of_run(session, run_id))
    dry = call("deliver", "-w", str(folder), "--dry-run")
    assert f"local: would send {confirmed} new" in dry.output
    assert code(dry) == 0
    first = call("deliver", "-w", str(folder), "--to", "local")
    assert code(first) == 0
    assert "; 1 package sent" in first.output
    assert told(folder / "outbox") == ["new"] * confirmed
    both = call("deliver", "-w", str(folder))
    assert code(both) == 6
    assert "nobody" in both.output

    done = call("retract", run_id, "--why", "wrong mask", "-w", str(folder))
    assert f"\n{issued} warnings withdrawn" in done.output
    assert code(done) == 6  # nobody has got its packages yet
    assert told(folder / "outbox")[confirmed:] == ["correction"] * confirmed
    # An ordinary run does not bring them back; a forced one evaluates again.
    daily.run(workspace, daily.RunOptions())
    with (
        Store.open(workspace.monitor.store.url, base=folder, create=False) as store,
        store.reading() as session,
    ):
        assert warnings.open_ones(session) == []
        gone = warnings.query(session, status=Status.CLOSED)
        assert sum(r.closed_reason is ClosedReason.WITHDRAWN for r in gone) >= issued
        assert run.get(session, run_id).state is RunState.RETRACTED
        assert not any(row.evaluated_at for row in acquisition.in_order(session))
    daily.run(workspace, daily.RunOptions(force=True))
    with (
        Store.open(workspace.monitor.store.url, base=folder, create=False) as store,
        store.reading() as session,
    ):
        assert len(warnings.query(session, status=Status.CONFIRMED)) == confirmed
    call("deliver", "-w", str(folder), "--to", "local")
    assert told(folder / "outbox")[2 * confirmed :] == ["new"] * confirmed


def test_without_targets_the_command_says_what_to_write(district: Path) -> None:
    result = call("deliver", "-w", str(district))
    assert code(result) == 2
    assert "[delivery.NAME]" in str(result.exception)
