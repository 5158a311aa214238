"""Roughness of real forest and land, as the screening of preset `curupira` sees it.

    python benchmarks/roughness.py --data DIR

DIR holds ``multiearth-para`` and ``rtc-10SGD``. Prints, for each stack and polarisation, quantiles
over the pixels of ``screen_images(...).roughness_db``, all images taken for learning.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from curupira import presets
from curupira.detect.params import DetectParams
from curupira.detect.screen import screen_images
from train_verifier import stacks


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    a = parser.parse_args()
    params = DetectParams.from_preset(presets.load("curupira")).screen
    print("| images | polarisation | dates | 5 % | median, dB | 95 % |\n|---|---|---|---|---|---|")
    for stack in stacks(a.data):
        for name, power in (("VH", stack.vh), ("VV", stack.vv)):
            learning = np.ones(len(power), dtype=bool)
            rough = screen_images(np.ascontiguousarray(power), learning, params).roughness_db
            cells = " | ".join(f"{q:.2f}" for q in np.nanquantile(rough, (0.05, 0.5, 0.95)))
            print(f"| {stack.name} | {name} | {len(power)} | {cells} |")


if __name__ == "__main__":
    main()
