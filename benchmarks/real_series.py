"""Presets and peers on real Sentinel-1 series of the Brazilian Amazon.

    python benchmarks/real_series.py --data DIR --folds 0,1 --json OUT

What it is not: one filtered VH pixel a series, no neighbours, no polygons, no VV, no distance to
deforestation, clearings and forest in equal numbers. It judges the reference, threshold, evidence
and confirmation functions, season off, day by day, each day with its own detection period.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from curupira.detect.evidence import (
    accumulate,
    evidence_confidence,
    history_images,
    log_ratio,
    spread_db,
)
from curupira.detect.exceedance import exceedance
from curupira.detect.params import DetectParams
from curupira.detect.periods import periods
from curupira.detect.reference import reference_level
from curupira.detect.threshold import threshold_db
from curupira.presets import Preset, load

NEVER = np.iinfo(np.int64).max
EPOCH = date(2020, 1, 1)
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Series:
    """Real series on one axis of days since 2020-01-01.

    ``db`` ``(day, series)``, NaN where a series has no image. ``split``: its history lies before.
    ``before``, ``after``: a clearing's last clear and first cleared optical image, else ``NEVER``.
    """

    db: FloatArray
    days: IntArray
    cleared: BoolArray
    split: IntArray
    before: IntArray
    after: IntArray
    cell: IntArray
    fold: IntArray

    @property
    def end(self) -> IntArray:
        """Day of the last image of each series."""
        seen = ~np.isnan(self.db)
        return self.days[len(self.days) - 1 - np.argmax(seen[::-1], axis=0)]

    @property
    def years(self) -> npt.NDArray[np.float64]:
        """Observed time of each series after its history, years."""
        return (self.end - self.split) / 365.25

    def history(self) -> FloatArray:
        """The images before the split, others NaN."""
        return np.where(self.days[:, np.newaxis] < self.split, self.db, np.float32(np.nan))

    def watched(self) -> FloatArray:
        """The images from the split on, others NaN."""
        return np.where(self.days[:, np.newaxis] >= self.split, self.db, np.float32(np.nan))


def read(folder: Path, folds: Sequence[int]) -> Series:
    """Read ``series.parquet`` and ``points.geojson`` of some folds."""
    points = gpd.read_file(folder / "points.geojson")
    points = points[points.fold.isin(folds)].sort_values("id").reset_index(drop=True)
    if points.empty:
        raise SystemExit(f"{folder}: no series of the folds {list(folds)}")
    table = pd.read_parquet(folder / "series.parquet", columns=["id", "date", "spatialf_db"])
    table = table[table.id.isin(points.id)]
    day = _days(table.date)
    days = np.unique(day)
    db = np.full((days.size, len(points)), np.nan, dtype=np.float32)
    column = pd.Index(points.id).get_indexer(table.id)
    db[np.searchsorted(days, day), column] = table.spatialf_db.to_numpy(np.float32)
    _, cell = np.unique(
        np.floor(np.column_stack([points.geometry.x, points.geometry.y])), axis=0,
        return_inverse=True,
    )  # fmt: skip
    return Series(
        db=db,
        days=days,
        cleared=(points["class"] == "deforested").to_numpy(),
        split=_days(points.split_date),
        before=_days(points.before_date),
        after=_days(points.after_date),
        cell=cell.astype(np.int64),
        fold=points.fold.to_numpy(np.int64),
    )


def _days(dates: pd.Series) -> IntArray:
    stamps = pd.to_datetime(dates)
    whole = (stamps - pd.Timestamp(EPOCH)).dt.days
    known = stamps.notna().to_numpy()
    return np.where(known, whole.fillna(0).to_numpy(np.int64), NEVER)


def confirmed_on(series: Series, preset: Preset) -> IntArray:
    """Day on which each series was confirmed, ``NEVER`` where it was not: the daily routine."""
    params = DetectParams.from_preset(preset)
    minimum = params.period.minimum_learning_images
    power = _power(_history(series, params))
    level = reference_level(power, minimum)
    spread = spread_db(power, level, params.evidence)
    drop = threshold_db(None, params.threshold)

    def judge(db: FloatArray, days: npt.NDArray[np.int32]) -> BoolArray:
        if params.evidence.evidence == "none":
            alerts = exceedance(db, level, drop, days).n_alerts
            return (alerts > params.confirm.confirm_n_alerts) & (alerts != 255)
        said = log_ratio(db, level, spread, params.evidence)
        score = evidence_confidence(accumulate(said, days, params.evidence).peak, params.evidence)
        return score >= params.evidence.confirm_confidence

    return first_day(series, params, judge)


def _history(series: Series, params: DetectParams) -> FloatArray:
    """The learning images, or those of them that the evidence takes."""
    history = series.history()
    if params.evidence.evidence == "none":
        return history
    chosen = np.full_like(history, np.nan)
    times = np.datetime64(EPOCH) + series.days.astype("timedelta64[D]")
    for column in range(history.shape[1]):
        learned = np.flatnonzero(~np.isnan(history[:, column]))
        if learned.size == 0:
            continue
        kept = learned[history_images(times[learned], params.evidence)]
        chosen[kept, column] = history[kept, column]
    return chosen


def first_day(
    series: Series,
    params: DetectParams,
    judge: Callable[[FloatArray, npt.NDArray[np.int32]], BoolArray],
) -> IntArray:
    """First day on which ``judge`` confirms, from the images of that day's detection period."""
    found = np.full(series.split.size, NEVER)
    for k, images, day in _routine(series, params):
        # Only series with an image on the day can change; only open ones need to.
        ask = np.flatnonzero(~np.isnan(series.db[k]) & (found == NEVER) & (series.split <= day))
        if ask.size == 0:
            continue
        stack = series.db[images][:, ask]
        stack[series.days[images][:, np.newaxis] < series.split[ask]] = np.nan
        whole = np.full((len(stack), 1, series.split.size), np.nan, dtype=np.float32)
        whole[:, 0, ask] = stack
        found[judge(whole, series.days[images].astype(np.int32))[0]] = day
    return found


