"""Health and metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from curupira.pipelines import tallies
from curupira.pipelines.status import collect
from curupira.serve.site import SiteHere

router = APIRouter(tags=["health"])


@router.get("/health")
def health(site: SiteHere) -> dict[str, Any]:
    """How fresh the workspace is; without names of scenes' faults, and for anybody."""
    found = collect(site.workspace)
    fresh = tallies.freshness(found, site.now(), site.params.stale_days)
    state = "empty" if found["last_scene"] is None else "stale" if fresh["stale"] else "ok"
    run = found["last_run"]
    return {
        "status": state,
        "last_scene": found["last_scene"],
        "last_run": None if run is None else {k: run[k] for k in ("state", "finished_at")},
        "age_days": fresh["age_days"],
        "scenes": found["scenes"],
        "warnings": found["warnings"],
    }


@router.get("/metrics")
def metrics(site: SiteHere) -> Response:
    """The same for Prometheus."""
    found = collect(site.workspace)
    fresh = tallies.freshness(found, site.now(), site.params.stale_days)
    return Response(
        tallies.prometheus(found, fresh), media_type="text/plain; version=0.0.4; charset=utf-8"
    )
