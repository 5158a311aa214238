"""What was cleared before monitoring began is no change since then, if the preset says so."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from curupira.pipelines.replay import replay

IMAGES = 12
#: The day before monitoring begins has three learning images.
FEW = {"minimum_learning_images": 3}


@pytest.mark.parametrize(("choice", "old_is_warned"), [("warned", True), ("masked", False)])
def test_old_clearings_are_left_out(
    builder: ModuleType, tmp_path: Path, choice: str, old_is_warned: bool
) -> None:
    b = builder
    # Monitoring begins with the first image after day(since).
    since = next(n for n in range(IMAGES) if b.day(n) >= b.SINCE)
    old = b.Square(6, 6, b.day(since - 2))
    new = b.Square(36, 36, b.day(since + 1))
    world = b.World(tmp_path / "images", [old, new])
    place = world.workspace(tmp_path / "ws", b.series(IMAGES), override={"backlog": choice} | FEW)
    summary = b.play(place)
    assert summary.exit_code == 0
    assert bool(b.at(place, old)) is old_is_warned
    assert [row.status.value for row in b.at(place, new)] == ["confirmed"]
    kept = place.path(place.monitor.masks.output) / "backlog.json"
    assert kept.is_file() is not old_is_warned


def test_the_answer_is_kept_and_a_replay_changes_nothing(
    builder: ModuleType, tmp_path: Path
) -> None:
    b = builder
    since = next(n for n in range(IMAGES) if b.day(n) >= b.SINCE)
    squares = [b.Square(6, 6, b.day(since - 2)), b.Square(36, 36, b.day(since + 1))]
    world = b.World(tmp_path / "images", squares)
    options = {"override": {"backlog": "masked"} | FEW}
    once = world.workspace(tmp_path / "once", b.series(IMAGES), **options)
    b.play(once)
    kept = once.path(once.monitor.masks.output) / "backlog.json"
    before = kept.read_bytes()
    assert [len(v) for v in json.loads(before).values()] == [1]
    twice = world.workspace(tmp_path / "twice", b.series(since + 2), **options)
    b.play(twice)
    world.publish(twice, b.series(IMAGES))
    b.play(twice)
    assert b.state(twice) == b.state(once)
    b.play(once, force=True)
    assert b.state(twice) == b.state(once)
    assert kept.read_bytes() == before
    kept.unlink()
    assert replay(once).same
    assert not kept.exists()


def test_every_sensor_has_a_last_image(builder: ModuleType, tmp_path: Path) -> None:
    """The number of a relative orbit is a sensor's own."""
    b = builder
    since = next(n for n in range(IMAGES) if b.day(n) >= b.SINCE)
    old = b.Square(56, 30, b.day(since - 2))
    world = b.World(tmp_path / "images", [old])
    # The other sensor comes hours later, and does not see the clearing.
    other = b.series(IMAGES, platform="nisar", at=b.time(21, 0), rows=(0, 40))
    place = world.workspace(
        tmp_path / "ws", b.series(IMAGES) + other, override={"backlog": "masked"} | FEW
    )
    assert b.play(place).exit_code == 0
    assert not b.at(place, old)
