"""What a workspace warned, event by event of a known truth: the demo's summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import geopandas as gpd
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.codes import ClosedReason
from curupira.config import Workspace
from curupira.grid import SIRGAS_2000, project
from curupira.store import acquisition as acquisitions
from curupira.store import scene as scenes
from curupira.store import warning as warnings
from curupira.store.session import Store

#: A warning meets an event if at least this share of either lies in the other (product.md 8).
OVERLAP = 0.25
_GONE = (ClosedReason.MERGED, ClosedReason.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class Issued:
    """One warning. ``geometry`` is in the grid's CRS; ``confirming`` is the acquisition day."""

    geometry: BaseGeometry
    area_ha: float
    confirmed: bool
    confirming: date | None


@dataclass(frozen=True, slots=True)
class Event:
    """One true event; ``geometry`` in the grid's CRS, ``day`` its first."""

    name: str
    geometry: BaseGeometry
    day: date
    area_ha: float


@dataclass(frozen=True, slots=True)
class Met:
    """An event and the best warning on it: confirmed before preliminary, then the earliest."""

    event: Event
    warning: Issued | None

    @property
    def days(self) -> int | None:
        """Days from the event to the acquisition that confirmed it."""
        if self.warning is None or self.warning.confirming is None:
            return None
        return (self.warning.confirming - self.event.day).days


@dataclass(frozen=True, slots=True)
class Findings:
    """Warnings of a workspace against its truth; without a truth ``met`` is empty."""

    evaluated: int
    met: list[Met]
    warned: list[Issued]
    other: list[Issued]


def collect(workspace: Workspace, truth: Sequence[Event]) -> Findings:
    """Match all warnings that were not merged or withdrawn with the events that they could show."""
    with (
        Store.open(workspace.monitor.store.url, base=workspace.folder, create=False) as store,
        store.reading() as session,
    ):
        days = {s.scene_id: s.acquired.date() for s in scenes.ingested(session)}
        rows = [r for r in warnings.query(session) if r.closed_reason not in _GONE]
        since = workspace.monitor.algorithm.monitor_since
        evaluated = sum(row.day >= since for row in acquisitions.in_order(session))
        crs = str(workspace.grid.crs)
        issued = [
            Issued(
                project(row.geom, SIRGAS_2000, crs),
                float(row.area_ha),
                row.confirmed_at is not None,
                days.get(row.confirming_scene or ""),
            )
            for row in rows
        ]
    met = [Met(event, _best(event, issued)) for event in truth]
    other = [w for w in issued if not any(_meets(w, event) for event in truth)]
    return Findings(evaluated, met, issued, other)


def events_of(frame: gpd.GeoDataFrame, crs: str, *, name: str, day: str) -> list[Event]:
    """Events from a truth layer with ``area_ha`` and columns for name and first day."""
    return [
        Event(
            str(row[name]),
            row.geometry,
            date.fromisoformat(str(row[day])[:10]),
            float(row["area_ha"]),
        )
        for _, row in frame.to_crs(crs).iterrows()
    ]


def _best(event: Event, issued: Sequence[Issued]) -> Issued | None:
    meeting = [
        w
        for w in issued
        if _meets(w, event) and (w.confirming is None or w.confirming >= event.day)
    ]
    return min(
        meeting, key=lambda w: (not w.confirmed, w.confirming or date.max, -w.area_ha), default=None
    )


def _meets(warning: Issued, event: Event) -> bool:
    if not warning.geometry.intersects(event.geometry):
        return False
    common = shapely.intersection(warning.geometry, event.geometry).area
    return bool(common >= OVERLAP * min(warning.geometry.area, event.geometry.area))
