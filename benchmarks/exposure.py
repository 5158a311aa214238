"""False confirmed warnings over thousands of square kilometres and years, at little cost.

    python benchmarks/exposure.py DIR --seeds 700 701 ... [--years 4] [--learn once]

As ``districts.py run --preset curupira``, but the watch may last several years, so that what was
felled shortly before it began weighs less. With ``--learn once`` level and spread are learned once
a year, from the images before, instead of anew for every image as ``curupira run`` does: a quarter
of the time, and what was warned of still counts as forest around. Masks, folding into warnings and
scores are the shipped ones in both. ``districts_report.py --runs curupira=anew`` (or ``=once``)
sums up. A district that has its result in DIR is not run again.
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from shapely.geometry.base import BaseGeometry

from ablation import Watcher, stack_of
from curupira import presets
from curupira.cog import write_atomic
from curupira.detect.params import DetectParams
from curupira.records import Acquisition, Observation
from curupira.units import add_months
from districts import District, Shipped, detect, headline, score

ANEW, ONCE = "anew", "once"


class Yearly:
    """A watcher for each year of the watch, with what was learned before it."""

    def __init__(self, district: District, preset: presets.Preset, years: int) -> None:
        self.district, self.preset = district, preset
        since = district.opened.monitor.algorithm.monitor_since
        self.begins = [add_months(since, 12 * year) for year in range(years)]
        self.detector = district.detector(preset)
        self.watcher = self._learn(0)

    def _learn(self, year: int) -> Watcher:
        params = DetectParams.from_preset(self.preset)
        self.until = self.begins[year + 1] if year + 1 < len(self.begins) else date.max
        stack = stack_of(self.district, params, self.begins[year])
        return Watcher(self.district, stack, self.preset)

    def backlog(self) -> list[BaseGeometry]:
        """What was disturbed before the watch."""
        return self.watcher.backlog()

    def look(self, acquisition: Acquisition, sar_mask: Sequence[BaseGeometry]) -> list[Observation]:
        """What an acquisition shows outside of a mask."""
        if acquisition.day >= self.until:
            self.watcher = self._learn(self.begins.index(self.until))
        return self.watcher.look(acquisition, sar_mask)


def run(folder: Path, *, seed: int, scenario: str, years: int, learn: str) -> None:
    """Simulate, detect, keep case and observations."""
    preset = presets.load("curupira")
    asked = {"seed": seed, "scenario": scenario, "size_km": 10.0, "revisit_days": 12}
    with TemporaryDirectory() as scratch:
        district = District.of(Path(scratch), keep=False, monitored_years=years, **asked)
        anew = learn == ANEW
        eyes = Shipped(district, preset) if anew else Yearly(district, preset, years)
        case, rows = detect(district, preset, eyes)
    folder.mkdir(parents=True, exist_ok=True)
    rows.assign(district=folder.name).to_parquet(folder / f"observations_{learn}.parquet")
    write_atomic(folder / f"case_{learn}.pickle", pickle.dumps(case))
    print(folder.name, f"{time.process_time():.0f} s", headline(score(case)), flush=True)


def main() -> None:
    """Run the districts asked for, in their order."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--years", type=int, default=1, help="of watch")
    parser.add_argument("--scenario", default="default")
    parser.add_argument("--learn", choices=[ANEW, ONCE], default=ANEW, help="level and spread")
    a = parser.parse_args()
    for seed in a.seeds:
        folder = a.folder / f"{a.scenario}-12d-{seed}"
        if not (folder / f"case_{a.learn}.pickle").is_file():
            run(folder, seed=seed, scenario=a.scenario, years=a.years, learn=a.learn)


if __name__ == "__main__":
    main()
