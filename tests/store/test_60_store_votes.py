"""Votes, undoings, draws and judgements at the same moment on PostGIS: one waits for the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from drawn import sample_row
from mined import candidate_row
from postgis import PostGis
from sqlalchemy import text

from curupira.codes import Verdict
from curupira.config import Workspace
from curupira.errors import CurupiraError
from curupira.pipelines import drawing, review
from curupira.pipelines.review import Ballot
from curupira.store import Store, WarningRow, candidate
from curupira.store import review as reviews
from curupira.store import sample as samples
from curupira.store import warning as warnings
from curupira.store.tables import SampleRow

NOW = datetime(2024, 6, 3, 12, tzinfo=UTC)
BURNT, RESIDUE = Ballot(Verdict.BURNT), Ballot(Verdict.RESIDUE)
Make = Callable[..., WarningRow]


@pytest.fixture
def server(postgis: PostGis, tmp_path: Path) -> Iterator[Store]:
    with (
        postgis.database() as name,
        closing(Store.open(postgis.url(name), base=tmp_path, create=True)) as opened,
    ):
        yield opened


def put(store: Store, row: WarningRow, *, blind: bool = False) -> str:
    with store.transaction() as session:
        session.add(row)
        session.flush()
        if blind:
            day = date(2024, 6, 1)
            samples.add(session, [sample_row(row.warning_id, day, blind=True)])
    return row.warning_id


def together(store: Store, table: str, *calls: Callable[[], Any]) -> list[int]:
    """Let all begin while the table's rows are held, then go; the sorted answers."""

    def asked(call: Callable[[], Any]) -> int:
        try:
            call()
        except CurupiraError as error:
            return error.http_status
        return 201

    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with ThreadPoolExecutor(len(calls)) as pool:
        with store.transaction() as session:
            session.execute(text(f"SELECT id FROM {table} FOR UPDATE"))
            answers = [pool.submit(asked, call) for call in calls]
            deadline = time.monotonic() + 20
            while (session.scalar(waiting) or 0) < len(calls) and time.monotonic() < deadline:
                time.sleep(0.01)
        return sorted(answer.result(30) for answer in answers)


def verdict(store: Store, key: str) -> tuple[Verdict | None, Verdict | None]:
    """The warning's own, and what its votes say."""
    with store.reading() as session:
        return warnings.get(session, key).verdict, review.decision(session, key).verdict


def cast(store: Store, key: str, who: str, ballot: Ballot) -> Callable[[], Any]:
    return lambda: review.cast(store, key, who, ballot, NOW)


def test_two_votes_at_once_are_both_in_the_verdict(server: Store, make_warning: Make) -> None:
    blind = put(server, make_warning(), blind=True)
    both = [cast(server, blind, who, BURNT) for who in ("ana", "bia")]
    assert together(server, "warning", *both) == [201, 201]
    assert verdict(server, blind) == (Verdict.BURNT, Verdict.BURNT)
    key = put(server, make_warning())
    differ = cast(server, key, "ana", BURNT), cast(server, key, "bia", RESIDUE)
    assert together(server, "warning", *differ) == [201, 201]
    assert verdict(server, key) == (None, None), "a dispute, and known as one"


def test_one_person_votes_and_undoes_once_however_often_the_key_is_hit(
    server: Store, make_warning: Make
) -> None:
    key = put(server, make_warning())
    twice = [cast(server, key, "ana", ballot) for ballot in (BURNT, RESIDUE)]
    assert together(server, "warning", *twice) == [201, 409]
    with server.reading() as session:
        (vote,) = reviews.votes(session, key)

    def undo() -> None:
        review.undo(server, vote.vote_id, "ana", any_vote=False, now=NOW)

    assert together(server, "warning", undo, undo) == [201, 409]
    assert verdict(server, key) == (None, None)


def test_two_judgements_of_a_candidate_are_both_kept(server: Store) -> None:
    with server.transaction() as session:
        candidate.put(session, candidate_row("a"))

    def judge(who: str) -> Callable[[], None]:
        def now() -> None:
            with server.transaction(durable=True) as session:
                row = candidate.held(session, "a")
                assert row is not None
                candidate.judge(row, Verdict.FALSE_POSITIVE, who, NOW, None)

        return now

    assert together(server, "candidate", judge("ana"), judge("bia")) == [201, 201]
    with server.reading() as session:
        (row,) = candidate.query(session)
    assert sorted(v["interpreter"] for v in row.votes["votes"]) == ["ana", "bia"]


def test_a_day_is_drawn_once_and_a_vote_beside_the_draw_waits_for_the_second(
    server: Store, make_warning: Make, district: Path
) -> None:
    opened = Workspace.open(district)
    serve = opened.monitor.serve.model_copy(update={"blind_share": 1.0})
    workspace = Workspace(district, opened.monitor.model_copy(update={"serve": serve}))
    keys = [put(server, make_warning(west=-52 + n / 10)) for n in range(3)]

    def draw() -> Sequence[SampleRow]:
        return drawing.draw(workspace, server, date(2024, 6, 2), by="olga", now=NOW)

    votes = [cast(server, key, "ana", BURNT) for key in keys]
    assert together(server, "warning", draw, draw, *votes) == [201, 201, 201, 201, 409]
    for key in keys:
        assert verdict(server, key) == (None, None), "the blind second vote is due"
