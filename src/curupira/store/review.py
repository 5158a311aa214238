"""The vote log. Votes are added, never changed; a later one may supersede an earlier one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from curupira.codes import Verdict, VerdictSource, VoteKind
from curupira.store.tables import ReviewRow


def record(
    session: Session,
    *,
    vote_id: str,
    warning_id: str,
    interpreter: str,
    source: VerdictSource,
    verdict: Verdict,
    voted_at: datetime,
    confidence: float | None = None,
    comment: str | None = None,
    reason: str | None = None,
    seconds_spent: float | None = None,
    context: Mapping[str, Any] | None = None,
    supersedes: str | None = None,
    kind: VoteKind = VoteKind.VOTE,
) -> ReviewRow:
    """Add a vote. Use ``Store.transaction(durable=True)``, so that it survives a power cut."""
    row = ReviewRow(
        vote_id=vote_id,
        warning_id=warning_id,
        interpreter=interpreter,
        source=source,
        verdict=verdict,
        confidence=confidence,
        comment=comment,
        reason=reason,
        seconds_spent=seconds_spent,
        context=None if context is None else dict(context),
        voted_at=voted_at,
        supersedes=supersedes,
        kind=kind,
    )
    session.add(row)
    session.flush()
    return row


def votes(session: Session, warning_id: str) -> list[ReviewRow]:
    """All votes on a warning, in time order."""
    query = (
        select(ReviewRow)
        .where(ReviewRow.warning_id == warning_id)
        .order_by(ReviewRow.voted_at, ReviewRow.id)
    )
    return list(session.scalars(query))


def standing(session: Session, warning_id: str) -> list[ReviewRow]:
    """Votes on a warning that no later vote supersedes, in time order."""
    every = votes(session, warning_id)
    gone = {vote.supersedes for vote in every}
    return [vote for vote in every if vote.vote_id not in gone]


def get(session: Session, vote_id: str) -> ReviewRow | None:
    """One entry of the log, or None."""
    return session.scalar(select(ReviewRow).where(ReviewRow.vote_id == vote_id))


def by_warning(session: Session, ids: Collection[str] | None = None) -> dict[str, list[ReviewRow]]:
    """All entries by warning, each in time order."""
    query = select(ReviewRow).order_by(ReviewRow.voted_at, ReviewRow.id)
    if ids is not None and len(ids) <= 1000:
        query = query.where(ReviewRow.warning_id.in_(sorted(ids)))
    found: dict[str, list[ReviewRow]] = {}
    for row in session.scalars(query):
        found.setdefault(row.warning_id, []).append(row)
    return found
