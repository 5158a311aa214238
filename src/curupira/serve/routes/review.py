"""Reviewing: the queue, votes, field verdicts."""

from __future__ import annotations

import math
import uuid
from datetime import date
from statistics import median
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from curupira.codes import Role, Verdict, VerdictSource, VoteKind
from curupira.errors import InputError
from curupira.pipelines import fieldwork
from curupira.pipelines import review as reviewing
from curupira.pipelines.review import Ballot, ForbiddenError, MissingError
from curupira.serve.filters import plain
from curupira.serve.site import Asking, Person, Site, SiteHere
from curupira.store import review as reviews
from curupira.store import sample as samples
from curupira.store import search as searches
from curupira.store.tables import ReviewRow, SampleRow, WarningRow
from curupira.validate import verdicts

router = APIRouter(prefix="/api", tags=["review"])
#: Bytes of a field photo, and of a file of field verdicts.
MOST_PHOTO = 8 * 2**20
#: Days that one queue goes back to; older ones are asked for by day.
MOST_DAYS = 14
_LINE = r"^[^\x00]*$"
Line = Annotated[str, Field(max_length=4000, pattern=_LINE)]


class Vote(BaseModel):
    """A verdict on a warning."""

    model_config = ConfigDict(extra="forbid")

    verdict: Verdict
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    comment: Line | None = None
    reason: Line | None = None
    seconds_spent: Annotated[float, Field(ge=0, le=86_400)] | None = None
    context: Annotated[dict[str, str | int | float | bool | None], Field(max_length=50)] | None = (
        None
    )
    supersedes: Annotated[str, Field(max_length=160, pattern=_LINE)] | None = None
    kind: Literal[VoteKind.VOTE, VoteKind.ADJUDICATION] = VoteKind.VOTE


def vote_json(vote: ReviewRow, kept: list[ReviewRow]) -> dict[str, Any]:
    """A vote as answers show it."""
    names = (
        *("vote_id", "warning_id", "interpreter", "source", "verdict", "confidence", "comment"),
        *("reason", "seconds_spent", "voted_at", "supersedes"),
    )
    found = {name: plain(getattr(vote, name)) for name in names}
    context = vote.context or {}
    found["field"] = {k: context.get(k) for k in ("visited_on", "method", "finding", "photo")}
    if vote.source is not VerdictSource.FIELD:
        found["field"] = None
    return found | {"kind": (vote.kind or VoteKind.VOTE).value, "standing": vote in kept}


@router.post("/warnings/{warning_id}/review", status_code=201)
def vote(site: SiteHere, person: Asking, warning_id: str, body: Vote) -> dict[str, Any]:
    """Give a verdict; it is on disk when the answer comes."""
    if body.kind is VoteKind.ADJUDICATION and not person.may(Role.OPERATOR):
        raise ForbiddenError("only an operator adjudicates", where="kind", remedy="vote instead")
    _check_finite(body.context)
    ballot = Ballot(**body.model_dump())
    row = reviewing.cast(
        site.store,
        warning_id,
        str(person.name),
        ballot,
        site.now(),
        sees_all=person.may(Role.OPERATOR),
    )
    return vote_json(row, [row])


def _check_finite(context: dict[str, Any] | None) -> None:
    for key, value in (context or {}).items():
        text = f"{key}{value}"
        if (isinstance(value, float) and not math.isfinite(value)) or "\x00" in text:
            raise InputError("no JSON value", where=f"context {key!r}", remedy="leave it out")


@router.post("/votes/{vote_id}/undo", status_code=201)
def undo(site: SiteHere, person: Asking, vote_id: str) -> dict[str, Any]:
    """Take a vote back; both entries stay in the log."""
    row = reviewing.undo(
        site.store,
        vote_id,
        str(person.name),
        any_vote=person.may(Role.OPERATOR),
        now=site.now(),
    )
    return vote_json(row, [])


@router.get("/warnings/{warning_id}/votes")
def votes(site: SiteHere, person: Asking, warning_id: str) -> dict[str, Any]:
    """The votes on a warning; of others none while a blind vote is due from the asker."""
    with site.store.reading() as session:
        reviewing.known(session, warning_id)
        every = reviews.votes(session, warning_id)
        drawn = samples.of_warning(session, warning_id)
    kept = verdicts.standing(every)
    blind = is_blind(drawn, kept, person)
    shown = [v for v in every if not blind or v.interpreter == person.name]
    return {"votes": [vote_json(v, kept) for v in shown], "blind": blind}


def is_blind(drawn: SampleRow | None, kept: list[ReviewRow], person: Person) -> bool:
    """Whether a person must not see the votes of others yet."""
    if drawn is None or not drawn.blind or person.may(Role.OPERATOR):
        return False
    return all(v.interpreter != person.name for v in verdicts.at_desk(kept))


