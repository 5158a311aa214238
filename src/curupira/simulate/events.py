"""Disturbances: how many, when, where, and how each one darkens. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt

from curupira.simulate.landscape import FOREST, Landscape
from curupira.simulate.params import District, EventsWorld, World
from curupira.simulate.placement import (
    Place,
    Placer,
    area_quantile,
    distance_quantile,
    even_ranks,
    pair_distances,
)
from curupira.simulate.scenes import Pass
from curupira.simulate.sequences import (
    Sequence,
    SequenceNumbers,
    draw_sequence,
    drop_series,
    settled_drop,
    soil_wetness,
)

Days = npt.NDArray[np.float64]

#: An event is visible where the truth's mean VH over it lies this far below forest (product.md 8).
VISIBLE_DB = 2.0


@dataclass(frozen=True, slots=True)
class Event:
    """One disturbance. Drops are dB below the forest that was there, ``(pass,)``, NaN before it."""

    event_id: int
    kind: str
    area_ha: float
    start_days: int
    growth_days: float
    target_distance_m: float
    shape: str
    sequence: Sequence
    settled_drop_db: float
    vh_drop_db: npt.NDArray[np.float32]
    vv_drop_db: npt.NDArray[np.float32]
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The passes' days since the first day of the world, and what monitoring means in them."""

    days: Days
    months: npt.NDArray[np.int64]
    since_days: int
    last_days: int
    revisit_days: int

    @classmethod
    def of(cls, passes: list[Pass], first: date, since: date, revisit_days: int) -> Timeline:
        """Timeline of a district's passes."""
        days = np.array([(p.day - first).days for p in passes], dtype=np.float64)
        return cls(
            days=days,
            months=np.array([p.day.month for p in passes], dtype=np.int64),
            since_days=(since - first).days,
            last_days=int(days[-1]),
            revisit_days=revisit_days,
        )

    @property
    def monitored_years(self) -> float:
        """Length of the monitored time."""
        return (self.last_days - self.since_days + 1) / 365.25


def draw_events(
    world: World, district: District, landscape: Landscape, timeline: Timeline
) -> list[Event]:
    """Draw the disturbances of the monitored time and place them on free forest.

    Areas, distances, days and behaviours are drawn at evenly spread ranks of their distributions,
    so that a small district keeps to them. Districts of ``guarantee_km`` and more hold at least
    ``minimum_large`` events of ``large_ha`` that are visible early enough: where fewer were drawn,
    others above 0.5 ha are drawn again until they are.
    """
    p = world.events
    side_km = landscape.shape[0] * world.place.resolution_m / 1000
    count = round(p.per_km2_year * side_km**2 * timeline.monitored_years)
    rng = district.rng("events", "draw")
    areas = area_quantile(even_ranks(count, rng), p)
    starts = _start_days(count, p, world.place.first_day, timeline, rng)
    ranks = even_ranks(count, rng)
    shapes = rng.choice(list(p.shapes), p=list(p.shapes.values()), size=count)
    draft = _Draft(world, district, timeline)
    events = [
        draft.event(i, float(areas[i]), int(starts[i]), str(shapes[i]), float(ranks[i]))
        for i in range(count)
    ]
    if side_km >= p.guarantee_km:
        events = _guarantee(events, draft, p, timeline, district)
    return _place_all(events, world, district, landscape)


class _Draft:
    """Draws single events of a district, not yet placed."""

    def __init__(self, world: World, district: District, timeline: Timeline) -> None:
        self._world = world
        self._district = district
        self._timeline = timeline
        self._numbers = SequenceNumbers.of(world.sequence, district)
        self._wetness = soil_wetness(world.sequence, district, timeline.months)

    def event(
        self, number: int, area_ha: float, start: int, shape: str, rank: float, attempt: int = 0
    ) -> Event:
        p = self._world.sequence
        rng = self._district.rng("event", number, attempt)
        sequence = draw_sequence(p, self._numbers, rank, rng)
        vh, vv = drop_series(
            sequence, self._timeline.days - start, self._wetness, p, self._numbers, rng
        )
        pace = float(np.exp(rng.uniform(*np.log(self._world.events.growth_ha_per_day))))
        return Event(
            event_id=number + 1,
            kind="clearing",
            area_ha=area_ha,
            start_days=start,
            growth_days=area_ha / pace,
            target_distance_m=0.0,
            shape=shape,
            sequence=sequence,
            settled_drop_db=settled_drop(sequence, p),
            vh_drop_db=vh,
            vv_drop_db=vv,
        )


