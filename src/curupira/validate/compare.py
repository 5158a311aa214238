"""Our warnings beside another system's alerts: matched, only ours or theirs, who was first. Pure.

The lead over an optical layer is counted as Doblas et al. (2022) do: the warnings that were first
or only ours, over all months and over November to March, when clouds blind the optical system.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.validate.matching import meets
from curupira.validate.scores import Estimate, median_of, share

#: Months of the cloudy season.
CLOUDY_MONTHS = (11, 12, 1, 2, 3)


@dataclass(frozen=True)
class Notice:
    """One warning or alert; geometry in metres, ``kind`` a word of ``sources.alerts``."""

    notice_id: str
    geometry: BaseGeometry
    day: date
    kind: str

    @property
    def area_ha(self) -> float:
        """Area of the polygon in its own system, ha."""
        return float(self.geometry.area) / 10_000


@dataclass(frozen=True)
class Side:
    """Counts and areas of one side's notices within the period."""

    total: int
    matched: int
    only: int
    total_ha: float
    matched_ha: float
    only_ha: float


@dataclass(frozen=True)
class Lead:
    """Of our warnings: first, same day, later, only ours; shares by number and by area."""

    warnings: int
    first: int
    same_day: int
    later: int
    only: int
    first_or_only: Estimate
    first_or_only_area: Estimate
    lead_days: Estimate


@dataclass(frozen=True)
class Comparison:
    """Everything that is compared, within ``since`` to ``until`` (both included)."""

    since: date
    until: date
    window_days: int
    ours: Side
    theirs: Side
    overlap_ha: float
    lead: Lead
    lead_cloudy: Lead
    classes: dict[tuple[str, str], int]
    months: list[dict[str, Any]]


def compare(
    ours: Sequence[Notice],
    theirs: Sequence[Notice],
    *,
    since: date | None = None,
    until: date | None = None,
    window_days: int = 365,
) -> Comparison:
    """Compare two lists of notices of the same area.

    Parameters
    ----------
    ours, theirs
        Notices in one metric system.
    since, until
        Days counted; None: the span in which both sides have notices. Matches are sought beyond
        it, so that its ends do not make notices look alone.
    window_days
        Two notices match if their overlap is 25 % of either and their days lie this close.
    """
    first, last = _span(ours, theirs, since, until)
    left, right, overlap = _pairs(ours, theirs, window_days)
    partner = _earliest(len(ours), left, [theirs[j].day for j in right])
    other = _earliest(len(theirs), right, [ours[i].day for i in left])
    mine = [n for n, notice in enumerate(ours) if first <= notice.day <= last]
    alien = [n for n, notice in enumerate(theirs) if first <= notice.day <= last]
    cloudy = [n for n in mine if ours[n].day.month in CLOUDY_MONTHS]
    counted = set(mine)
    return Comparison(
        since=first,
        until=last,
        window_days=window_days,
        ours=_side(ours, mine, partner),
        theirs=_side(theirs, alien, other),
        overlap_ha=sum(a for i, a in zip(left, overlap, strict=True) if i in counted) / 10_000,
        lead=_lead(ours, mine, partner),
        lead_cloudy=_lead(ours, cloudy, partner),
        classes=dict(
            Counter(
                (ours[i].kind, theirs[j].kind)
                for i, j in zip(left, right, strict=True)
                if i in counted
            )
        ),
        months=_months(ours, mine, partner, theirs, alien, other),
    )


def _span(
    ours: Sequence[Notice], theirs: Sequence[Notice], since: date | None, until: date | None
) -> tuple[date, date]:
    sides = [[n.day for n in side] for side in (ours, theirs) if side]
    first = since or max((min(days) for days in sides), default=date.min)
    last = until or min((max(days) for days in sides), default=date.max)
    return first, last


def _pairs(
    ours: Sequence[Notice], theirs: Sequence[Notice], window_days: int
) -> tuple[list[int], list[int], list[float]]:
    if not ours or not theirs:
        return [], [], []
    tree = shapely.STRtree([n.geometry for n in theirs])
    left, right = tree.query([n.geometry for n in ours], predicate="intersects")
    kept: list[tuple[int, int, float]] = []
    for i, j in zip(left.tolist(), right.tolist(), strict=True):
        one, two = ours[i], theirs[j]
        if abs((one.day - two.day).days) > window_days:
            continue
        area = float(one.geometry.intersection(two.geometry).area)
        if meets(area, float(one.geometry.area), float(two.geometry.area)):
            kept.append((i, j, area))
    return [k[0] for k in kept], [k[1] for k in kept], [k[2] for k in kept]


def _earliest(count: int, index: Sequence[int], days: Sequence[date]) -> list[date | None]:
    """First day of the other side's matches of each notice; None without one."""
    found: list[date | None] = [None] * count
    for n, day in zip(index, days, strict=True):
        before = found[n]
        found[n] = day if before is None or day < before else before
    return found


def _side(notices: Sequence[Notice], index: Iterable[int], met: Sequence[date | None]) -> Side:
    chosen = list(index)
    areas = {n: notices[n].area_ha for n in chosen}
    matched = [n for n in chosen if met[n] is not None]
    total, common = sum(areas.values()), sum(areas[n] for n in matched)
    return Side(
        len(chosen), len(matched), len(chosen) - len(matched), total, common, total - common
    )


def _lead(ours: Sequence[Notice], index: Sequence[int], partner: Sequence[date | None]) -> Lead:
    days = np.array([_days_ahead(ours[n].day, partner[n]) for n in index], dtype=np.float64)
    areas = np.array([ours[n].area_ha for n in index], dtype=np.float64)
    blocks = _blocks([ours[n].geometry for n in index])
    only = np.isnan(days)
    ahead = only | (days > 0)
    return Lead(
        warnings=len(index),
        first=int((days > 0).sum()),
        same_day=int((days == 0).sum()),
        later=int((days < 0).sum()),
        only=int(only.sum()),
        first_or_only=share(ahead, blocks),
        first_or_only_area=share(ahead, blocks, areas),
        lead_days=median_of(days[~only], blocks[~only]),
    )


def _days_ahead(day: date, theirs: date | None) -> float:
    return float("nan") if theirs is None else float((theirs - day).days)


def _blocks(shapes: Sequence[BaseGeometry]) -> npt.NDArray[np.int64]:
    """Number of the 10 km square of each shape, for the intervals."""
    if not shapes:
        return np.empty(0, dtype=np.int64)
    points = [(int(s.centroid.x // 10_000), int(s.centroid.y // 10_000)) for s in shapes]
    known = {p: n for n, p in enumerate(sorted(set(points)))}
    return np.array([known[p] for p in points], dtype=np.int64)


def _months(
    ours: Sequence[Notice],
    mine: Sequence[int],
    partner: Sequence[date | None],
    theirs: Sequence[Notice],
    alien: Sequence[int],
    other: Sequence[date | None],
) -> list[dict[str, Any]]:
    counts: dict[str, Counter[str]] = {}
    for n in mine:
        row = counts.setdefault(f"{ours[n].day:%Y-%m}", Counter())
        row["ours"] += 1
        row["only_ours"] += partner[n] is None
    for n in alien:
        row = counts.setdefault(f"{theirs[n].day:%Y-%m}", Counter())
        row["theirs"] += 1
        row["only_theirs"] += other[n] is None
    names = ("ours", "only_ours", "theirs", "only_theirs")
    return [{"month": m, **{k: counts[m][k] for k in names}} for m in sorted(counts)]
