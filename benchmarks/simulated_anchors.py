"""Does the simulator look like the Amazon? The anchor table of method.md 4A.

    python benchmarks/simulated_anchors.py [--seeds 601-632] [--size-km 10] [--json FILE]
    python benchmarks/simulated_anchors.py --data DIR       # the real figures anew, from the series

The real figures, with their intervals, are those of ``results/anchors_real.json``: no series are
needed. DIR holds ``series.parquet`` and ``points.geojson`` of s1-amazon-series, of which folds 0-1
alone are read; what comes out replaces that file.
Simulated images are averaged to 20 m, freed of the season and filtered as the published method
does (Quegan-Yu with the 5 x 5 median, Refined Lee), over history and monitored time together. One
pixel is taken from the middle of each clearing of 1 ha or more, and forest pixels 500 m apart.
Of a clearing's date the real series know two optical images, about 60 days apart: the simulated
start is hidden in such a gap, drawn from the real ones. Districts are as large as those that are
scored (rain comes by district), and of five years, up to three of them monitored: those clearings
that are followed for as long as the real ones, a year, are taken.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
#: Length of the simulated districts, how much of it is monitored at most (so many clearings more),
#: and for how long a clearing must be followed.
YEARS, MONITORED_MONTHS, FOLLOWED_DAYS = 5, 36, 330
#: What the published method cuts off a slice's ends, and as much ahead of the seam.
BORDER_M = 1000
FOLDS = (0, 1)
#: Days of the real series count from here.
FIRST_DAY = pd.Timestamp("2016-01-01")
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
REAL = Path(__file__).parent / "results" / "anchors_real.json"


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


@dataclass(frozen=True)
class RealFigures:
    """What is known of the real series without having them.

    ``bands``: value and 95 % bounds of every anchor; ``gap_days``: quantiles, from 0 to 1 in equal
    steps, of the days between a clearing's two optical images; ``wait_days``: see ``waits``.
    """

    series: int
    bands: Bands
    gap_days: tuple[float, ...]
    wait_days: dict[str, float]

    @classmethod
    def of(cls, folder: Path, rounds: int) -> RealFigures:
        """Compute them from the series."""
        points = gpd.read_file(folder / "points.geojson")
        points = points[points.fold.isin(FOLDS)]
        cleared = points[points.id >= 3000]
        gaps = (pd.to_datetime(cleared.after_date) - pd.to_datetime(cleared.before_date)).dt.days
        series = real_series(folder, points)
        steps = np.quantile(gaps.dropna().to_numpy(float), np.linspace(0, 1, 21))
        gap_days = tuple(float(day) for day in steps)
        return cls(len(series), interval(series, rounds), gap_days, waits(series))

    @classmethod
    def read(cls, path: Path) -> RealFigures:
        """Read them back."""
        found = json.loads(path.read_text(encoding="utf-8"))
        bands = {name: (band[0], band[1], band[2]) for name, band in found["bands"].items()}
        return cls(found["series"], bands, tuple(found["gap_days"]), found["wait_days"])

    def draw_gap(self, rng: np.random.Generator) -> float:
        """Days between two optical images."""
        return float(np.interp(rng.random(), np.linspace(0, 1, len(self.gap_days)), self.gap_days))


def real_series(folder: Path, points: gpd.GeoDataFrame) -> list[Series]:
    """Series of some points."""
    cells = np.floor(np.column_stack([points.geometry.x, points.geometry.y]))
    _, cell = np.unique(cells, axis=0, return_inverse=True)
    points = points.assign(cell=cell).set_index("id")
    table = pd.read_parquet(folder / "series.parquet", columns=["id", "date", "spatialf_db"])
    found = []
    for key, rows in table[table.id.isin(points.index)].sort_values("date").groupby("id"):
        point = points.loc[key]
        days = (pd.to_datetime(rows.date) - FIRST_DAY).dt.days.to_numpy(float)
        split, after = (_day(point[name]) for name in ("split_date", "after_date"))
        if (days < split).sum() >= 20 and (days >= split).sum() >= 5:
            db = rows.spatialf_db.to_numpy(float)
            month = _month(FIRST_DAY, (split + after) / 2)
            found.append(Series(days, db, split, after, int(key) >= 3000, int(point.cell), month))
    return found


def _day(text: object) -> float:
    moment = pd.to_datetime(text)
    return float("nan") if pd.isna(moment) else float((moment - FIRST_DAY).days)


def _month(first: pd.Timestamp, days: float) -> int:
    return 0 if np.isnan(days) else int((first + pd.Timedelta(days=days)).month)


def filtered(district: SimulatedDistrict) -> np.ndarray:
    """VH (linear) of all passes at 20 m, as the published method filters it: (t, y, x)."""
    stack = np.stack([_halved(district.renderer.vh(i)) for i in range(len(district.passes))])
    times = np.array([p.acquired.replace(tzinfo=None) for p in district.passes], "datetime64[us]")
    every = np.ones(len(times), dtype=bool)
    level = stabilise(stack, years_since_2016(times), every, recentre="intercept")
    level = quegan_yu(level, window=5, kind="median")
    return np.stack([refined_lee(image, side="scripts", clamp=False) for image in level])


def _halved(image: np.ndarray) -> np.ndarray:
    # Mean of 2 x 2 pixels.
    total = image[::2, ::2] + image[::2, 1::2] + image[1::2, ::2] + image[1::2, 1::2]
    return total / np.float32(4)


def _db(level: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(level, 1e-6))


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
        district = simulate_district(
            size_km=size_km,
            years=YEARS,
            seed=seed,
            scenario=scenario,
            monitored_months=MONITORED_MONTHS,
        )
        rng = np.random.default_rng(seed)
        first = pd.Timestamp(district.world.place.first_day)
        level, days = filtered(district), district.timeline.days
        event, seen = district.patches.event[::2, ::2], clear_of_seams(district)
        for item in district.events:
            inside = (event == item.event_id) & seen
            if item.kind != "clearing" or item.area_ha < 1 or item.outside_mask or not inside.any():
                continue
            depth = distance_transform_edt(inside)
            y, x = np.unravel_index(int(depth.argmax()), depth.shape)
            gap = real.draw_gap(rng)
            split = item.start_days - rng.uniform(0, gap)
            month = _month(first, split + gap / 2)
            # As many years before and after as the real series have.
            near = (days > split - 730) & (days < split + 365)
            if days[-1] >= split + FOLLOWED_DAYS and (days[near] < split).sum() >= 20:
                found.append(
                    Series(
                        days[near], _db(level[near, y, x]), split, split + gap, True, seed, month
                    )
                )
        free = (district.landscape.cover[::2, ::2] == 0) & (event == 0) & seen
        depth = distance_transform_edt(free)
        for y in range(12, free.shape[0] - 12, 25):
            for x in range(12, free.shape[1] - 12, 25):
                if depth[y, x] > 5:
                    split = float(days[-1] - 365)
                    near = days > split - 730
                    found.append(
                        Series(days[near], _db(level[near, y, x]), split, np.nan, False, seed)
                    )
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


def main() -> None:
    """Print the table; exit code 0 whatever it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", default="601-632", help="first-last")
    parser.add_argument("--size-km", type=float, default=10)
    parser.add_argument("--scenario", default="default")
    parser.add_argument("--rounds", type=int, default=400)
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
    rows = compared(real.bands, interval(made, args.rounds))
    print(f"real: {real.series} series of folds 0-1; simulated: {len(made)} series, seeds {seeds}")
    print(f"{'':62}{'real (95 %)':>26}{'simulated (95 %)':>26}  passes")
    for row in rows:
        (value, a, b), (mine, c, d) = row["real"], row["simulated"]
        print(
            f"{row['name']:62}{value:9.2f} ({a:6.2f}..{b:6.2f}){mine:9.2f} ({c:6.2f}..{d:6.2f})"
            f"  {'yes' if row['passes'] else 'NO'}"
        )
    print(f"{sum(row['passes'] for row in rows)} of {len(rows)} lie in the interval")
    waited = waits(made)
    print("days from the middle between the optical images to the first flag: real, simulated")
    for name, days in real.wait_days.items():
        print(f"{name:62}{days:9.0f}{waited[name]:9.0f}")
    if args.json:
        out = {"seeds": args.seeds, "anchors": rows, "wait_days": waited}
        args.json.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")


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


if __name__ == "__main__":
    main()
