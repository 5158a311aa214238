"""The delivery ledger: what went to which target.

An entry is one warning in one package. ``sha256`` holds what was told: the status, and a SHA-256 of
status, class and geometry (``deliver.choose.digest_of``). The manifest in the package has the
hashes of its files.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from curupira.store.tables import DeliveryRow

#: States of an entry: in a package on this machine; arrived; the package went missing before.
PACKED, SENT, LOST = "packed", "sent", "lost"


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


def counts(session: Session) -> list[dict[str, object]]:
    """Number of entries by ``target`` and ``state``, in this order."""
    keys = (DeliveryRow.target, DeliveryRow.state)
    query = select(*keys, func.count()).group_by(*keys).order_by(*keys)
    return [{"target": t, "state": s, "entries": n} for t, s, n in session.execute(query)]


def last_told(session: Session, target: str) -> dict[str, str]:
    """What a target was told last of each warning, sent or packed, by ``warning_id``."""
    query = (
        select(DeliveryRow.warning_id, DeliveryRow.sha256)
        .where(DeliveryRow.target == target, DeliveryRow.state != LOST)
        .order_by(DeliveryRow.id)
    )
    return {row[0]: row[1] or "" for row in session.execute(query)}


def last_package(session: Session, target: str) -> dict[str, str]:
    """Package in which a target was told last of each warning, by ``warning_id``."""
    query = (
        select(DeliveryRow.warning_id, DeliveryRow.package)
        .where(DeliveryRow.target == target, DeliveryRow.state != LOST)
        .order_by(DeliveryRow.id)
    )
    return {row[0]: row[1] for row in session.execute(query) if row[1]}


def packages(session: Session, target: str, *, state: str | None = None) -> list[str]:
    """Names of a target's packages, in order of entry."""
    found = (row.package for row in of_target(session, target, state=state))
    return list(dict.fromkeys(name for name in found if name is not None))


def attempted(session: Session, target: str, package: str) -> None:
    """Count a try to send a package."""
    _packed(session, target, package, {"attempts": DeliveryRow.attempts + 1})


def settle(
    session: Session, target: str, package: str, *, state: str, sent_at: datetime | None = None
) -> None:
    """A packed package has arrived, or is lost."""
    _packed(session, target, package, {"state": state, "sent_at": sent_at})


def _packed(session: Session, target: str, package: str, values: dict[str, object]) -> None:
    session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.target == target,
            DeliveryRow.package == package,
            DeliveryRow.state == PACKED,
        )
        .values(values)
    )


def targets_told(session: Session, warning_ids: Collection[str]) -> list[str]:
    """Names of the targets that were told of one of these warnings."""
    wanted = set(warning_ids)
    query = select(DeliveryRow.target, DeliveryRow.warning_id).where(DeliveryRow.state != LOST)
    return sorted({target for target, warning in session.execute(query) if warning in wanted})
