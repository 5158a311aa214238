"""Does the simulator look like the Amazon? The anchor table of method.md 4A.

    python benchmarks/simulated_anchors.py [--seeds 820-883] [--size-km 10] [--json FILE]
    python benchmarks/simulated_anchors.py --data DIR       # the real figures anew, from the series

The real figures, with their intervals, are those of ``results/anchors_real.json``: no series are
needed. DIR holds ``series.parquet`` and ``points.geojson`` of s1-amazon-series, of which folds 0-1
alone are read; what comes out replaces that file.
Simulated images are made into series as the real ones were (Doblas et al. 2020, `spatialf_db`):
averaged to 20 m, each divided by the mean of the forest around, which frees it of the season and
of what the date does to all forest, then filtered (Quegan-Yu with the 5 x 5 median, Refined Lee)
over the two years before and the year after. One pixel is taken from the middle of each clearing
of 1 ha or more, and forest pixels 500 m apart. The forest around is that of the district, 10 km
wide like the window of the real series.
Of a clearing's date the real series know two optical images, about 60 days apart: the simulated
start is hidden in such a gap, drawn from the real ones. Districts are as large as those that are
scored (rain comes by district), and of five years, up to three of them monitored: those clearings
that are followed for as long as the real ones, a year, are taken.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from anchor_figures import Bands, compared, interval, waits
from anchor_series import real_series, simulated_series

FOLDS = (0, 1)
REAL = Path(__file__).parent / "results" / "anchors_real.json"


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


def numbers(text: str) -> list[int]:
    """Seeds of a text like ``820-883``, or single ones."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def main() -> None:
    """Print the table; exit code 0 whatever it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", default="820-883", help="first-last,first-last,...")
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
    seeds = numbers(args.seeds)
    made = simulated_series(seeds, args.size_km, real.draw_gap, args.scenario)
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


if __name__ == "__main__":
    main()
