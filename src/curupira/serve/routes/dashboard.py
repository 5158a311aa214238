"""Dashboards: what the warnings are, how they were judged, how fresh everything is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter

from curupira.codes import Role, Verdict
from curupira.pipelines import tallies
from curupira.pipelines.outlines import layer_files
from curupira.pipelines.products import BANDS
from curupira.pipelines.status import collect
from curupira.serve.filters import Filter, plain
from curupira.serve.site import Asking, SiteHere
from curupira.store import search as searches
from curupira.store.search import Search
from curupira.units import attribution
from curupira.validate.verdicts import REASONS, REJECTING

router = APIRouter(prefix="/api", tags=["dashboard"])


@router.get("/dashboard")
def dashboard(site: SiteHere, person: Asking, search: Filter) -> dict[str, Any]:
    """Tables and figures of the filter."""
    return tallies.dashboard(
        site.workspace, site.store, search, people=person.may(Role.INTERPRETER)
    )


@router.get("/config")
def config(site: SiteHere, person: Asking) -> dict[str, Any]:
    """What the pages need to know first."""
    found = collect(site.workspace)
    with site.store.reading() as session:
        days = searches.span(session, Search(hidden=site.hidden(person)))
    withheld = site.withheld(person)
    names = [n for n in layer_files(site.workspace) if n != "area" and n not in withheld]
    layers = [{"name": n, "kind": "overlay", "title": n.replace("_", " ")} for n in names]
    layers += [{"name": n, "kind": "xyz", "title": n} for n in site.params.layers]
    area = site.workspace.monitor.area
    return {
        "name": area.name or site.workspace.folder.resolve().name,
        "bbox": list(site.workspace.area.bounds),
        "language": site.params.language,
        "languages": ["pt", "en", "es"],
        "role": None if person.role is None else person.role.value,
        "preset": site.workspace.preset.name,
        "attribution": attribution(_years(days, site.now())),
        "days": {
            "first": plain(days[0].date()) if days else None,
            "last": plain(days[1].date()) if days else None,
        },
        "tile_minzoom": 4,
        "tile_maxzoom": 16,
        "layers": layers,
        "verdicts": [v.value for v in Verdict],
        "rejecting": sorted(v.value for v in REJECTING),
        "reasons": list(REASONS),
        "product_bands": [name for name, _ in BANDS],
        "freshness": tallies.freshness(found, site.now(), site.params.stale_days),
    }


def _years(span: tuple[datetime, datetime] | None, now: datetime) -> list[int]:
    first, last = (now, now) if span is None else span
    return list(range(first.year, last.year + 1))
