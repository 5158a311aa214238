"""The warnings depend on the set of scenes alone: not on arrival, invocations, tiles or workers.

product.md 3, points 1, 2 and 4; method.md section 5: identical output for any tiling.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, time, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from curupira.config import Workspace

IMAGES = 11
#: Images of the one orbit, and of the other in one piece and in two.
SCENES = IMAGES + 6 + 2 * 4


class Place(NamedTuple):
    b: ModuleType
    world: Any
    shots: list[Any]
    whole: Workspace
    expected: list[dict[str, Any]]


@pytest.fixture(scope="module")
def place(builder: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two orbits, seven kinds of squares, and what an uninterrupted run makes of them."""
    b = builder
    day, Square = b.day, b.Square
    folder = tmp_path_factory.mktemp("arrival")
    squares = [
        Square(2, 2, day(7)),
        Square(2, 20, day(7), day(8)),
        Square(2, 40, day(10)),
        Square(2, 60, day(8), drop_db=2.7),
        Square(24, 2, day(8), size=10),
        Square(24, 18, day(8), size=10),
        Square(24, 10, day(9), size=10),
        Square(24, 44, day(9), day(11), size=14),
        # Crosses every border of tiles of 64 pixels.
        Square(56, 56, day(8), size=16),
        Square(50, 6, day(7), day(8), orbit=10),
        Square(50, 28, day(9), orbit=83),
    ]
    world = b.World(folder / "images", squares)
    shots = b.series(IMAGES)
    # The other orbit flies five days later; of late in two slices that overlap a little.
    for k in range(IMAGES - 1):
        first = b.Shot(day(k) + timedelta(days=5), orbit=10, at=time(21, 0))
        if k < 6:
            shots.append(first)
        else:
            shots.append(b.replace(first, rows=(0, 44)))
            shots.append(b.replace(first, at=time(21, 0, 25), rows=(40, 80)))
    assert len(shots) == SCENES
    whole = world.workspace(folder / "whole", shots)
    b.play(whole)
    expected = b.state(whole)
    kinds = {(str(w["status"]), str(w["closed_reason"])) for w in expected}
    assert {("confirmed", "None"), ("closed", "expired"), ("closed", "merged_into")} <= kinds
    assert len(expected) >= 8
    return Place(b, world, shots, whole, expected)


def same(place: Place, workspace: Workspace) -> None:
    """Assert that a workspace holds what the uninterrupted run holds."""
    assert place.b.state(workspace) == place.expected
    assert place.b.observation_places(workspace) == place.b.observation_places(place.whole)


orders = st.builds(
    lambda seed, cuts: (seed, sorted(cuts)),
    st.integers(0, 10_000),
    st.lists(st.integers(0, SCENES), min_size=1, max_size=2),
)


@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    # A smaller example would take minutes to find; the seed says it all.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(orders)
def test_any_order_of_arrival(
    place: Place, tmp_path_factory: pytest.TempPathFactory, order: tuple[int, list[int]]
) -> None:
    """Scenes show up in the catalogue in any order, in batches, each followed by a run."""
    seed, cuts = order
    shots = list(place.shots)
    random.Random(seed).shuffle(shots)
    workspace = place.world.workspace(tmp_path_factory.mktemp("order") / "ws")
    for start, end in zip([0, *cuts], [*cuts, len(shots)], strict=True):
        place.world.publish(workspace, shots[start:end])
        place.b.play(workspace)
    same(place, workspace)


def test_late_scenes_in_a_replay(place: Place, tmp_path: Path) -> None:
    """Published weeks late, in one invocation: played as they came, they end the same."""
    rng = random.Random(4)
    shots = [place.b.replace(s, late_days=rng.choice((1, 1, 2, 30, 70))) for s in place.shots]
    workspace = place.world.workspace(tmp_path / "ws", shots)
    summary = place.b.play(workspace)
    assert summary.counts["reused"] > 0, "some nights found a late scene"
    same(place, workspace)


Split = Callable[[ModuleType, Workspace, list[date]], None]


def by_date(b: ModuleType, workspace: Workspace, days: list[date]) -> None:
    b.play(workspace, until=days[8])
    for when in days[9:]:
        b.play(workspace, since=when, until=when)


def by_date_backwards(b: ModuleType, workspace: Workspace, days: list[date]) -> None:
    for when in days[:-5:-1]:
        b.play(workspace, since=when, until=when)
    b.play(workspace)


def by_until(b: ModuleType, workspace: Workspace, days: list[date]) -> None:
    for when in days[::5]:
        b.play(workspace, until=when)
    b.play(workspace)


def by_since(b: ModuleType, workspace: Workspace, days: list[date]) -> None:
    b.play(workspace, since=days[-3])
    b.play(workspace, since=days[-7], until=days[-2])
    b.play(workspace)


def twice_by_force(b: ModuleType, workspace: Workspace, days: list[date]) -> None:
    b.play(workspace, until=days[-6])
    b.play(workspace, force=True)


@pytest.mark.parametrize("split", [by_date, by_date_backwards, by_until, by_since, twice_by_force])
def test_any_split_into_invocations(place: Place, tmp_path: Path, split: Split) -> None:
    workspace = place.world.workspace(tmp_path / "ws", place.shots)
    split(place.b, workspace, sorted({s.day for s in place.shots}))
    same(place, workspace)


