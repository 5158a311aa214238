"""The first steps of a user: images before ``monitor_since``, then a begin moved into the past."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from curupira.config import Workspace
from curupira.pipelines.status import collect, in_words


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


def test_an_empty_workspace_says_why(builder: ModuleType, tmp_path: Path) -> None:
    workspace = builder.World(tmp_path / "images", []).workspace(tmp_path / "ws")
    assert "source check" in "\n".join(in_words(collect(workspace)))
