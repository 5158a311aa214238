"""Disturbances as records, and how dark they are. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from shapely.geometry import LineString

from curupira.simulate.placement import Place
from curupira.simulate.scenes import Pass
from curupira.simulate.sequences import Sequence, Series

Days = npt.NDArray[np.float64]

#: An event is visible where the truth's mean VH over it lies this far below forest (product.md 8).
VISIBLE_DB = 2.0


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of surface within an event: its share of the area, and its drops.

    Drops are dB below the forest that was there, ``(pass,)``, NaN before the event begins.
    """

    name: str
    share: float
    vh_drop_db: Series
    vv_drop_db: Series


@dataclass(frozen=True, slots=True)
class Event:
    """One disturbance; what its parts do not cover keeps its trees.

    ``edge_db`` is what shadow and layover of the forest around it add to its mean power,
    ``(pass,)``. ``course`` is the stream that a mine follows. ``outside_mask`` says that it lies
    on land that the forest mask excludes, ``in_map`` that the deforestation mask holds it.
    """

    event_id: int
    kind: str
    area_ha: float
    start_days: int
    growth_days: float
    shape: str
    sequence: Sequence
    settled_drop_db: float
    parts: tuple[Part, ...]
    edge_db: Series
    place: Place | None = None
    course: LineString | None = None
    outside_mask: bool = False
    in_map: bool = False


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


def cleared_share(event: Event, days: Days) -> Days:
    """Share of the event's final area that is cleared at each day (it grows evenly)."""
    if event.growth_days <= 0:
        return (days >= event.start_days).astype(np.float64)
    return np.clip((days - event.start_days) / event.growth_days, 0, 1)


def mean_drop(event: Event, days: Days) -> Days:
    """Drop (dB) of the mean VH over the event's final area below forest; 0 before it begins."""
    share = cleared_share(event, days)
    power = np.full(days.size, 1 - sum(part.share for part in event.parts))
    for part in event.parts:
        drop = np.nan_to_num(part.vh_drop_db.astype(np.float64))
        power += part.share * np.power(10.0, -drop / 10)
    power *= np.power(10.0, event.edge_db.astype(np.float64) / 10)
    return np.asarray(-10 * np.log10(1 - share + share * power))
