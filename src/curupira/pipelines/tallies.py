"""Tables and figures of the dashboard, and the metrics, from the store."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any

import numpy as np
import shapely
from sqlalchemy.orm import Session

from curupira.codes import ClosedReason, IntensityClass, Status, VerdictSource
from curupira.config import Workspace
from curupira.pipelines.status import coverage
from curupira.store import acquisition as acquisitions
from curupira.store import review as reviews
from curupira.store import sample as samples
from curupira.store import search as searches
from curupira.store.search import Search
from curupira.store.session import Store
from curupira.validate import agreement, verdicts
from curupira.validate.agreement import Judged

#: Radius of the kernel of the heat map, km (Doblas et al. 2022, Figure 9), and side of its cells.
KERNEL_KM, CELL_KM = 50.0, 10.0
_MOST_CELLS = 40_000
_NAMES = ("warning_id", "status", "closed_reason", "intensity_class", "area_ha", "issued_at")
_MORE = ("first_flag_date", "delay_from_flag_days", "verdict", "verdict_source", "geom")


def dashboard(
    workspace: Workspace, store: Store, search: Search, *, people: bool
) -> dict[str, Any]:
    """Everything that the dashboard shows of what a search finds (docs/web.md).

    ``people``: whether the work of the interpreters is shown, by name.
    """
    with store.reading() as session:
        rows = [
            dict(zip((*_NAMES, *_MORE), values, strict=True))
            for values in searches.columns(session, search, (*_NAMES, *_MORE))
        ]
        judged = _judged(session, rows)
        field = [j for r, j in judged if r["verdict_source"] is VerdictSource.FIELD]
        passes = acquisitions.in_order(session)
        work = _interpreters(session) if people else None
    shown = [r for r in rows if r["closed_reason"] is not ClosedReason.MERGED]
    every = [j for _, j in judged]
    return {
        "counts": _counts(shown),
        "agreement": agreement_json(every),
        "accuracy": accuracy_json([j for _, j in judged if j.probability is not None]),
        "field": agreement_json(field) | {"accuracy": accuracy_json(field)},
        "timeline_issued": _timeline(shown, "issued_at"),
        "timeline_flagged": _timeline(shown, "first_flag_date"),
        "delay": _delay(shown),
        "cadence": [{"orbit": p.relative_orbit, "day": p.day.isoformat()} for p in passes],
        "interpreters": work,
        "monitored": coverage(workspace),
        "heat": _heat(shown),
        "season": _season(shown),
    }


def _judged(
    session: Session, rows: Sequence[dict[str, Any]]
) -> list[tuple[dict[str, Any], Judged]]:
    """Warnings with a verdict; the probability is of the draw they were part of."""
    drawn = {
        s.warning_id: s
        for day in samples.days(session)
        for s in samples.of_day(session, day)
        if s.drawn or s.stratum == "automatic"
    }
    found = []
    for row in rows:
        if row["verdict"] is None:
            continue
        sample = drawn.get(row["warning_id"])
        probability = None if sample is None else sample.inclusion_probability
        found.append(
            (row, Judged(row["intensity_class"], row["verdict"], row["area_ha"], probability))
        )
    return found


def judged_in(session: Session) -> list[Judged]:
    """All warnings with a verdict, for the agreement table."""
    search = Search()
    rows = [
        dict(zip((*_NAMES, *_MORE), values, strict=True))
        for values in searches.columns(session, search, (*_NAMES, *_MORE))
    ]
    kept = [r for r in rows if r["closed_reason"] is not ClosedReason.MERGED]
    return [j for _, j in _judged(session, kept)]


def agreement_json(judged: Sequence[Judged]) -> dict[str, Any]:
    """The agreement table as plain values."""
    return {
        "n": len(judged),
        "area_ha": round(sum(j.area_ha for j in judged), 4),
        "rows": [
            {
                "verdict": None if r.verdict is None else r.verdict.value,
                "category": r.category.value,
                "intensity_class": None if r.intensity_class is None else r.intensity_class.value,
                "n": r.n,
                "area_ha": round(r.area_ha, 4),
                "share_n": round(r.share_n, 6),
                "share_area": round(r.share_area, 6),
            }
            for r in agreement.agreement_table(judged)
        ],
    }


def accuracy_json(judged: Sequence[Judged]) -> dict[str, Any]:
    """User's accuracy by number and by area, the four ways."""
    return {
        name: {k: v.as_json() for k, v in agreement.user_accuracy(judged, by_area=area).items()}
        for name, area in (("ua_count", False), ("ua_area", True))
    }


