"""Matching: the polygons of each acquisition, folded in time order into warnings.

The fold is a pure function of the sequence of observations (product.md 3, points 2, 5 and 6).
A ``Book`` holds its state; the pipelines keep the book in step with the store.

Source: product.md section 3; DETER-R concatenates the polygons of different images instead
(method.md 1B row 21).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple, cast

import numpy as np
import shapely
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from curupira.codes import TRANSITIONS, ClosedReason, IntensityClass, Status
from curupira.records import Observation

#: A warning's growth is counted over this time before its last observation.
GROWTH_PERIOD = timedelta(days=30)


class Mark(NamedTuple):
    """Which observation of which acquisition, on which day, through which of its scenes."""

    acquisition_id: str
    day: date
    scene_id: str
    seq: int

    @classmethod
    def of(cls, o: Observation) -> Mark:
        """Where an observation comes from."""
        return cls(o.acquisition_id, o.day, o.scene_id, o.seq)


@dataclass(slots=True)
class Entry:
    """One warning while the fold runs.

    ``key`` is its place in the order of founding; ``warning_id`` is the store's, empty until the
    store gives it one. ``issued_at`` and ``confirmed_at`` are the product clock. ``history`` lists
    (day, area in ha) after each acquisition that changed it. The strengths are the largest that
    any of its observations showed; threshold and distance are those of the founding one.
    """

    key: int
    geometry: BaseGeometry
    status: Status
    founding: Mark
    last: Mark
    issued_at: datetime
    first_flag: date
    last_flag: date
    intensity_class: IntensityClass
    n_alerts: float
    n_alerts_mean: float
    intensity: float
    excess_db: float
    confidence: float
    threshold_db: float
    distance_m: float
    history: list[tuple[date, float]]
    warning_id: str = ""
    closed_reason: ClosedReason | None = None
    merged_into: int | None = None
    confirmed_at: datetime | None = None
    confirming: Mark | None = None
    rejected_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether new polygons may still match it."""
        return self.status is not Status.CLOSED

    @property
    def growth_ha(self) -> float:
        """Area now less the area 30 days before the last observation (or when first seen)."""
        before = self.area_on(self.last.day - GROWTH_PERIOD)
        # A polygon's area and that of a union differ in the last digits; + 0.0: no negative zero.
        return round(self.history[-1][1] - (before or self.history[0][1]), 6) + 0.0

    def area_on(self, day: date) -> float:
        """Area in ha as of a day; 0 before it was first seen."""
        return next((area for known, area in reversed(self.history) if known <= day), 0.0)

    def move_to(self, status: Status) -> None:
        """Change the status along a legal transition only."""
        if status not in TRANSITIONS[self.status]:
            raise ValueError(f"a {self.status} warning cannot become {status}")
        self.status = status

    def close(self, reason: ClosedReason, merged_into: int | None = None) -> None:
        """Close the warning."""
        self.move_to(Status.CLOSED)
        self.closed_reason = reason
        self.merged_into = merged_into


