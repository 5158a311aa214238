"""Estimates of the real-series benchmark: intervals, seasons, interval-censored delays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from real_series import EPOCH, NEVER, IntArray, Series

FloatArray = npt.NDArray[np.float64]
Estimate = dict[str, float | int | None]
REPLICATES = 2000

#: `curupira` with one piece changed.
ABLATION: dict[str, dict[str, Any]] = {
    "population's spread only": {"evidence_own_share": 0.0},
    "own spread, at least 0.45 dB": {"evidence_own_share": 1.0},
    "own spread only": {"evidence_own_share": 1.0, "evidence_spread_db": 0.1},
    "normal tails": {"evidence_tail": 100.0},
    "no share that looks like forest": {"evidence_forest_share": 0.01},
    "deep drops (3 dB)": {"evidence_drop_db": 3.0},
    "broad drops (2 dB)": {"evidence_drop_sd_db": 2.0},
    "level from two years": {"evidence_history_months": 24, "evidence_history_images": 200},
    "level from 16 images": {"evidence_history_images": 16},
    "floor at -1": {"evidence_floor": -1.0},
    "detection period of 2 months": {"detection_months": 2},
    "detection period of 8 months": {"detection_months": 8},
    "confirmed from 3.5 nats": {"confirm_confidence": 0.6035},
    "confirmed from 5 nats": {"confirm_confidence": 0.9255},
}


def estimates(series: Series, days: IntArray) -> dict[str, Estimate]:
    """Found, false per series-year and median delay with 95 % intervals.

    Bootstrap over the cells of one degree. Where no forest series is false it says nothing: the
    upper bound is then the exact Poisson one, 3.69 / series-years.
    """
    hit = days < NEVER
    c, f = series.cleared, ~series.cleared
    n_cells = int(series.cell.max()) + 1
    random = np.random.default_rng(20_200_101)
    draws = random.multinomial(n_cells, np.full(n_cells, 1 / n_cells), size=REPLICATES)

    def ratio(top: FloatArray, bottom: FloatArray, n: int) -> Estimate:
        sums = [np.bincount(series.cell, x, minlength=n_cells) for x in (top, bottom)]
        with np.errstate(invalid="ignore", divide="ignore"):
            replicates = (draws @ sums[0]) / (draws @ sums[1])
        if bottom.sum() == 0:
            return _estimate(None, None, n)
        return _estimate(float(top.sum() / bottom.sum()), replicates, n)

    found = ratio((hit & c).astype(float), c.astype(float), int(c.sum()))
    false = ratio((hit & f).astype(float), np.where(f, series.years, 0.0), int(f.sum()))
    if false["value"] == 0:
        false["high"] = -np.log(0.025) / float(series.years[f].sum())
    of = np.flatnonzero(hit & c)
    delay = (days - series.after)[of].astype(float)
    order = np.argsort(delay)
    weights = draws[:, series.cell[of[order]]].cumsum(axis=1)
    if of.size == 0:
        return {"found": found, "false_per_series_year": false,
                "median_delay_days": _estimate(None, None, 0)}  # fmt: skip
    middle = (weights >= weights[:, -1:] / 2).argmax(axis=1)
    medians = _estimate(float(np.median(delay)), delay[order][middle], int(of.size))
    return {"found": found, "false_per_series_year": false, "median_delay_days": medians}


def _estimate(value: float | None, replicates: FloatArray | None, n: int) -> Estimate:
    if value is None or replicates is None:
        return {"value": None, "low": None, "high": None, "n": n}
    low, high = np.nanpercentile(replicates, [2.5, 97.5])
    return {"value": value, "low": float(low), "high": float(high), "n": n}


def _months(days: IntArray) -> IntArray:
    stamps = np.datetime64(EPOCH) + days.astype("timedelta64[D]")
    return stamps.astype("datetime64[M]").astype(np.int64) % 12


def _exposure(series: Series, of: npt.NDArray[np.bool_]) -> FloatArray:
    """Observed years by calendar month."""
    years = np.zeros(12)
    for start, end in zip(series.split[of], series.end[of], strict=True):
        years += np.bincount(_months(np.arange(start, end)), minlength=12) / 365.25
    return years


def weighted_false_rate(series: Series, days: IntArray) -> float:
    """False rate with the forest windows weighted to the months in which clearings fall.

    The month of a clearing is the middle between its last clear and its first cleared image.
    """
    c, f = series.cleared, ~series.cleared
    share = np.bincount(_months((series.before[c] + series.after[c]) // 2), minlength=12) / c.sum()
    false = np.bincount(_months(days[f & (days < NEVER)]), minlength=12)
    return float(np.sum(share * false / np.maximum(_exposure(series, f), 1e-9)))


def wet_months(series: Series, days: IntArray) -> tuple[float, int, float, float]:
    """November to March: found, of how many, their median delay, and the false rate."""
    wet = np.isin(np.arange(12), [10, 11, 0, 1, 2])
    c, f, hit = series.cleared, ~series.cleared, days < NEVER
    middle = np.where(c, (series.before // 2 + series.after // 2), 0)
    of = c & wet[_months(middle)]
    delay = float(np.median((days - series.after)[of & hit])) if (of & hit).any() else np.nan
    false = wet[_months(days[f & hit])].sum()
    n = int(of.sum())
    return (
        float((hit & of).sum() / max(n, 1)),
        n,
        delay,
        float(false / _exposure(series, f)[wet].sum()),
    )


def turnbull_median(series: Series, days: IntArray) -> tuple[float, float, float]:
    """Median delay over all clearings, those not found censored at the end of their series.

    Returns the median of the non-parametric estimate (Turnbull 1976) with the event anywhere
    between its two optical images, and the Kaplan-Meier-like bounds that put every event at the
    later and at the earlier one.
    """
    c = series.cleared
    hit = (days < NEVER)[c]
    stop = np.where(hit, days[c], series.end[c])
    low = np.maximum(stop - series.after[c], 0)
    high = np.where(hit, np.maximum(stop - series.before[c], 0), 10**6)
    grid = np.append(np.arange(0, max(int(high[hit].max(initial=0)), int(low.max())) + 1), 10**6)
    # Not found: the delay is longer than the series, that is anything beyond ``low``.
    inside = (grid >= low[:, np.newaxis]) & (grid <= high[:, np.newaxis])
    mass = np.full(grid.size, 1 / grid.size)
    for _ in range(300):
        part = inside * mass
        mass = (part / part.sum(axis=1, keepdims=True)).mean(axis=0)
    bounds = [np.where(hit, d, 10**6) for d in (low, stop - series.before[c])]
    medians = [float(np.median(b)) for b in bounds]
    return float(grid[np.searchsorted(mass.cumsum(), 0.5)]), medians[0], medians[1]


def table(
    series: Series,
    results: Mapping[str, IntArray],
    found: Mapping[str, Mapping[str, Estimate]],
    folds: str,
) -> str:
    """All results as a Markdown table."""
    forest = ~series.cleared
    lines = [
        f"Folds {folds}: {series.cleared.sum()} clearings, {forest.sum()} forest series, "
        f"{series.years[forest].sum():.0f} forest series-years",
        "",
        "| rule | found % | false % a year (series) | median delay, days "
        "| false, clearings' months % "
        "| Nov-Mar: found % (n), delay, false % | interval-censored median (bounds) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, days in results.items():
        e = found[name]
        wet = wet_months(series, days)
        censored = turnbull_median(series, days)
        lines.append(
            f"| {name} | {_text(e['found'], 100, 1)} | "
            f"{_text(e['false_per_series_year'], 100, 2)} ({(days[forest] < NEVER).sum()}) | "
            f"{_text(e['median_delay_days'], 1, 0)} | "
            f"{100 * weighted_false_rate(series, days):.2f} | "
            f"{100 * wet[0]:.1f} ({wet[1]}), {wet[2]:.0f}, {100 * wet[3]:.2f} | "
            f"{censored[0]:.0f} ({censored[1]:.0f} to {censored[2]:.0f}) |"
        )
    return "\n".join(lines)


def _text(e: Estimate, factor: float, digits: int) -> str:
    if e["value"] is None:
        return "-"
    value, low, high = (f"{factor * float(e[k] or 0):.{digits}f}" for k in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
