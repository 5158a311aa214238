"""Runs, observations, votes, deliveries."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from curupira.codes import RunState, SceneState, Verdict, VerdictSource
from curupira.errors import ConfigError
from curupira.store import DeliveryRow, Store, delivery, observation, review, run, scene

NOW = datetime(2024, 6, 3, tzinfo=UTC)


def begin(session, run_id: str, hours: int = 0):
    return run.start(
        session,
        run_id=run_id,
        command="curupira run",
        version="0.1.0",
        started_at=NOW + timedelta(hours=hours),
        since=date(2024, 6, 1),
        versions={"numpy": "2.4.6"},
        masks={"forest": {"sha256": "ab", "date": "2023-07-31"}},
        preset="deter_r",
        preset_hash="ff",
    )


def test_run_ledger(store: Store) -> None:
    with store.transaction() as session:
        assert run.latest(session) is None
        begin(session, "a")
        run.finish(
            session,
            "a",
            state=RunState.DONE,
            finished_at=NOW + timedelta(minutes=3),
            cube_snapshot="SNAP",
            counts={"scenes": 2, "by_orbit": {"39": 2}},
            timings={"detect_s": 1.5},
        )
    with store.reading() as session:
        row = run.latest(session)
        assert row is not None
        assert (row.run_id, row.state, row.cube_snapshot) == ("a", RunState.DONE, "SNAP")
        assert row.counts == {"scenes": 2, "by_orbit": {"39": 2}}
        assert row.masks == {"forest": {"sha256": "ab", "date": "2023-07-31"}}
        assert row.since == date(2024, 6, 1)
        assert row.until is None


def test_a_killed_run_is_marked_by_the_next(store: Store) -> None:
    with store.transaction() as session:
        begin(session, "a")
    with store.transaction() as session:
        begin(session, "b", 1)
    with store.reading() as session:
        killed = run.get(session, "a")
        assert (killed.state, killed.message) == (RunState.FAILED, "interrupted")
        assert [row.run_id for row in run.history(session)] == ["b", "a"]
        newest = run.latest(session, state=RunState.FAILED)
        assert newest is not None
        assert newest.run_id == "a"
        with pytest.raises(ConfigError, match="no such run"):
            run.finish(session, "c", state=RunState.DONE, finished_at=NOW)


def test_a_reader_stays_with_one_state(store: Store) -> None:
    with store.reading() as session:
        assert run.latest(session) is None
        with store.transaction() as other:
            begin(other, "a")
        assert run.latest(session) is None
        assert run.history(session) == []
    with store.reading() as session:
        assert run.latest(session) is not None


def test_observations_are_replaced_and_ordered(
    store: Store, make_scene, make_observation, make_warning
) -> None:
    with store.transaction() as session:
        rows = [
            scene.record(
                session, make_scene(minute, orbit=orbit), state=SceneState.INGESTED, recorded_at=NOW
            )
            for minute, orbit in ((60, 39), (0, 54), (0, 39))
        ]
        session.add(make_warning(warning_id="w"))
        for n, row in enumerate(rows):
            given = [make_observation(-52 + n, n_pixels=10 * n + k) for k in range(2)]
            observation.replace(session, row.acquisition_id, given)
        names = [row.acquisition_id for row in rows]
        pixels = [o.n_pixels for o in observation.load(session)]
        assert pixels == [20, 21, 10, 11, 0, 1]
        late = (rows[0].acquired, names[0])
        assert [o.n_pixels for o in observation.load(session, before=late)] == [20, 21, 10, 11]
        second = (rows[1].acquired, names[1])
        assert [o.n_pixels for o in observation.load(session, before=second)] == [20, 21]
        since = rows[0].acquired
        assert [o.n_pixels for o in observation.load(session, since=since)] == [0, 1]
        observation.replace(session, names[0], [make_observation(n_pixels=99, warning_id="w")])
        mine = observation.load(session, acquisition_ids=[names[0]])
        assert [(o.n_pixels, o.seq) for o in mine] == [(99, 0)]
        assert observation.of_warning(session, "w") == mine


def test_references_are_checked_at_commit(store: Store, make_observation, make_warning) -> None:
    with store.transaction() as session:
        row = make_warning(warning_id="later")
        session.add(review_row := make_vote("v", "later"))
        session.flush()
        session.add(row)
    assert review_row.warning_id == "later"
    with pytest.raises(IntegrityError), store.transaction() as session:
        session.add(make_vote("v2", "nowhere"))


def make_vote(vote_id: str, warning_id: str):
    from curupira.store import ReviewRow

    return ReviewRow(
        vote_id=vote_id,
        warning_id=warning_id,
        interpreter="ana",
        source=VerdictSource.DESK,
        verdict=Verdict.BURNT,
        voted_at=NOW,
    )


def vote(session, vote_id: str, verdict: Verdict, **more):
    return review.record(
        session,
        vote_id=vote_id,
        warning_id="w",
        interpreter="ana",
        source=VerdictSource.DESK,
        verdict=verdict,
        voted_at=NOW,
        **more,
    )


def test_votes_stand_until_superseded(store: Store, make_warning) -> None:
    with store.transaction(durable=True) as session:
        session.add(make_warning(warning_id="w"))
        vote(session, "1", Verdict.CLOUD, seconds_spent=4.5, context={"image": "S2A"})
        vote(session, "2", Verdict.RECENT_DEFORESTATION, supersedes="1")
    with store.reading() as session:
        assert [v.vote_id for v in review.votes(session, "w")] == ["1", "2"]
        assert [v.verdict for v in review.standing(session, "w")] == [Verdict.RECENT_DEFORESTATION]
        assert review.votes(session, "w")[0].context == {"image": "S2A"}


@pytest.mark.parametrize(
    "statement", ["UPDATE review SET verdict = 'burnt'", "DELETE FROM review WHERE vote_id = '1'"]
)
def test_votes_cannot_be_changed(store: Store, make_warning, statement: str) -> None:
    with store.transaction() as session:
        session.add(make_warning(warning_id="w"))
        vote(session, "1", Verdict.CLOUD)
    with pytest.raises(DBAPIError, match="never changed"), store.transaction() as session:
        session.execute(text(statement))
    with store.reading() as session:
        assert [v.verdict for v in review.votes(session, "w")] == [Verdict.CLOUD]


def test_delivery_ledger(store: Store, make_warning) -> None:
    with store.transaction() as session:
        session.add(make_warning(warning_id="w"))
        for target, state in (("ibama", "sent"), ("ibama", "pending"), ("funai", "sent")):
            row = DeliveryRow(target=target, warning_id="w", kind="new", state=state, attempts=1)
            delivery.record(session, row)
    with store.reading() as session:
        assert [d.state for d in delivery.of_target(session, "ibama")] == ["sent", "pending"]
        assert len(delivery.of_target(session, "ibama", state="sent")) == 1
