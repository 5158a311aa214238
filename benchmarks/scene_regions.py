"""Regions of a large archive, read and detected as ``curupira run`` does, without the rest of it.

Run: python benchmarks/scene_regions.py WORKSPACE [--regions 4] [--threads 2]

WORKSPACE is one that ``full_scene.py --keep`` has filled. For a machine that has no time for a
whole scene: takes regions within it, none at its edge, and counts their CPU time.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import resource
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from curupira.blocks import Window, executor, split
from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.pipelines import masks
from curupira.pipelines.images import (
    Detector,
    bounding_window,
    footprint,
    select_images,
    usable_image,
)
from curupira.pipelines.regions import region_size
from curupira.pipelines.warn import Task, detect_region
from curupira.records import group_acquisitions
from curupira.store.quality import held
from curupira.store.session import Store
from full_scene import PIXEL_M, SCENE, kernels_alone, machine

RESULT = Path(__file__).parent / "results" / "scene_regions.json"


def measure(workspace: Workspace, regions: int, threads: int) -> dict[str, Any]:
    """CPU time of some regions of the newest acquisition, and what the kernels would take."""
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        known = group_acquisitions([row.scene for row in held(session) if row.accepted])
    cube = Cube.open(workspace.cube_path, workspace.grid)
    detector = Detector.of(workspace, cube.reader(), masks.load(workspace, datetime.now(UTC)))
    newest = known[-1]
    _, chosen = select_images(newest, known, detector.params)
    stack = tuple(usable_image(a, detector) for a in chosen)
    area = bounding_window(footprint(newest, detector.grid), detector.grid)
    windows = list(split(area, region_size(detector, stack, area), detector.params.halo))
    inner = [
        w
        for w in windows
        if w.y0 > area.y0 and w.y1 < area.y1 and w.x0 > area.x0 and w.x1 < area.x1
    ][:regions]

    def task(window: Window) -> Task:
        return Task(detector, stack, newest.day, window, np.zeros(window.shape, dtype=bool))

    y, x = inner[0].y0, inner[0].x0
    detect_region(task(Window(y, y + 130, x, x + 130)))  # compile, or load the compiled
    pixels = sum(w.shape[0] * w.shape[1] for w in inner)
    before = kernels_alone(pixels, len(stack), 7)
    start = time.process_time()
    with executor(workers=threads) as run:
        flags = sum(
            int((block.layers.n_alerts % 255 > 0).sum())
            for region in run(detect_region, map(task, inner))
            for block in region
        )
    cpu = time.process_time() - start
    ideal = min(before, kernels_alone(pixels, len(stack), 7), key=lambda k: k["without_gaps_s"])
    return {
        "machine": machine(),
        "regions": len(inner),
        "regions_of_the_scene": len(windows),
        "threads": threads,
        "pixels": pixels,
        "images": len(stack),
        "flagged_pixels": flags,
        "cpu_s": cpu,
        "m_pixel_dates_per_cpu_s": pixels * len(stack) / cpu / 1e6,
        "kernels_alone": ideal,
        "cpu_ratio": cpu / ideal["without_gaps_s"],
        "cpu_s_per_1000_km2": cpu / (pixels * PIXEL_M**2 / 1e6) * 1000,
        "scene_calculated_cpu_s": cpu * SCENE / pixels,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    result = measure(Workspace.open(options.workspace), options.regions, options.threads)
    print(json.dumps(result, indent=1))
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
