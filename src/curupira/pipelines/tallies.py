"""Tables and figures of the dashboard, and the metrics, from the store."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy.orm import Session

from curupira.codes import IntensityClass, Status
from curupira.config import Workspace
from curupira.pipelines import assessed
from curupira.pipelines.heat import heat
from curupira.pipelines.status import coverage
from curupira.store import acquisition as acquisitions
from curupira.store import review as reviews
from curupira.store import search as searches
from curupira.store import sums
from curupira.store.search import Search
from curupira.store.session import Store
from curupira.validate import verdicts
from curupira.validate.compare import CLOUDY_MONTHS

#: Side of the squares that the heat map is summed over first, degrees (some 2 km).
_HEAT_DEG = 0.02


def dashboard(
    workspace: Workspace,
    store: Store,
    search: Search,
    *,
    people: bool,
) -> dict[str, Any]:
    """Everything that the dashboard shows of what a search finds (docs/web.md).

    Parameters
    ----------
    people
        Whether the work of the interpreters is shown, by name.
    """
    wanted = replace(search, merged=False)
    with store.reading() as session:
        counted = sums.by_class(session, wanted)
        issued, flagged = (sums.by_day(session, wanted, k) for k in ("issued", "flagged"))
        delays = sums.delays(session, wanted)
        places = searches.cells(session, wanted, _HEAT_DEG)
        found = assessed.assessed(session, search)
        progress = assessed.progress_json(session, search)
        passes = acquisitions.in_order(session)
        work = _interpreters(session) if people else None
    judged = [one.judged for one in found]
    field = [one.judged for one in found if one.in_field]
    return {
        "counts": [
            {"status": status.value, "intensity_class": kind.value}
            | _sum([counted.get((status, kind), (0, 0.0))])
            for status in Status
            for kind in IntensityClass
        ],
        "agreement": assessed.agreement_json(judged),
        "accuracy": progress | assessed.accuracy_json(judged),
        "field": assessed.agreement_json(field)
        | {
            "accuracy": assessed.field_accuracy_json(field),
            "points": assessed.field_points(found),
        },
        "years": assessed.by_year(found),
        "timeline_issued": _timeline(issued),
        "timeline_flagged": _timeline(flagged),
        "delay": delay_json(delays),
        "cadence": [{"orbit": p.relative_orbit, "day": p.day.isoformat()} for p in passes],
        "interpreters": work,
        "monitored": coverage(workspace),
        "heat": heat(places),
        "season": _season(flagged),
    }


def _sum(rows: Sequence[tuple[int, float]]) -> dict[str, Any]:
    return {"n": sum(n for n, _ in rows), "area_ha": round(sum(ha for _, ha in rows), 4)}


def _timeline(days: Sequence[tuple[date, int, float]]) -> list[dict[str, Any]]:
    return [{"day": day.isoformat()} | _sum([(n, ha)]) for day, n, ha in days]


def delay_json(delays: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Median and 90 % quantile (the smallest delay that so many keep), and each delay's number."""
    total, seen = sum(n for _, n in delays), 0
    found: dict[str, Any] = {"median": None, "p90": None}
    for days, n in delays:
        seen += n
        for name, share in (("median", 0.5), ("p90", 0.9)):
            if found[name] is None and seen >= share * total:
                found[name] = float(days)
    return found | {"density": [{"days": days, "n": n} for days, n in delays]}


def _season(flagged: Sequence[tuple[date, int, float]]) -> dict[str, Any]:
    cloudy = [(n, ha) for day, n, ha in flagged if day.month in CLOUDY_MONTHS]
    rest = [(n, ha) for day, n, ha in flagged if day.month not in CLOUDY_MONTHS]
    return {"november_march": _sum(cloudy), "rest": _sum(rest)}


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
