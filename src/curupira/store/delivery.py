"""The delivery ledger: what went to which target."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from curupira.store.tables import DeliveryRow


def record(session: Session, row: DeliveryRow) -> DeliveryRow:
    """Add an entry."""
    session.add(row)
    session.flush()
    return row


def of_target(session: Session, target: str, *, state: str | None = None) -> list[DeliveryRow]:
    """Entries of a target, in order of entry."""
    query = select(DeliveryRow).where(DeliveryRow.target == target).order_by(DeliveryRow.id)
    return list(
        session.scalars(query if state is None else query.where(DeliveryRow.state == state))
    )
