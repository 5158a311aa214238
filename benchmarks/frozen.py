"""What the frozen mode changes: a simulated year, exact and with states kept for some days.

Run: python benchmarks/frozen.py [--size-km 6] [--days 12 30 90 180] [--seed 11]

One orbit of a simulated district (two years to learn from, 12-day revisit), preset deter_r, every
acquisition of the last year detected alone, as the pipeline does. Flagged pixels become polygons by
the preset's rules; polygons of all acquisitions that touch are one warning. Two modes agree on a
warning where one of the other overlaps it.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import time
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from curupira import presets
from curupira.blocks import Window
from curupira.detect.block import Layers, StackBlock, block_layers
from curupira.detect.frozen import freeze
from curupira.detect.params import DetectParams
from curupira.detect.periods import periods
from curupira.simulate.district import SimulatedDistrict, simulate_district
from curupira.units import flag_days
from curupira.vectorise.params import VectoriseParams
from curupira.vectorise.pixels import AlertPixels
from curupira.vectorise.polygons import extract
from detect_core import machine

RESULT = Path(__file__).parent / "results" / "frozen.json"
PRESET = presets.load("deter_r")
PARAMS = DetectParams.from_preset(PRESET)


def images(district: SimulatedDistrict) -> tuple[npt.NDArray[Any], npt.NDArray[np.datetime64]]:
    """VH (t, y, x) of the first orbit, and times."""
    orbit = district.passes[0].relative_orbit
    chosen = [k for k, p in enumerate(district.passes) if p.relative_orbit == orbit]
    times = [district.passes[k].acquired.replace(tzinfo=None) for k in chosen]
    stack = np.stack([district.renderer.image(k)[0] for k in chosen])
    return stack, np.array(times, dtype="datetime64[ns]")


def polygons(layers: Layers, district: SimulatedDistrict) -> gpd.GeoDataFrame:
    """Polygons of one acquisition."""
    rows, columns = layers.n_alerts.shape
    pixels = AlertPixels.from_block(
        Window(0, rows, 0, columns),
        layers.n_alerts,
        layers.first_flag_days,
        layers.last_flag_days,
        layers.excess_db,
        layers.threshold_db,
        layers.confidence,
        distance_m=None,
    )
    return extract(pixels, district.landscape.grid, VectoriseParams.from_preset(PRESET))


def year(
    district: SimulatedDistrict,
    stack: npt.NDArray[Any],
    times: npt.NDArray[np.datetime64],
    days: int,
) -> tuple[list[shapely.Polygon], list[int], float]:
    """Warnings of the monitored time, polygons of each acquisition, CPU seconds."""
    start = time.process_time()
    found: list[Any] = []
    counts, state, period = [], None, -1
    for stamp in times:
        day = stamp.astype("datetime64[D]").item()
        if day < district.since:
            continue
        learning, detection = periods(day, PARAMS.period).masks(times)
        used = learning | detection
        if not days:
            layers = block_layers(StackBlock(stack[used], times[used]), day, PARAMS)
        else:
            if flag_days(day) // days != period:
                state = freeze(stack[used], times[used], learning[used], PARAMS)
                period = flag_days(day) // days
            late = StackBlock(stack[detection], times[detection])
            layers = block_layers(late, day, PARAMS, frozen=state)
        frame = polygons(layers, district)
        counts.append(len(frame))
        found += list(frame.geometry)
    merged = shapely.get_parts(shapely.union_all(found)) if found else []
    return list(merged), counts, time.process_time() - start


def unmatched(some: list[Any], others: list[Any]) -> int:
    """How many have no overlap with any of the others."""
    tree = shapely.STRtree(others)
    # Overlap of areas, not of edges: polygons on one lattice often share an edge only.
    return sum(
        not any(shapely.intersection(one, others[j]).area > 0 for j in tree.query(one))
        for one in some
    )


def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-km", type=float, default=6)
    parser.add_argument("--days", type=int, nargs="+", default=[12, 30, 90, 180])
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    district = simulate_district(size_km=options.size_km, seed=options.seed, years=3.3)
    stack, times = images(district)
    exact, counts, seconds = year(district, stack, times, 0)
    rows: list[dict[str, Any]] = []
    for days in options.days:
        kept, its, cpu = year(district, stack, times, days)
        rows.append(
            {
                "frozen_days": days,
                "warnings": len(kept),
                "of_exact_missing": unmatched(exact, kept),
                "additional": unmatched(kept, exact),
                "acquisitions_with_another_count": sum(
                    a != b for a, b in zip(counts, its, strict=True)
                ),
                "cpu_s": cpu,
            }
        )
    result = {
        "machine": machine(),
        "district": {"size_km": options.size_km, "seed": options.seed},
        "acquisitions": len(counts),
        "exact": {"warnings": len(exact), "polygons": sum(counts), "cpu_s": seconds},
        "frozen": rows,
    }
    print(json.dumps(result, indent=1))
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
