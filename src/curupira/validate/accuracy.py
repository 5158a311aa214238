"""Warnings against known truth, by the definitions of product.md section 8. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt

from curupira.validate import shapes
from curupira.validate.bins import BinScore, distance_bins, size_bins
from curupira.validate.delay import DelayCurve, quantile
from curupira.validate.found import FOUND_DAYS, EventTable, Watch, loss_per_year
from curupira.validate.matching import Alert, Event, Matches, block_of, match
from curupira.validate.scores import (
    Estimate,
    FrontierPoint,
    at_prevalence,
    frontier,
    rate,
    share,
    undefined,
)

WARNED_BY_DAYS = (6, 12, 24, 36, 60)
#: Operating points along the confidence, and the loss of forest per year to restate at.
UA_POINT, PA_POINT, LOSS_PER_YEAR = 0.98, 0.90, 0.002
#: Causes of false warnings that are always told, also at zero; ``speckle`` is the rest.
FALSE_CAUSES = ("rain", "flood", "wet", "slash", "border", "season", "speckle")
#: Rounding of areas that went through longitude and latitude.
_AREA_TOLERANCE = 1e-6

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Accuracy:
    """All scores; ``document`` writes them as product.md section 8 says.

    ``overlaps``: ``iou`` and ``boundary_iou`` of each true confirmed warning with its events.
    """

    watch: Watch
    min_area_ha: float
    events: int
    warnings: int
    estimates: Mapping[str, Estimate]
    warned_by: Mapping[int, Estimate]
    delays: Mapping[str, DelayCurve]
    false: Mapping[str, Estimate]
    false_by_cause: Mapping[str, Estimate]
    missed_by_cause: Mapping[str, Estimate]
    frontier: Sequence[FrontierPoint]
    by_size: Sequence[BinScore]
    by_distance: Sequence[BinScore]
    confusion: Mapping[str, Mapping[str, int]]
    overlaps: Mapping[str, Floats]
    loss_per_year: float

    def document(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        return {
            "preset": self.watch.preset,
            "min_area_ha": self.min_area_ha,
            **{name: value.document() for name, value in self.estimates.items()},
            "warned_by_days": {str(d): e.document() for d, e in self.warned_by.items()},
            **{
                name: {
                    "median": quantile(curve, 0.5).document(),
                    "p90": quantile(curve, 0.9).document(),
                }
                for name, curve in self.delays.items()
            },
            "false_per_1000km2_month": {
                **{name: value.document() for name, value in self.false.items()},
                "by_cause": {c: e.document() for c, e in self.false_by_cause.items()},
            },
            "missed_by_cause": {c: e.document() for c, e in self.missed_by_cause.items()},
            "by_size": [b.document("ha") for b in self.by_size],
            "by_distance": [b.document("m") for b in self.by_distance],
            "class_confusion": {k: dict(v) for k, v in self.confusion.items()},
            "events": self.events,
            "warnings": self.warnings,
            "monitored_km2": self.watch.monitored_km2,
            "since": self.watch.since.isoformat(),
            "end": self.watch.end.isoformat(),
            "revisit_days": self.watch.revisit_days,
            "loss_per_year": self.loss_per_year,
        }


def assess(
    alerts: Sequence[Alert],
    truth: Sequence[Event],
    watch: Watch,
    *,
    min_area_ha: float = 0.0,
    false_causes: Mapping[str, str] | None = None,
) -> Accuracy:
    """Compare warnings with the truth.

    Parameters
    ----------
    alerts, truth
        Geometries in one metric system. Events that do not begin after ``watch.since``, or begin
        after ``watch.end``, do not count.
    watch
        What was watched.
    min_area_ha
        Restricts the events of the producer's accuracies and delays, and the warnings judged; an
        event of any size makes a warning true.
    false_causes
        Cause by ``warning_id``; a false warning without one is ``speckle``.
    """
    every = [e for e in truth if watch.since < e.start <= watch.end]
    matches = match(alerts, every)
    limit = min_area_ha * (1 - _AREA_TOLERANCE)
    counted = np.array([e.area_ha >= limit for e in every], dtype=np.bool_)
    first = matches.first_found(len(every))[counted]
    view = EventTable(list(compress(every, counted)), first, watch)
    judged, confirmed = _judged(alerts, limit)
    true = matches.true_alerts(len(alerts))
    kept = list(compress(alerts, confirmed))
    kept_true = true[confirmed]
    blocks = block_of([a.geometry for a in kept])
    area = np.array([a.area_ha for a in kept], dtype=np.float64)
    distance = np.array([a.distance_m for a in kept])
    loss = loss_per_year(every, watch)
    points, operating = _operating_points(alerts, confirmed, true, matches, counted, view, every)
    pairs = shapes.pairs(alerts, every, matches, confirmed)
    overlaps, outlines = _outlines(pairs)
    estimates = _shares(view, kept_true, blocks, area, loss) | operating | outlines
    estimates["duplicates"] = _duplicates(matches, confirmed, counted, every)
    return Accuracy(
        watch=watch,
        min_area_ha=min_area_ha,
        events=len(view.events),
        warnings=len(kept),
        estimates=estimates,
        warned_by={d: share(view.from_start <= d, view.blocks) for d in WARNED_BY_DAYS},
        delays=view.delays(),
        false=_false(judged, confirmed, true, watch),
        false_by_cause=_false_by_cause(alerts, judged & ~true, watch, false_causes or {}),
        missed_by_cause=view.missed_by_cause(),
        frontier=points,
        by_size=size_bins(view.table(), area, kept_true, blocks),
        by_distance=distance_bins(view.table(), distance, kept_true, blocks),
        confusion=shapes.confusion(alerts, every, matches, confirmed),
        overlaps=overlaps,
        loss_per_year=loss,
    )


def _judged(alerts: Sequence[Alert], limit: float) -> tuple[Bools, Bools]:
    """Which warnings are judged, and which of these are confirmed."""
    judged = np.array([a.judged and a.area_ha >= limit for a in alerts], dtype=np.bool_)
    return judged, judged & np.array([a.confirmed is not None for a in alerts], dtype=np.bool_)


def _outlines(pairs: Sequence[shapes.Pair]) -> tuple[dict[str, Floats], dict[str, Estimate]]:
    """How outlines of warnings and events fit: of every pair, and typically."""
    overlaps = {"boundary_iou": shapes.rims(pairs), "iou": shapes.overlaps(pairs)}
    ratios = overlaps | {"area_ratio": shapes.area_ratios(pairs)}
    return overlaps, {name: shapes.typical(pairs, values) for name, values in ratios.items()}


def _shares(
    view: EventTable, true: Bools, blocks: npt.NDArray[np.int64], area: Floats, loss: float
) -> dict[str, Estimate]:
    """User's accuracies of the confirmed warnings, producer's of the events."""
    seen = view.visible
    ua = share(true, blocks)
    return {
        "ua_count": ua,
        "ua_area": share(true, blocks, area),
        "ua_at_prevalence": at_prevalence(ua, loss, LOSS_PER_YEAR),
        "pa_all_count": share(view.in_time, view.blocks),
        "pa_all_area": share(view.in_time, view.blocks, view.area),
        "pa_count": share(view.seen_in_time[seen], view.blocks[seen]),
        "pa_area": share(view.seen_in_time[seen], view.blocks[seen], view.area[seen]),
    }


def _operating_points(
    alerts: Sequence[Alert],
    confirmed: Bools,
    true: Bools,
    matches: Matches,
    counted: Bools,
    view: EventTable,
    every: Sequence[Event],
) -> tuple[list[FrontierPoint], dict[str, Estimate]]:
    """Frontier along the confidence of confirmed warnings, and its two operating points."""
    confidence = np.array([a.confidence for a in alerts], dtype=np.float64)
    best = np.full(len(every), -np.inf)
    for a, e, found in zip(matches.alert, matches.event, matches.found, strict=True):
        timely = 0 <= found <= every[e].start.toordinal() + FOUND_DAYS
        if timely and confirmed[a] and np.isfinite(confidence[a]):
            best[e] = max(best[e], confidence[a])
    best = best[counted]
    points = frontier(confidence[confirmed], true[confirmed], best, len(view.events))
    blocks = block_of([a.geometry for a in alerts])
    out = {"pa_at_ua98": undefined(len(view.events)), "ua_at_pa90": undefined(int(confirmed.sum()))}
    precise = [p for p in points if p.ua >= UA_POINT]
    if precise and view.events:
        level = max(precise, key=lambda p: p.pa_all).confidence
        out["pa_at_ua98"] = share(best >= level, view.blocks)
    complete = [p for p in points if p.pa_all >= PA_POINT]
    if complete:
        kept = confirmed & (confidence >= max(complete, key=lambda p: p.ua).confidence)
        out["ua_at_pa90"] = share(true[kept], blocks[kept])
    return points, out


def _duplicates(
    matches: Matches, confirmed: Bools, counted: Bools, every: Sequence[Event]
) -> Estimate:
    """Share of the warned events that have more than one confirmed warning."""
    own = confirmed[matches.alert] if matches.alert.size else np.empty(0, dtype=np.bool_)
    times = np.bincount(matches.event[own], minlength=len(every))
    warned = (times > 0) & counted
    blocks = block_of([e.geometry for e in every])
    return share(times[warned] > 1, blocks[warned])


def _false(judged: Bools, confirmed: Bools, true: Bools, watch: Watch) -> dict[str, Estimate]:
    """False warnings by the highest status they reached."""
    return {
        "preliminary": rate(int((judged & ~confirmed & ~true).sum()), watch.months_1000km2),
        "confirmed": rate(int((confirmed & ~true).sum()), watch.months_1000km2),
    }


def _false_by_cause(
    alerts: Sequence[Alert], false: Bools, watch: Watch, causes: Mapping[str, str]
) -> dict[str, Estimate]:
    counts = Counter(
        causes.get(a.warning_id, "speckle") for a, f in zip(alerts, false, strict=True) if f
    )
    names = dict.fromkeys((*FALSE_CAUSES, *sorted(counts)))
    return {name: rate(counts[name], watch.months_1000km2) for name in names}
