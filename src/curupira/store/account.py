"""Accounts of the web application."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from curupira.codes import Role
from curupira.errors import ConfigError
from curupira.store.tables import AccountRow


def find(session: Session, name: str) -> AccountRow | None:
    """One account, or None."""
    return session.scalar(select(AccountRow).where(AccountRow.name == name))


def listed(session: Session) -> list[AccountRow]:
    """All accounts by name."""
    return list(session.scalars(select(AccountRow).order_by(AccountRow.name)))


def add(
    session: Session, *, name: str, role: Role, password_hash: str, created_at: datetime
) -> AccountRow:
    """Add an account.

    Raises
    ------
    ConfigError
        If the name is taken.
    """
    if find(session, name) is not None:
        raise ConfigError(
            "there is an account of this name", where=name, remedy="choose another name"
        )
    row = AccountRow(
        name=name, role=role, password_hash=password_hash, disabled=False, created_at=created_at
    )
    session.add(row)
    session.flush()
    return row


def disable(session: Session, name: str) -> None:
    """Lock an account out; its votes stay, and its open sessions end.

    Raises
    ------
    ConfigError
        If there is no such account.
    """
    row = find(session, name)
    if row is None:
        raise ConfigError("no such account", where=name, remedy="see: curupira user list")
    row.disabled = True
