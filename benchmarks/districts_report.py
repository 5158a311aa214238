"""Scores of simulated districts that were run, pooled, side by side.

    python benchmarks/districts_report.py DIR --seeds 200 201 [--scenario default] \
        --runs curupira=TAG deter_r=TAG --commit HASH --json OUT

Reads what ``districts.py run --tag TAG`` kept in DIR. OUT holds a document of product.md section 8
for each run, and what it leaves open: how many false warnings lie on events begun before
``monitor_since``, preliminary warnings by their truth, points of the frontier, and which share of
all events the first run warned of a full revisit before the second. Of watches of more than a year
also the warnings first flagged from the second year on: by then what was felled before
``monitor_since``, and is counted as false, has been told or is on the map.
"""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely

from curupira.units import add_months
from curupira.validate.accuracy import assess
from curupira.validate.matching import block_of, match
from curupira.validate.pool import Case, pool
from curupira.validate.scores import rate, share

MIN_AREA_HA, ISSUED = 0.4, 0.9
#: Areas in metres to hectares; a warning of ten pixels is 0.4 ha.
LIMIT_HA = MIN_AREA_HA * (1 - 1e-6)


def load(folders: Sequence[Path], tag: str) -> tuple[list[Case], pd.DataFrame]:
    """Cases and observations of some districts."""
    cases = [pickle.loads((f / f"case_{tag}.pickle").read_bytes()) for f in folders]
    frames = [pd.read_parquet(f / f"observations_{tag}.parquet") for f in folders]
    return cases, pd.concat(frames, ignore_index=True)


def document(cases: Sequence[Case], rows: pd.DataFrame) -> dict[str, Any]:
    """One run: product.md section 8, and what is added."""
    case = pool(cases)
    causes = case.false_causes
    found = assess(
        case.alerts, case.events, case.watch, min_area_ha=MIN_AREA_HA, false_causes=causes
    )
    months = case.watch.months_1000km2
    step = max(1, len(found.frontier) // 12)
    return found.document() | {
        "exposure_km2_years": months * 1000 / 12,
        "false_on_older_events": _older(cases, months),
        "from_second_year": _settled(cases, rows),
        "preliminary_true": {
            "all": _preliminary(rows, 0.0),
            "from_0.4_ha": _preliminary(rows, LIMIT_HA),
        },
        "frontier": [
            {"confidence": p.confidence, "ua": p.ua, "pa_all": p.pa_all}
            for p in found.frontier[::step]
        ],
    }


def _older(cases: Sequence[Case], months: float) -> dict[str, Any]:
    """False confirmed warnings on an event older than the watch, and accuracy without them."""
    older = none = right = 0
    for case in cases:
        events = [e for e in case.events if case.watch.since < e.start <= case.watch.end]
        before = [e for e in case.events if e.start <= case.watch.since]
        kept = [a for a in case.alerts if a.judged and a.confirmed and a.area_ha >= LIMIT_HA]
        true = match(kept, events).true_alerts(len(kept))
        old = match(kept, before).true_alerts(len(kept))
        right += int(true.sum())
        older += int((~true & old).sum())
        none += int((~true & ~old).sum())
    outcome = np.repeat([True, False], [right, none])
    return {
        "older": older,
        "on_no_event": none,
        "ua_without_older": share(outcome, np.zeros(outcome.size, dtype=np.int64)).document(),
        "rate_without_older": rate(none, months).document(),
    }


def _settled(cases: Sequence[Case], rows: pd.DataFrame) -> dict[str, Any] | None:
    """Confirmed warnings first flagged a year after ``monitor_since`` or later, by the same rules.

    None where no district was watched so long.
    """
    first = rows.groupby(["district", rows.warning.astype(str)]).first_flag.min()
    outcome: list[bool] = []
    on_older, months = 0, 0.0
    for name, case in zip(rows.district.unique(), cases, strict=True):
        watch = replace(case.watch, since=add_months(case.watch.since, 12))
        if watch.since >= watch.end:
            continue
        months += watch.months_1000km2
        kept = [
            a
            for a in case.alerts
            if a.judged
            and a.confirmed
            and a.area_ha >= LIMIT_HA
            and first[name, a.warning_id] >= watch.since
        ]
        events = [e for e in case.events if case.watch.since < e.start <= case.watch.end]
        before = [e for e in case.events if e.start <= case.watch.since]
        true = match(kept, events).true_alerts(len(kept))
        outcome += true.tolist()
        on_older += int((~true & match(kept, before).true_alerts(len(kept))).sum())
    if not months:
        return None
    false = len(outcome) - sum(outcome)
    return {
        "exposure_km2_years": months * 1000 / 12,
        "false_confirmed": false,
        "on_older_events": on_older,
        "rate": rate(false, months).document(),
        "ua_count": share(np.array(outcome), np.zeros(len(outcome), dtype=np.int64)).document(),
    }


def _preliminary(rows: pd.DataFrame, area_ha: float) -> dict[str, Any]:
    """Share of the warnings issued as preliminary that were true as they were issued."""
    key = rows.district + "/" + rows.warning.astype(str)
    first = rows.assign(key=key).sort_values("day", kind="stable").groupby("key").head(1)
    waits = ~first.confirmed
    some = first[waits & (first.confidence >= ISSUED) & (first.n_pixels * 0.04 >= area_ha)]
    apart = 1e6 * some.district.astype("category").cat.codes
    places = [shapely.Point(x, y) for x, y in zip(some.x + apart, some.y, strict=True)]
    return share(some.true.to_numpy(dtype=bool), block_of(places)).document()


def lead(one: Sequence[Case], other: Sequence[Case], revisit_days: float) -> dict[str, Any]:
    """How much earlier the first run confirms than the second, event by event."""
    days: list[float] = []
    blocks: list[int] = []
    for number, (a, b) in enumerate(zip(one, other, strict=True)):
        events = [e for e in a.events if a.watch.since < e.start <= a.watch.end]
        counted = np.array([e.area_ha >= LIMIT_HA for e in events])
        first, second = (match(c.alerts, events).first_found(len(events)) for c in (a, b))
        with np.errstate(invalid="ignore"):
            days += np.where(np.isinf(first), -np.inf, second - first)[counted].tolist()
        blocks += [number] * int(counted.sum())
    ahead = np.array(days)
    both = ahead[np.isfinite(ahead)]
    return {
        "a_revisit_earlier": share(ahead >= revisit_days, np.array(blocks)).document(),
        "both_found": both.size,
        "median_lead_days_of_both": float(np.median(both)) if both.size else None,
    }


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--scenario", default="default")
    parser.add_argument("--revisit", type=int, default=12)
    parser.add_argument("--runs", nargs="+", required=True, metavar="NAME=TAG")
    parser.add_argument("--commit", default="")
    parser.add_argument("--json", type=Path, required=True)
    a = parser.parse_args()
    folders = [a.folder / f"{a.scenario}-{a.revisit:02d}d-{s}" for s in a.seeds]
    runs = {name: load(folders, tag) for name, _, tag in (r.partition("=") for r in a.runs)}
    out: dict[str, Any] = {"scenario": a.scenario, "seeds": a.seeds, "commit": a.commit}
    out |= {name: document(*run) for name, run in runs.items()}
    if len(runs) > 1:
        (one, _), (other, _), *_ = runs.values()
        out["lead"] = lead(one, other, a.revisit)
    a.json.write_text(json.dumps(out, indent=1) + "\n")
    for name in runs:
        shown = ("ua_count", "pa_all_count", "pa_count")
        print(name, {k: out[name][k] for k in shown}, out[name]["preliminary_true"])


if __name__ == "__main__":
    main()
