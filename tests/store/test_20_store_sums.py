"""Sums made by the database are those of a plain loop over the rows."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from curupira.codes import ClosedReason, IntensityClass, Status
from curupira.store import Store, WarningRow, sums
from curupira.store.search import Search

#: Ways to ask, each with the condition of the plain loop.
ASKED: tuple[tuple[Search, Callable[[WarningRow], bool]], ...] = (
    (Search(), lambda r: True),
    (Search(status=(Status.CONFIRMED,)), lambda r: r.status is Status.CONFIRMED),
    (Search(merged=False), lambda r: r.closed_reason is not ClosedReason.MERGED),
    (Search(hidden=tuple(range(0, 100_000, 3))), lambda r: r.id % 3 != 0),
    (
        Search(since=date(2024, 1, 10), until=date(2024, 2, 1)),
        lambda r: date(2024, 1, 10) <= r.issued_at.date() <= date(2024, 2, 1),
    ),
    (Search(territory="no such place"), lambda r: False),
)


@pytest.fixture
def filled(store: Store, make_warning: Callable[..., WarningRow]) -> tuple[Store, list[WarningRow]]:
    """Warnings of both classes, some closed, some at the very ends of UTC days."""
    rng = random.Random(11)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = []
    for n in range(90):
        closed = n % 9 == 0
        # Multiples of six hours: midnight, and what a zone west of UTC calls the day before.
        issued = start + timedelta(hours=6 * rng.randrange(200))
        rows.append(
            make_warning(
                status=Status.CLOSED
                if closed
                else rng.choice([Status.PRELIMINARY, Status.CONFIRMED]),
                closed_reason=rng.choice(list(ClosedReason)) if closed else None,
                intensity_class=rng.choice(list(IntensityClass)),
                issued_at=issued,
                first_flag_date=issued.date() - timedelta(days=rng.randrange(30)),
                delay_from_flag_days=rng.choice([None, 0, 6, 12, 12, 24]),
                municipality=rng.choice([None, "Itaituba", "Altamira"]),
                area_ha=rng.uniform(1, 50),
            )
        )
    with store.transaction() as session:
        session.add_all(rows)
    return store, rows


def by_loop(rows: list[WarningRow], key: Callable[[WarningRow], Any]) -> dict[Any, Any]:
    found: dict[Any, list[float]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row.area_ha)
    return {k: (len(v), pytest.approx(sum(v))) for k, v in sorted(found.items(), key=str)}


@pytest.mark.parametrize("number", range(len(ASKED)))
def test_sums_are_those_of_a_loop(filled: tuple[Store, list[WarningRow]], number: int) -> None:
    store, rows = filled
    search, fits = ASKED[number]
    wanted = [r for r in rows if fits(r)]
    with store.reading() as session:
        by_class = sums.by_class(session, search)
        issued = sums.by_day(session, search, "issued")
        flagged = sums.by_day(session, search, "flagged")
        delays = sums.delays(session, search)
    assert by_class == by_loop(wanted, lambda r: (r.status, r.intensity_class))
    assert all(isinstance(kind, IntensityClass) for _, kind in by_class)
    for got, key in (
        (issued, lambda r: r.issued_at.date()),
        (flagged, lambda r: r.first_flag_date),
    ):
        assert {day: (n, ha) for day, n, ha in got} == by_loop(wanted, key)
        assert [day for day, *_ in got] == sorted({key(r) for r in wanted})
    known = [r.delay_from_flag_days for r in wanted if r.delay_from_flag_days is not None]
    assert delays == sorted((d, known.count(d)) for d in set(known))
