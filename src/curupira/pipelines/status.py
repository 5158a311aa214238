"""How fresh a workspace is: what ``curupira status`` and later the health page tell."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from sqlalchemy.orm import Session

from curupira.config import Workspace
from curupira.pipelines.masks import RECORD
from curupira.store import acquisition as acquisitions
from curupira.store import delivery as deliveries
from curupira.store import run as runs
from curupira.store import scene as scenes
from curupira.store import warning as warnings
from curupira.store.session import Store
from curupira.store.tables import AcquisitionRow, RunRow, SceneRow

#: A pause longer than this many usual intervals is a gap.
GAP_FACTOR = 1.5
#: Images per day are counted over so many days up to the last one.
RATE_DAYS = 60


def collect(workspace: Workspace) -> dict[str, Any]:
    """Everything that ``status --json`` says (product.md section 8), as plain values."""
    with (
        Store.open(workspace.monitor.store.url, base=workspace.folder, create=True) as store,
        store.reading() as session,
    ):
        last = scenes.latest(session)
        passes = acquisitions.in_order(session)
        counts = scenes.counts(session)
        return {
            **newest(session),
            "scenes": {state.value: n for state, n in counts.items()},
            "quarantined": [
                {"scene": row.scene_id, "reason": row.reason} for row in scenes.quarantined(session)
            ],
            "warnings": {status.value: n for status, n in warnings.counts(session).items()},
            "gaps": gaps(passes),
            "images_per_day": images_per_day(passes),
            "pending_evaluation": sum(row.dirty for row in passes),
            "deliveries": deliveries.counts(session),
            "coverage_km2": coverage(workspace),
            "notice": _notice(workspace, last),
        }


def newest(session: Session) -> dict[str, Any]:
    """Last scene and last run, as ``collect`` says them."""
    last = scenes.latest(session)
    scene = None
    if last is not None:
        scene = {
            "scene": last.scene_id,
            "acquired": _iso(last.acquired),
            "created": _iso(last.created),
        }
    return {"last_scene": scene, "last_run": _run(runs.latest(session))}


def _notice(workspace: Workspace, last: SceneRow | None) -> str | None:
    """Why there can be no warnings yet, and what to do; None where there can be."""
    if last is None or last.acquired is None:
        return (
            "no image taken in yet: `curupira source check` tells what the source offers "
            "over the area"
        )
    since = workspace.monitor.algorithm.monitor_since
    if last.acquired.date() >= since:
        return None
    return (
        f"every image is from before {since} and serves as history only: to monitor the past, "
        "set an earlier day in [algorithm] monitor_since"
    )


def gaps(passes: Sequence[AcquisitionRow]) -> list[dict[str, Any]]:
    """Pauses of a relative orbit over 1.5 of its usual intervals."""
    by_orbit: dict[int, list[AcquisitionRow]] = {}
    for row in passes:
        by_orbit.setdefault(row.relative_orbit, []).append(row)
    found = []
    for orbit, rows in sorted(by_orbit.items()):
        days = [(b.acquired - a.acquired).total_seconds() / 86_400 for a, b in pairwise(rows)]
        usual = median(days) if days else 0.0
        found += [
            {
                "relative_orbit": orbit,
                "from": _iso(a.acquired),
                "to": _iso(b.acquired),
                "days": round(gap, 1),
                "usual_days": round(usual, 1),
            }
            for (a, b), gap in zip(pairwise(rows), days, strict=True)
            if gap > GAP_FACTOR * usual
        ]
    return found


def images_per_day(passes: Sequence[AcquisitionRow]) -> dict[str, float]:
    """Acquisitions of each satellite a day, over the 60 days that end with the last one."""
    if not passes:
        return {}
    start = max(row.acquired for row in passes) - timedelta(days=RATE_DAYS)
    recent = Counter(row.platform for row in passes if row.acquired > start)
    return {platform: round(n / RATE_DAYS, 3) for platform, n in sorted(recent.items())}


def coverage(workspace: Workspace) -> dict[str, float] | None:
    """Monitored and masked km2 of the area, or None before the masks are built."""
    path = workspace.path(workspace.monitor.masks.output) / RECORD
    if not path.is_file():
        return None
    km2: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["km2"]
    return km2


def in_words(found: dict[str, Any]) -> list[str]:
    """The same for people."""
    last = found["last_scene"]
    warned = found["warnings"]
    lines = [
        "last scene: " + (f"{last['scene']} acquired {last['acquired']}" if last else "none"),
        "last run: " + _run_in_words(found["last_run"]),
        f"scenes: {found['scenes']['ingested']} in, {found['scenes']['quarantined']} quarantined",
        f"warnings: {warned['preliminary']} preliminary, {warned['confirmed']} confirmed, "
        f"{warned['closed']} closed",
    ]
    if found["images_per_day"]:
        rates = ", ".join(f"{name} {rate:g}" for name, rate in found["images_per_day"].items())
        lines.append(f"images per day, last {RATE_DAYS} days: {rates}")
    if found["coverage_km2"]:
        km2 = found["coverage_km2"]
        lines.append(
            f"area: {km2['area']:g} km2, monitored {km2['monitored']:g}, masked {km2['masked']:g}"
        )
    if found["notice"]:
        lines.append(found["notice"])
    if found["pending_evaluation"]:
        lines.append(f"waiting for evaluation: {found['pending_evaluation']} acquisitions")
    lines += [f"quarantined {q['scene']}: {q['reason']}" for q in found["quarantined"]]
    lines += [
        f"gap: orbit {g['relative_orbit']}, {g['days']} days from {g['from'][:10]} "
        f"to {g['to'][:10]} (usually {g['usual_days']})"
        for g in found["gaps"]
    ]
    return lines


def _run_in_words(run: dict[str, Any] | None) -> str:
    if run is None:
        return "none"
    if run["finished_at"] is None:
        return f"{run['run_id']} running since {run['started_at']}, or killed: run it again"
    return f"{run['run_id']} {run['state']} {run['finished_at']}"


def _run(row: RunRow | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "run_id": row.run_id,
        "state": row.state.value,
        "started_at": _iso(row.started_at),
        "finished_at": _iso(row.finished_at),
        "counts": row.counts,
        "timings": row.timings,
        "message": row.message,
    }


def _iso(moment: Any) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
