"""Frozen mode: which day's state an acquisition is compared with, and the states on disk.

Days are counted in periods of ``[algorithm] frozen_days``, from 2020 on, the same for all. Every
acquisition of a track is compared with the state of the first one in its period that has enough
images to learn from, found from that one's images as the method finds it. So a result depends on
the images alone, not on when it was made. A state lies in ``frozen/`` of the workspace, named by
all that decides it; it may be deleted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from curupira.blocks import Executor, Window, shares
from curupira.detect.baseline import baselines
from curupira.detect.block import StackBlock
from curupira.detect.frozen import PLANES, freeze
from curupira.errors import StoreError
from curupira.pipelines.images import Detector, Image, bounding_window, footprint, track
from curupira.pipelines.masks import MONITORED
from curupira.pipelines.reading import hold, read_block
from curupira.pipelines.regions import regions, tile_size
from curupira.pipelines.usable import usable_images
from curupira.records import Acquisition
from curupira.units import flag_days

FOLDER = "frozen"
#: States kept of each track: the newest, and the one before it, which late images ask for.
_KEPT = 2


@dataclass(frozen=True)
class State:
    """A state on disk: planes of ``detect.frozen`` over a window of the grid."""

    path: Path
    window: Window

    def read(self, window: Window) -> npt.NDArray[np.float32]:
        """Planes of a window; NaN beyond the state's own."""
        out = np.full((PLANES, *window.shape), np.nan, dtype=np.float32)
        part = window.intersect(self.window)
        if not part.empty:
            planes = np.load(self.path, mmap_mode="r")
            place = (slice(None), *part.relative_to(window).slices)
            out[place] = planes[(slice(None), *part.relative_to(self.window).slices)]
        return out


@dataclass(frozen=True)
class Task:
    """One region of which the state is wanted."""

    detector: Detector
    images: tuple[Image, ...]
    day: date
    window: Window


def candidates(
    acquisition: Acquisition, known: Iterable[Acquisition], days: int, since: date
) -> list[Acquisition]:
    """Monitored acquisitions of the same track and period up to this one, in time order."""
    period = flag_days(acquisition.day) // days
    found = (
        a
        for a in known
        if track(a) == track(acquisition)
        and flag_days(a.day) // days == period
        and since <= a.day
        and a.acquired <= acquisition.acquired
    )
    return sorted(found, key=lambda a: (a.acquired, a.acquisition_id))


def ensure(
    folder: Path,
    detector: Detector,
    first: Acquisition,
    images: Sequence[Acquisition],
    digest: str,
    run_blocks: Executor,
) -> State:
    """State of an acquisition's own detection; made where the folder does not hold it.

    Parameters
    ----------
    first, images
        The acquisition, and what it would be compared with.
    digest
        Of all that decides the state.
    """
    outline = shapely.union_all([footprint(a, detector.grid) for a in images])
    area = bounding_window(outline, detector.grid)
    sensor, orbit = track(first)
    state = State(folder / FOLDER / f"{sensor}_{orbit:03d}_{first.day}_{digest[:16]}.npy", area)
    if state.path.exists():
        return state
    stack = tuple(usable_images(images, detector))
    tasks = (Task(detector, stack, first.day, w) for w in regions(detector, stack, area))
    partial = state.path.with_suffix(".partial")
    planes = reserve(partial, (PLANES, *area.shape))
    for region in run_blocks(freeze_region, tasks):
        for window, part in region:
            planes[(slice(None), *window.relative_to(area).slices)] = part
    planes.flush()
    del planes
    os.replace(partial, state.path)
    _drop_old(state.path, f"{sensor}_{orbit:03d}_*.npy")
    return state


def reserve(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.float32]]:
    """Array in a new file that has all of its room on the disk.

    Without, a disk that is full by the time the pixels come would kill the process (SIGBUS).

    Raises
    ------
    StoreError
        If the disk refuses; nothing is left behind.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        array = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise StoreError(
            f"cannot write ({error.strerror or error})",
            where=path,
            remedy="free space, or make the folder writable",
        ) from error
    return array


def freeze_region(task: Task) -> list[tuple[Window, npt.NDArray[np.float32]]]:
    """States of a region, block by block."""
    detector = task.detector
    whole = Window(0, detector.grid.shape.y, 0, detector.grid.shape.x)
    # Blocks of a neighbouring region look as far into this one as the halo reaches.
    reach = task.window.grow(detector.params.halo, whole)
    watched = (detector.masks.read_zones(reach) == MONITORED).any()
    if watched:
        detector = hold(detector, task.images, reach)
    found = []
    for window in shares(task.window, tile_size(detector, task.images)):
        state = np.full((PLANES, *window.shape), np.nan, dtype=np.float32)
        outer = window.grow(detector.params.halo, whole)
        if watched:
            block = read_block(detector, task.images, outer)
            for part in _states(block, replace(task, detector=detector)):
                state = part[(slice(None), *window.relative_to(outer).slices)]
        found.append((window, state))
    return found


def _states(block: StackBlock, task: Task) -> Iterator[npt.NDArray[np.float32]]:
    params = task.detector.params
    for images, learning in baselines(block.times, block.orbit, task.day, params):
        yield freeze(block.vh[images], block.times[images], learning, params)


def within(images: Iterable[Acquisition], start: date) -> list[Acquisition]:
    """Those of a detection period: what is read beside the state."""
    return [a for a in images if a.day >= start]


def _drop_old(newest: Path, pattern: str) -> None:
    paths = sorted(newest.parent.glob(pattern), key=lambda p: p.stat().st_mtime, reverse=True)
    for path in [p for p in paths if p != newest][_KEPT - 1 :]:
        path.unlink(missing_ok=True)
