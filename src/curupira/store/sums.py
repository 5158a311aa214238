"""Sums over warnings for tables and figures: the database adds up, no geometry is read."""

from __future__ import annotations

from datetime import date
from typing import Literal

from sqlalchemy import ColumnElement, String, func, select
from sqlalchemy.orm import Session

from curupira.codes import IntensityClass, Status
from curupira.store.search import Search, where
from curupira.store.tables import WarningRow

W = WarningRow
#: Number of warnings, and hectares.
Sum = tuple[int, float]


def by_class(session: Session, search: Search) -> dict[tuple[Status, IntensityClass], Sum]:
    """Number and hectares by status and class; pairs without warnings are absent."""
    query = select(W.status, W.intensity_class, func.count(), func.sum(W.area_ha))
    query = query.where(*_where(session, search)).group_by(W.status, W.intensity_class)
    return {(status, kind): (n, float(ha)) for status, kind, n, ha in session.execute(query)}


def by_day(
    session: Session, search: Search, which: Literal["issued", "flagged"]
) -> list[tuple[date, int, float]]:
    """Number and hectares by UTC day of issue or by day of the first flag, in time order."""
    day = _utc_day(session) if which == "issued" else W.first_flag_date
    label = "day_of_warning"
    query = select(day.label(label), func.count(), func.sum(W.area_ha))
    query = query.where(*_where(session, search)).group_by(label).order_by(label)
    return [
        (d if isinstance(d, date) else date.fromisoformat(str(d)), n, float(ha))
        for d, n, ha in session.execute(query)
    ]


def delays(session: Session, search: Search) -> list[tuple[int, int]]:
    """Days from first flag to confirmation with the number of warnings, in order."""
    days = W.delay_from_flag_days
    query = select(days, func.count()).where(*_where(session, search), days.is_not(None))
    found = session.execute(query.group_by(days).order_by(days))
    return [(d, n) for d, n in found if d is not None]


def _where(session: Session, search: Search) -> list[ColumnElement[bool]]:
    return where(search, session.get_bind().dialect.name)


def _utc_day(session: Session) -> ColumnElement[str]:
    if session.get_bind().dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", W.issued_at), "YYYY-MM-DD", type_=String)
    # Stored as text in UTC, the day first.
    return func.substr(W.issued_at, 1, 10, type_=String)