@dataclass(slots=True)
class Book:
    """All warnings known to the fold, by key.

    Parameters
    ----------
    pixel_area_m2
        Area of a grid pixel; an overlap of one pixel or more is a match.
    area_ha
        Area of a geometry in the grid's CRS, in hectares, by the preset's rule.
    news_after
        A warning ever flagged on this day or before is never confirmed: it may be older news.
    """

    pixel_area_m2: float
    area_ha: Callable[[BaseGeometry], float]
    news_after: date | None = None
    entries: dict[int, Entry] = field(default_factory=dict)
    next_key: int = 0

    def open_entries(self) -> list[Entry]:
        """Open warnings in the order of their founding."""
        return [e for _, e in sorted(self.entries.items()) if e.open]

    def add(self, entry: Entry) -> None:
        """Put in a warning, new or from the store."""
        self.entries[entry.key] = entry
        self.next_key = max(self.next_key, entry.key + 1)

    def apply(
        self, detection_start: date, observations: Sequence[Observation], clock: datetime
    ) -> tuple[list[Entry], dict[int, Entry]]:
        """Fold one acquisition in.

        Parameters
        ----------
        detection_start
            First day of the acquisition's detection period: an unconfirmed warning without a flag
            since then expires, before anything is matched.
        observations
            The acquisition's polygons; disjoint.
        clock
            Product time of whatever happens now (product.md 3, point 7).

        Returns
        -------
        changed
            Entries that differ from before, in the order of their founding.
        homes
            For each observation's ``seq``, the entry that it belongs to.
        """
        changed = {e.key: e for e in self._expire(detection_start)}
        homes: dict[int, Entry] = {}
        for entries, members in self._components(sorted(observations, key=lambda o: o.seq)):
            if entries:
                touched = self._extend(entries, members, clock)
                homes.update({o.seq: touched[0] for o in members})
            else:
                touched = [self._found(o, clock) for o in members]
                homes.update({o.seq: e for o, e in zip(members, touched, strict=True)})
            changed.update({e.key: e for e in touched})
        return [changed[key] for key in sorted(changed)], homes

    def _expire(self, detection_start: date) -> list[Entry]:
        stale = [
            e
            for e in self.open_entries()
            if e.status is Status.PRELIMINARY and e.last_flag < detection_start
        ]
        for entry in stale:
            entry.close(ClosedReason.EXPIRED)
        return stale

    def _components(
        self, observations: list[Observation]
    ) -> Iterable[tuple[list[Entry], list[Observation]]]:
        """Groups of open warnings and polygons connected by overlaps, in the polygons' order."""
        candidates = self.open_entries()
        tree = shapely.STRtree([e.geometry for e in candidates])
        owner: dict[int, int] = {}  # candidate -> its group, named by the group's last polygon
        groups: dict[int, tuple[set[int], list[int]]] = {}
        for i, observation in enumerate(observations):
            hits = {
                int(j)
                for j in tree.query(observation.geometry, predicate="intersects")
                if overlaps(observation.geometry, candidates[j].geometry, self.pixel_area_m2)
            }
            members = [i]
            for group in sorted({owner[j] for j in hits if j in owner}):
                earlier, earlier_members = groups.pop(group)
                hits |= earlier
                members = earlier_members + members
            groups[i] = (hits, members)
            owner.update(dict.fromkeys(hits, i))
        for hits, members in sorted(groups.values(), key=lambda g: min(g[1])):
            entries = sorted((candidates[j] for j in hits), key=lambda e: e.key)
            yield entries, [observations[i] for i in sorted(members)]

    def _found(self, o: Observation, clock: datetime) -> Entry:
        entry = Entry(
            key=self.next_key,
            geometry=o.geometry,
            status=Status.PRELIMINARY,
            founding=Mark.of(o),
            last=Mark.of(o),
            issued_at=clock,
            first_flag=o.first_flag,
            last_flag=o.last_flag,
            intensity_class=o.intensity_class,
            n_alerts=o.n_alerts,
            n_alerts_mean=o.n_alerts_mean,
            intensity=o.intensity,
            excess_db=o.excess_db,
            confidence=o.confidence,
            threshold_db=o.threshold_db,
            distance_m=o.distance_m,
            history=[(o.day, o.area_ha)],
        )
        self.add(entry)
        self._confirm(entry, [o], clock)
        return entry

    def _extend(
        self, entries: list[Entry], observations: list[Observation], clock: datetime
    ) -> list[Entry]:
        """Join polygons to the oldest of the warnings they touch; the others merge into it."""
        kept, *others = entries
        parts = [e.geometry for e in entries] + [o.geometry for o in observations]
        kept.geometry = shapely.union_all(parts)
        kept.last = Mark.of(observations[-1])
        kept.history = _joint_history(entries)
        kept.history.append((kept.last.day, self.area_ha(kept.geometry)))
        _take_strongest(kept, [*others, *observations])
        for other in others:
            _inherit_confirmation(kept, other)
            other.close(ClosedReason.MERGED, merged_into=kept.key)
        self._confirm(kept, observations, clock)
        return [kept, *others]

    def _confirm(self, entry: Entry, observations: Sequence[Observation], clock: datetime) -> None:
        """Confirm a preliminary warning when one of the polygons fulfils the preset's rule."""
        old = self.news_after is not None and entry.first_flag <= self.news_after
        confirming = next((o for o in observations if o.confirmed), None)
        if confirming is not None and not old and entry.status is Status.PRELIMINARY:
            entry.move_to(Status.CONFIRMED)
            entry.confirmed_at = clock
            entry.confirming = Mark.of(confirming)


def _inherit_confirmation(kept: Entry, other: Entry) -> None:
    """A warning that swallows an earlier confirmed one is confirmed since then."""
    if other.confirmed_at is None:
        return
    if kept.confirmed_at is None or other.confirmed_at < kept.confirmed_at:
        kept.confirmed_at, kept.confirming = other.confirmed_at, other.confirming
    kept.status = Status.CONFIRMED


def _joint_history(entries: Sequence[Entry]) -> list[tuple[date, float]]:
    """Area of several disjoint warnings together, by day: a merger is no growth."""
    days = sorted({day for e in entries for day, _ in e.history})
    return [(day, sum(e.area_on(day) for e in entries)) for day in days]


def _take_strongest(entry: Entry, others: Sequence[Entry | Observation]) -> None:
    """Keep the earliest and latest flag, and of every strength the largest seen."""
    everything: list[Entry | Observation] = [entry, *others]
    entry.first_flag = min(x.first_flag for x in everything)
    entry.last_flag = max(x.last_flag for x in everything)
    for name in ("n_alerts", "n_alerts_mean", "intensity", "excess_db", "confidence"):
        values = [getattr(x, name) for x in everything]
        setattr(entry, name, max((v for v in values if not math.isnan(v)), default=math.nan))
    if any(x.intensity_class is IntensityClass.HIGH for x in everything):
        entry.intensity_class = IntensityClass.HIGH


def overlaps(a: BaseGeometry, b: BaseGeometry, pixel_area_m2: float) -> bool:
    """Whether two pixel-exact geometries share at least one pixel."""
    # 0.99: sums of whole pixels are exact to rounding only.
    return bool(shapely.intersection(a, b).area >= 0.99 * pixel_area_m2)


def snap(geometry: BaseGeometry, resolution_m: float) -> BaseGeometry:
    """Put the vertices of a re-projected geometry back on the pixel lattice.

    Grid edges are whole multiples of the resolution (``grid.make_grid``), so rounding undoes the
    micrometres that a round trip through lon/lat leaves.
    """
    return shapely.transform(geometry, lambda xy: np.round(xy / resolution_m) * resolution_m)


def as_multipolygon(geometry: BaseGeometry) -> MultiPolygon:
    """Return the geometry as the MultiPolygon that the store keeps."""
    if isinstance(geometry, MultiPolygon):
        return geometry
    return cast(MultiPolygon, shapely.multipolygons([geometry]))
