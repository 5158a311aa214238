"""Polygons that operators drew anew. The warning keeps its own; every edit is kept."""

from __future__ import annotations

from collections.abc import Collection

from shapely.geometry.base import BaseGeometry
from sqlalchemy import select
from sqlalchemy.orm import Session

from curupira.store.tables import EditRow


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