def _routine(series: Series, params: DetectParams) -> Iterator[tuple[int, slice, int]]:
    for k, day in enumerate(series.days):
        if day < series.split.min():
            continue
        start = periods(EPOCH + timedelta(days=int(day)), params.period).detection[0]
        first = int(np.searchsorted(series.days, (start - EPOCH).days))
        yield k, slice(first, k + 1), int(day)


def _power(db: FloatArray) -> FloatArray:
    return (10 ** (db / 10))[:, np.newaxis].astype(np.float32)


SUBJECTS: dict[str, Callable[[], Preset]] = {
    # No distance is known, so Tmin holds everywhere; deter_r_far takes Tmax.
    "deter_r": lambda: load("deter_r"),
    "deter_r_far": lambda: load("deter_r").replace(threshold_law="fixed"),
    "sensitive": lambda: load("sensitive"),
    "curupira": lambda: load("curupira"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge, print the table, write the JSON."""
    import real_series_report as report

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", default="0,1")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peers", action="store_true", help="also bayts, CuSum, the accumulator")
    parser.add_argument("--ablation", action="store_true", help="curupira with one piece changed")
    options = parser.parse_args(arguments)
    series = read(options.data, [int(part) for part in options.folds.split(",")])
    results = {name: confirmed_on(series, make()) for name, make in SUBJECTS.items()}
    if options.peers:
        import real_series_peers as peers

        results |= {name: rule(series) for name, rule in peers.PEERS.items()}
    if options.ablation:
        for label, values in report.ABLATION.items():
            results[label] = confirmed_on(series, load("curupira").replace(**values))
    found = {name: report.estimates(series, days) for name, days in results.items()}
    print(report.table(series, results, found, options.folds))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
