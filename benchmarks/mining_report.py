"""The tables of docs/accuracy.md, Mining, from the JSON of mining.py.

Run: python benchmarks/mining_report.py benchmarks/results/mining.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

PAPER = {"tapajos": {"0.8": 0.676, "0.9": 0.578}, "yanomami": {"0.8": 0.589, "0.9": 0.63}}
CASES = {"0.8": "0.8", "0.9": "0.9", "frozen": "chosen"}
CASES["frozen, lone squares as others"] = "chosen, no lone rule"
MASKS = ("cells_in_water", "cells_in_floodplain", "cells_in_no_mask")

Rows = list[dict[str, Any]]


def chosen(rows: Rows, **wanted: Any) -> Rows:
    """Rows that have all these values."""
    return [r for r in rows if all(r[key] == value for key, value in wanted.items())]


def values(rows: Rows, name: str) -> list[float]:
    """A score of every row; none is 0."""
    return [row[name]["value"] or 0.0 for row in rows]


def scores(rows: Rows, rule: str) -> None:
    """Means over seeds and variants; counts are means over seeds of sums over variants."""
    for region, trial, case in _groups(rows):
        found = chosen(rows, region=region, trial=trial, case=case, rule=rule)
        if not found:
            continue
        seeds = len({r["seed"] for r in found})
        counts = " / ".join(f"{sum(r[k] for r in found) / seeds:.0f}" for k in ("tp", "fp", "fn"))
        f1 = values(found, "f1")
        precision, recall = (np.mean(values(found, k)) for k in ("precision", "recall"))
        beside = PAPER[region].get(case, "") if rule == "paper" else ""
        print(f"| {region} | `{trial}` | {CASES[case]} | {counts} | {precision:.2f} | {recall:.2f} "
              f"| {np.mean(f1):.3f} | {min(f1):.2f} to {max(f1):.2f} | {beside} |")  # fmt: skip


def differences(rows: Rows) -> None:
    """Of symmetric F1: a trial at its frozen threshold less the paper's at each of its own."""
    for region in PAPER:
        for case in ("0.8", "0.9", "frozen"):
            ours, theirs = (
                _by_variant(rows, region, *pair)
                for pair in (("curupira", "frozen"), ("unesp_2025", case))
            )
            gain = np.array([ours[v] - theirs[v] for v in sorted(theirs)])
            base = float(np.mean(list(theirs.values())))
            half = stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain))
            parts = ", ".join(f"{g:+.2f}" for g in gain)
            print(f"| {region} | {CASES[case]} | {base:.3f} | {gain.mean():+.3f} "
                  f"({gain.mean() - half:+.3f} to {gain.mean() + half:+.3f}) | {parts} "
                  f"| {gain.mean() / (1 - base):.0%} |")  # fmt: skip


def masks(rows: Rows) -> None:
    """Reference cells found, by the mask that their mined ground lies in."""
    for region in PAPER:
        for trial, case in (("unesp_2025", "0.8"), ("unesp_2025", "0.9"), ("curupira", "frozen")):
            found = chosen(rows, region=region, trial=trial, case=case, rule="symmetric")
            cells = []
            for mask in MASKS:
                met, total = (sum(r[mask][key] for r in found) for key in ("found", "cells"))
                cells.append(f"{met / max(total, 1):.2f} ({met} of {total})")
            print(f"| {region} | `{trial}` | {CASES[case]} | {' | '.join(cells)} |")


def _groups(rows: Rows) -> list[tuple[str, str, str]]:
    trials = sorted({r["trial"] for r in rows}, reverse=True)
    return [(region, trial, case) for region in PAPER for trial in trials for case in CASES]


def _by_variant(rows: Rows, region: str, trial: str, case: str) -> dict[int, float]:
    found = chosen(rows, region=region, trial=trial, case=case, rule="symmetric")
    variants = {r["variant"] for r in found}
    return {v: float(np.mean(values(chosen(found, variant=v), "f1"))) for v in variants}


def main() -> None:
    """Read the rows of one or several runs, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json", type=Path, nargs="+")
    options = parser.parse_args()
    read = [row for path in options.json for row in json.loads(path.read_text())]
    rows = [row for row in read if row["case"] != "choice"]
    for title, table in (
        ("rule of the paper", lambda: scores(rows, "paper")),
        ("symmetric rule", lambda: scores(rows, "symmetric")),
        ("differences, symmetric rule", lambda: differences(rows)),
        ("recall by mask, symmetric rule", lambda: masks(rows)),
    ):
        print(f"\n{title}\n")
        table()


if __name__ == "__main__":
    main()
