"""Warnings by many criteria at once; of thousands, only the columns needed are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import shapely
from sqlalchemy import ColumnElement, Select, and_, func, not_, or_, select
from sqlalchemy.orm import Session

from curupira.codes import IntensityClass, Status, Verdict
from curupira.store.geometry import Bounds, may_intersect
from curupira.store.tables import WarningRow

W = WarningRow
_PLACES = (W.uf, W.municipality, W.protected_area, W.indigenous_territory)
#: Orders that may be asked for; a minus is descending.
ORDERS = ("priority", "issued_at", "area_ha", "mining_score", "confidence", "first_flag_date")


@dataclass(frozen=True, slots=True)
class Search:
    """What is wanted; None or empty does not restrict.

    ``since`` and ``until`` are UTC days of ``issued_at``, both included; ``moments`` the same as
    aware times. ``territory`` is part of a place's name. ``hidden`` names places of which nothing
    is shown.
    """

    bbox: Bounds | None = None
    status: tuple[Status, ...] = ()
    since: date | None = None
    until: date | None = None
    moments: tuple[datetime | None, datetime | None] = (None, None)
    intensity_class: IntensityClass | None = None
    verdict: tuple[Verdict, ...] = ()
    territory: str = ""
    mining: float | None = None
    min_area_ha: float | None = None
    exact: tuple[tuple[str, str], ...] = ()
    hidden: tuple[str, ...] = ()


def where(search: Search, dialect: str) -> list[ColumnElement[bool]]:
    """The search as conditions; a box is met by bounding boxes."""
    found: list[ColumnElement[bool]] = []
    if search.bbox is not None:
        found.append(may_intersect(W.geom, search.bbox, dialect))
    if search.status:
        found.append(W.status.in_(search.status))
    if search.since is not None:
        found.append(W.issued_at >= _midnight(search.since))
    if search.until is not None:
        found.append(W.issued_at < _midnight(search.until + timedelta(days=1)))
    start, end = search.moments
    if start is not None:
        found.append(W.issued_at >= start)
    if end is not None:
        found.append(W.issued_at <= end)
    found += _attributes(search)
    if search.hidden:
        within = [and_(c.is_not(None), c.in_(search.hidden)) for c in _PLACES]
        found.append(not_(or_(*within)))
    return found


def _attributes(search: Search) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if search.intensity_class is not None:
        found.append(W.intensity_class == search.intensity_class)
    if search.verdict:
        found.append(W.verdict.in_(search.verdict))
    if search.territory:
        text = search.territory.lower()
        found.append(or_(*(func.lower(c).contains(text, autoescape=True) for c in _PLACES)))
    if search.mining is not None:
        found.append(W.mining_score >= search.mining)
    if search.min_area_ha is not None:
        found.append(W.area_ha >= search.min_area_ha)
    for name, value in search.exact:
        found.append(getattr(W, name) == value)
    return found


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _selected(session: Session, search: Search, query: Select[Any]) -> Select[Any]:
    return query.where(*where(search, session.get_bind().dialect.name))


def ids(session: Session, search: Search, order: str = "-issued_at") -> list[str]:
    """All that the search finds, in order; geometries are compared exactly with the box."""
    name = order.lstrip("-")
    column = getattr(W, name)
    direction = column.desc() if order.startswith("-") else column.asc()
    query = select(W.warning_id).order_by(column.is_(None), direction, W.id)
    if search.bbox is None:
        return list(session.scalars(_selected(session, search, query)))
    box = shapely.box(*search.bbox)
    pairs = session.execute(_selected(session, search, query.add_columns(W.geom))).all()
    return [key for key, geometry in pairs if geometry.intersects(box)]


def rows(session: Session, wanted: Sequence[str]) -> list[WarningRow]:
    """These warnings, in the order asked for."""
    found = {r.warning_id: r for r in session.scalars(select(W).where(W.warning_id.in_(wanted)))}
    return [found[key] for key in wanted if key in found]


def columns(
    session: Session, search: Search, names: Sequence[str], limit: int | None = None
) -> list[tuple[Any, ...]]:
    """Some columns of what is found, newest first; a box is met by bounding boxes."""
    query = select(*(getattr(W, name) for name in names)).order_by(W.issued_at.desc(), W.id)
    query = _selected(session, search, query)
    if limit is not None:
        query = query.limit(limit)
    return [tuple(row) for row in session.execute(query)]


def count(session: Session, search: Search) -> int:
    """How many are found; a box is met by bounding boxes."""
    return int(session.scalar(_selected(session, search, select(func.count(W.id)))) or 0)


def version(session: Session) -> tuple[int, str]:
    """Changes whenever a warning changes."""
    number, newest = session.execute(select(func.count(W.id), func.max(W.updated_at))).one()
    return int(number), str(newest)
