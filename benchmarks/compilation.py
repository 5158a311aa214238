"""How long the kernels take to compile: the first detection with an empty cache, and the next.

Run: python benchmarks/compilation.py

Processes of their own detect in 66 images of 150 x 150 pixels, from codes, as ``curupira run``
does, and from float32, as a notebook does: with preset ``deter_r``, and with ``curupira`` in two
polarisations. CPU seconds of the detection, imports not counted, least of three (all
are in the JSON). Ends with an error if a limit is passed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from detect_core import machine

RESULT = Path(__file__).parent / "results" / "compilation.json"
#: CPU seconds allowed with an empty cache, and with a filled one.
FIRST_S, LATER_S = 10.0, 1.0
REPEATS = 3
DETECTION = """
import sys, time
import numpy as np
from curupira.cube.codec import encode
from curupira.detect.block import StackBlock, block_layers
from curupira.detect.params import DetectParams
from curupira.presets import load

rng = np.random.default_rng(1)
power = rng.gamma(4.4, 0.01, (66, 150, 150)).astype(np.float32)
power[rng.random(power.shape) < 5e-4] = np.nan
preset, kind = sys.argv[1:]
stack, vv = (encode(p) if kind == "codes" else p for p in (power, 4 * power))
vv = vv if preset == "curupira" else None
times = np.datetime64("2022-01-03T09", "ns") + 12 * np.arange(66) * np.timedelta64(1, "D")
params = DetectParams.from_preset(load(preset))
day = times[-1].astype("datetime64[D]").item()
for _ in range(2):
    start = time.process_time()
    block_layers(StackBlock(stack, times, vv=vv), day, params)
    print(time.process_time() - start)
"""


def detect(preset: str, kind: str, cache: str) -> list[float]:
    """CPU seconds of the first and the second detection of a new process."""
    environment = os.environ | {"NUMBA_CACHE_DIR": cache, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", DETECTION, preset, kind]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]


def measure() -> dict[str, Any]:
    """Seconds of each preset and kind of stack: empty cache, filled cache, warm process."""
    rows = []
    for preset, kind in product(("deter_r", "curupira"), ("codes", "float32")):
        firsts, laters, warms = [], [], []
        for _ in range(REPEATS):
            with tempfile.TemporaryDirectory() as cache:
                firsts.append(detect(preset, kind, cache)[0])
                later, warm = detect(preset, kind, cache)
            laters.append(later)
            warms.append(warm)
        for name, value in (("empty cache", firsts), ("filled cache", laters), ("warm", warms)):
            row = {"name": f"{preset}, {kind}, {name}", "value": min(value), "unit": "CPU s"}
            nothing = {"baseline": None, "ratio": None, "limit_fraction": None}
            rows.append(row | nothing | {"all": value})
    return {"machine": machine(), "limits_s": [FIRST_S, LATER_S], "rows": rows}


def main() -> None:
    """Measure, print, write the JSON, judge."""
    result = measure()
    print(json.dumps(result, indent=1))
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    limits = {"empty cache": FIRST_S, "filled cache": LATER_S}
    if any(
        row["value"] > limits.get(row["name"].rpartition(", ")[2], FIRST_S)
        for row in result["rows"]
    ):
        sys.exit(f"above {FIRST_S:g} s of CPU on a first run, or {LATER_S:g} s later")


if __name__ == "__main__":
    main()