@pytest.mark.parametrize(
    "sections",
    [
        {"grid": {"tile_px": 64}, "compute": {"threads": 3}},
        {"compute": {"threads": 2, "memory": "1MB"}},
        {"compute": {"scheduler": "local:2"}},
    ],
    ids=["tiles of 64", "little memory", "Dask"],
)
def test_tiles_threads_and_dask(place: Place, tmp_path: Path, sections: dict[str, Any]) -> None:
    workspace = place.world.workspace(tmp_path / "ws", place.shots, **sections)
    place.b.play(workspace)
    same(place, workspace)


def test_slices_of_one_pass_are_one_acquisition(place: Place, tmp_path: Path) -> None:
    """The second slice arrives first, the first weeks later: it renames the acquisition."""
    last = max(s.day for s in place.shots if s.orbit == 10)
    first_slices = [s for s in place.shots if s.orbit == 10 and s.rows == (0, 44)]
    workspace = place.world.workspace(
        tmp_path / "ws", [s for s in place.shots if s not in first_slices]
    )
    place.b.play(workspace)
    products = workspace.folder / "products"
    assert (products / f"sentinel-1a_010_{last:%Y%m%d}T210025.tif").exists()
    place.world.publish(workspace, first_slices)
    place.b.play(workspace)
    same(place, workspace)
    names = sorted(p.name for p in products.glob("*.tif"))
    assert names == sorted(p.name for p in (place.whole.folder / "products").glob("*.tif"))
    assert not list(products.glob("*T210025*"))


@pytest.mark.parametrize("open_end", [False, True])
def test_a_late_slice_before_the_days_asked_for(
    place: Place, tmp_path: Path, open_end: bool
) -> None:
    """It renames the acquisition that founded an open warning: both are evaluated all the same."""
    days = sorted({s.day for s in place.shots if s.orbit == 10})[-4:]
    late = [s for s in place.shots if s.day == days[1] and s.rows == (0, 44)]
    assert len(late) == 1
    workspace = place.world.workspace(
        tmp_path / "ws", [s for s in place.shots if s.day <= days[1] and s not in late]
    )
    place.b.play(workspace)
    names = {row.history["founding"][0] for row in place.b.warning_rows(workspace)}
    assert f"sentinel-1a_010_{days[1]:%Y%m%d}T210025" in names
    place.world.publish(workspace, place.shots)
    place.b.play(workspace, since=days[2], until=None if open_end else days[2])
    place.b.play(workspace)
    same(place, workspace)


def test_a_reprocessed_scene_replaces_the_older(builder: ModuleType, tmp_path: Path) -> None:
    """Under the same id and under another; before, after or between runs."""
    b = builder
    square = b.Square(4, 4, b.day(8), version=0)
    world = b.World(tmp_path / "images", [square, b.Square(40, 40, b.day(7))])
    old = b.series(12)
    newer = [b.reprocessed(s, name=f"new_{s.scene_id}") for s in old[8:]]
    same_id = [b.reprocessed(s) for s in old[8:]]

    def states(batches: list[list[Any]], name: str) -> list[dict[str, Any]]:
        workspace = world.workspace(tmp_path / name)
        for batch in batches:
            world.publish(workspace, batch)
            b.play(workspace)
        found = b.state(workspace)
        assert not [w for w in found if "POLYGON ((500080" in w["geometry"]]
        return [{k: v for k, v in w.items() if "scene" not in k and k != "marks"} for w in found]

    expected = states([old[:8] + newer], "only")
    assert len(expected) == 1
    assert states([old + newer], "together") == expected
    assert states([old, newer], "after") == expected
    assert states([newer, old], "before") == expected
    assert states([old, same_id], "same id") == expected


def test_a_broken_new_version_leaves_the_old_one(builder: ModuleType, tmp_path: Path) -> None:
    """Whether the old version is in the store already or not."""
    b = builder
    world = b.World(tmp_path / "images", [b.Square(4, 4, b.day(7))])
    old = b.series(10)
    newer = b.reprocessed(old[7], name="broken")
    Path(world.scene(newer).assets["vh"].href).write_bytes(b"<html>log in</html>")
    found = []
    for name, batches in (("after", [old, [newer]]), ("together", [[*old, newer]])):
        workspace = world.workspace(tmp_path / name)
        for batch in batches:
            world.publish(workspace, batch)
            summary = b.play(workspace)
        assert [scene for scene, _ in summary.quarantined] == ["broken"]
        found.append(b.state(workspace))
    assert found[0] == found[1]
    assert found[0][0]["first_scene"] == old[7].scene_id


def test_two_scenes_with_one_timestamp(builder: ModuleType, tmp_path: Path) -> None:
    """One is used, the other named; which one does not depend on the order."""
    b = builder
    square = b.Square(4, 4, b.day(7))
    world = b.World(tmp_path / "images", [square])
    shots = b.series(10)
    twin = b.replace(shots[7], name="0_twin")
    found = []
    for name, batches in (
        ("twin later", [shots, [twin]]),
        ("twin first", [[twin], shots]),
        ("together", [[*shots, twin]]),
    ):
        workspace = world.workspace(tmp_path / name)
        codes = []
        for batch in batches:
            world.publish(workspace, batch)
            codes.append(b.play(workspace).exit_code)
        found.append(b.state(workspace))
        if name == "together":
            assert codes == [4]
        assert b.play(workspace).exit_code == 0
    assert found[0] == found[1] == found[2]
    assert found[0][0]["first_scene"] == "0_twin"
