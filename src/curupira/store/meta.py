"""Facts about the whole store, by key."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from curupira.store.tables import MetaRow


def get(session: Session, key: str) -> str | None:
    """Value of a key, or None."""
    return session.scalar(select(MetaRow.value).where(MetaRow.key == key))


def put(session: Session, key: str, value: str) -> None:
    """Set the value of a key."""
    row = session.scalar(select(MetaRow).where(MetaRow.key == key))
    if row is None:
        session.add(MetaRow(key=key, value=value))
    else:
        row.value = value
