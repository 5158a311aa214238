"""Regions of a large archive, read and detected as ``curupira run`` does, without the rest of it.

Run: python benchmarks/scene_regions.py WORKSPACE [--regions 4]

WORKSPACE is one that ``full_scene.py --keep`` has filled. Takes regions within the scene, none at
its edge: so many by one thread and by two, then from one to twice as many by two.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import resource
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from curupira.blocks import Window, executor
from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.pipelines import masks
from curupira.pipelines.images import (
    Detector,
    bounding_window,
    footprint,
    select_images,
)
from curupira.pipelines.regions import regions as cut
from curupira.pipelines.usable import usable_images
from curupira.pipelines.warn import Task, detect_region, with_halo
from curupira.records import group_acquisitions
from curupira.store.quality import held
from curupira.store.session import Store
from full_scene import PIXEL_M, kernels_alone, machine

RESULT = Path(__file__).parent / "results" / "scene_regions.json"


def opened(workspace: Workspace) -> tuple[Task, Window]:
    """A task of the newest acquisition, yet without a window, and the window that it covers."""
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        known = group_acquisitions([row.scene for row in held(session) if row.accepted])
    cube = Cube.open(workspace.cube_path, workspace.grid)
    detector = Detector.of(workspace, cube.reader(), masks.load(workspace, datetime.now(UTC)))
    newest = known[-1]
    _, chosen = select_images(newest, known, detector.params)
    stack = tuple(usable_images(chosen, detector))
    nowhere = Window(0, 0, 0, 0)
    task = Task(detector, stack, newest.day, nowhere, np.zeros(nowhere.shape, dtype=bool))
    return task, bounding_window(footprint(newest, detector.grid), detector.grid)


def within(task: Task, window: Window) -> Task:
    """The task for a window, of which nothing was warned of before."""
    around = with_halo(window, task.detector)
    return replace(task, window=window, sar_mask=np.zeros(around.shape, dtype=bool))


def measure(workspace: Workspace, regions: int) -> dict[str, Any]:
    """Time of regions of the newest acquisition: one thread, two, and more and more regions."""
    blank, area = opened(workspace)
    stack = blank.images
    windows = list(cut(blank.detector, stack, area))
    inner = [
        w
        for w in windows
        if w.y0 > area.y0 and w.y1 < area.y1 and w.x0 > area.x0 and w.x1 < area.x1
    ]

    y, x = inner[0].y0, inner[0].x0
    detect_region(within(blank, Window(y, y + 130, x, x + 130)))  # compile, or load the compiled
    before = kernels_alone(1, len(stack), 7)
    rows = []
    for threads, count in [(1, regions), *((2, n) for n in (1, 2, regions, 2 * regions))]:
        chosen_windows = inner[:count]
        wall, cpu = time.perf_counter(), time.process_time()
        with executor(workers=threads) as run:
            for region in run(detect_region, [within(blank, w) for w in chosen_windows]):
                del region
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        work = sum(w.shape[0] * w.shape[1] for w in chosen_windows) * len(stack)
        rows.append(
            {
                "threads": threads,
                "regions": len(chosen_windows),
                "m_pixel_dates": work / 1e6,
                "wall_s": wall,
                "cpu_s": cpu,
                "m_pixel_dates_per_s": work / wall / 1e6,
                "m_pixel_dates_per_cpu_s": work / cpu / 1e6,
            }
        )
    ideal = min(before, kernels_alone(1, len(stack), 7), key=lambda k: k["without_gaps_s"])
    per_pixel = rows[0]["cpu_s"] / (rows[0]["m_pixel_dates"] * 1e6 / len(stack))
    return {
        "machine": machine(),
        "regions_of_the_scene": len(windows),
        "images": len(stack),
        "rows": rows,
        "two_threads_for_one": rows[0]["wall_s"] / rows[3]["wall_s"],
        "slower_than_the_prototypes_machine": ideal["slower_than_the_prototypes_machine"],
        "cpu_ratio_one_thread": per_pixel / ideal["without_gaps_s"],
        "cpu_s_per_1000_km2": per_pixel / (PIXEL_M**2 / 1e6) * 1000,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--regions", type=int, default=4)
    options = parser.parse_args()
    result = measure(Workspace.open(options.workspace), options.regions)
    print(json.dumps(result, indent=1))
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
