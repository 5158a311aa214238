"""Votes as inputs of the fold: what is rejected closes, and a replay gives the same."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from drawn import sample_row

from curupira.codes import Verdict, VoteKind
from curupira.config import Workspace
from curupira.pipelines import review, vote_log
from curupira.pipelines.review import Ballot
from curupira.store import acquisition as acquisitions
from curupira.store import sample as samples
from curupira.store.session import Store


def opened(workspace: Workspace) -> Store:
    return Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)


def vote(
    workspace: Workspace, warning_id: str, verdict: Verdict, at: datetime, who: str = "ana"
) -> str:
    with opened(workspace) as store:
        ballot = Ballot(verdict, reason="flood")
        return review.cast(store, warning_id, who, ballot, at).vote_id


def after(day: Any) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(12), UTC)


@pytest.mark.parametrize("clears", [False, True])
def test_a_rejection_applies_from_its_time_and_a_replay_gives_the_same(
    builder: ModuleType, tmp_path: Path, clears: bool
) -> None:
    b = builder
    square, kept = b.Square(4, 4, b.day(8)), b.Square(24, 24, b.day(8))
    world = b.World(tmp_path / "images", [square, kept])
    workspace = world.workspace(tmp_path / "ws", b.series(10), override={"sar_mask_clears": clears})
    b.play(workspace)
    (row,), (other,) = b.at(workspace, square), b.at(workspace, kept)
    vote(workspace, row.warning_id, Verdict.WATER_FLOODED, after(b.day(9)))
    vote(workspace, other.warning_id, Verdict.RECENT_DEFORESTATION, after(b.day(9)))
    (unchanged,) = b.at(workspace, square)
    assert (unchanged.status, unchanged.verdict) == (row.status, Verdict.WATER_FLOODED)
    b.play(workspace)  # nothing new came in: the next run follows the verdicts all the same
    (closed,), (sure,) = b.at(workspace, square), b.at(workspace, kept)
    assert (str(closed.closed_reason), closed.confidence, closed.priority) == ("rejected", 0, None)
    assert (str(sure.status), sure.confidence) == ("confirmed", 1.0)
    world.publish(workspace, b.series(13, start=10))
    b.play(workspace)
    reasons = [str(r.closed_reason or r.status) for r in b.at(workspace, square)]
    assert reasons == (["rejected", "confirmed"] if clears else ["rejected"])
    first, seen = b.state(workspace), b.observation_places(workspace)
    with opened(workspace) as store, store.transaction() as session:
        acquisitions.mark_dirty(session)
    b.play(workspace)
    assert b.state(workspace) == first
    assert b.observation_places(workspace) == seen


def test_an_image_older_than_an_applied_rejection_does_not_see_it(
    builder: ModuleType, tmp_path: Path
) -> None:
    b = builder
    square = b.Square(4, 4, b.day(8))
    world = b.World(tmp_path / "images", [square])
    states = []
    for name, stops in (("nightly", (10, 11, 13)), ("at once", (10, 13))):
        workspace = world.workspace(
            tmp_path / name, b.series(10), override={"sar_mask_clears": True}
        )
        b.play(workspace)
        (row,) = b.at(workspace, square)
        # Later than the images of the days 10 and 11, which are evaluated after it is applied.
        vote(workspace, row.warning_id, Verdict.FALSE_POSITIVE, after(b.day(11)))
        b.play(workspace)
        for a, z in pairwise(stops):
            world.publish(workspace, b.series(z, start=a))
            b.play(workspace)
        states.append(b.state(workspace))
    assert states[0] == states[1]
    assert "rejected" in {str(s["closed_reason"]) for s in states[0]}


def test_an_undone_vote_leaves_no_trace_but_in_the_log(builder: ModuleType, tmp_path: Path) -> None:
    b = builder
    square = b.Square(4, 4, b.day(8))
    world = b.World(tmp_path / "images", [square])
    workspace = world.workspace(tmp_path / "ws", b.series(10))
    b.play(workspace)
    before = b.state(workspace)
    (row,) = b.at(workspace, square)
    vote_id = vote(workspace, row.warning_id, Verdict.BURNT, after(b.day(9)))
    b.play(workspace)
    assert b.at(workspace, square)[0].confidence == 1.0
    with opened(workspace) as store:
        review.undo(store, vote_id, "ana", any_vote=False, now=after(b.day(9)))
    b.play(workspace)
    assert b.state(workspace) == before
    with opened(workspace) as store, store.reading() as session:
        assert [entry["kind"] for entry in vote_log.entries(session)] == ["vote", "undo"]


def test_the_first_of_two_blind_votes_has_no_effect_until_the_second(
    builder: ModuleType, tmp_path: Path
) -> None:
    b = builder
    agreed, disputed = b.Square(4, 4, b.day(8)), b.Square(24, 24, b.day(8))
    world = b.World(tmp_path / "images", [agreed, disputed])
    workspace = world.workspace(tmp_path / "ws", b.series(10))
    b.play(workspace)
    before = b.state(workspace)
    keys = [b.at(workspace, square)[0].warning_id for square in (agreed, disputed)]
    with opened(workspace) as store, store.transaction() as session:
        samples.add(session, [sample_row(key, b.day(9), blind=True) for key in keys])
    for key in keys:
        vote(workspace, key, Verdict.FALSE_POSITIVE, after(b.day(9)))
    b.play(workspace)
    assert b.state(workspace) == before, "neither closed, nor another confidence or rank"
    world.publish(workspace, b.series(11, start=10))
    b.play(workspace)
    vote(workspace, keys[0], Verdict.FALSE_POSITIVE, after(b.day(10)), "bia")
    vote(workspace, keys[1], Verdict.BURNT, after(b.day(10)), "bia")
    b.play(workspace)
    (closed,), (waiting,) = b.at(workspace, agreed), b.at(workspace, disputed)
    assert (str(closed.closed_reason), closed.confidence) == ("rejected", 0)
    assert closed.verdict_at == after(b.day(10)), "from the vote that settled it"
    assert (str(waiting.status), waiting.verdict) == ("confirmed", None)
    assert waiting.confidence not in (0, 1)
    ballot = Ballot(Verdict.NON_FOREST, reason="flood", kind=VoteKind.ADJUDICATION)
    with opened(workspace) as store:
        review.cast(store, keys[1], "olga", ballot, after(b.day(10)))
    b.play(workspace)
    assert str(b.at(workspace, disputed)[0].closed_reason) == "rejected"