def _counts(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for status in Status:
        for kind in IntensityClass:
            members = [r for r in rows if (r["status"], r["intensity_class"]) == (status, kind)]
            found.append({"status": status.value, "intensity_class": kind.value} | _sum(members))
    return found


def _sum(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"n": len(rows), "area_ha": round(sum(r["area_ha"] for r in rows), 4)}


def _timeline(rows: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    by_day: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        moment = row[name]
        day = moment.date() if isinstance(moment, datetime) else moment
        by_day[day.isoformat()].append(row)
    return [{"day": day} | _sum(members) for day, members in sorted(by_day.items())]


def _delay(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    days = sorted(r["delay_from_flag_days"] for r in rows if r["delay_from_flag_days"] is not None)
    density = [{"days": d, "n": n} for d, n in sorted(Counter(days).items())]
    if not days:
        return {"median": None, "p90": None, "density": []}
    return {
        "median": float(median(days)),
        "p90": float(np.percentile(days, 90)),
        "density": density,
    }


def _season(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    wet = [r for r in rows if r["first_flag_date"].month in (11, 12, 1, 2, 3)]
    dry = [r for r in rows if r["first_flag_date"].month not in (11, 12, 1, 2, 3)]
    return {"november_march": _sum(wet), "rest": _sum(dry)}


def _heat(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Disturbed m2 per hectare of ground within 50 km of each cell's centre."""
    found: dict[str, Any] = {"radius_km": KERNEL_KM, "cells": []}
    if not rows:
        return found
    points = shapely.get_coordinates(shapely.centroid([r["geom"] for r in rows]))
    area = np.array([r["area_ha"] for r in rows], dtype=np.float64)
    lat0 = float(points[:, 1].mean())
    km = np.array([111.32 * math.cos(math.radians(lat0)), 111.32])
    place = points * km
    low, high = place.min(axis=0) - KERNEL_KM, place.max(axis=0) + KERNEL_KM
    side = max(CELL_KM, math.sqrt(float(np.prod(high - low)) / _MOST_CELLS))
    tree = shapely.STRtree(shapely.points(place))
    xs, ys = (np.arange(low[k] + side / 2, high[k], side) for k in (0, 1))
    centres = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    near = tree.query(shapely.points(centres), predicate="dwithin", distance=KERNEL_KM)
    total = np.bincount(near[0], area[near[1]], minlength=len(centres))
    ground_ha = math.pi * KERNEL_KM**2 * 100
    for k in np.flatnonzero(total):
        lon, lat = centres[k] / km
        found["cells"].append(
            {
                "lon": round(float(lon), 4),
                "lat": round(float(lat), 4),
                "m2_per_ha": round(float(total[k]) * 1e4 / ground_ha, 4),
            }
        )
    return found


def _interpreters(session: Session) -> list[dict[str, Any]]:
    """Work of each person, and how often two agree where both voted."""
    by_person: dict[str, list[Any]] = defaultdict(list)
    agreed: Counter[str] = Counter()
    both: Counter[str] = Counter()
    for log in reviews.by_warning(session).values():
        kept = verdicts.standing(log)
        for vote in kept:
            by_person[vote.interpreter].append(vote)
            for other in kept:
                if other.interpreter != vote.interpreter:
                    both[vote.interpreter] += 1
                    agreed[vote.interpreter] += other.verdict == vote.verdict
    found = []
    for name, votes in sorted(by_person.items()):
        spent = [v.seconds_spent for v in votes if v.seconds_spent is not None]
        found.append(
            {
                "name": name,
                "votes": len(votes),
                "seconds_median": median(spent) if spent else None,
                "agreement": agreed[name] / both[name] if both[name] else None,
                "compared": both[name],
            }
        )
    return found


def freshness(found: dict[str, Any], now: datetime, stale_days: int) -> dict[str, Any]:
    """Age of the newest image, from what ``status.collect`` says."""
    last, run = found["last_scene"], found["last_run"]
    acquired = None if last is None else last["acquired"]
    age = None
    if acquired is not None:
        day = date.fromisoformat(acquired[:10])
        age = (now.astimezone(UTC).date() - day).days
    return {
        "last_scene": acquired,
        "last_run": None if run is None else run["finished_at"],
        "age_days": age,
        "stale": age is None or timedelta(days=age) > timedelta(days=stale_days),
    }


def prometheus(found: dict[str, Any], fresh: dict[str, Any]) -> str:
    """Metrics in Prometheus' text format."""
    lines = []

    def gauge(name: str, text: str, values: dict[str, float], label: str = "") -> None:
        lines.append(f"# HELP curupira_{name} {text}")
        lines.append(f"# TYPE curupira_{name} gauge")
        for key, value in values.items():
            labels = f'{{{label}="{key}"}}' if label else ""
            lines.append(f"curupira_{name}{labels} {value}")

    gauge("warnings", "Warnings by status", found["warnings"], "status")
    gauge("scenes", "Scenes by state", found["scenes"], "state")
    gauge("gaps", "Pauses in the orbits' images", {"": len(found["gaps"])})
    gauge("pending_evaluation", "Acquisitions to evaluate", {"": found["pending_evaluation"]})
    age = -1 if fresh["age_days"] is None else fresh["age_days"]
    gauge("last_scene_age_days", "Days since the newest image; -1 without any", {"": age})
    gauge("stale", "Whether the newest image is too old", {"": int(fresh["stale"])})
    return "\n".join(lines) + "\n"