@router.get("/queue")
def queue(
    site: SiteHere, person: Asking, day: Annotated[date | None, Query()] = None
) -> dict[str, Any]:
    """What is left for the asker of a day's sample, or of the newest days with something open."""
    with site.store.reading() as session:
        days = samples.open_days(session, MOST_DAYS) if day is None else [day]
        drawn = samples.drawn(session, days)
        every = reviews.by_warning(session, [s.warning_id for s in drawn])
        rows = {r.warning_id: r for r in searches.rows(session, [s.warning_id for s in drawn])}
    items = []
    for sample in drawn:
        kept = verdicts.standing(every.get(sample.warning_id, []))
        item = _item(sample, rows[sample.warning_id], kept, person)
        if item is not None:
            items.append(item)
    spent = [
        v.seconds_spent
        for found in every.values()
        for v in found
        if v.interpreter == person.name and v.seconds_spent is not None
    ]
    return {
        "day": None if day is None else day.isoformat(),
        "plan": drawn[-1].plan if drawn else None,
        "done": sum(item["state"] == "done" for item in items),
        "total": len(items),
        "streak_seconds_median": median(spent) if spent else None,
        "items": items,
    }


def _item(
    sample: SampleRow, row: WarningRow, kept: list[ReviewRow], person: Person
) -> dict[str, Any] | None:
    """One place in a queue; None where others have done what there was to do."""
    mine = next((v for v in kept if v.interpreter == person.name), None)
    others = {v.interpreter for v in kept} - {person.name}
    # An operator has seen the first vote, so cannot give the blind second one.
    enough = 2 if sample.blind and not person.may(Role.OPERATOR) else 1
    if mine is None and len(others) >= enough:
        return None
    at_desk = [v for v in verdicts.at_desk(kept) if v.interpreter == person.name]
    lon, lat = row.geom.representative_point().coords[0]
    return {
        "warning_id": row.warning_id,
        "day": sample.day.isoformat(),
        "stratum": sample.stratum,
        "blind": is_blind(sample, kept, person) and bool(others),
        "state": "open" if mine is None else "done",
        "my_vote": vote_json(at_desk[0], kept) if at_desk else None,
        "area_ha": row.area_ha,
        "intensity_class": row.intensity_class.value,
        "status": row.status.value,
        "lon": round(lon, 6),
        "lat": round(lat, 6),
        "bbox": [round(v, 6) for v in row.geom.bounds],
    }


@router.post("/warnings/{warning_id}/field", status_code=201)
def field(
    site: SiteHere,
    person: Asking,
    warning_id: str,
    verdict: Annotated[Verdict, Form()],
    visited_on: Annotated[date, Form()],
    method: Annotated[Literal["visited", "overflown"], Form()],
    finding: Annotated[str, Form(max_length=4000, pattern=_LINE)] = "",
    photo: Annotated[UploadFile | None, File()] = None,
) -> dict[str, Any]:
    """A verdict from the field: it outranks those from the desk."""
    context = {"visited_on": visited_on.isoformat(), "method": method, "finding": finding}
    if photo is not None and photo.filename:
        with site.store.reading() as session:
            reviewing.known(session, warning_id)
        context["photo"] = keep_photo(site, photo.file.read(MOST_PHOTO + 1))
    ballot = Ballot(
        verdict,
        comment=finding or None,
        context=context,
        source=VerdictSource.FIELD,
        reason=finding or "field visit",
    )
    row = reviewing.cast(site.store, warning_id, str(person.name), ballot, site.now())
    return vote_json(row, [row])


def keep_photo(site: Site, content: bytes) -> str:
    """Keep a JPEG or PNG, without its metadata (place and owner of the camera); give its name."""
    if len(content) > MOST_PHOTO:
        raise InputError("the photo is larger than 8 MB", where="photo", remedy="send a smaller")
    plain_photo = fieldwork.clean_photo(content)
    name = f"{uuid.uuid4()}.jpg"
    folder = site.workspace.folder / "photos"
    folder.mkdir(exist_ok=True)
    part = folder / f"{name}.part"
    part.write_bytes(plain_photo)
    part.replace(folder / name)
    return name


@router.post("/field")
def field_file(
    site: SiteHere, person: Asking, file: Annotated[UploadFile, File()]
) -> dict[str, Any]:
    """Many verdicts from the field, as GPX or CSV."""
    content = file.file.read(MOST_PHOTO + 1)
    if len(content) > MOST_PHOTO:
        raise InputError("the file is larger than 8 MB", where="file", remedy="send it in parts")
    found = fieldwork.take_in(
        site.store, content, file.filename or "", str(person.name), site.now()
    )
    return {"accepted": found.accepted, "refused": found.refused}


@router.get("/photos/{vote_id}")
def photo(site: SiteHere, vote_id: str) -> Response:
    """The photo of a field verdict."""
    with site.store.reading() as session:
        row = reviews.get(session, vote_id.replace("\x00", ""))
    name = None if row is None else (row.context or {}).get("photo")
    # Only names that we gave: never a path that somebody put into a context.
    path = site.workspace.folder / "photos" / f"{name}"
    if row is None or row.source is not VerdictSource.FIELD or not fieldwork.is_photo(name):
        raise MissingError("no photo", where=vote_id, remedy="see the votes")
    if not path.is_file():
        raise MissingError("the photo is gone", where=vote_id, remedy="restore photos/")
    return Response(path.read_bytes(), media_type="image/jpeg")
