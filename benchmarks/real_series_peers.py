"""Peers on the real series: a ten-line accumulator, bayts by its open specification, nrt's CuSum.

The options of bayts and CuSum were chosen on folds 0-1 by `tune`: the most clearings found with at
most 0.5 % of the forest series warned a year. distmetrics compares VV and VH images in windows of
neighbours: it cannot run on single VH series.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from real_series import EPOCH, NEVER, FloatArray, IntArray, Series, read

#: Chosen on folds 0-1: `python real_series_peers.py DIR`.
BAYTS = {"spread": 1.5, "shift": 3.0, "flag": 0.75, "chi": 0.975}
CUSUM = {"sensitivity": 0.001}


def _own(series: Series) -> tuple[FloatArray, FloatArray]:
    """Median and robust standard deviation of each history, dB."""
    history = series.history()
    level = np.nanmedian(history, axis=0)
    return level, 1.4826 * np.nanmedian(np.abs(history - level), axis=0)


def accumulator(series: Series) -> IntArray:
    """Own median and robust spread, at least 0.45 dB; cleared is 2 to 3 dB lower, spread 1.2 dB.

    At most 6 nats an image, sum at least -1, issued above 8.
    """
    level, spread = _own(series)
    spread = np.maximum(spread, 0.45)
    total = np.zeros(level.size)
    found = np.full(level.size, NEVER)
    for day, db in zip(series.days, series.watched(), strict=True):
        miss = np.clip(db - level, -3, -2) - (db - level)
        says = ((db - level) / spread) ** 2 / 2 - (miss / 1.2) ** 2 / 2 + np.log(spread / 1.2)
        total = np.where(np.isnan(db), total, np.maximum(total + np.fmin(says, 6), -1))
        found[(total > 8) & (found == NEVER)] = day
    return found


def bayts(series: Series, *, spread: float, shift: float, flag: float, chi: float) -> IntArray:
    """Iterative Bayesian updating (Reiche et al. 2015; github.com/jreiche/bayts).

    Forest is N(median, ``spread`` sd), non-forest N(median - ``shift`` sd, ``spread`` sd);
    probabilities of non-forest are held within 0.1 and 0.9. An image at ``flag`` or more opens a
    flag, the next ones update it; rejected below 0.5, confirmed from ``chi`` while the image itself
    says at least 0.5.
    """
    level, own = _own(series)
    sd = spread * np.maximum(own, 0.05)
    previous = np.full(level.size, 0.5)
    change = np.zeros(level.size)
    pending = np.zeros(level.size, dtype=np.bool_)
    found = np.full(level.size, NEVER)
    for day, db in zip(series.days, series.watched(), strict=True):
        here = ~np.isnan(db)
        odds = ((db - level + shift * own) ** 2 - (db - level) ** 2) / (2 * sd**2)
        now = np.clip(1 / (1 + np.exp(np.clip(odds, -50, 50))), 0.1, 0.9)
        opens = here & ~pending & (now >= flag)
        prior = np.where(pending, change, previous)
        posterior = prior * now / (prior * now + (1 - prior) * (1 - now))
        active = here & (pending | opens)
        change = np.where(active, posterior, change)
        pending = np.where(here, active & (opens | (change >= 0.5)), pending)
        found[active & pending & (change >= chi) & (now >= 0.5) & (found == NEVER)] = day
        previous = np.where(here, now, previous)
    return found


def cusum(series: Series, *, sensitivity: float) -> IntArray:
    """CuSum of the library nrt, mean only (no trend, no harmonic); falling breaks count."""
    import xarray as xr
    from nrt.monitor.cusum import CuSum

    start = datetime.combine(EPOCH, datetime.min.time())
    times = np.datetime64(start, "ns") + series.days.astype("timedelta64[D]")
    before = series.days < series.split.max()
    monitor = CuSum(trend=False, harmonic_order=0, sensitivity=sensitivity)
    history = xr.DataArray(
        series.history()[before][:, np.newaxis],
        dims=("time", "y", "x"),
        coords={"time": times[before], "y": [0], "x": np.arange(series.split.size)},
    )
    monitor.fit(history, method="OLS")
    found = np.full(series.split.size, NEVER)
    for day, db in zip(series.days, series.watched(), strict=True):
        if np.isnan(db).all():
            continue
        monitor.monitor(db[np.newaxis], start + timedelta(days=int(day)))
        fallen = (monitor.mask[0] == 3) & (monitor.process[0] < 0)
        found[fallen & (found == NEVER)] = day
    return found


PEERS: dict[str, Callable[[Series], IntArray]] = {
    "accumulator": accumulator,
    "bayts": lambda series: bayts(series, **BAYTS),
    "nrt_cusum": lambda series: cusum(series, **CUSUM),
}


def tune(series: Series) -> None:
    """Print, for each peer, the options that find most at no more than 0.5 % false a year."""
    forest = ~series.cleared
    allowed = 0.005 * series.years[forest].sum()

    def score(found: IntArray) -> tuple[float, int]:
        hit: npt.NDArray[np.bool_] = found < NEVER
        false = int(hit[forest].sum())
        return (float(hit[series.cleared].mean()) if false <= allowed else -1.0), false

    grid = itertools.product((1.0, 1.5, 2.0, 3.0), (3.0, 4.0, 5.0, 6.0), (0.5, 0.6, 0.75),
                             (0.85, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999))  # fmt: skip
    options = [dict(zip(("spread", "shift", "flag", "chi"), o, strict=True)) for o in grid]
    best = max(options, key=lambda o: score(bayts(series, **o)))
    print("bayts", best, score(bayts(series, **best)))
    for sensitivity in (0.1, 0.05, 0.01, 0.001, 0.0001, 0.00001):
        print("nrt_cusum", sensitivity, score(cusum(series, sensitivity=sensitivity)))


if __name__ == "__main__":
    tune(read(Path(sys.argv[1]), (0, 1)))
