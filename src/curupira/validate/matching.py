"""Which warning meets which event of the truth (product.md section 8). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

#: A warning and an event meet if their overlap is this share of either.
MINIMUM_OVERLAP = 0.25
#: Rounding of areas that went through longitude and latitude.
_TOLERANCE = 1e-9
#: Events further apart than this are taken as independent, metres.
BLOCK_M = 10_000.0


@dataclass(frozen=True)
class Event:
    """One disturbance of the truth; geometry in metres, days UTC.

    ``visible`` is the first day on which radar can see it, None if never or unknown. ``low`` tells
    degradation from clearing, None if the truth does not say. ``causes`` are the truth's labels of
    what hides it. ``distance_m`` is NaN where unknown.
    """

    event_id: str
    geometry: BaseGeometry
    start: date
    area_ha: float
    visible: date | None = None
    causes: tuple[str, ...] = ()
    low: bool | None = None
    distance_m: float = float("nan")


@dataclass(frozen=True)
class Sighting:
    """A confirmed polygon of one acquisition, by the product clock."""

    day: date
    geometry: BaseGeometry


@dataclass(frozen=True)
class Alert:
    """A warning as it is judged; geometry in metres, days UTC by the product clock.

    ``confirmed`` is None for a preliminary one. ``last_flag`` is the day of its last flagged
    image. ``judged`` is False for what lives on in another warning (merged): it can find an event,
    but is not counted. ``sightings`` are its confirmed observations in time order.
    """

    warning_id: str
    geometry: BaseGeometry
    area_ha: float
    issued: date
    confirmed: date | None
    last_flag: date
    confidence: float = float("nan")
    low: bool | None = None
    judged: bool = True
    distance_m: float = float("nan")
    sightings: tuple[Sighting, ...] = ()


@dataclass(frozen=True)
class Matches:
    """Pairs of warning and event that meet in space and time, as index arrays.

    ``overlap_m2`` is their common area; ``found`` the day on which the pair's warning is taken to
    have confirmed the event (ordinal; -1 where it never did).
    """

    alert: npt.NDArray[np.int64]
    event: npt.NDArray[np.int64]
    overlap_m2: npt.NDArray[np.float64]
    found: npt.NDArray[np.int64]

    def true_alerts(self, count: int) -> npt.NDArray[np.bool_]:
        """Whether each of the warnings is true."""
        out = np.zeros(count, dtype=np.bool_)
        out[self.alert] = True
        return out

    def first_found(self, count: int) -> npt.NDArray[np.float64]:
        """Day (ordinal) on which each event was first confirmed; infinity if never."""
        out = np.full(count, np.inf)
        known = self.found >= 0
        np.minimum.at(out, self.event[known], self.found[known].astype(np.float64))
        return out


def meets(overlap_m2: float, one_m2: float, other_m2: float) -> bool:
    """Whether an overlap is at least 25 % of either side."""
    return overlap_m2 > 0 and overlap_m2 >= (MINIMUM_OVERLAP - _TOLERANCE) * min(one_m2, other_m2)


def match(alerts: Sequence[Alert], events: Sequence[Event]) -> Matches:
    """Find all pairs that meet: 25 % of either, and the event begun before the last flagged image.

    Notes
    -----
    An event is found on the day of the warning's first confirmed observation since it began that
    itself meets it: a warning may be confirmed elsewhere and reach the event months later. Without
    one the event is not found by this warning (which is still true). Of warnings without known
    observations the day of confirmation counts, unless the event began later.
    """
    if not alerts or not events:
        empty = np.empty(0, dtype=np.int64)
        return Matches(empty, empty, np.empty(0), empty)
    shapes = np.array([e.geometry for e in events], dtype=object)
    tree = shapely.STRtree(shapes)
    left, right = tree.query([a.geometry for a in alerts], predicate="intersects")
    rows: list[tuple[int, int, float, int]] = []
    for a, e in zip(left.tolist(), right.tolist(), strict=True):
        alert, event = alerts[a], events[e]
        # Events begin at midnight, images are taken later in the day.
        if event.start > alert.last_flag:
            continue
        overlap = float(alert.geometry.intersection(event.geometry).area)
        if meets(overlap, alert.geometry.area, event.geometry.area):
            day = _found(alert, event)
            rows.append((a, e, overlap, -1 if day is None else day.toordinal()))
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Matches(
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.int64),
        table[:, 2],
        table[:, 3].astype(np.int64),
    )


def _found(alert: Alert, event: Event) -> date | None:
    if alert.confirmed is None:
        return None
    if not alert.sightings:
        return alert.confirmed if alert.confirmed >= event.start else None
    for sighting in alert.sightings:
        overlap = sighting.geometry.intersection(event.geometry).area
        if sighting.day >= event.start and meets(
            overlap, sighting.geometry.area, event.geometry.area
        ):
            return sighting.day
    return None


def block_of(geometries: Sequence[BaseGeometry]) -> npt.NDArray[np.int64]:
    """Number of the 10 km block that holds each geometry's centre."""
    if not len(geometries):
        return np.empty(0, dtype=np.int64)
    centres = shapely.centroid(np.array(geometries, dtype=object))
    x = np.floor(shapely.get_x(centres) / BLOCK_M).astype(np.int64)
    y = np.floor(shapely.get_y(centres) / BLOCK_M).astype(np.int64)
    return np.asarray(y * 1_000_000 + x, dtype=np.int64)


def boundary_iou(one: BaseGeometry, other: BaseGeometry, width_m: float) -> float:
    """Overlap of the rims of two shapes, ``width_m`` inwards, over their union (Cheng 2021)."""
    rims = [shape.difference(shape.buffer(-width_m)) for shape in (one, other)]
    union = rims[0].union(rims[1]).area
    return float(rims[0].intersection(rims[1]).area / union) if union > 0 else 0.0
