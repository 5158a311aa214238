"""Operating: draws, disputes, edited polygons."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import shapely
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from curupira.errors import InputError
from curupira.pipelines import drawing
from curupira.pipelines import review as reviewing
from curupira.serve.filters import geojson, plain
from curupira.serve.routes.review import vote_json
from curupira.serve.site import Asking, SiteHere
from curupira.store import edit as edits
from curupira.store import review as reviews
from curupira.store import sample as samples
from curupira.store.tables import EditRow
from curupira.validate import verdicts
from curupira.validate.sampling import Plan
from curupira.validate.verdicts import ReviewState

router = APIRouter(prefix="/api", tags=["operate"])


class DrawOrder(BaseModel):
    """A day's sample to be drawn."""

    model_config = ConfigDict(extra="forbid")

    day: Annotated[date, Field(ge=date(1900, 1, 1), le=date(9000, 1, 1))]
    plan: Plan | None = None
    size: Annotated[int, Field(ge=0, le=100_000)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


@router.post("/samples", status_code=201)
def draw(site: SiteHere, person: Asking, order: DrawOrder) -> dict[str, Any]:
    """Draw a day's sample."""
    rows = drawing.draw(
        site.workspace,
        site.store,
        order.day,
        by=str(person.name),
        now=site.now(),
        plan=order.plan,
        size=order.size,
        seed=order.seed,
    )
    return {
        "day": order.day.isoformat(),
        "plan": (order.plan or Plan(site.params.plan)).value,
        "population": len(rows),
        "automatic": sum(row.stratum == "automatic" for row in rows),
        "drawn": sum(row.drawn for row in rows),
    }


@router.get("/samples")
def drawn(site: SiteHere) -> list[dict[str, Any]]:
    """Days drawn, with their progress."""
    found = []
    with site.store.reading() as session:
        for day in samples.days(session):
            rows = samples.of_day(session, day)
            chosen = [row.warning_id for row in rows if row.drawn]
            every = reviews.by_warning(session, chosen)
            done = sum(bool(verdicts.standing(every.get(key, []))) for key in chosen)
            found.append(
                {
                    "day": day.isoformat(),
                    "plan": rows[0].plan,
                    "seed": rows[0].seed,
                    "population": len(rows),
                    "automatic": sum(row.stratum == "automatic" for row in rows),
                    "drawn": len(chosen),
                    "done": done,
                }
            )
    return found


@router.get("/disputes")
def disputes(site: SiteHere) -> list[dict[str, Any]]:
    """Warnings of which the votes differ."""
    with site.store.reading() as session:
        every = reviews.by_warning(session)
    found = []
    for key, log in every.items():
        if verdicts.decide(log).state is ReviewState.DISPUTED:
            kept = verdicts.standing(log)
            found.append({"warning_id": key, "votes": [vote_json(v, kept) for v in log]})
    return found


class PolygonJson(BaseModel):
    """A polygon or several, lon/lat."""

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: list[Any]


class Edit(BaseModel):
    """A polygon drawn anew."""

    model_config = ConfigDict(extra="forbid")

    geometry: PolygonJson
    reason: Annotated[str, Field(min_length=1, max_length=4000, pattern=r"^[^\x00]*$")]


@router.post("/warnings/{warning_id}/edit", status_code=201)
def edit(site: SiteHere, person: Asking, warning_id: str, body: Edit) -> dict[str, Any]:
    """Draw a warning's polygon anew; the original stays."""
    try:
        geometry = shapely.geometry.shape(body.geometry.model_dump())
        geometry = shapely.force_2d(geometry)
    except (ValueError, TypeError, IndexError, KeyError, shapely.errors.ShapelyError) as error:
        raise InputError(
            "the geometry is no GeoJSON polygon", where="geometry", remedy="redraw"
        ) from error
    row = reviewing.redraw(
        site.store,
        warning_id,
        geometry,
        by=str(person.name),
        reason=body.reason,
        now=site.now(),
    )
    return _edit_json(row)


@router.get("/warnings/{warning_id}/edits")
def trail(site: SiteHere, warning_id: str) -> list[dict[str, Any]]:
    """Every edit of a warning's polygon, oldest first."""
    with site.store.reading() as session:
        reviewing.known(session, warning_id)
        return [_edit_json(row) for row in edits.of_warning(session, warning_id)]


def _edit_json(row: EditRow) -> dict[str, Any]:
    names = ("edit_id", "warning_id", "editor", "reason", "area_ha", "edited_at", "original")
    return {name: plain(getattr(row, name)) for name in names} | {"geometry": geojson(row.geom)}
