"""How well true warnings draw their events: outlines, area, class. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.validate.matching import Alert, Event, Matches, block_of, boundary_iou
from curupira.validate.scores import Estimate, median_of

#: Width of the rim of the boundary IoU: two pixels of 20 m.
RIM_M = 40.0
LOW, HIGH = "low_intensity", "high_intensity"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """A true confirmed warning, and all events that it meets, as one shape."""

    warning: BaseGeometry
    events: BaseGeometry


def pairs(
    alerts: Sequence[Alert],
    events: Sequence[Event],
    matches: Matches,
    confirmed: npt.NDArray[np.bool_],
) -> list[Pair]:
    """Pair each true confirmed warning with the union of its events."""
    return [
        Pair(
            alerts[a].geometry,
            shapely.union_all([events[e].geometry for e in matches.event[matches.alert == a]]),
        )
        for a in np.unique(matches.alert).tolist()
        if confirmed[a]
    ]


def rims(found: Sequence[Pair]) -> Floats:
    """Boundary IoU of each warning and its events, ``(pairs,)``."""
    return np.array([boundary_iou(p.warning, p.events, RIM_M) for p in found], dtype=np.float64)


def overlaps(found: Sequence[Pair]) -> Floats:
    """IoU of each warning and its events, ``(pairs,)``."""
    return np.array(
        [p.warning.intersection(p.events).area / p.warning.union(p.events).area for p in found],
        dtype=np.float64,
    )


def area_ratios(found: Sequence[Pair]) -> Floats:
    """Warned over true area of each pair, ``(pairs,)``."""
    return np.array([p.warning.area / p.events.area for p in found], dtype=np.float64)


def typical(found: Sequence[Pair], values: Floats) -> Estimate:
    """Median of what was measured on the pairs."""
    return median_of(values, block_of([p.warning for p in found]))


def confusion(
    alerts: Sequence[Alert],
    events: Sequence[Event],
    matches: Matches,
    confirmed: npt.NDArray[np.bool_],
) -> dict[str, dict[str, int]]:
    """Intensity class of the truth (outer) against that of the warning which covers most of it.

    Empty where the truth or the warnings have no class.
    """
    best: dict[int, tuple[float, int]] = {}
    for a, e, overlap in zip(
        matches.alert.tolist(), matches.event.tolist(), matches.overlap_m2.tolist(), strict=True
    ):
        known = confirmed[a] and alerts[a].low is not None and events[e].low is not None
        if known and overlap > best.get(e, (0.0, -1))[0]:
            best[e] = (overlap, a)
    if not best:
        return {}
    table = {truth: dict.fromkeys((LOW, HIGH), 0) for truth in (LOW, HIGH)}
    for e, (_, a) in best.items():
        table[LOW if events[e].low else HIGH][LOW if alerts[a].low else HIGH] += 1
    return table
