"""False confirmed warnings over thousands of square kilometres and years, at little cost.

    python benchmarks/exposure.py DIR --seeds 700 701 ... [--scenario default]

As ``districts.py run --preset curupira`` but for one thing: level and spread are learned once, from
the images before the watch, instead of anew for every image. Masks, folding into warnings and
scores are the shipped ones. ``districts_report.py --runs curupira=once`` sums up, and compares the
two on districts that were run by both. A district that has its result in DIR is not run again.
"""

from __future__ import annotations

import argparse
import pickle
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from ablation import Watcher, stack_of
from curupira import presets
from curupira.cog import write_atomic
from curupira.detect.params import DetectParams
from districts import District, detect, headline, score

TAG = "once"


def run(folder: Path, *, seed: int, scenario: str) -> None:
    """Simulate, detect, keep case and observations."""
    preset = presets.load("curupira")
    asked = {"seed": seed, "scenario": scenario, "size_km": 10.0, "revisit_days": 12}
    with TemporaryDirectory() as scratch:
        district = District.of(Path(scratch), keep=False, **asked)
        eyes = Watcher(district, stack_of(district, DetectParams.from_preset(preset)), preset)
        case, rows = detect(district, preset, eyes)
    folder.mkdir(parents=True, exist_ok=True)
    rows.assign(district=folder.name).to_parquet(folder / f"observations_{TAG}.parquet")
    write_atomic(folder / f"case_{TAG}.pickle", pickle.dumps(case))
    print(folder.name, f"{time.process_time():.0f} s", headline(score(case)), flush=True)


def main() -> None:
    """Run the districts asked for, in their order."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--scenario", default="default")
    a = parser.parse_args()
    for seed in a.seeds:
        folder = a.folder / f"{a.scenario}-12d-{seed}"
        if not (folder / f"case_{TAG}.pickle").is_file():
            run(folder, seed=seed, scenario=a.scenario)


if __name__ == "__main__":
    main()
