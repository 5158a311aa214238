"""Validation of warnings by people: draws, queues, votes, edits (issue E, point 2)."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import shapely
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from curupira.codes import Status, Verdict, VerdictSource, VoteKind
from curupira.config import Workspace
from curupira.deliver.agency import tile as tile_name
from curupira.errors import ConfigError, InputError
from curupira.grid import SIRGAS_2000, project
from curupira.sources.vector import read_vector
from curupira.store import edit as edits
from curupira.store import review as reviews
from curupira.store import sample as samples
from curupira.store import warning as warnings
from curupira.store.session import Store
from curupira.store.tables import EditRow, ReviewRow, SampleRow, WarningRow
from curupira.units import geodesic_area_ha
from curupira.validate import sampling, verdicts
from curupira.validate.sampling import Plan
from curupira.validate.verdicts import Decision
from curupira.vectorise.match import as_multipolygon

#: Interpreter of what the optical layer validated.
AUTOMATIC = "automatic"


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


def draw(
    workspace: Workspace,
    store: Store,
    day: date,
    *,
    by: str,
    now: datetime,
    plan: Plan | None = None,
    size: int | None = None,
    seed: int | None = None,
) -> list[SampleRow]:
    """Draw a day's sample: of the warnings issued up to its end that no draw has seen.

    Warnings more than half covered by an optical alert are validated automatically, by a vote.
    The seed follows from the day unless given, so that anybody can repeat the draw.

    Raises
    ------
    ConflictError
        If the day was drawn before.
    ConfigError, InputError
        If the optical layer is missing or unusable.
    """
    params = workspace.monitor.serve
    plan = Plan(params.plan) if plan is None else plan
    seed = (
        int.from_bytes(hashlib.sha256(day.isoformat().encode()).digest()[:4]) >> 1
        if (seed is None)
        else seed
    )
    alerts = _optical_alerts(workspace)
    with store.transaction(durable=True) as session:
        if samples.of_day(session, day):
            raise ConflictError("the day was drawn already", where=day, remedy="see its sample")
        open_ones = warnings.query(
            session, status=(Status.PRELIMINARY, Status.CONFIRMED), until=day
        )
        fresh = samples.fresh(session, open_ones)
        candidates = _candidates(fresh, alerts, str(workspace.grid.crs))
        drawn = sampling.draw(
            candidates, plan, seed=seed, blind_share=params.blind_share, size=size
        )
        areas = {c.warning_id: c.area_ha for c in candidates}
        rows = [
            SampleRow(
                day=day,
                warning_id=d.warning_id,
                plan=plan.value,
                seed=seed,
                stratum=d.stratum,
                inclusion_probability=d.probability,
                area_ha=areas[d.warning_id],
                drawn=d.drawn,
                blind=d.blind,
                drawn_at=now,
                drawn_by=by,
            )
            for d in drawn
        ]
        samples.add(session, rows)
        for d in drawn:
            if d.automatic:
                _record(session, d.warning_id, AUTOMATIC, Ballot(Verdict.AUTOMATIC), now)
        # Who voted before the draw now waits for a second vote as well.
        for key in reviews.by_warning(session, [d.warning_id for d in drawn if d.blind]):
            refresh(session, key)
    return rows


def _optical_alerts(workspace: Workspace) -> list[BaseGeometry]:
    path = workspace.monitor.serve.optical_alerts
    if not path:
        return []
    file = workspace.path(path)
    if not file.exists():
        raise ConfigError("no such file", where=file, remedy="mend [serve] optical_alerts")
    return list(read_vector(file).to_crs(str(workspace.grid.crs)).geometry)


def _candidates(
    rows: Sequence[WarningRow], alerts: Sequence[BaseGeometry], crs: str
) -> list[sampling.Candidate]:
    shapes = [project(row.geom, SIRGAS_2000, crs) for row in rows]
    shares = sampling.covered_share(shapes, alerts)
    return [
        sampling.Candidate(
            row.warning_id,
            row.area_ha,
            row.intensity_class,
            tile_name(row.geom.centroid.x, row.geom.centroid.y),
            share,
        )
        for row, share in zip(rows, shares, strict=True)
    ]


def cast(
    store: Store, warning_id: str, interpreter: str, ballot: Ballot, now: datetime
) -> ReviewRow:
    """Add a vote to the log, durably, and bring the warning's verdict up to date.

    Status, confidence, priority and masks follow at the next run (product.md 3, point 3).

    Raises
    ------
    MissingError
        If there is no such warning.
    ConflictError
        If the person has voted already and supersedes nothing, or four others have.
    InputError
        If a rejection gives no reason, or what it supersedes is not the person's own vote.
    """
    with store.transaction(durable=True) as session:
        known(session, warning_id)
        kept = verdicts.standing(reviews.votes(session, warning_id))
        _check(kept, interpreter, ballot)
        return _record(session, warning_id, interpreter, ballot, now)


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
    if ballot.verdict in verdicts.REJECTING and not ballot.reason:
        raise InputError("a rejection needs a reason", where="reason", remedy="say why")
    if ballot.supersedes is not None:
        old = next((v for v in kept if v.vote_id == ballot.supersedes), None)
        if old is None or old.interpreter != interpreter:
            raise InputError(
                "only a standing vote of one's own can be superseded",
                where=ballot.supersedes,
                remedy="read the votes again",
            )
        return
    if ballot.kind is VoteKind.ADJUDICATION or ballot.source is VerdictSource.FIELD:
        return
    desk = [
        v for v in kept if v.source is VerdictSource.DESK and v.kind is not VoteKind.ADJUDICATION
    ]
    people = {v.interpreter for v in desk} - {AUTOMATIC}
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


def _record(
    session: Session, warning_id: str, interpreter: str, ballot: Ballot, now: datetime
) -> ReviewRow:
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
    drawn = samples.of_warning(session, warning_id)
    blind = drawn is not None and drawn.blind
    return verdicts.decide(reviews.votes(session, warning_id), blind=blind)


def undo(store: Store, vote_id: str, by: str, *, any_vote: bool, now: datetime) -> ReviewRow:
    """Take a vote back by an entry that supersedes it; the vote itself stays in the log.

    Raises
    ------
    MissingError, ForbiddenError, ConflictError
        If there is no such vote, it is another's, or it does not stand any more.
    """
    with store.transaction(durable=True) as session:
        vote = reviews.get(session, vote_id)
        if vote is None:
            raise MissingError("no such vote", where=vote_id, remedy="read the votes again")
        if vote.interpreter != by and not any_vote:
            raise ForbiddenError("it is another's vote", where=vote_id, remedy="ask an operator")
        kept = verdicts.standing(reviews.votes(session, vote.warning_id))
        if vote not in kept:
            raise ConflictError("the vote does not stand any more", where=vote_id, remedy="nothing")
        ballot = Ballot(vote.verdict, supersedes=vote_id, kind=VoteKind.UNDO, source=vote.source)
        return _record(session, vote.warning_id, by, ballot, now)


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
        row = known(session, warning_id)
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


#: Columns of the vote log as a file.
LOG_COLUMNS = (
    *("vote_id", "warning_id", "interpreter", "source", "kind", "verdict", "confidence", "reason"),
    *("comment", "seconds_spent", "voted_at", "supersedes", "standing"),
    *("sample_day", "plan", "stratum", "inclusion_probability", "blind"),
)


def log(session: Session) -> list[dict[str, Any]]:
    """Every entry of the vote log in time order, with the draw of its warning."""
    found = []
    for key, votes in reviews.by_warning(session).items():
        drawn = samples.of_warning(session, key)
        kept = verdicts.standing(votes)
        for vote in votes:
            row: dict[str, Any] = {name: getattr(vote, name) for name in LOG_COLUMNS[:12]}
            row["kind"] = vote.kind or VoteKind.VOTE
            row["voted_at"] = vote.voted_at.isoformat(timespec="milliseconds")
            row["standing"] = vote in kept
            if drawn is not None:
                row |= {
                    "sample_day": drawn.day.isoformat(),
                    "plan": drawn.plan,
                    "stratum": drawn.stratum,
                    "inclusion_probability": drawn.inclusion_probability,
                    "blind": drawn.blind,
                }
            found.append(row)
    return sorted(found, key=lambda row: str(row["voted_at"]))
