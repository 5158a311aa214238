"""What is true of a district: its events and acquisitions, as tables. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from curupira.simulate.events import VISIBLE_DB, Event, Timeline, mean_drop
from curupira.simulate.scenes import Pass

#: An event that is darker than ``VISIBLE_DB`` only after so many days counts as bright slash.
BRIGHT_DAYS = 30
#: An event that is back above ``VISIBLE_DB`` for good within so many days counts as regrown.
REGROWN_DAYS = 60


def event_row(event: Event, timeline: Timeline, first: date) -> dict[str, Any]:
    """One row of the layer ``event``, without its geometry.

    ``kind`` is clearing, degradation or mine; ``in_map`` events began before the deforestation
    mask was last updated and are in it; ``outside_mask`` ones lie on land that the masks exclude.
    ``visible_date`` is the first acquisition at which the mean VH over the whole event lies
    ``VISIBLE_DB`` or more below forest, None if there is none. ``dark_date`` is the day on which
    the slash of the part begun first burns or dries and gives way to dark soil, None if it never
    does or the series ends before. ``stays_bright_days`` counts from
    the start to it, or to the last acquisition. ``causes`` are the labels, comma-separated, of
    what hides the event: slash, wet, regrown, outside_mask, shadow.
    """
    days = timeline.days
    drop = mean_drop(event, days)
    visible = np.flatnonzero(drop >= VISIBLE_DB)
    seen = float(days[visible[0]]) if visible.size else None
    place = event.place
    dark = event.start_days + event.sequence.slash_days
    return {
        "event_id": event.event_id,
        "kind": event.kind,
        "start_date": _iso(first, event.start_days),
        "end_date": _iso(first, event.start_days + event.growth_days),
        "dark_date": _iso(first, dark) if dark <= timeline.last_days else None,
        "visible_date": None if seen is None else _iso(first, seen),
        "area_ha": event.area_ha,
        "drop_vh_db": event.settled_drop_db,
        "drop_vv_db": event.settled_drop_db * event.sequence.vv_ratio,
        "stays_bright_days": int((timeline.last_days if seen is None else seen) - event.start_days),
        "outside_mask": event.outside_mask,
        "in_map": event.in_map,
        "distance_m": None if place is None else place.distance_m,
        "causes": ",".join(_causes(event, drop, seen, timeline)),
    }


def _iso(first: date, days: float) -> str:
    return (first + timedelta(days=int(np.ceil(days)))).isoformat()


def _causes(event: Event, drop: np.ndarray, seen: float | None, timeline: Timeline) -> list[str]:
    days = timeline.days
    end = timeline.last_days if seen is None else seen
    causes = []
    if end - event.start_days >= BRIGHT_DAYS:
        causes.append("slash")
    hidden = days < end
    dark = days >= event.start_days + event.sequence.slash_days + event.growth_days
    if event.sequence.darkens and (dark & hidden).any():
        causes.append("wet")
    without = mean_drop(replace(event, edge_db=np.zeros_like(event.edge_db)), days)
    if (hidden & (without >= VISIBLE_DB)).any():
        causes.append("shadow")
    if seen is not None:
        later = days > seen + REGROWN_DAYS
        if later.any() and np.nanmedian(drop[later]) < VISIBLE_DB:
            causes.append("regrown")
    if event.outside_mask or event.in_map:
        causes.append("outside_mask")
    return causes


def acquisition_row(scene: Pass, wetness: float, rain_share: float) -> dict[str, Any]:
    """One row of the layer ``acquisition``.

    ``rain_share`` is the share of the district that lost more than the rain mask's limit;
    ``soil_wetness`` 0 (dry) to 1.
    """
    return {
        "scene_id": scene.name,
        "date": scene.day.isoformat(),
        "acquired": scene.acquired.isoformat(),
        "created": scene.created.isoformat(),
        "platform": scene.platform,
        "relative_orbit": scene.relative_orbit,
        "orbit_state": str(scene.orbit_state),
        "rain_share": rain_share,
        "soil_wetness": wetness,
    }
