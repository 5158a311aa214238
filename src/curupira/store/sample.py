"""Validation samples: which warnings of a day were drawn, by which plan, how likely."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from curupira.codes import Verdict
from curupira.store.search import Search, where
from curupira.store.tables import SampleRow, WarningRow

#: Stratum of those that the optical layer validated.
AUTOMATIC = "automatic"


def add(session: Session, rows: Iterable[SampleRow]) -> None:
    """Record a draw: the drawn and those passed over."""
    session.add_all(list(rows))
    session.flush()


def of_day(session: Session, day: date) -> list[SampleRow]:
    """A day's draw, in the order of drawing."""
    query = select(SampleRow).where(SampleRow.day == day).order_by(SampleRow.id)
    return list(session.scalars(query))


def of_warning(session: Session, warning_id: str) -> SampleRow | None:
    """The draw that a warning was part of, or None."""
    return session.scalar(select(SampleRow).where(SampleRow.warning_id == warning_id))


def drawn(session: Session, days: Iterable[date]) -> list[SampleRow]:
    """All drawn warnings of some days, by day and order of drawing."""
    query = select(SampleRow).where(SampleRow.drawn, SampleRow.day.in_(list(days)))
    return list(session.scalars(query.order_by(SampleRow.day, SampleRow.id)))


def open_days(session: Session, most: int) -> list[date]:
    """The newest day with a draw, and the newest with drawn warnings that have no verdict yet."""
    waiting = (
        select(SampleRow.day)
        .join(WarningRow, WarningRow.warning_id == SampleRow.warning_id)
        .where(SampleRow.drawn, WarningRow.verdict.is_(None))
        .distinct()
        .order_by(SampleRow.day.desc())
        .limit(most)
    )
    newest = session.scalar(select(func.max(SampleRow.day)).where(SampleRow.drawn))
    return sorted({*session.scalars(waiting), *([] if newest is None else [newest])})


def days(session: Session) -> list[date]:
    """Days that a sample was drawn for, oldest first."""
    return list(session.scalars(select(SampleRow.day).distinct().order_by(SampleRow.day)))


class Stratum(NamedTuple):
    """A stratum of a day's draw."""

    day: date
    plan: str
    name: str


class Count(NamedTuple):
    """Warnings of a stratum: all, those drawn or matched automatically, the judged of these.

    ``assessed`` are those of the judged whose verdict says something.
    """

    population: int
    taken: int
    judged: int
    assessed: int


_TAKEN = SampleRow.drawn | (SampleRow.stratum == AUTOMATIC)


def strata(
    session: Session, search: Search, unassessed: Collection[Verdict]
) -> dict[Stratum, Count]:
    """The warnings that a search finds, counted by the stratum that they were drawn in.

    ``unassessed`` are the verdicts that say nothing.
    """
    judged = _TAKEN & WarningRow.verdict.is_not(None)
    assessed = judged & WarningRow.verdict.not_in(sorted(unassessed))
    query = select(
        *(SampleRow.day, SampleRow.plan, SampleRow.stratum, func.count()),
        *(func.sum(case((condition, 1), else_=0)) for condition in (_TAKEN, judged, assessed)),
    ).join(WarningRow, WarningRow.warning_id == SampleRow.warning_id)
    query = query.where(*where(search, session.get_bind().dialect.name))
    query = query.group_by(SampleRow.day, SampleRow.plan, SampleRow.stratum)
    return {
        Stratum(day, plan, name): Count(n, *map(int, counts))
        for day, plan, name, n, *counts in session.execute(query)
    }


def taken(session: Session) -> dict[str, Stratum]:
    """Stratum by warning, of those drawn or matched automatically."""
    query = select(SampleRow.warning_id, SampleRow.day, SampleRow.plan, SampleRow.stratum)
    found = session.execute(query.where(_TAKEN))
    return {key: Stratum(day, plan, name) for key, day, plan, name in found}


def fresh(session: Session, rows: Iterable[WarningRow]) -> list[WarningRow]:
    """Those warnings that were part of no draw yet."""
    seen = set(session.scalars(select(SampleRow.warning_id)))
    return [row for row in rows if row.warning_id not in seen]
