"""Does the simulator look like the Amazon? The anchor table of method.md 4A.

    python benchmarks/simulated_anchors.py [--seeds 521-536] [--size-km 10] [--json FILE]
    python benchmarks/simulated_anchors.py --data DIR       # the real figures anew, from the series

The real figures, with their intervals, are those of ``results/anchors_real.json``: no series are
needed. DIR holds ``series.parquet`` and ``points.geojson`` of s1-amazon-series, of which folds 0-1
alone are read; what comes out replaces that file.
Simulated images are averaged to 20 m, freed of the season and filtered as the published method
does (Quegan-Yu with the 5 x 5 median, Refined Lee), over history and monitored time together. One
pixel is taken from the middle of each clearing of 1 ha or more, and forest pixels 500 m apart.
Of a clearing's date the real series know two optical images, about 60 days apart: the simulated
start is hidden in such a gap, drawn from the real ones. Districts are as large as those that are
scored (rain comes by district), and of six years, so that most clearings are followed for as long
as the real ones, a year; those that are not are left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt

from curupira.detect.quegan_yu import quegan_yu
from curupira.detect.refined_lee import refined_lee
from curupira.detect.season import stabilise
from curupira.simulate.district import SimulatedDistrict, simulate_district
from curupira.units import years_since_2016

#: First thresholds of the published law: 1.31 + 0.35 T at T = 2.5 and T = 3.94.
NEAR_DB, FAR_DB = 2.185, 2.689
#: Two flags confirm within so many days.
CONFIRM_DAYS = 60
#: Length of the simulated districts, and for how long a clearing must be followed.
YEARS, FOLLOWED_DAYS = 6, 330
#: What the published method cuts off a slice's ends, and as much ahead of the seam.
BORDER_M = 1000
FOLDS = (0, 1)
REAL = Path(__file__).parent / "results" / "anchors_real.json"


@dataclass(frozen=True)
class Series:
    """One pixel: days, dB, and the days between which it was cleared (NaN for forest).

    ``district``: the seed, for simulated ones.
    """

    days: np.ndarray
    db: np.ndarray
    split: float
    after: float
    deforested: bool
    district: int = 0

    def drops(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Days and drops below the history's median after the split, and the history's spread."""
        past = self.db[self.days < self.split]
        spread = 1.4826 * np.median(np.abs(past - np.median(past)))
        later = self.days >= self.split
        return self.days[later], np.median(past) - self.db[later], float(spread)


@dataclass(frozen=True)
class RealFigures:
    """What is known of the real series without having them.

    ``bands``: value and 95 % bounds of every anchor; ``gap_days``: quantiles, from 0 to 1 in equal
    steps, of the days between a clearing's two optical images.
    """

    series: int
    bands: dict[str, tuple[float, float, float]]
    gap_days: tuple[float, ...]

    @classmethod
    def of(cls, folder: Path, rounds: int) -> RealFigures:
        """Compute them from the series."""
        points = gpd.read_file(folder / "points.geojson")
        points = points[points.fold.isin(FOLDS)]
        cleared = points[points.id >= 3000]
        gaps = (pd.to_datetime(cleared.after_date) - pd.to_datetime(cleared.before_date)).dt.days
        series = real_series(folder, points)
        steps = np.quantile(gaps.dropna().to_numpy(float), np.linspace(0, 1, 21))
        return cls(len(series), interval(series, rounds), tuple(float(day) for day in steps))

    @classmethod
    def read(cls, path: Path) -> RealFigures:
        """Read them back."""
        found = json.loads(path.read_text(encoding="utf-8"))
        bands = {name: (band[0], band[1], band[2]) for name, band in found["bands"].items()}
        return cls(found["series"], bands, tuple(found["gap_days"]))

    def draw_gap(self, rng: np.random.Generator) -> float:
        """Days between two optical images."""
        return float(np.interp(rng.random(), np.linspace(0, 1, len(self.gap_days)), self.gap_days))


def real_series(folder: Path, points: gpd.GeoDataFrame) -> list[Series]:
    """Series of some points."""
    points = points.set_index("id")
    table = pd.read_parquet(folder / "series.parquet", columns=["id", "date", "spatialf_db"])
    found = []
    for key, rows in table[table.id.isin(points.index)].sort_values("date").groupby("id"):
        point = points.loc[key]
        days = (pd.to_datetime(rows.date) - pd.Timestamp("2016-01-01")).dt.days.to_numpy(float)
        split, after = (_day(point[name]) for name in ("split_date", "after_date"))
        if (days < split).sum() >= 20 and (days >= split).sum() >= 5:
            db = rows.spatialf_db.to_numpy(float)
            found.append(Series(days, db, split, after, int(key) >= 3000))
    return found


def _day(text: object) -> float:
    moment = pd.to_datetime(text)
    return float("nan") if pd.isna(moment) else float((moment - pd.Timestamp("2016-01-01")).days)


