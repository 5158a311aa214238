"""What a retracted run leaves behind: later scenes are evaluated as if it had not been."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from pathlib import Path
from types import ModuleType

from curupira.pipelines.retract import retract


def test_a_late_slice_of_a_retracted_pass(builder: ModuleType, tmp_path: Path) -> None:
    """It renames an acquisition whose observations are still there."""
    b = builder
    # Of the retracted run, and of an earlier one that the retracted run confirmed.
    squares = [b.Square(56, 30, b.day(9)), b.Square(56, 6, b.day(8))]
    world = b.World(tmp_path / "images", squares)
    shots = b.series(7)
    for k in range(7, 10):
        first = b.Shot(b.day(k), rows=(0, 44))
        shots += [first, replace(first, at=time(9, 30, 25), rows=(40, 80))]
    whole = world.workspace(tmp_path / "whole", shots)
    b.play(whole)
    late = next(s for s in shots if s.day == b.day(9) and s.rows == (0, 44))
    workspace = world.workspace(tmp_path / "ws", [s for s in shots if s.day < b.day(9)])
    b.play(workspace)
    world.publish(workspace, [s for s in shots if s != late])
    bad = b.play(workspace)
    assert (bad.counts["issued"], bad.counts["confirmed"]) == (1, 1)
    retract(workspace, bad.run_id, "the image was shifted")
    world.publish(workspace, [late])
    b.play(workspace)
    assert b.observation_places(workspace) == b.observation_places(whole)
    assert b.state(workspace) == b.state(whole)
    products = (workspace.folder / "products", whole.folder / "products")
    names = [sorted(p.name for p in folder.glob("*.tif")) for folder in products]
    assert names[0] == names[1]


def test_forced_again_nothing_stands_twice(builder: ModuleType, tmp_path: Path) -> None:
    """One warning of a single image expires, and one is merged into another."""
    b = builder
    brief = b.Square(56, 10, b.day(7), b.day(8))
    parts = [b.Square(10, 10, b.day(8)), b.Square(10, 26, b.day(8)), b.Square(10, 20, b.day(9))]
    world = b.World(tmp_path / "images", [brief, *parts])
    workspace = world.workspace(tmp_path / "ws", b.series(14))
    run = b.play(workspace)
    before = b.state(workspace)
    assert (run.counts["expired"], run.counts["merged_into"]) == (1, 1)
    done = retract(workspace, run.run_id, "a test")
    assert done.withdrawn == run.counts["issued"]
    assert b.state(workspace) == []
    assert {row.merged_into for row in b.warning_rows(workspace)} == {None}
    again = b.play(workspace, force=True)
    assert again.counts["issued"] == run.counts["issued"]
    assert b.state(workspace) == before
