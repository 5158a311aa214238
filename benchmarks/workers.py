"""The same regions by threads, by local Dask workers, and by workers of a scheduler over TCP.

Run: python benchmarks/workers.py WORKSPACE [--side 6]

WORKSPACE is one that ``full_scene.py --keep`` has filled. Of each way: clock, CPU time and bytes
read by all processes that work, seconds of a task, and whether the results, put together, are the
same bits, whoever made them and by tasks of how many chunks. The scheduler
and its two workers are processes of their own, started by Dask's command line.
"""

from __future__ import annotations

import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"
# For workers, which load these scripts as modules.
os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")])

import argparse
import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, get_client

from curupira.blocks import Window, executor, split
from curupira.config import Workspace
from curupira.pipelines.warn import BlockResult, Task, detect_region
from full_scene import bytes_read, machine
from scene_regions import opened, within

RESULT = Path(__file__).parent / "results" / "workers.json"
CHUNK = 512


def work(task: Task) -> tuple[list[BlockResult], float]:
    """A region's results, and CPU seconds of the thread that made them."""
    started = time.thread_time()
    return detect_region(task), time.thread_time() - started


class Whole:
    """Layers of an area, put together from blocks of any size."""

    def __init__(self, area: Window) -> None:
        self.area = area
        self.planes: dict[str, np.ndarray[Any, Any]] = {}

    def add(self, block: BlockResult) -> None:
        """Put a block where it belongs."""
        for part in (block.layers, block.seen):
            for field in fields(part):
                values = getattr(part, field.name)
                if field.name not in self.planes:
                    self.planes[field.name] = np.zeros(self.area.shape, values.dtype)
                self.planes[field.name][block.window.relative_to(self.area).slices] = values

    def digest(self) -> str:
        """SHA-256 of all layers."""
        found = hashlib.sha256()
        for name in sorted(self.planes):
            found.update(name.encode() + self.planes[name].tobytes())
        return found.hexdigest()


@contextmanager
def two_workers_over_tcp() -> Iterator[str]:
    """A scheduler and two workers, started as on other machines."""
    address = "tcp://127.0.0.1:18786"
    # What Dask has set for the workers before is not theirs.
    plain = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": plain}
    program = [sys.executable, "-m", "dask"]
    one = [*program, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    started = [
        subprocess.Popen([*program, "scheduler", "--port", "18786", "--no-dashboard"], **quiet),
        subprocess.Popen(one, **quiet),
        subprocess.Popen(one, **quiet),
    ]
    try:
        with Client(address, timeout="60s") as client:
            client.wait_for_workers(2, timeout=60)
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def spent() -> tuple[float, int]:
    """CPU seconds and bytes read of this process."""
    return time.process_time(), bytes_read(os.getpid())


def of_all(scheduler: str) -> dict[Any, tuple[float, int]]:
    """The same of all processes that work."""
    found: dict[Any, tuple[float, int]] = get_client().run(spent) if scheduler else {0: spent()}
    return found


def measure(tasks: list[Task], area: Window, scheduler: str, workers: int) -> dict[str, Any]:
    """Work the tasks off; before, small ones, so that every worker has its kernels."""
    small = [
        within(t, Window(w.y0, w.y0 + 130, w.x0, w.x0 + 130)) for t in tasks for w in [t.window]
    ]
    longest, whole = 0.0, Whole(area)
    tasks = [replace(t, detector=replace(t.detector, on_dask=bool(scheduler))) for t in tasks]
    with executor(scheduler, workers) as run:
        list(run(work, small))
        before, wall = of_all(scheduler), time.perf_counter()
        for blocks, cpu in run(work, tasks):
            longest = max(longest, cpu)
            for block in blocks:
                whole.add(block)
        wall, after = time.perf_counter() - wall, of_all(scheduler)
    return {
        "scheduler": scheduler,
        "workers": workers,
        "tasks": len(tasks),
        "wall_s": wall,
        "cpu_s": sum(after[w][0] - before[w][0] for w in after),
        "read_bytes": sum(after[w][1] - before[w][1] for w in after),
        "longest_task_cpu_s": longest,
        "digest": whole.digest(),
    }


def cut(blank: Task, part: Window, down: int, across: int) -> list[Task]:
    """Tasks of so many chunks, as `regions` cuts them."""
    halo = blank.detector.params.halo
    return [within(blank, w) for w in split(part, (down * CHUNK, across * CHUNK), -halo)]


def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--side", type=int, default=6, help="chunks down and across")
    options = parser.parse_args()
    blank, area = opened(Workspace.open(options.workspace))
    alone = replace(blank, detector=replace(blank.detector, threads=1))
    size = options.side * CHUNK
    part = area.intersect(Window(area.y0, area.y0 + size, area.x0, area.x0 + size))
    rows: list[dict[str, Any]] = []
    for chunks in [(1, 2), (2, 2), (1, 1), (2, 1)]:
        tasks = cut(alone, part, *chunks)
        found = [measure(tasks, part, *way) for way in [("", 1), ("local:2", 2)]]
        with two_workers_over_tcp() as address:
            found.append(measure(tasks, part, address, 2))
        rows += [{"chunks": chunks, **row} for row in found]
        if len({row["digest"] for row in rows}) > 1:
            raise RuntimeError("results differ")
        for row in rows[-len(found) :]:
            print(json.dumps(row), flush=True)
    found_by = {"preset": blank.detector.preset.name, "pixels": part.shape}
    RESULT.write_text(json.dumps({"machine": machine(), **found_by, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
