"""Warnings for the map, for lists, for downloads; one warning with what is known of it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from curupira.codes import Role
from curupira.deliver.export import FORMATS
from curupira.deliver.export import export as write
from curupira.deliver.feed import feeds
from curupira.deliver.frame import marked
from curupira.deliver.params import DeliveryParams
from curupira.pipelines import review as reviewing
from curupira.pipelines.review import MissingError
from curupira.records import Acquisition
from curupira.serve.filters import Filter, fields, geojson, plain, summary
from curupira.serve.site import Asking, Person, Site, SiteHere
from curupira.store import edit as edits
from curupira.store import search as searches
from curupira.store import warning as warnings
from curupira.store.geometry import Bounds, parts
from curupira.store.search import Search
from curupira.store.tables import WarningRow
from curupira.validate import agreement

router = APIRouter(prefix="/api", tags=["warning"])
#: Polygons in one answer; above the second number zooms below the third get cells instead.
MOST_FEATURES, CELLS_ABOVE, CELLS_BELOW_ZOOM = 20_000, 2_000, 12
#: Below this zoom the cells of the whole area are kept.
WHOLE_BELOW_ZOOM = 9
#: Images on each side of the first flag; of those since, half are the newest.
MOST_IMAGES = 6
#: Whatever the store says of changes, no answer is kept longer, seconds.
STALE_S = 60
_MAP = (
    *("warning_id", "status", "intensity_class", "issued_at", "first_flag_date", "area_ha"),
    *("confidence", "mining_score", "priority", "verdict"),
)
Order = Literal[
    "priority",
    "-priority",
    "issued_at",
    "-issued_at",
    "area_ha",
    "-area_ha",
    "mining_score",
    "-mining_score",
    "confidence",
    "-confidence",
    "first_flag_date",
    "-first_flag_date",
]


@router.get("/warnings")
def listed(
    site: SiteHere,
    person: Asking,
    search: Filter,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    sort: Order = "-issued_at",
) -> Response:
    """Warnings, page by page."""
    with site.store.reading() as session:
        total, keys = searches.page(session, search, sort, limit, offset)
        rows = edits.as_drawn(session, searches.rows(session, keys))
    items = [summary(row, site, person) for row in rows]
    after = offset + limit
    return JSONResponse({"total": total, "items": items, "next": after if after < total else None})


@router.get("/warnings.geojson")
def mapped(
    site: SiteHere, search: Filter, zoom: Annotated[float, Query(ge=0, le=24)] = 24
) -> Response:
    """Warnings for the map: polygons, or cells where there are too many for the zoom."""
    with site.store.reading() as session:
        many = zoom < CELLS_BELOW_ZOOM and searches.more_than(session, search, CELLS_ABOVE)
        # Sums of warnings as detected: while people vote they stay as they are.
        state = searches.version(session, votes=not many or bool(search.verdict))
    state = (*state, int(site.now().timestamp()) // STALE_S)
    if many:
        # Far out, all cells are kept, and moving the map asks the database nothing.
        kept = replace(search, bbox=None) if zoom < WHOLE_BELOW_ZOOM else search
        body = _cells_body(_cells(site, kept, int(zoom), state), search.bbox)
    else:
        body = _polygons_body(site, search, state)
    return Response(body, media_type="application/geo+json")


@lru_cache(maxsize=64)
def _cells(site: Site, search: Search, zoom: int, _: tuple[Any, ...]) -> npt.NDArray[np.float64]:
    """Sums over squares of 16 pixels of the map, as ``searches.cells``."""
    with site.store.reading() as session:
        return searches.cells(session, search, 360 / 2**zoom / 16)


def _cells_body(cells: npt.NDArray[np.float64], bbox: Bounds | None) -> bytes:
    if bbox is not None:
        x, y = cells[:, 0], cells[:, 1]
        inside = [(x >= w) & (x <= e) & (y >= s) & (y <= n) for w, s, e, n in parts(bbox)]
        cells = cells[np.logical_or.reduce(inside)]
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [round(x, 6), round(y, 6)]},
            "properties": {
                "cluster": True,
                "count": int(n),
                "area_ha": round(area, 2),
                "confirmed": int(sure),
            },
        }
        for x, y, n, area, sure in cells.tolist()
    ]
    document = {"type": "FeatureCollection", "features": features}
    return json.dumps(document, separators=(",", ":")).encode()


@lru_cache(maxsize=32)
def _polygons_body(site: Site, search: Search, _: tuple[Any, ...]) -> bytes:
    with site.store.reading() as session:
        rows = searches.columns(session, search, ("geom", *_MAP), MOST_FEATURES + 1)
        edited = edits.current(session)
    kept = rows[:MOST_FEATURES]
    shapes = [edited.get(row[1], row[0]) for row in kept]
    texts: list[str] = list(shapely.to_geojson(shapely.transform(shapes, _rounded)))
    features = ",".join(
        f'{{"type":"Feature","geometry":{text},"properties":{_properties(row[1:])}}}'
        for row, text in zip(kept, texts, strict=True)
    )
    cut = '"truncated":true,' if len(rows) > MOST_FEATURES else ""
    return f'{{"type":"FeatureCollection",{cut}"features":[{features}]}}'.encode()


def _properties(values: tuple[Any, ...]) -> str:
    return json.dumps({name: plain(v) for name, v in zip(_MAP, values, strict=True)})


def _rounded(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.round(xy, 6)


def acquisition_json(site: Site, a: Acquisition) -> dict[str, Any]:
    """An acquisition as lists show it."""
    boxes = [scene.footprint.bounds for scene in a.scenes]
    west, south, east, north = zip(*boxes, strict=True)
    return {
        "acquisition_id": a.acquisition_id,
        "acquired": plain(a.acquired),
        "day": a.day.isoformat(),
        "relative_orbit": a.relative_orbit,
        "platform": a.platform,
        "orbit_state": a.scenes[0].orbit_state.value,
        "product": site.viewer.has_product(a),
        "bbox": [min(west), min(south), max(east), max(north)],
    }


def visible(site: Site, person: Person, warning_id: str) -> WarningRow:
    """One warning that the person may see, with the polygon that an operator drew.

    Raises
    ------
    MissingError
        If there is none, or it lies in a place that is not shown to everybody.
    """
    with site.store.reading() as session:
        found = edits.as_drawn(session, searches.rows(session, [warning_id.replace("\x00", "")]))
    hidden = site.hidden(person)
    for row in found:
        if row.id not in hidden:
            return row
    raise MissingError("no such warning", where=warning_id, remedy="see /api/warnings")


@router.get("/warnings/{warning_id}")
def one(site: SiteHere, person: Asking, warning_id: str) -> dict[str, Any]:
    """One warning."""
    row = visible(site, person, warning_id)
    hidden = site.hidden(person)
    with site.store.reading() as session:
        edited = warning_id in edits.current(session, [warning_id])
        decision = reviewing.decision(session, warning_id)
        box = row.geom.buffer(0.02).bounds
        near = searches.ids(session, Search(bbox=box, hidden=hidden))
    category = (
        None
        if decision.verdict is None
        else agreement.CATEGORIES[row.intensity_class][decision.verdict].value
    )
    return fields(row, site, person) | {
        "geometry": geojson(row.geom),
        "bbox": [round(v, 7) for v in row.geom.bounds],
        "edited": edited,
        "history": row.history.get("area_ha", []),
        "votes": decision.n_votes,
        "review": {
            "verdict": plain(decision.verdict),
            "source": plain(decision.source),
            "state": decision.state.value,
            "category": category,
            "n_votes": decision.n_votes,
        },
        "neighbours": [key for key in near if key != warning_id][:50],
    }


@router.get("/warnings/{warning_id}/evidence")
def evidence(site: SiteHere, person: Asking, warning_id: str) -> dict[str, Any]:
    """Images before the first flag and since, of the orbit that saw it; the strongest pixel.

    ``on`` is the day that the warning is judged by: cleared ground grows green again.
    """
    row = visible(site, person, warning_id)
    passes = [a for a in site.viewer.acquisitions() if a.relative_orbit == row.relative_orbit]
    since = [a for a in passes if a.day >= row.first_flag_date]
    judged = site.viewer.judged(row)
    on = None if judged is None else judged.day
    then = [a for a in since[MOST_IMAGES // 2 :] if on is None or a.day <= on]
    before = [a for a in passes if a.day < row.first_flag_date][:MOST_IMAGES]
    after = since[: MOST_IMAGES // 2] + then[: MOST_IMAGES // 2]
    lon, lat = site.viewer.strongest(row)
    return {
        "before": [acquisition_json(site, a) for a in before],
        "after": [acquisition_json(site, a) for a in after],
        "point": {"lon": round(lon, 7), "lat": round(lat, 7)},
        "orbit": row.relative_orbit,
        "on": plain(on),
    }


@router.get("/export")
def export(
    site: SiteHere,
    person: Asking,
    search: Filter,
    format: Literal["geojson", "gpkg", "csv", "kml", "gpx", "shp", "parquet"] = "geojson",
) -> Response:
    """What is shown, as a file."""
    suffix = FORMATS[format].suffixes[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"warnings{suffix}"
        write(table(site, person, search), path, format)
        content = path.read_bytes()
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="warnings{suffix}"'},
    )


def table(site: Site, person: Person, search: Search) -> Any:
    """Rows of a search as a table, edited polygons in place, without what a person may not see."""
    with site.store.reading() as session:
        found = searches.rows(session, searches.ids(session, search)[:MOST_FEATURES])
        rows = edits.as_drawn(session, found)
        session.expunge_all()
    withheld = site.withheld(person)
    for row in rows:
        seen = fields(row, site, person)
        row.overlays = {k: v for k, v in seen["overlays"].items() if k not in withheld} or None
        for name in ("protected_area", "indigenous_territory", "uf", "municipality", "geocode"):
            setattr(row, name, seen[name])
        if not person.may(Role.INTERPRETER):
            row.verdict_by = None
    return marked(warnings.to_geodataframe(rows), simulated=site.workspace.simulated)


@router.get("/feed.atom")
def feed(site: SiteHere, person: Asking, search: Filter) -> Response:
    """The filter as an Atom feed with GeoRSS places: bookmark it to follow an area."""
    frame = table(site, Person(), search)
    updated = {
        row["warning_id"]: max(t for t in (row["issued_at"], row["confirmed_at"]) if not pd.isna(t))
        for _, row in frame.iterrows()
    }
    params = DeliveryParams.model_construct(split="none", prefix="curupira", max_entries=500)
    documents = feeds(frame.drop(columns="verdict_by"), updated, params, "subscription")
    return Response(next(iter(documents.values())), media_type="application/atom+xml")
