"""The figures of method.md 4A that real and simulated series are compared by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

#: First thresholds of the published law: 1.31 + 0.35 T at T = 2.5 and T = 3.94.
NEAR_DB, FAR_DB = 2.185, 2.689
#: Two flags confirm within so many days.
CONFIRM_DAYS = 60
#: Months of clearing whose wait for the fire is compared; not among the anchors.
SEASONS = {
    "April, May": (4, 5),
    "June": (6,),
    "July": (7,),
    "August": (8,),
    "September, October": (9, 10),
    "November to March": (11, 12, 1, 2, 3),
}
#: Value and 95 % bounds of every anchor.
Bands = dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Series:
    """One pixel: days, dB, and the days between which it was cleared (NaN for forest).

    ``group``: what shares weather and make: the seed of the simulated district, the cell of one
    degree of the real series. ``month``: that of the middle between the two optical images.
    """

    days: np.ndarray
    db: np.ndarray
    split: float
    after: float
    deforested: bool
    group: int = 0
    month: int = 0

    def drops(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Days and drops below the history's median after the split, and the history's spread."""
        past = self.db[self.days < self.split]
        spread = 1.4826 * np.median(np.abs(past - np.median(past)))
        later = self.days >= self.split
        return self.days[later], np.median(past) - self.db[later], float(spread)


def two_flags(series: Series, threshold_db: float) -> float:
    """Day of the second flag within 60 days of another; NaN if never."""
    days, drop, _ = series.drops()
    flags = days[drop > threshold_db]
    pairs = np.flatnonzero(np.diff(flags) <= CONFIRM_DAYS)
    return float(flags[pairs[0] + 1]) if pairs.size else float("nan")


def accumulated(series: Series) -> float:
    """Day on which the ten-line accumulator of issue B passes 8; NaN if never."""
    days, drop, spread = series.drops()
    spread = max(spread, 0.45)
    total = 0.0
    for day, value in zip(days, drop, strict=True):
        forest = -0.5 * (value / spread) ** 2 - np.log(spread)
        cleared = -0.5 * ((value - 2.5) / 1.2) ** 2 - np.log(1.2)
        total = max(total + cleared - forest, -1.0)
        if total > 8:
            return float(day)
    return float("nan")


RULES: dict[str, Callable[[Series], float]] = {
    "T 2.5": lambda s: two_flags(s, NEAR_DB),
    "T 3.94": lambda s: two_flags(s, FAR_DB),
    "accumulator": accumulated,
}
LAGS = (0, 12, 24, 48, 96, 150, 200)
#: Medians over the clearings that flag, as they are named in the table.
FLAGGED = (
    "dates > 2 dB within 180 days of the first flag (%)",
    "unbroken run above 1 dB (days)",
    "first flag after the later optical image (days)",
    *(f"drop {lag} days after the first flag (dB)" for lag in LAGS),
)


def measured(series: Series) -> dict[str, float]:
    """What the anchors need of one series; NaN where it has no such figure."""
    past = series.db[series.days < series.split]
    row = {
        "sd": float(past.std(ddof=1)),
        "depth": float(past.mean() - past.min()),
        "lag one": float(np.corrcoef(past[1:], past[:-1])[0, 1]),
        "years": (series.days[-1] - series.split) / 365.25,
        "after": series.after,
        "deforested": float(series.deforested),
        "group": float(series.group),
    }
    row |= {name: rule(series) for name, rule in RULES.items()}
    days, drop, _ = series.drops()
    flags = np.flatnonzero(drop > NEAR_DB)
    if not series.deforested or not flags.size:
        return row
    k = int(flags[0])
    since = days - days[k]
    bright = np.flatnonzero(drop[k:] <= 1)
    row[FLAGGED[0]] = 100 * float((drop[(since >= 0) & (since <= 180)] > 2).mean())
    row[FLAGGED[1]] = float(since[k + bright[0]] if bright.size else since[-1])
    row[FLAGGED[2]] = float(days[k] - series.after)
    for lag, name in zip(LAGS, FLAGGED[3:], strict=True):
        at = (since >= lag) & (since < lag + 12)
        row[name] = float(np.median(drop[at])) if at.any() else float("nan")
    return row


def waits(series: list[Series]) -> dict[str, float]:
    """Median days from the middle between the optical images to the first flag, by month."""
    found: dict[str, list[float]] = {name: [] for name in SEASONS}
    for one in series:
        days, drop, _ = one.drops()
        flags = days[drop > NEAR_DB]
        for name, months in SEASONS.items():
            if one.month in months and flags.size:
                # History ends with the earlier image.
                found[name].append(float(flags[0] - (one.split + one.after) / 2))
    return {name: float(np.median(some)) if some else float("nan") for name, some in found.items()}


def anchors(series: list[Series]) -> dict[str, float]:
    """The figures of method.md 4A of a set of series."""
    return _anchors(_table(series))


def _table(series: list[Series]) -> pd.DataFrame:
    return pd.DataFrame([measured(s) for s in series]).reindex(
        columns=[
            "sd",
            "depth",
            "lag one",
            "years",
            "after",
            "deforested",
            "group",
            *RULES,
            *FLAGGED,
        ]
    )


def _anchors(table: pd.DataFrame) -> dict[str, float]:
    cleared, forest = table[table.deforested == 1], table[table.deforested == 0]
    out = {
        "history sd (dB), median": float(table.sd.median()),
        "history mean - min (dB), mean": float(table.depth.mean()),
        "history mean - min (dB), sd": float(table.depth.std(ddof=0)),
        "lag-one correlation, median": float(table["lag one"].median()),
        "never flagged (%)": 100 * float(cleared[FLAGGED[0]].isna().mean()),
    }
    out |= {name: float(cleared[name].median()) for name in FLAGGED}
    for name in RULES:
        delay = cleared[name] - cleared.after
        out[f"{name}: found (%)"] = 100 * float(cleared[name].notna().mean())
        out[f"{name}: delay after the later optical image (days)"] = float(delay.median())
        out[f"{name}: false (% of forest series a year)"] = (
            100 * float(forest[name].notna().sum()) / float(forest.years.sum())
        )
    return out


def interval(series: list[Series], rounds: int) -> Bands:
    """Anchors with their 95 % intervals, by bootstrap over the groups.

    Pixels of one district share what it has drawn, its weather and its dates, and so do those of
    one cell of one degree. Where no forest series is false the bootstrap says nothing: the upper
    bound is then the exact Poisson one, as in ``real_series.py``.
    """
    rng = np.random.default_rng(0)
    table = _table(series)
    parts = [np.flatnonzero(table.group == g) for g in table.group.unique()]
    draws = [
        _anchors(table.iloc[np.concatenate([parts[i] for i in drawn])])
        for drawn in rng.integers(0, len(parts), (rounds, len(parts)))
    ]
    low, high = (pd.DataFrame(draws).quantile(q) for q in (0.025, 0.975))
    values = _anchors(table)
    none = float(-100 * np.log(0.025)) / float(table.years[table.deforested == 0].sum())
    return {
        name: (value, float(low[name]), none if high[name] == 0 else float(high[name]))
        for name, value in values.items()
    }


def compared(real: Bands, simulated: Bands) -> list[dict[str, Any]]:
    """Anchor by anchor, whether the simulated figure lies in the real one's 95 % interval."""
    return [
        {
            "name": name,
            "real": band,
            "simulated": simulated[name],
            "passes": band[1] <= simulated[name][0] <= band[2],
        }
        for name, band in real.items()
    ]
