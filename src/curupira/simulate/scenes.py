"""When the satellites pass, and what the catalogue says of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from curupira.codes import OrbitState
from curupira.errors import ConfigError
from curupira.simulate.params import AcquisitionWorld, District, World
from curupira.units import add_months

#: Months of images that a monitored day needs before it: two years and two months.
HISTORY_MONTHS = 26
#: A slice takes so long.
SLICE_TIME = timedelta(seconds=25)


@dataclass(frozen=True, slots=True)
class Pass:
    """One acquisition of the district. ``index`` numbers the planned ones, also those missing."""

    index: int
    acquired: datetime
    created: datetime
    platform: str
    relative_orbit: int
    orbit_state: OrbitState

    @property
    def day(self) -> date:
        """UTC day of the acquisition."""
        return self.acquired.date()

    @property
    def name(self) -> str:
        """Scene id in the manner of the ground-range products."""
        return self.slice_name(0)

    def slice_time(self, number: int) -> datetime:
        """Start of a slice, counted from 0."""
        return self.acquired + number * SLICE_TIME

    def slice_name(self, number: int) -> str:
        """Scene id of a slice, counted from 0."""
        unit = self.platform[-1].upper()
        stamp = self.slice_time(number).strftime("%Y%m%dT%H%M%S")
        return f"S1{unit}_IW_GRDH_1SDV_{stamp}_R{self.relative_orbit:03d}"


def monitor_since(first: date, last: date, monitored_months: int = 12) -> date:
    """First monitored day: that long before the last, but 2 years 2 months after the first."""
    return max(add_months(first, HISTORY_MONTHS), add_months(last, -monitored_months))


def plan_passes(world: World, district: District, *, years: float, revisit_days: int) -> list[Pass]:
    """All acquisitions of a district, in time order; missing ones are left out.

    Raises
    ------
    ConfigError
        If the time is too short to monitor anything, or the revisit is not positive.
    """
    p = world.acquisition
    if revisit_days < 1:
        raise ConfigError(
            f"a revisit of {revisit_days} days", where="--revisit-days", remedy="use 6 or 12"
        )
    orbits = [(OrbitState.DESCENDING, p.descending_orbit, p.descending_utc, 0)]
    if p.ascending:
        orbits.append(
            (OrbitState.ASCENDING, p.ascending_orbit, p.ascending_utc, max(1, revisit_days // 2))
        )
    platforms = p.platforms if revisit_days < p.repeat_days else p.platforms[:1]
    first = world.place.first_day
    end = first + timedelta(days=round(years * 365.25))
    days = max(0, (end - first).days)
    planned = [
        (first + timedelta(days=start + k * revisit_days), k, orbit)
        for orbit in orbits
        for start in [orbit[3]]
        for k in range((days - start) // revisit_days + 1)
    ]
    planned.sort(key=lambda item: (item[0], item[2][1]))
    last = planned[-1][0] if planned else first
    since = monitor_since(first, last)
    if (last - since).days < p.minimum_monitored_revisits * revisit_days:
        raise ConfigError(
            f"{years:g} years are too short: images are only learned from until {since}",
            where="--years",
            remedy="use 2.5 or more",
        )
    lost = _lost(p, district, [item[0] for item in planned])
    found = []
    for index, (day, turn, (state, orbit, clock, _)) in enumerate(planned):
        if lost[index]:
            continue
        acquired = datetime.combine(day, time.fromisoformat(clock), tzinfo=UTC)
        found.append(
            Pass(
                index=index,
                acquired=acquired,
                created=acquired + timedelta(days=_lag_days(p, district, index)),
                platform=platforms[turn % len(platforms)],
                relative_orbit=orbit,
                orbit_state=state,
            )
        )
    return found


def _lost(p: AcquisitionWorld, district: District, days: list[date]) -> np.ndarray:
    rng = district.rng("acquisition", "missing")
    lost = rng.random(len(days)) < p.missing_share
    since = rng.integers(0, max(1, (days[-1] - days[0]).days))
    begin = days[0] + timedelta(days=int(since))
    lost |= [begin <= day < begin + timedelta(days=p.outage_days) for day in days]
    # The first and the last stay: they set the monitored time.
    lost[0] = lost[-1] = False
    return lost


def _lag_days(p: AcquisitionWorld, district: District, index: int) -> float:
    rng = district.rng("acquisition", "late", index)
    if rng.random() >= p.late_share:
        return p.created_after_days
    return float(np.round(rng.uniform(p.created_after_days, p.late_max_days)))