def cleared_share(event: Event, days: Days) -> Days:
    """Share of the event's final area that is cleared at each day (it grows evenly)."""
    if event.growth_days <= 0:
        return (days >= event.start_days).astype(np.float64)
    return np.clip((days - event.start_days) / event.growth_days, 0, 1)


def mean_drop(event: Event, days: Days) -> Days:
    """Drop (dB) of the mean VH over the event's final area below forest; 0 before it begins."""
    share = cleared_share(event, days)
    power = np.power(10.0, -np.nan_to_num(event.vh_drop_db.astype(np.float64)) / 10)
    return np.asarray(-10 * np.log10(1 - share + share * power))


def _qualifies(event: Event, p: EventsWorld, timeline: Timeline) -> bool:
    if event.area_ha < p.large_ha:
        return False
    limit = timeline.last_days - p.clear_of_end_revisits * timeline.revisit_days
    # A quarter of a dB in hand: pixels are whole, edges are not.
    seen = mean_drop(event, timeline.days) >= VISIBLE_DB + 0.25
    return bool((seen & (timeline.days <= limit)).any())


def _guarantee(
    events: list[Event], draft: _Draft, p: EventsWorld, timeline: Timeline, district: District
) -> list[Event]:
    found = list(events)
    missing = p.minimum_large - sum(_qualifies(e, p, timeline) for e in found)
    by_area = sorted(range(len(found)), key=lambda i: -found[i].area_ha)
    spare = [
        i for i in by_area if found[i].area_ha >= 0.5 and not _qualifies(found[i], p, timeline)
    ]
    for i in spare[: max(0, missing)]:
        rng = district.rng("guarantee", i)
        old = found[i]
        area = max(old.area_ha, p.large_ha * float(np.exp(rng.uniform(0.05, 1.0))))
        span = timeline.last_days - 4 * timeline.revisit_days - timeline.since_days
        for attempt in range(1, 60):
            late = old.start_days > timeline.since_days + max(span, 1)
            start = old.start_days
            if late or attempt > 10:
                start = timeline.since_days + int(rng.integers(0, max(span, 1)))
            again = draft.event(i, area, start, old.shape, float(rng.uniform(0, 0.6)), attempt)
            if _qualifies(again, p, timeline):
                found[i] = again
                break
    return found


def _start_days(
    count: int, p: EventsWorld, first: date, timeline: Timeline, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    days = np.arange(timeline.since_days, timeline.last_days + 1)
    stamps = np.datetime64(first, "D") + days
    months = stamps.astype("datetime64[M]").astype(int) % 12
    weight = np.asarray(p.month_weights)[months]
    cumulative = np.cumsum(weight) / weight.sum()
    place = np.searchsorted(cumulative, even_ranks(count, rng))
    return np.asarray(days[np.minimum(place, days.size - 1)], dtype=np.int64)


def _place_all(
    events: list[Event], world: World, district: District, landscape: Landscape
) -> list[Event]:
    p = world.events
    rng = district.rng("events", "place")
    placer = Placer(landscape, p, landscape.cover == FOREST, rng)
    areas = np.array([e.area_ha for e in events])
    distances = distance_quantile(even_ranks(len(events), rng), p, placer.maximum_m)
    paired = pair_distances(areas, distances, rng)
    placed = []
    # The largest first, while there is room.
    for i in np.argsort(-areas, kind="stable"):
        target = float(paired[i])
        place = placer.place(events[i].shape, events[i].area_ha, target)
        if place is not None:
            placed.append(replace(events[i], target_distance_m=target, place=place))
    placed.sort(key=lambda e: (e.start_days, e.event_id))
    return [replace(event, event_id=number) for number, event in enumerate(placed, start=1)]
