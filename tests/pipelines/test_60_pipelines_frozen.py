"""Frozen mode through the daily routine: ``[algorithm] frozen_days``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from curupira.errors import ConfigError
from curupira.pipelines import frozen
from curupira.pipelines.frozen import candidates
from curupira.records import group_acquisitions
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
