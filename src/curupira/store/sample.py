"""Validation samples: which warnings of a day were drawn, by which plan, how likely."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from curupira.store.tables import SampleRow, WarningRow


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


def drawn(session: Session, day: date | None = None) -> list[SampleRow]:
    """All drawn warnings (of a day), by day and order of drawing."""
    query = select(SampleRow).where(SampleRow.drawn)
    if day is not None:
        query = query.where(SampleRow.day == day)
    return list(session.scalars(query.order_by(SampleRow.day, SampleRow.id)))


def days(session: Session) -> list[date]:
    """Days that a sample was drawn for, oldest first."""
    return list(session.scalars(select(SampleRow.day).distinct().order_by(SampleRow.day)))


def inclusion(session: Session) -> dict[str, float | None]:
    """Inclusion probability by warning, of those drawn or matched automatically."""
    wanted = SampleRow.drawn | (SampleRow.stratum == "automatic")
    query = select(SampleRow.warning_id, SampleRow.inclusion_probability).where(wanted)
    return {row.warning_id: row.inclusion_probability for row in session.execute(query)}


def fresh(session: Session, rows: Iterable[WarningRow]) -> list[WarningRow]:
    """Those warnings that were part of no draw yet."""
    seen = set(session.scalars(select(SampleRow.warning_id)))
    return [row for row in rows if row.warning_id not in seen]
