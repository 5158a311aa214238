"""How many disturbances there are, when, where, and how each one behaves. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from curupira.simulate.events import VISIBLE_DB, Event, Part, Timeline, mean_drop
from curupira.simulate.landscape import Landscape
from curupira.simulate.params import District, EventsWorld, World
from curupira.simulate.placement import (
    Placer,
    area_quantile,
    distance_quantile,
    even_ranks,
    pair_distances,
)
from curupira.simulate.sequences import (
    SequenceNumbers,
    draw_sequence,
    drop_series,
    partial,
    settled_drop,
    soil_wetness,
)

#: Covers with trees that the masks exclude.
_OUTSIDE_MASK = ("secondary", "flooded_forest")
#: Numbers of past events, apart from those of the monitored time.
_PAST = 1_000_000


def draw_events(world: World, draft: Draft, timeline: Timeline, side_km: float) -> list[Event]:
    """Draw the disturbances of the monitored time, not yet placed.

    Areas, distances, days and behaviours are drawn at evenly spread ranks of their distributions,
    so that a small district keeps to them. Districts of ``guarantee_km`` and more hold at least
    ``minimum_large`` events of ``large_ha`` that are visible early enough: where fewer were drawn,
    others above 0.5 ha are drawn again until they are.
    """
    p, district = world.events, draft.district
    count = round(p.per_km2_year * side_km**2 * timeline.monitored_years)
    rng = district.rng("events", "draw")
    areas = area_quantile(even_ranks(count, rng), p)
    span = (timeline.since_days, timeline.last_days)
    starts = _start_days(count, p, world.place.first_day, span, rng)
    ranks = even_ranks(count, rng)
    shapes = rng.choice(list(p.shapes), p=list(p.shapes.values()), size=count)
    events = [
        draft.event(i, float(areas[i]), int(starts[i]), str(shapes[i]), float(ranks[i]))
        for i in range(count)
    ]
    if side_km >= p.guarantee_km:
        events = _guarantee(events, draft, p, timeline, district)
    return events


class Draft:
    """Draws single events of a district, not yet placed.

    Parameters
    ----------
    world, district, timeline
        The scenario, its draws, and the passes.
    """

    def __init__(self, world: World, district: District, timeline: Timeline) -> None:
        self._world = world
        self.district = district
        self._timeline = timeline
        self._numbers = SequenceNumbers.of(world.sequence, district)
        self._wetness = soil_wetness(world.sequence, district, timeline.months)

    def event(
        self, number: int, area_ha: float, start: int, shape: str, rank: float, attempt: int = 0
    ) -> Event:
        """Draw event ``number``; another ``attempt`` gives another one, always a clearing."""
        p = self._world.sequence
        rng = self.district.rng("event", number, attempt)
        felled = self._world.place.first_day + timedelta(days=start)
        sequence, kind = draw_sequence(p, self._numbers, rank, felled, rng), "clearing"
        if attempt == 0 and rng.random() < self._world.events.degradation_share:
            kind = "degradation"
            sequence = partial(float(rng.uniform(*self._world.events.degradation_drop_db)))
        age = self._timeline.days - start
        surfaces = drop_series(sequence, age, self._wetness, p, self._numbers, rng)
        pace = float(np.exp(rng.uniform(*np.log(self._world.events.growth_ha_per_day))))
        return Event(
            event_id=number + 1,
            kind=kind,
            area_ha=area_ha,
            start_days=start,
            growth_days=area_ha / pace,
            shape=shape,
            sequence=sequence,
            settled_drop_db=settled_drop(sequence, p),
            parts=tuple(Part(kind, s.share, s.vh_drop_db, s.vv_drop_db) for s in surfaces),
            edge_db=np.zeros(age.size, dtype=np.float32),
        )


def _qualifies(event: Event, p: EventsWorld, timeline: Timeline) -> bool:
    if event.area_ha < p.large_ha:
        return False
    limit = timeline.last_days - p.clear_of_end_revisits * timeline.revisit_days
    # A quarter of a dB in hand: pixels are whole, edges are not.
    seen = mean_drop(event, timeline.days) >= VISIBLE_DB + 0.25
    return bool((seen & (timeline.days <= limit)).any())


def _guarantee(
    events: list[Event], draft: Draft, p: EventsWorld, timeline: Timeline, district: District
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
    count: int, p: EventsWorld, first: date, span: tuple[int, int], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    days = np.arange(span[0], span[1] + 1)
    stamps = np.datetime64(first, "D") + days
    months = stamps.astype("datetime64[M]").astype(int) % 12
    weight = np.asarray(p.month_weights)[months]
    cumulative = np.cumsum(weight) / weight.sum()
    place = np.searchsorted(cumulative, even_ranks(count, rng))
    return np.asarray(days[np.minimum(place, days.size - 1)], dtype=np.int64)


def place_events(
    events: list[Event],
    world: World,
    district: District,
    landscape: Landscape,
    free: npt.NDArray[np.bool_],
) -> list[Event]:
    """Place drawn events, the largest first; those without room are left out.

    Parameters
    ----------
    events
        Drawn, not placed.
    world, district, landscape
        The scenario, its draws, and what there is.
    free
        ``(y, x)`` forest that nothing has taken yet; loses what the events take.
    """
    p = world.events
    rng = district.rng("events", "place", len(events))
    forest = Placer(landscape, p, free, rng)
    excluded = [n for n, k in enumerate(landscape.covers.kind) if k in _OUTSIDE_MASK]
    outside = Placer(landscape, p, np.isin(landscape.cover, excluded), rng)
    areas = np.array([e.area_ha for e in events])
    distances = distance_quantile(even_ranks(len(events), rng), p, forest.maximum_m)
    paired = pair_distances(areas, distances, rng)
    placed = []
    for i in np.argsort(-areas, kind="stable"):
        event, place = events[i], None
        if event.area_ha < p.large_ha and rng.random() < p.outside_mask_share:
            place = outside.place(event.shape, event.area_ha, float(paired[i]))
        beyond = place is not None
        if place is None:
            place = forest.place(event.shape, event.area_ha, float(paired[i]))
        if place is not None:
            placed.append(replace(event, place=place, outside_mask=beyond))
    free &= ~forest.taken
    return placed


def past_events(world: World, draft: Draft, timeline: Timeline, side_km: float) -> list[Event]:
    """Draw the clearings of the time that is only learned from.

    They begin in the months in which those of the monitored time do; those that began before the
    last update of the deforestation map are ``in_map``.
    """
    p, district = world.events, draft.district
    rng = district.rng("events", "past")
    count = round(p.past_per_km2_year * side_km**2 * timeline.since_days / 365.25)
    areas = area_quantile(even_ranks(count, rng), p)
    first = world.place.first_day
    since = first + timedelta(days=timeline.since_days)
    update = date(since.year, p.map_update_month, 1)
    if update >= since:
        update = date(since.year - 1, p.map_update_month, 1)
    starts = _start_days(count, p, first, (0, timeline.since_days - 1), rng)
    events = []
    for i, start in enumerate(starts.tolist()):
        shape, rank = _one_shape(p, rng), float(rng.random())
        event = draft.event(_PAST + i, float(areas[i]), start, shape, rank)
        events.append(replace(event, in_map=first + timedelta(days=start) < update))
    return events


def _one_shape(p: EventsWorld, rng: np.random.Generator) -> str:
    return str(rng.choice(list(p.shapes), p=list(p.shapes.values())))


def numbered(events: list[Event]) -> list[Event]:
    """Events in order of their start, numbered from 1."""
    ordered = sorted(events, key=lambda e: (e.start_days, e.event_id, e.area_ha))
    return [replace(event, event_id=number) for number, event in enumerate(ordered, start=1)]
