"""Polygons that operators drew anew. The warning keeps its own; every edit is kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from shapely.geometry.base import BaseGeometry
from sqlalchemy import select
from sqlalchemy.orm import Session

from curupira.store.tables import EditRow, WarningRow
from curupira.units import geodesic_area_ha


def add(session: Session, row: EditRow) -> EditRow:
    """Keep an edit."""
    session.add(row)
    session.flush()
    return row


def of_warning(session: Session, warning_id: str) -> list[EditRow]:
    """A warning's edits, oldest first."""
    query = select(EditRow).where(EditRow.warning_id == warning_id).order_by(EditRow.id)
    return list(session.scalars(query))


def current(session: Session, ids: Collection[str] | None = None) -> dict[str, BaseGeometry]:
    """Latest edited geometry (EPSG:4674) by warning, of those that were edited."""
    query = select(EditRow).order_by(EditRow.id)
    if ids is not None and len(ids) <= 1000:
        query = query.where(EditRow.warning_id.in_(sorted(ids)))
    return {row.warning_id: row.geom for row in session.scalars(query)}


def as_drawn(session: Session, rows: Iterable[WarningRow]) -> list[WarningRow]:
    """Warnings as they are told to others: with the polygon that an operator drew, and its areas.

    Those that were edited are taken out of the session first, so that the originals stay in the
    store whatever it does next.
    """
    found = list(rows)
    drawn = current(session, [row.warning_id for row in found])
    for row in found:
        shape = drawn.get(row.warning_id)
        if shape is not None:
            session.expunge(row)
            # The ratio of both areas is a property of the place, not of the polygon.
            ratio = row.area_ha / row.area_geodesic_ha if row.area_geodesic_ha else 1.0
            row.geom, row.area_geodesic_ha = shape, geodesic_area_ha(shape)
            row.area_ha = row.area_geodesic_ha * ratio
    return found
