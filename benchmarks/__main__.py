"""Run every benchmark that needs nothing but this checkout: ``make bench``.

Each prints its table and writes ``benchmarks/results/NAME.json``. ``real_series`` needs data from
outside and is run by hand with ``--data``; ``simulated_anchors`` is ``make anchors``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "samples" / "rtc-10SGD"
#: The checkout has four of the nine bursts that ``quantisation.json`` is of.
OF_SAMPLES = HERE / "results" / "quantisation_samples.json"
BENCHMARKS: dict[str, list[str]] = {
    "detect_core": [],
    "kernels": [],
    "full_scene": [],
    "mining_throughput": [],
    "quantisation": ["--data", str(SAMPLES), "--json", str(OF_SAMPLES)],
    "compilation": [],
}


def main() -> None:
    """Run all; stop at the first that fails."""
    argparse.ArgumentParser(prog="make bench", description=__doc__).parse_args()
    for name, arguments in BENCHMARKS.items():
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(HERE / f"{name}.py"), *arguments], check=True)


if __name__ == "__main__":
    main()
