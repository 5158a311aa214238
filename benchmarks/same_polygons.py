"""Whether two versions of the code issue the same polygons: a simulated district, run by both.

Run: python benchmarks/same_polygons.py COMMIT [--size-km 4] [--years 3] [--seed 77]

The code of the commit (``git archive``) simulates the district and works it off; today's works off
a copy. Observations and warnings are compared, all columns but those that name the run or the
preset's text. Ends with an error if they differ.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from detect_core import machine

RESULT = Path(__file__).parent / "results" / "same_polygons.json"
ROOT = Path(__file__).parents[1]
#: They name the run, its clock, or the hash of a preset, to which options were added.
OTHER = {"id", "run_id", "preset_hash", "updated_at", "recorded_at", "history"}
#: Names of warnings are given anew in every workspace that is worked off.
NAMES = {"warning_id", "merged_into"}


def code_of(commit: str, folder: Path) -> Path:
    """The sources of a commit."""
    folder.mkdir()
    packed = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, check=True, stdout=-1)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    return folder / "src"


def curupira(sources: Path, cache: Path, *arguments: str) -> None:
    """Run the command by these sources."""
    environment = os.environ | {"PYTHONPATH": str(sources), "NUMBA_CACHE_DIR": str(cache)}
    program = Path(sys.executable).with_name("curupira")
    subprocess.run([str(program), *arguments], env=environment, check=True, stdout=-3)


def columns(workspace: Path, table: str) -> dict[str, list[Any]]:
    """All of a table that does not depend on who ran when, by column, in its order."""
    with sqlite3.connect(workspace / "warnings.gpkg") as store:
        names = [row[1] for row in store.execute(f"PRAGMA table_info({table})")]
        chosen = [name for name in names if name not in OTHER]
        found = list(store.execute(f"SELECT {', '.join(chosen)} FROM {table} ORDER BY id"))
    return {name: [row[k] for row in found] for k, name in enumerate(chosen)}


def main() -> None:
    """Run, compare, print, write the JSON, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("--size-km", default="4")
    parser.add_argument("--years", default="3")
    parser.add_argument("--seed", default="77")
    parser.add_argument("--presets", default="deter_r,curupira")
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        sources = {"then": code_of(options.commit, folder / "then"), "now": ROOT / "src"}
        for preset in options.presets.split(","):
            then, now = folder / f"{preset}_then", folder / f"{preset}_now"
            district = ["--size-km", options.size_km, "--years", options.years]
            district += ["--seed", options.seed, "--preset", preset, "--quiet"]
            curupira(sources["then"], folder / "cache_then", "simulate", str(then), *district)
            shutil.copytree(then, now)
            for name, workspace in (("then", then), ("now", now)):
                cache = folder / f"cache_{name}"
                curupira(sources[name], cache, "run", "--quiet", "-w", str(workspace))
            for table in ("observation", "warning"):
                before, after = columns(then, table), columns(now, table)
                row = {"preset": preset, "table": table, "then": len(before["geom"])}
                row["now"] = len(after["geom"])
                row["differ"] = [n for n in before if before[n] != after.get(n)]
                found.append(row)
                print(json.dumps(found[-1]), flush=True)
    commits = {"then": options.commit, "district_km": options.size_km, "seed": options.seed}
    result = {"machine": machine(), **commits, "years": options.years, "rows": found}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if any(set(row["differ"]) - NAMES for row in found):
        sys.exit("the polygons differ")


if __name__ == "__main__":
    main()