def filtered(district: SimulatedDistrict) -> np.ndarray:
    """VH (dB) of all passes at 20 m, as the published method filters it: (t, y, x)."""
    rows, columns = (n // 2 for n in district.landscape.shape)
    stack = np.stack(
        [
            district.renderer.image(i)[0].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
            for i in range(len(district.passes))
        ]
    )
    times = np.array([p.acquired.replace(tzinfo=None) for p in district.passes], "datetime64[us]")
    every = np.ones(len(times), dtype=bool)
    level = stabilise(stack, years_since_2016(times), every, recentre="intercept")
    level = quegan_yu(level, window=5, kind="median")
    smooth = np.stack([refined_lee(image, side="scripts", clamp=False) for image in level])
    return 10 * np.log10(np.maximum(smooth, 1e-6))


def clear_of_seams(district: SimulatedDistrict) -> np.ndarray:
    """Pixels ``(y, x)`` at 20 m that no slice's noisy border reaches: the method cuts it off."""
    found = np.ones(tuple(n // 2 for n in district.landscape.shape), dtype=bool)
    for view in district.views.values():
        if view.seam is not None:
            found &= np.abs(view.seam.behind_m[::2, ::2]) > BORDER_M
    return found


def simulated_series(
    seeds: list[int], size_km: float, real: RealFigures, scenario: str
) -> list[Series]:
    """Series of the districts of some seeds."""
    found = []
    for seed in seeds:
        district = simulate_district(size_km=size_km, years=YEARS, seed=seed, scenario=scenario)
        rng = np.random.default_rng(seed)
        db, days = filtered(district), district.timeline.days
        event, seen = district.patches.event[::2, ::2], clear_of_seams(district)
        for item in district.events:
            inside = (event == item.event_id) & seen
            if item.kind != "clearing" or item.area_ha < 1 or item.outside_mask or not inside.any():
                continue
            depth = distance_transform_edt(inside)
            y, x = np.unravel_index(int(depth.argmax()), depth.shape)
            gap = real.draw_gap(rng)
            split = item.start_days - rng.uniform(0, gap)
            # As many years before and after as the real series have.
            near = (days > split - 730) & (days < split + 365)
            if days[-1] >= split + FOLLOWED_DAYS and (days[near] < split).sum() >= 20:
                found.append(Series(days[near], db[near, y, x], split, split + gap, True, seed))
        free = (district.landscape.cover[::2, ::2] == 0) & (event == 0) & seen
        depth = distance_transform_edt(free)
        for y in range(12, free.shape[0] - 12, 25):
            for x in range(12, free.shape[1] - 12, 25):
                if depth[y, x] > 5:
                    split = float(days[-1] - 365)
                    near = days > split - 730
                    found.append(Series(days[near], db[near, y, x], split, np.nan, False, seed))
    return found


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
        "district": float(series.district),
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
            "district",
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


def interval(series: list[Series], rounds: int) -> dict[str, tuple[float, float, float]]:
    """Anchors with their 95 % intervals, by bootstrap: over districts, else over series.

    Pixels of one simulated district share what it has drawn, its weather and its dates.
    """
    rng = np.random.default_rng(0)
    table = _table(series)
    parts = [np.flatnonzero(table.district == d) for d in table.district.unique()]
    if len(parts) == 1:
        parts = [np.array([row]) for row in range(len(table))]
    draws = [
        _anchors(table.iloc[np.concatenate([parts[i] for i in drawn])])
        for drawn in rng.integers(0, len(parts), (rounds, len(parts)))
    ]
    low, high = (pd.DataFrame(draws).quantile(q) for q in (0.025, 0.975))
    return {
        name: (value, float(low[name]), float(high[name]))
        for name, value in _anchors(table).items()
    }


def main() -> None:
    """Print the table; exit code 0 whatever it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", default="521-536", help="first-last")
    parser.add_argument("--size-km", type=float, default=10)
    parser.add_argument("--scenario", default="default")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.data is not None:
        REAL.write_text(
            json.dumps(asdict(RealFigures.of(args.data, args.rounds)), indent=1) + "\n",
            encoding="utf-8",
        )
    real = RealFigures.read(REAL)
    first, _, last = args.seeds.partition("-")
    seeds = list(range(int(first), int(last or first) + 1))
    made = simulated_series(seeds, args.size_km, real, args.scenario)
    bands = interval(made, args.rounds)
    rows = []
    print(f"real: {real.series} series of folds 0-1; simulated: {len(made)} series, seeds {seeds}")
    print(f"{'':62}{'real (95 %)':>26}{'simulated (95 %)':>26}  meets")
    for name, (value, a, b) in real.bands.items():
        mine, c, d = bands[name]
        meets, inside = c <= b and a <= d, a <= mine <= b
        rows.append(
            {
                "name": name,
                "real": (value, a, b),
                "simulated": bands[name],
                "meets": meets,
                "inside": inside,
            }
        )
        print(
            f"{name:62}{value:9.2f} ({a:6.2f}..{b:6.2f}){mine:9.2f} ({c:6.2f}..{d:6.2f})"
            f"  {'inside' if inside else 'yes' if meets else 'NO'}"
        )
    print(
        f"{sum(bool(row['meets']) for row in rows)} of {len(rows)} intervals overlap, "
        f"{sum(bool(row['inside']) for row in rows)} simulated values lie in the real interval"
    )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
