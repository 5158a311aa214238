"""Mining candidates, squares of the mining map that touch no warning: as GeoJSON and as a page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from curupira.codes import Verdict
from curupira.pipelines.review import MissingError
from curupira.serve.filters import geojson, plain
from curupira.serve.routes.pages import templates
from curupira.serve.site import Asking, SiteHere
from curupira.serve.words import WORDS
from curupira.store import candidate as candidates
from curupira.store.tables import CandidateRow

router = APIRouter(tags=["candidate"])
#: Width of the page's map, pixels; the height follows from the area.
_WIDTH = 900.0
#: A square is drawn at least so large, or nobody sees it.
_LEAST = 4.0


def _chosen(site: SiteHere, probability: float, verdict: str | None) -> list[CandidateRow]:
    with site.store.reading() as session:
        rows = [r for r in candidates.query(session) if r.probability >= probability]
    if verdict is None:
        return rows
    wanted = None if verdict == "none" else verdict
    return [r for r in rows if plain(r.verdict) == wanted]


Probability = Annotated[float, Query(ge=0, le=1, description="least probability")]
VerdictText = Annotated[str | None, Query(max_length=40, description="a verdict, or none")]


@router.get("/api/candidates")
def listed(
    site: SiteHere,
    person: Asking,
    probability: Probability = 0.0,
    verdict: VerdictText = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """Candidates as GeoJSON, the most probable first, page by page."""
    rows = _chosen(site, probability, verdict)
    shown = rows[offset : offset + limit]
    document = {
        "type": "FeatureCollection",
        "features": [_feature(row) for row in shown],
        "numberMatched": len(rows),
        "numberReturned": len(shown),
    }
    return JSONResponse(document, media_type="application/geo+json")


class Judgement(BaseModel):
    """What a person says about a candidate."""

    model_config = ConfigDict(extra="forbid")

    verdict: Verdict
    comment: Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")] | None = None


@router.post("/api/candidates/{candidate_id}/review", status_code=201)
def judge(site: SiteHere, person: Asking, candidate_id: str, body: Judgement) -> dict[str, Any]:
    """Give a candidate a verdict; earlier ones stay among its votes."""
    with site.store.transaction(durable=True) as session:
        row = candidates.held(session, candidate_id.replace("\x00", ""))
        if row is None:
            raise MissingError(
                "no such candidate", where=candidate_id, remedy="see /api/candidates"
            )
        candidates.judge(row, body.verdict, str(person.name), site.now(), body.comment)
        return _feature(row)


def _feature(row: CandidateRow) -> dict[str, Any]:
    # Who judged stays inside, as with warnings.
    names = [name for name in candidates.COLUMNS if name != "verdict_by"]
    return {
        "type": "Feature",
        "id": row.candidate_id,
        "geometry": geojson(row.geom),
        "properties": {name: plain(getattr(row, name)) for name in names},
    }


@router.get("/candidates", include_in_schema=False)
def page(
    site: SiteHere,
    person: Asking,
    probability: Probability = 0.0,
    verdict: VerdictText = None,
    lang: Annotated[Literal["pt", "en", "es"] | None, Query()] = None,
) -> Response:
    """A page with a map of the candidates in the area, and their list; needs no script."""
    language = lang or site.params.language
    rows = _chosen(site, probability, verdict)
    west, south, east, north = site.workspace.area.bounds
    scale = _WIDTH / (east - west)

    def placed(x: float, y: float) -> tuple[float, float]:
        return (x - west) * scale, (north - y) * scale

    rings = [
        " ".join(f"{x:.1f},{y:.1f}" for x, y in (placed(*c[:2]) for c in part.exterior.coords))
        for part in getattr(site.workspace.area, "geoms", [site.workspace.area])
    ]
    squares = []
    for row in rows:
        left, _, right, top = row.geom.bounds
        x, y = placed(left, top)
        side = max((right - left) * scale, _LEAST)
        lon, lat = row.geom.representative_point().coords[0]
        squares.append({"row": row, "x": x, "y": y, "side": side, "lon": lon, "lat": lat})
    text = (
        templates()
        .get_template("candidates.html")
        .render(
            lang=language,
            w=WORDS[language],
            rings=rings,
            squares=squares,
            width=_WIDTH,
            height=(north - south) * scale,
            plain=plain,
        )
    )
    return HTMLResponse(text, headers={"Cache-Control": "no-store"})
