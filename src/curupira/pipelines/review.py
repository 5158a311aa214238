"""Validation of warnings by people: votes, their undoing, edits (issue E, point 2)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import shapely
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from curupira.codes import Verdict, VerdictSource, VoteKind
from curupira.errors import ConfigError, InputError
from curupira.store import edit as edits
from curupira.store import review as reviews
from curupira.store import sample as samples
from curupira.store import warning as warnings
from curupira.store.session import Store
from curupira.store.tables import EditRow, ReviewRow, WarningRow
from curupira.units import geodesic_area_ha
from curupira.validate import verdicts
from curupira.validate.verdicts import AUTOMATIC, Decision
from curupira.vectorise.match import as_multipolygon


class ConflictError(ConfigError):
    """What is asked for contradicts what is stored."""

    http_status = 409


class MissingError(ConfigError):
    """There is no such thing."""

    http_status = 404


class ForbiddenError(ConfigError):
    """It is not this person's to change."""

    http_status = 403


@dataclass(frozen=True)
class Ballot:
    """What a person says about a warning."""

    verdict: Verdict
    confidence: float | None = None
    comment: str | None = None
    reason: str | None = None
    seconds_spent: float | None = None
    context: Mapping[str, Any] | None = None
    supersedes: str | None = None
    kind: VoteKind = VoteKind.VOTE
    source: VerdictSource = VerdictSource.DESK


def cast(
    store: Store,
    warning_id: str,
    interpreter: str,
    ballot: Ballot,
    now: datetime,
    *,
    sees_all: bool = False,
) -> ReviewRow:
    """Add a vote to the log, durably, and bring the warning's verdict up to date.

    Status, confidence, priority and masks follow at the next run (product.md 3, point 3).

    Parameters
    ----------
    sees_all
        The person sees the votes of others before voting, as operators do.

    Raises
    ------
    MissingError
        If there is no such warning.
    ConflictError
        If the person has voted already and supersedes nothing, or four others have; and on a
        warning drawn for two blind votes, if this one would not be blind.
    InputError
        If a rejection gives no reason, what it supersedes is not the person's own vote, or it says
        that the optical layer decided.
    """
    with store.transaction(durable=True) as session:
        _held(session, warning_id)
        every = reviews.votes(session, warning_id)
        _check(verdicts.standing(every), interpreter, ballot)
        at_desk = ballot.source is VerdictSource.DESK and ballot.kind is not VoteKind.ADJUDICATION
        if at_desk and (ballot.supersedes is not None or sees_all):
            _check_blind(session, warning_id, every, interpreter)
        return record(session, warning_id, interpreter, ballot, now)


def _held(session: Session, warning_id: str) -> WarningRow:
    """One warning that nobody else votes on, undoes or redraws until the transaction ends."""
    row = known(session, warning_id)
    warnings.lock(session, [row])
    return row


def _check_blind(
    session: Session, warning_id: str, every: Sequence[ReviewRow], interpreter: str
) -> None:
    """Refuse what would change a blind vote after those of others could be read."""
    others = {v.interpreter for v in verdicts.at_desk(every)} - {interpreter, AUTOMATIC}
    if others and _is_blind(session, warning_id):
        raise ConflictError(
            "it was drawn for two blind votes, and another's can be read",
            where="review",
            remedy="leave it to the operator, who adjudicates",
        )


def known(session: Session, warning_id: str) -> WarningRow:
    """One warning.

    Raises
    ------
    MissingError
        If there is none of this id.
    """
    found = warnings.query(session, ids=[warning_id])
    if not found:
        raise MissingError("no such warning", where=warning_id, remedy="see /api/warnings")
    return found[0]


def _check(kept: Sequence[ReviewRow], interpreter: str, ballot: Ballot) -> None:
    if ballot.verdict is Verdict.AUTOMATIC:
        raise InputError(
            "only the optical layer gives this verdict", where="verdict", remedy="say what it is"
        )
    if ballot.verdict in verdicts.REJECTING and not ballot.reason:
        raise InputError("a rejection needs a reason", where="reason", remedy="say why")
    if ballot.supersedes is not None:
        old = next((v for v in kept if v.vote_id == ballot.supersedes), None)
        if old is None or (old.interpreter, old.source) != (interpreter, ballot.source):
            raise InputError(
                "only a standing vote of one's own, of the same kind, can be superseded",
                where=ballot.supersedes,
                remedy="read the votes again",
            )
        return
    if ballot.kind is VoteKind.ADJUDICATION or ballot.source is VerdictSource.FIELD:
        return
    people = {v.interpreter for v in verdicts.at_desk(kept)} - {AUTOMATIC}
    if interpreter in people:
        raise ConflictError(
            "you have voted on this warning", where="supersedes", remedy="name your earlier vote"
        )
    if len(people) >= verdicts.MAX_INTERPRETERS:
        raise ConflictError(
            f"{len(people)} interpreters have voted on this warning",
            where="review",
            remedy="leave it to the operator",
        )


