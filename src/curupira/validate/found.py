"""Events of the truth as arrays: when they were found, and why they were not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from curupira.validate.delay import DelayCurve, kaplan_meier
from curupira.validate.matching import Event, block_of
from curupira.validate.scores import Estimate, share

#: An event has to be found within so many days to count (product.md 8).
FOUND_DAYS = 60
#: An event is visible in time if that is so many revisits before the end.
REVISITS = 2
DAYS_PER_YEAR, DAYS_PER_MONTH = 365.25, 30.4375
#: Labels of the truth that explain a miss, the strongest first.
OUTSIDE_MASK = "outside_mask"
CAUSES = (OUTSIDE_MASK, "slash", "wet", "shadow", "regrown")

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


class EventTable:
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


def loss_per_year(events: Sequence[Event], watch: Watch) -> float:
    """Share of the monitored forest that the truth loses in a year."""
    lost_ha = sum(e.area_ha for e in events if OUTSIDE_MASK not in e.causes)
    exposure = watch.monitored_km2 * 100 * watch.years
    return lost_ha / exposure if exposure > 0 else 0.0
