"""Dashboards: what the warnings are, how they were judged, how fresh everything is."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from fastapi import APIRouter

from curupira.codes import Role, Verdict
from curupira.pipelines import tallies
from curupira.pipelines.compare import Options, document, measure
from curupira.pipelines.outlines import layer_files
from curupira.pipelines.products import BANDS
from curupira.pipelines.review import MissingError
from curupira.pipelines.status import newest
from curupira.pipelines.tilegrid import least_zoom
from curupira.report.mapparts import STRETCH_DB
from curupira.serve.filters import Day, Filter, plain
from curupira.serve.site import Asking, Site, SiteHere
from curupira.store import search as searches
from curupira.store.search import Search
from curupira.validate.verdicts import REASONS, REJECTING

router = APIRouter(prefix="/api", tags=["dashboard"])


@router.get("/dashboard")
def dashboard(site: SiteHere, person: Asking, search: Filter) -> dict[str, Any]:
    """Tables and figures of the filter."""
    return tallies.dashboard(
        site.workspace,
        site.store,
        search,
        people=person.may(Role.INTERPRETER),
    )


@router.get("/dashboard/optical")
def optical(site: SiteHere, person: Asking, since: Day = None, until: Day = None) -> dict[str, Any]:
    """Our warnings beside the optical alerts: who was first, what is only ours; by season."""
    if not site.params.optical_alerts:
        raise MissingError(
            "no optical alerts are configured",
            where="[serve] optical_alerts",
            remedy="name a vector file of them",
        )
    with site.store.reading() as session:
        state = searches.version(session)
    path = site.workspace.path(site.params.optical_alerts)
    if path.is_file():
        told = path.stat()
        state = (*state, told.st_mtime_ns, told.st_size)
    return _optical(site, Options(since=since, until=until), site.hidden(person), state)


@lru_cache(maxsize=16)
def _optical(
    site: Site, options: Options, hidden: tuple[int, ...], _: tuple[Any, ...]
) -> dict[str, Any]:
    # Compares every geometry: done once for what the store and the file hold.
    path = site.workspace.path(site.params.optical_alerts)
    return document(measure(site.workspace, path, options, hidden=hidden))


@router.get("/config")
def config(site: SiteHere, person: Asking) -> dict[str, Any]:
    """What the pages need to know first."""
    hidden = site.hidden(person)
    with site.store.reading() as session:
        found = newest(session)
        days = searches.span(session, Search(hidden=hidden))
    withheld = site.withheld(person)
    names = [n for n in layer_files(site.workspace) if n != "area" and n not in withheld]
    layers = [{"name": n, "kind": "overlay", "title": n.replace("_", " ")} for n in names]
    layers += [{"name": n, "kind": "xyz", "title": n} for n in site.params.layers]
    return {
        "name": site.workspace.name,
        "bbox": list(site.workspace.area.bounds),
        "language": site.params.language,
        "languages": ["pt", "en", "es"],
        "role": None if person.role is None else person.role.value,
        "preset": site.workspace.preset.name,
        "attribution": site.workspace.attribution(_years(days, site.now())),
        "days": {
            "first": plain(days[0].date()) if days else None,
            "last": plain(days[1].date()) if days else None,
        },
        "tile_minzoom": least_zoom(site.workspace.grid),
        "tile_maxzoom": 16,
        "layers": layers,
        "verdicts": [v.value for v in Verdict],
        "rejecting": sorted(v.value for v in REJECTING),
        "reasons": list(REASONS),
        "product_bands": [name for name, _ in BANDS],
        "stretch_db": list(STRETCH_DB["VH"]),
        "optical_images": site.optical.configured,
        "optical": bool(site.params.optical_alerts),
        "freshness": tallies.freshness(found, site.now(), site.params.stale_days),
    }


def _years(span: tuple[datetime, datetime] | None, now: datetime) -> list[int]:
    first, last = (now, now) if span is None else span
    return list(range(first.year, last.year + 1))