def record(
    session: Session, warning_id: str, interpreter: str, ballot: Ballot, now: datetime
) -> ReviewRow:
    """Add a vote to the log as it is, and bring the warning's verdict up to date."""
    row = reviews.record(
        session,
        vote_id=str(uuid.uuid4()),
        warning_id=warning_id,
        interpreter=interpreter,
        source=ballot.source,
        verdict=ballot.verdict,
        voted_at=now,
        confidence=ballot.confidence,
        comment=ballot.comment,
        reason=ballot.reason,
        seconds_spent=ballot.seconds_spent,
        context=ballot.context,
        supersedes=ballot.supersedes,
        kind=ballot.kind,
    )
    refresh(session, warning_id)
    return row


def refresh(session: Session, warning_id: str) -> None:
    """Write what the votes say together into the warning's own fields.

    They stay empty while a blind second vote is due or a dispute is open, so that neither runs nor
    deliveries nor other interpreters follow what is not settled.
    """
    row = warnings.get(session, warning_id)
    found = decision(session, warning_id)
    row.verdict, row.verdict_source = found.verdict, found.source
    row.verdict_by, row.verdict_at = found.by, found.at


def decision(session: Session, warning_id: str) -> Decision:
    """What the votes on a warning say together, by the rules of its draw."""
    blind = _is_blind(session, warning_id)
    return verdicts.decide(reviews.votes(session, warning_id), blind=blind)


def _is_blind(session: Session, warning_id: str) -> bool:
    drawn = samples.of_warning(session, warning_id)
    return drawn is not None and drawn.blind


def undo(store: Store, vote_id: str, by: str, *, any_vote: bool, now: datetime) -> ReviewRow:
    """Take a vote back by an entry that supersedes it; the vote itself stays in the log.

    Raises
    ------
    MissingError, ForbiddenError, ConflictError
        If there is no such vote, it is another's, or it does not stand any more. And, without
        ``any_vote``, if it is one of two blind votes that can be read by now.
    """
    with store.transaction(durable=True) as session:
        vote = reviews.get(session, vote_id)
        if vote is None:
            raise MissingError("no such vote", where=vote_id, remedy="read the votes again")
        if vote.interpreter != by and not any_vote:
            raise ForbiddenError("it is another's vote", where=vote_id, remedy="ask an operator")
        _held(session, vote.warning_id)
        every = reviews.votes(session, vote.warning_id)
        if vote not in verdicts.standing(every):
            raise ConflictError("the vote does not stand any more", where=vote_id, remedy="nothing")
        if not any_vote and verdicts.at_desk([vote]):
            _check_blind(session, vote.warning_id, every, by)
        ballot = Ballot(vote.verdict, supersedes=vote_id, kind=VoteKind.UNDO, source=vote.source)
        return record(session, vote.warning_id, by, ballot, now)


def redraw(
    store: Store, warning_id: str, geometry: BaseGeometry, *, by: str, reason: str, now: datetime
) -> EditRow:
    """Keep a polygon that an operator drew; the warning's own stays, and so does every edit.

    Parameters
    ----------
    geometry
        (Multi)polygon, lon/lat (EPSG:4674).

    Raises
    ------
    MissingError
        If there is no such warning.
    InputError
        If the geometry is no valid polygon of some area near the warning.
    """
    with store.transaction(durable=True) as session:
        row = _held(session, warning_id)
        if geometry.geom_type not in ("Polygon", "MultiPolygon") or not geometry.is_valid:
            raise InputError("the geometry is no valid polygon", where="geometry", remedy="redraw")
        if geometry.is_empty or not geometry.intersects(row.geom):
            raise InputError(
                "the polygon does not touch the warning", where="geometry", remedy="redraw"
            )
        before = edits.current(session, [warning_id]).get(warning_id, row.geom)
        shape = as_multipolygon(shapely.force_2d(geometry))
        return edits.add(
            session,
            EditRow(
                geom=shape,
                edit_id=str(uuid.uuid4()),
                warning_id=warning_id,
                editor=by,
                reason=reason,
                area_ha=geodesic_area_ha(shape),
                original=dict(mapping(before)),
                edited_at=now,
            ),
        )
