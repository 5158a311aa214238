"""Warnings against known truth, by the definitions of product.md section 8. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from curupira.validate import shapes
from curupira.validate.bins import BinScore, distance_bins, size_bins
from curupira.validate.delay import DelayCurve, kaplan_meier, quantile
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

#: An event has to be found within so many days to count (product.md 8).
FOUND_DAYS = 60
WARNED_BY_DAYS = (6, 12, 24, 36, 60)
#: Operating points along the confidence, and the loss of forest per year to restate at.
UA_POINT, PA_POINT, LOSS_PER_YEAR = 0.98, 0.90, 0.002
#: An event is visible in time if that is so many revisits before the end.
REVISITS = 2
DAYS_PER_YEAR, DAYS_PER_MONTH = 365.25, 30.4375
#: Labels of the truth that explain a miss, the strongest first.
OUTSIDE_MASK = "outside_mask"
CAUSES = (OUTSIDE_MASK, "slash", "wet", "shadow", "regrown")
#: Rounding of areas that went through longitude and latitude.
_AREA_TOLERANCE = 1e-6

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Watch:
    """What was watched: forest in km2, from ``since`` to the last acquisition on ``end``.

    ``known`` is the day of the product clock up to which warnings are known; ``revisit_days`` the
    usual pause between acquisitions.
    """

    preset: str
    since: date
    end: date
    known: date
    revisit_days: float
    monitored_km2: float

    @property
    def years(self) -> float:
        """Length of the monitored time."""
        return max(0, (self.end - self.since).days) / DAYS_PER_YEAR

    @property
    def months_1000km2(self) -> float:
        """Exposure of the false rate: thousand km2 times months."""
        return self.monitored_km2 / 1000 * self.years * DAYS_PER_YEAR / DAYS_PER_MONTH


@dataclass(frozen=True)
class Accuracy:
    """All scores; ``document`` writes them as product.md section 8 says."""

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
    first = matches.first_found(len(every))
    counted = np.array([e.area_ha >= limit for e in every], dtype=np.bool_)
    view = _Events([e for e, c in zip(every, counted, strict=True) if c], first[counted], watch)
    judged = np.array([a.judged and a.area_ha >= limit for a in alerts], dtype=np.bool_)
    confirmed = judged & np.array([a.confirmed is not None for a in alerts], dtype=np.bool_)
    true = matches.true_alerts(len(alerts))
    kept = [a for a, c in zip(alerts, confirmed, strict=True) if c]
    kept_true = true[confirmed]
    blocks = block_of([a.geometry for a in kept])
    area = np.array([a.area_ha for a in kept], dtype=np.float64)
    loss = _loss_per_year(every, watch)
    ua = share(kept_true, blocks)
    estimates = {
        "ua_count": ua,
        "ua_area": share(kept_true, blocks, area),
        "ua_at_prevalence": at_prevalence(ua, loss, LOSS_PER_YEAR),
        "pa_all_count": share(view.in_time, view.blocks),
        "pa_all_area": share(view.in_time, view.blocks, view.area),
        "pa_count": share(view.seen_in_time[view.visible], view.blocks[view.visible]),
        "pa_area": share(
            view.seen_in_time[view.visible], view.blocks[view.visible], view.area[view.visible]
        ),
    }
    points, operating = _operating_points(alerts, confirmed, true, matches, counted, view, every)
    pairs = shapes.pairs(alerts, every, matches, confirmed)
    estimates |= operating | {
        "duplicates": _duplicates(matches, confirmed, counted, every),
        "boundary_iou": shapes.rims(pairs),
        "iou": shapes.overlaps(pairs),
        "area_ratio": shapes.area_ratio(pairs),
    }
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
        by_distance=distance_bins(
            view.table(), np.array([a.distance_m for a in kept]), kept_true, blocks
        ),
        confusion=shapes.confusion(alerts, every, matches, confirmed),
        loss_per_year=loss,
    )


class _Events:
    """The events that the producer's accuracies rest on, as arrays."""

    def __init__(self, events: Sequence[Event], first: Floats, watch: Watch) -> None:
        self.events, self.watch, self.first = events, watch, first
        self.start = np.array([e.start.toordinal() for e in events], dtype=np.float64)
        self.appears = np.array(
            [np.nan if e.visible is None else e.visible.toordinal() for e in events],
            dtype=np.float64,
        )
        self.area = np.array([e.area_ha for e in events], dtype=np.float64)
        self.blocks = block_of([e.geometry for e in events])
        self.from_start = first - self.start
        self.in_time: Bools = self.from_start <= FOUND_DAYS
        latest = watch.end - timedelta(days=round(REVISITS * watch.revisit_days))
        self.visible: Bools = self.appears <= latest.toordinal()
        self.seen_in_time: Bools = first - self.appears <= FOUND_DAYS

    def table(self) -> dict[str, npt.NDArray[Any]]:
        """Columns for the bins."""
        return {
            "area": self.area,
            "distance": np.array([e.distance_m for e in self.events], dtype=np.float64),
            "blocks": self.blocks,
            "in_time": self.in_time,
            "visible": self.visible,
            "seen_in_time": self.seen_in_time,
        }

    def delays(self) -> dict[str, DelayCurve]:
        """From becoming visible (events that do), and from the start; the rest is censored."""
        known = self.watch.known.toordinal()
        found = np.isfinite(self.first)
        curves = {}
        for name, origin in (("delay_days", self.appears), ("delay_from_event_days", self.start)):
            has = np.isfinite(origin)
            days = np.where(found, self.first, known) - origin
            curves[name] = kaplan_meier(np.maximum(days[has], 0), found[has])
        return curves

    def missed_by_cause(self) -> dict[str, Estimate]:
        """Share of all events that were not found within 60 days of their start, by cause.

        ``undetected``: visible in time, but not found within 60 days of that. Others carry the
        truth's first label, or ``end_of_series`` where 60 days were not left, or ``other``.
        """
        end = self.watch.known.toordinal()
        causes = []
        for k, event in enumerate(self.events):
            labels = [c for c in CAUSES if c in event.causes]
            if self.in_time[k]:
                causes.append("")
            elif self.visible[k] and not self.seen_in_time[k] and OUTSIDE_MASK not in labels:
                causes.append("undetected")
            elif labels:
                causes.append(labels[0])
            else:
                causes.append("end_of_series" if self.start[k] + FOUND_DAYS > end else "other")
        names = (*CAUSES, "undetected", "end_of_series", "other")
        labelled = np.array(causes, dtype=object)
        return {name: share(labelled == name, self.blocks) for name in names}


def _loss_per_year(events: Sequence[Event], watch: Watch) -> float:
    """Share of the monitored forest that the truth loses in a year."""
    lost_ha = sum(e.area_ha for e in events if OUTSIDE_MASK not in e.causes)
    exposure = watch.monitored_km2 * 100 * watch.years
    return lost_ha / exposure if exposure > 0 else 0.0


def _operating_points(
    alerts: Sequence[Alert],
    confirmed: Bools,
    true: Bools,
    matches: Matches,
    counted: Bools,
    view: _Events,
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


#: Causes of false warnings that are always told, also at zero; ``speckle`` is the rest.
FALSE_CAUSES = ("rain", "flood", "wet", "slash", "border", "season", "speckle")
