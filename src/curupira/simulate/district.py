"""One simulated district, complete: landscape, passes, events, images. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from curupira.errors import ConfigError
from curupira.simulate.backscatter import Renderer
from curupira.simulate.draws import Draft, draw_events, numbered, past_events, place_events
from curupira.simulate.events import Event, Timeline
from curupira.simulate.landscape import FOREST, Landscape, build_landscape
from curupira.simulate.mines import draw_mines
from curupira.simulate.params import District, World, load_world
from curupira.simulate.patches import Patches, burn_patches
from curupira.simulate.scenes import Pass, monitor_since, plan_passes
from curupira.simulate.sequences import soil_wetness
from curupira.simulate.views import View, build_views, with_edges

#: Smaller districts have no room for a road, old clearings and new ones.
MINIMUM_KM = 1.0


@dataclass(frozen=True)
class SimulatedDistrict:
    """Everything that is known of a district; ``renderer.image(i)`` is the image of pass i."""

    world: World
    landscape: Landscape
    passes: list[Pass]
    since: date
    timeline: Timeline
    events: list[Event]
    patches: Patches
    views: dict[int, View]
    wetness: npt.NDArray[np.float64]
    renderer: Renderer


def simulate_district(
    *,
    size_km: float = 10,
    years: float = 4,
    revisit_days: int = 12,
    seed: int = 1,
    scenario: str = "default",
    monitored_months: int = 12,
) -> SimulatedDistrict:
    """Draw a district.

    Parameters
    ----------
    size_km
        Side of the square.
    years
        Length of the series; it has to reach into the monitored time (2.5 or more).
    revisit_days
        Days between the passes of one orbit: 12 or 6.
    seed
        Two districts of one seed, size, length, revisit and scenario are equal.
    scenario
        One of ``params.scenarios()``.
    monitored_months
        At most so many months at the end of the series are monitored.

    Raises
    ------
    ConfigError
        If an argument is out of range.
    """
    world = load_world(scenario)
    if size_km < MINIMUM_KM:
        raise ConfigError(
            f"a district of {size_km:g} km", where="--size-km", remedy=f"use {MINIMUM_KM:g} or more"
        )
    if seed < 0:
        raise ConfigError(f"seed {seed} is negative", where="--seed", remedy="use 0 or more")
    district = District(seed, scenario)
    passes = plan_passes(world, district, years=years, revisit_days=revisit_days)
    since = monitor_since(passes[0].day, passes[-1].day, monitored_months)
    timeline = Timeline.of(passes, world.place.first_day, since, revisit_days)
    landscape = build_landscape(world, district, size_km)
    events = _happenings(world, district, landscape, timeline, size_km)
    patches = burn_patches(landscape, events, district, len(passes))
    views = build_views(world, district, landscape, patches, passes)
    events = with_edges(events, patches, views, passes)
    return SimulatedDistrict(
        world=world,
        landscape=landscape,
        passes=passes,
        since=since,
        timeline=timeline,
        events=events,
        patches=patches,
        views=views,
        wetness=soil_wetness(world.sequence, district, timeline.months),
        renderer=Renderer(world, district, landscape, patches, views, passes),
    )


def _happenings(
    world: World, district: District, landscape: Landscape, timeline: Timeline, size_km: float
) -> list[Event]:
    free = landscape.cover == FOREST
    draft = Draft(world, district, timeline)
    mines = draw_mines(world, district, landscape, timeline, free)
    drawn = draw_events(world, draft, timeline, size_km)
    clearings = place_events(drawn, world, district, landscape, free)
    past = past_events(world, draft, timeline, size_km)
    return numbered(mines + clearings + place_events(past, world, district, landscape, free))
