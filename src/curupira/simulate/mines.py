"""Garimpo: mines that grow along a stream in both directions. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from shapely.geometry import LineString, Polygon
from shapely.ops import substring

from curupira.simulate.events import Event, Part, Timeline
from curupira.simulate.landscape import FOREST, Landscape, burn
from curupira.simulate.params import District, MinesWorld, World
from curupira.simulate.placement import Place
from curupira.simulate.sequences import Sequence

_TRIES = 30
_DAYS_PER_MONTH = 30.4


def draw_mines(
    world: World,
    district: District,
    landscape: Landscape,
    timeline: Timeline,
    free: npt.NDArray[np.bool_],
) -> list[Event]:
    """Draw the mines of the monitored time; ``free`` (y, x) loses the pixels that they take.

    A mine is a strip along a stream, of bare gravel, ponds, spoil and trees that stay.
    """
    p = world.mines
    rng = district.rng("mines")
    side_km = landscape.shape[0] * world.place.resolution_m / 1000
    expected = p.per_100km2_year * side_km**2 / 100 * timeline.monitored_years
    count = int(rng.poisson(expected)) if landscape.courses else 0
    mines = []
    for number in range(count):
        start = int(rng.integers(timeline.since_days, timeline.last_days))
        for _ in range(_TRIES):
            mine = _try(number, start, p, landscape, free, rng)
            if mine is not None:
                course, place, days = mine
                mines.append(_event(start, days, course, place, world, district, timeline, rng))
                break
    return mines


def _try(
    number: int,
    start: int,
    p: MinesWorld,
    landscape: Landscape,
    free: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[LineString, Place, float] | None:
    course = landscape.courses[int(rng.integers(len(landscape.courses)))]
    months = rng.uniform(*p.months)
    reach = months * rng.uniform(*p.advance_m_per_month)
    at = rng.uniform(0.1, 0.9) * course.length
    piece = substring(course, max(0.0, at - reach), min(course.length, at + reach))
    if not isinstance(piece, LineString) or piece.length < 100:
        return None
    outline = piece.buffer(rng.uniform(*p.width_m) / 2, cap_style="flat")
    frame = landscape.grid.extent.geom.buffer(-20)
    if not isinstance(outline, Polygon) or not frame.contains(outline):
        return None
    window, mask = burn(outline, landscape.grid)
    streams = [n for n, kind in enumerate(landscape.covers.kind) if kind == "stream"]
    fit = free[window.slices] & (landscape.cover[window.slices] == FOREST)
    fit |= np.isin(landscape.cover[window.slices], streams)
    if not mask.any() or (mask & ~fit).sum() > 0.02 * mask.sum():
        return None
    free[window.slices] &= ~mask
    distance = float(np.median(landscape.distance_m[window.slices][mask]))
    return piece, Place(outline, distance), months * _DAYS_PER_MONTH


def _event(
    start: int,
    days: float,
    course: LineString,
    place: Place,
    world: World,
    district: District,
    timeline: Timeline,
    rng: np.random.Generator,
) -> Event:
    p, forest = world.mines, world.forest
    vh = district.draw("forest vh", forest.vh_db)
    vv = vh + district.draw("forest vv - vh", forest.vv_minus_vh_db)
    level = rng.normal(0, p.between_db)
    begun = timeline.days >= start
    left = np.exp(-np.maximum(timeline.days - start - days, 0) / p.regrowth_days)
    parts = []
    for name, level_vh, level_vv in (
        ("bare", p.bare_vh_db, p.bare_vv_db),
        ("pond", p.pond_vh_db, p.pond_vv_db),
        ("spoil", p.spoil_vh_db, p.spoil_vv_db),
    ):
        noise = rng.normal(0, 0.7, timeline.days.size)
        drop_vh, drop_vv = (
            np.where(begun, (forest_db - own_db - level) * left + noise, np.nan).astype(np.float32)
            for forest_db, own_db in ((vh, level_vh), (vv, level_vv))
        )
        parts.append(Part(name, p.parts[name], drop_vh, drop_vv))
    power = sum(q.share * 10 ** (-float(np.nanmean(q.vh_drop_db)) / 10) for q in parts)
    settled = -10 * np.log10(power + 1 - sum(q.share for q in parts))
    return Event(
        event_id=0,
        kind="mine",
        area_ha=place.geometry.area / 10_000,
        start_days=start,
        growth_days=days,
        shape="strip",
        sequence=Sequence(0.0, 0.0, float(settled), 1.0, np.inf, 1.0, 1.0, 0.0),
        settled_drop_db=float(settled),
        parts=tuple(parts),
        place=place,
        course=course,
        edge_db=np.zeros(timeline.days.size, dtype=np.float32),
    )
