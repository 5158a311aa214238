"""OGC API - Features, Part 1: Core (OGC 17-069r4), with the collection ``warning``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from curupira.errors import ConfigError
from curupira.pipelines.review import MissingError
from curupira.serve.filters import box_of, fields, geojson, interval, withheld_columns, years_of
from curupira.serve.routes.warning import visible
from curupira.serve.site import Asking, Person, Site, SiteHere
from curupira.store import edit as edits
from curupira.store import search as searches
from curupira.store.search import Search
from curupira.store.tables import WarningRow
from curupira.store.warning import COLUMNS


def _no_other(request: Request) -> None:
    """Refuse unknown parameters (/req/core/query-param-unknown); items check their own."""
    if not request.url.path.endswith("/items"):
        for name in request.query_params:
            if name != "f":
                raise ConfigError("no such parameter", where=name, remedy="see /ogc/api")


router = APIRouter(prefix="/ogc", tags=["ogc"], dependencies=[Depends(_no_other)])
GEO = "application/geo+json"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
CONFORMANCE = [
    f"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/{name}" for name in ("core", "geojson")
]
#: FastAPI describes in OpenAPI 3.1, for which Part 1 has no class of requirements.
OPENAPI = "application/vnd.oai.openapi+json;version=3.1"
#: Features a page; who asks for more gets so many.
MOST = 10_000
#: Properties that may be asked for by name, with their JSON type.
QUERYABLE = (
    *("status", "closed_reason", "intensity_class", "verdict", "preset", "run_id", "uf"),
    *("municipality", "geocode", "protected_area", "indigenous_territory", "relative_orbit"),
    *("platform", "first_flag_days", "warning_id"),
)
_WHOLE = ("relative_orbit", "first_flag_days")
_FIXED = ("bbox", "datetime", "limit", "offset", "f")
_DESCRIBED = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "schema": {"type": "integer" if name in _WHOLE else "string"},
    }
    for name in QUERYABLE
]


def _link(request: Request, path: str, rel: str, kind: str, title: str = "") -> dict[str, str]:
    href = str(request.base_url).rstrip("/") + path
    found = {"href": href, "rel": rel, "type": kind}
    return found | ({"title": title} if title else {})


@router.get("")
@router.get("/", include_in_schema=False)
def landing(request: Request, site: SiteHere, person: Asking) -> dict[str, Any]:
    """Landing page."""
    return {
        "title": site.workspace.monitor.area.name or "Curupira",
        "description": "Forest-disturbance warnings from Sentinel-1",
        "attribution": _attribution(site, person),
        "links": [
            _link(request, "/ogc", "self", "application/json", "this document"),
            _link(request, "/ogc/api", "service-desc", OPENAPI, "API definition"),
            _link(request, "/ogc/conformance", "conformance", "application/json"),
            _link(request, "/ogc/collections", "data", "application/json"),
        ],
    }


@router.get("/api")
def description(request: Request) -> Response:
    """The API definition: that of the whole application."""
    return JSONResponse(request.app.openapi(), media_type=OPENAPI)


@router.get("/conformance")
def conformance() -> dict[str, Any]:
    """Classes of requirements that are met."""
    return {"conformsTo": CONFORMANCE}


@router.get("/collections")
def collections(request: Request, site: SiteHere, person: Asking) -> dict[str, Any]:
    """All collections: one."""
    return {
        "links": [_link(request, "/ogc/collections", "self", "application/json")],
        "collections": [_collection(request, site, person)],
    }


@router.get("/collections/warning")
def collection(request: Request, site: SiteHere, person: Asking) -> dict[str, Any]:
    """The warnings."""
    return _collection(request, site, person)


def _collection(request: Request, site: Site, person: Person) -> dict[str, Any]:
    times = _span(site, person)
    span = [_stamp(moment) for moment in times] if times else [None, None]
    base = "/ogc/collections/warning"
    return {
        "id": "warning",
        "title": "Warnings",
        "description": "Forest-disturbance warnings; `datetime` is the time of issue",
        "attribution": _attribution(site, person),
        "itemType": "feature",
        "crs": [CRS84],
        "extent": {
            "spatial": {"bbox": [list(site.workspace.area.bounds)], "crs": CRS84},
            "temporal": {"interval": [span]},
        },
        "links": [
            _link(request, base, "self", "application/json"),
            _link(request, f"{base}/items", "items", GEO, "Warnings"),
            _link(
                request,
                f"{base}/queryables",
                "http://www.opengis.net/def/rel/ogc/1.0/queryables",
                "application/schema+json",
            ),
        ],
    }


@router.get("/collections/warning/queryables")
def queryables(request: Request, site: SiteHere, person: Asking) -> Response:
    """Properties that items can be filtered by."""
    properties: dict[str, Any] = {
        name: {"type": "integer" if name in _WHOLE else "string"}
        for name in _queryable(site, person)
    }
    properties["geometry"] = {"$ref": "https://geojson.org/schema/MultiPolygon.json"}
    return JSONResponse(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": str(request.url),
            "type": "object",
            "properties": properties,
        },
        media_type="application/schema+json",
    )


def _queryable(site: Site, person: Person) -> list[str]:
    withheld = withheld_columns(site, person)
    return [name for name in QUERYABLE if name not in withheld]


@router.get("/collections/warning/items", openapi_extra={"parameters": _DESCRIBED})
def items(
    request: Request,
    site: SiteHere,
    person: Asking,
    bbox: Annotated[str | None, Query(max_length=200)] = None,
    datetime: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """Warnings as GeoJSON, page by page; any queryable property filters by equality."""
    limit = min(limit, MOST)
    search = Search(
        bbox=None if bbox is None else box_of(bbox),
        moments=interval(datetime),
        exact=_exact(request, site, person),
        hidden=site.hidden(person),
    )
    with site.store.reading() as session:
        total, keys = searches.page(session, search, "-issued_at", limit, offset)
        rows = edits.as_drawn(session, searches.rows(session, keys))
    path = request.url.path
    query = dict(request.query_params)
    links = [_link(request, f"{path}?{urlencode(query)}", "self", GEO)]
    if offset + limit < total:
        after = urlencode(query | {"offset": str(offset + limit)})
        links.append(_link(request, f"{path}?{after}", "next", GEO))
    if offset:
        before = urlencode(query | {"offset": str(max(0, offset - limit))})
        links.append(_link(request, f"{path}?{before}", "prev", GEO))
    document = {
        "type": "FeatureCollection",
        "features": [_feature(row, site, person) for row in rows],
        "links": links,
        "timeStamp": _stamp(site.now()),
        "numberMatched": total,
        "numberReturned": len(rows),
        "attribution": site.workspace.attribution(years_of(rows)),
    }
    return JSONResponse(document, media_type=GEO)


@router.get("/collections/warning/items/{feature_id}")
def item(request: Request, site: SiteHere, person: Asking, feature_id: str) -> Response:
    """One warning as GeoJSON."""
    row = visible(site, person, feature_id)
    base = "/ogc/collections/warning"
    document = _feature(row, site, person) | {
        "attribution": site.workspace.attribution(years_of([row])),
        "links": [
            _link(request, f"{base}/items/{row.warning_id}", "self", GEO),
            _link(request, base, "collection", "application/json"),
        ],
    }
    return JSONResponse(document, media_type=GEO)


@router.get("/collections/{name}", include_in_schema=False)
@router.get("/collections/{name}/items", include_in_schema=False)
def unknown(name: str) -> None:
    """No other collection."""
    raise MissingError("no such collection", where=name, remedy="see /ogc/collections")


def _feature(row: WarningRow, site: Site, person: Person) -> dict[str, Any]:
    seen = fields(row, site, person)
    overlays = seen.pop("overlays")
    # A reporter's name is never part of a feature, whoever asks.
    properties = {name: seen[name] for name in COLUMNS if name != "verdict_by"}
    return {
        "type": "Feature",
        "id": row.warning_id,
        "geometry": geojson(row.geom),
        "properties": properties | {k: v for k, v in overlays.items() if k not in properties},
    }


def _span(site: Site, person: Person) -> tuple[datetime, ...]:
    """First and last time of issue of what somebody may see."""
    with site.store.reading() as session:
        return searches.span(session, Search(hidden=site.hidden(person))) or ()


def _attribution(site: Site, person: Person) -> str:
    """Notice on the images of all that somebody may see."""
    with site.store.reading() as session:
        years = searches.years(session, Search(hidden=site.hidden(person)))
    return site.workspace.attribution(years)


def _exact(request: Request, site: Site, person: Person) -> tuple[tuple[str, str], ...]:
    known = _queryable(site, person)
    found = []
    for name, value in request.query_params.multi_items():
        if name in _FIXED:
            continue
        if name not in known:
            raise ConfigError("no such parameter", where=name, remedy="see …/queryables")
        found.append((name, _value(name, value)))
    return tuple(found)


def _value(name: str, text: str) -> Any:
    from sqlalchemy import inspect

    column = inspect(WarningRow).columns[name].type
    words = getattr(column, "words", None)
    if words is not None:
        if text not in set(words):
            raise ConfigError(
                f"no {name} {text!r}", where=name, remedy=f"one of {', '.join(words)}"
            )
        return text
    if name in _WHOLE:
        if not re.fullmatch(r"-?[0-9]{1,9}", text):
            raise ConfigError(f"{text!r} is no whole number", where=name, remedy="give one")
        return int(text)
    return text.replace("\x00", "")


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
