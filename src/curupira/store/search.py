"""Warnings by many criteria at once; of thousands, only the columns needed are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    case,
    cast,
    false,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.orm import Session

from curupira.codes import ClosedReason, IntensityClass, Status, Verdict
from curupira.store.geometry import Bounds, centre_of, crosses_edge, may_intersect, parts
from curupira.store.tables import AcquisitionRow, EditRow, ReviewRow, RunRow, WarningRow

W = WarningRow
_PLACES = (W.uf, W.municipality, W.protected_area, W.indigenous_territory)
#: Orders that may be asked for; a minus is descending.
ORDERS = ("priority", "issued_at", "area_ha", "mining_score", "confidence", "first_flag_date")


@dataclass(frozen=True, slots=True)
class Search:
    """What is wanted; None or empty does not restrict.

    ``bbox`` is (west, south, east, north) in degrees; west of the 180th meridian to east of it
    where ``west > east``.
    ``since`` and ``until`` are UTC days of ``issued_at``, both included; ``moments`` the same as
    aware times. ``judged`` wants a verdict; without ``merged`` what lives on in another warning is
    left out. ``territory`` is part of a place's name. ``hidden`` are row numbers of warnings that
    are not shown, ``withheld`` columns that ``territory`` does not look at.
    """

    bbox: Bounds | None = None
    status: tuple[Status, ...] = ()
    since: date | None = None
    until: date | None = None
    moments: tuple[datetime | None, datetime | None] = (None, None)
    intensity_class: IntensityClass | None = None
    verdict: tuple[Verdict, ...] = ()
    judged: bool = False
    merged: bool = True
    territory: str = ""
    mining: float | None = None
    min_area_ha: float | None = None
    exact: tuple[tuple[str, str], ...] = ()
    hidden: tuple[int, ...] = ()
    withheld: tuple[str, ...] = ()


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
    if not search.merged:
        found.append(or_(W.closed_reason.is_(None), W.closed_reason != ClosedReason.MERGED))
    found += _attributes(search)
    if search.hidden:
        found.append(_none_of(search.hidden))
    return found


def _attributes(search: Search) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if search.intensity_class is not None:
        found.append(W.intensity_class == search.intensity_class)
    if search.verdict:
        found.append(W.verdict.in_(search.verdict))
    if search.judged:
        found.append(W.verdict.is_not(None))
    if search.territory:
        text = search.territory.lower()
        asked = [c for c in _PLACES if c.key not in search.withheld]
        found.append(or_(false(), *(func.lower(c).contains(text, autoescape=True) for c in asked)))
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


def _ordered(query: Select[Any], order: str) -> Select[Any]:
    column = getattr(W, order.lstrip("-"))
    direction = column.desc() if order.startswith("-") else column.asc()
    # Where nothing is missing, an index on the column gives the order.
    missing = [column.is_(None)] if column.property.columns[0].nullable else []
    return query.order_by(*missing, direction, W.id)


def _outside(session: Session, search: Search) -> ColumnElement[bool] | None:
    """Condition that leaves out what meets the box by its bounds alone."""
    if search.bbox is None:
        return None
    box = shapely.union_all([shapely.box(*part) for part in parts(search.bbox)])
    dialect = session.get_bind().dialect.name
    query = select(W.id, W.geom).where(
        crosses_edge(W.geom, search.bbox, dialect), *where(replace(search, bbox=None), dialect)
    )
    missed = [key for key, geometry in session.execute(query) if not geometry.intersects(box)]
    return _none_of(missed) if missed else None


def _none_of(numbers: Sequence[int]) -> ColumnElement[bool]:
    # Numbers of our own, written out: a database takes so many parameters only.
    return W.id.not_in([literal_column(str(int(number))) for number in numbers])


def page(
    session: Session, search: Search, order: str, limit: int, offset: int
) -> tuple[int, list[str]]:
    """How many the search finds, and the ids of one page; geometries are compared exactly."""
    outside = _outside(session, search)
    more = [] if outside is None else [outside]
    total = session.scalar(_selected(session, search, select(func.count(W.id))).where(*more))
    query = _ordered(_selected(session, search, select(W.warning_id)).where(*more), order)
    return int(total or 0), list(session.scalars(query.limit(limit).offset(offset)))


def ids(session: Session, search: Search, order: str = "-issued_at") -> list[str]:
    """All that the search finds, in order; geometries are compared exactly with the box."""
    outside = _outside(session, search)
    query = _ordered(_selected(session, search, select(W.warning_id)), order)
    return list(session.scalars(query if outside is None else query.where(outside)))


def rows(session: Session, wanted: Sequence[str]) -> list[WarningRow]:
    """These warnings, in the order asked for."""
    found = {r.warning_id: r for r in session.scalars(select(W).where(W.warning_id.in_(wanted)))}
    return [found[key] for key in wanted if key in found]


def columns(
    session: Session, search: Search, names: Sequence[str], limit: int | None = None
) -> list[tuple[Any, ...]]:
    """Some columns of what is found, newest first; a box is met by bounding boxes.

    ``lon`` and ``lat`` are the centre of the geometry's bounds.
    """
    x, y, together = centre_of(W.geom, session.get_bind().dialect.name)
    known: dict[str, Any] = {"lon": x, "lat": y}
    query = select(*(known[n] if n in known else getattr(W, n) for n in names))
    query = query.order_by(W.issued_at.desc(), W.id)
    if "lon" in names or "lat" in names:
        query = query.where(together)
    query = _selected(session, search, query)
    if limit is not None:
        query = query.limit(limit)
    return [tuple(row) for row in session.execute(query)]


def cells(session: Session, search: Search, side: float) -> npt.NDArray[np.float64]:
    """Sums over squares of some degrees, summed by the database; a box is met by bounds.

    Returns
    -------
    array (cell, 5)
        Mean longitude and latitude, number, hectares, number of confirmed warnings.
    """
    dialect = session.get_bind().dialect.name
    x, y, together = centre_of(W.geom, dialect)
    column, line = (_whole((v + 360) / side, dialect) for v in (x, y))
    sure = func.sum(case((W.status == Status.CONFIRMED, 1), else_=0))
    query = select(func.avg(x), func.avg(y), func.count(), func.sum(W.area_ha), sure)
    query = _selected(session, search, query.where(together)).group_by(column, line)
    found = [tuple(map(float, row)) for row in session.execute(query)]
    return np.array(found, dtype=np.float64).reshape(-1, 5)


def _whole(value: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    # PostgreSQL's cast rounds, SQLite's cuts; SQLite may have no floor().
    return func.floor(value) if dialect == "postgresql" else cast(value, Integer)


def more_than(session: Session, search: Search, number: int) -> bool:
    """Whether more are found than a number; a box is met by bounding boxes."""
    query = _selected(session, search, select(W.id)).limit(number + 1).subquery()
    return int(session.scalar(select(func.count()).select_from(query)) or 0) > number


def span(session: Session, search: Search) -> tuple[datetime, datetime] | None:
    """First and last ``issued_at`` of what is found; None where nothing is."""
    first = session.scalar(_selected(session, search, select(func.min(W.issued_at))))
    last = session.scalar(_selected(session, search, select(func.max(W.issued_at))))
    return None if first is None or last is None else (first, last)


def years(session: Session, search: Search) -> set[int]:
    """First and last year of the images behind what is found; empty where nothing is."""
    ends = (func.min(W.first_flag_date), func.max(W.issued_at), func.max(W.confirmed_at))
    days = [session.scalar(_selected(session, search, select(end))) for end in ends]
    return {day.year for day in days if day is not None}


def version(session: Session, *, votes: bool = True) -> tuple[Any, ...]:
    """Changes whenever a warning does: with a vote, an edit, an evaluation, a run's beginning, end.

    Asked before every picture of the map: so of small tables and keys only. ``votes``: whether
    verdicts and edited polygons are looked at.
    """
    newest: list[Any] = [
        func.max(W.id),
        func.max(AcquisitionRow.evaluated_at),
        func.max(RunRow.id),
        func.max(RunRow.finished_at),
    ]
    if votes:
        newest += [func.max(ReviewRow.id), func.max(EditRow.id)]
    return tuple(str(session.scalar(select(value))) for value in newest)
