"""Border noise: the dim, wrong pixels around the image of products before IPF 2.9. Pure.

The processor left non-zero counts where no ground was imaged, at the near and far range edge and,
at the ends of a data take, along the first and last lines. Ali et al. (2018, IEEE JSTARS 11, 777)
and Stasolla and Neyt (2018, Sensors 18, 3454) look for the edge from outside inwards by contrast.
So do we, with a physical measure: an imaged pixel holds at least the thermal noise, so the mean of
DN**2 over a cell cannot lie below the annotated noise, whatever the ground is. Border noise does.
Calm water does not, and is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from curupira.blocks import executor
from curupira.grd.lut import noise_at
from curupira.grd.product import Read
from curupira.grd.tables import Noise

I32 = npt.NDArray[np.int32]
Opened = Callable[[], AbstractContextManager[Read]]

#: A cell holds 128 pixels: at 4.4 looks (and correlated neighbours) its mean scatters by some 7 %.
CELL_LINES, CELL_SAMPLES = 8, 16
#: Of every so many lines the first CELL_LINES are looked at.
EVERY_LINES: Final = 32
#: Mean power of a cell in units of thermal noise, below which it shows no ground.
MINIMUM_RATIO: Final = 0.5
_FEWEST: Final = 8
#: Groups of lines that a task looks at.
_RUN: Final = 64
EMPTY, DIM, GROUND = 0, 1, 2


@dataclass(frozen=True)
class Border:
    """First and last valid sample of each line, and first and last valid line of each sample.

    ``of_line (lines, 2)`` and ``of_sample (samples, 2)`` int32, inclusive; first > last where a
    whole line or column is invalid.
    """

    of_line: I32
    of_sample: I32

    def samples(self, rows: slice) -> I32:
        """First and last valid sample of some lines, ``(y, 2)``."""
        return self.of_line[rows]

    def lines(self, cols: slice) -> I32:
        """First and last valid line of some samples, ``(x, 2)``."""
        return self.of_sample[cols]

    def valid(self, rows: slice, cols: slice) -> npt.NDArray[np.bool_]:
        """Whether the pixels of a block lie within, ``(y, x)``; zeros are not looked at."""
        row, col = np.arange(rows.start, rows.stop)[:, None], np.arange(cols.start, cols.stop)
        across, along = self.of_line[rows], self.of_sample[cols]
        inside: npt.NDArray[np.bool_] = (
            (col >= across[:, :1])
            & (col <= across[:, 1:])
            & (row >= along[:, 0])
            & (row <= along[:, 1])
        )
        return inside


def find_border(
    opened: Opened, lines: int, samples: int, noise: Noise | None, *, threads: int = 0
) -> Border:
    """Find the border noise of an image.

    Parameters
    ----------
    opened
        Opens what reads counts, such as ``partial(product.opened, "VV")``.
    lines, samples
        Size of the image.
    noise
        Its thermal noise; None where the processor has removed it, and nothing can be told.
    threads
        0: one a core.

    Returns
    -------
    Border
        Of a clean image, or one whose border is zero, all lines and samples: zeros are missing
        anyway, and nothing is cut off.
    """
    everything = Border(
        np.tile(np.array([0, samples - 1], np.int32), (lines, 1)),
        np.tile(np.array([0, lines - 1], np.int32), (samples, 1)),
    )
    if noise is None:
        return everything
    starts = np.arange(0, max(lines - CELL_LINES, 0) + 1, EVERY_LINES)
    if starts[-1] + CELL_LINES < lines:
        starts = np.append(starts, lines - CELL_LINES)
    look = partial(_states, opened, lines, samples, noise)
    with executor(workers=threads) as run:
        states = np.concatenate(list(run(look, np.array_split(starts, -(-len(starts) // _RUN)))))
    if not (states == DIM).any():
        return everything
    across = _ends(states) * CELL_SAMPLES + np.array([0, CELL_SAMPLES - 1])
    across = np.where(across[:, :1] > across[:, 1:], [samples, -1], across)
    along = _ends(states.T)
    stop = np.minimum(starts + CELL_LINES, lines) - 1
    nowhere = along[:, :1] > along[:, 1:]
    inside = np.clip(along, 0, len(starts) - 1)
    edges = np.column_stack([starts[inside[:, 0]], stop[inside[:, 1]]])
    edges = np.where(nowhere, [lines, -1], edges)
    return Border(
        _spread(across, starts, lines, samples),
        np.repeat(edges, CELL_SAMPLES, axis=0)[:samples].astype(np.int32),
    )


def _states(
    opened: Opened, lines: int, samples: int, noise: Noise, starts: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """States of the cells of some groups of lines, ``(group, cell)``."""
    cells = -(-samples // CELL_SAMPLES)
    middles = np.minimum(np.arange(cells) * CELL_SAMPLES + CELL_SAMPLES // 2, samples - 1)
    states = np.empty((len(starts), cells), np.uint8)
    with opened() as read:
        for state, start in zip(states, starts.tolist(), strict=True):
            rows = slice(start, min(start + CELL_LINES, lines))
            level = noise_at(noise, (rows.start + rows.stop) // 2, middles)
            _classify(read(rows, slice(0, samples)), level, state)
    return states


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _classify(
    counts: npt.NDArray[np.uint16], level: npt.NDArray[np.float32], states: npt.NDArray[np.uint8]
) -> None:  # pragma: no cover - compiled
    y, x = counts.shape
    for cell in range(states.size):
        power, number = np.int64(0), np.int64(0)
        for r in range(y):
            for c in range(cell * CELL_SAMPLES, min((cell + 1) * CELL_SAMPLES, x)):
                dn = np.int64(counts[r, c])
                power += dn * dn
                number += dn > 0
        states[cell] = EMPTY
        if number >= _FEWEST:
            states[cell] = GROUND if power >= MINIMUM_RATIO * level[cell] * number else DIM


def _ends(states: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """First and last cell of each row that lies within, ``(n, 2)``.

    An end with dim cells moves in to the first of two cells with ground, and one further, where the
    processor's filters mix both; an end without any stays at the image's edge.
    """
    ground = states == GROUND
    pair = ground[:, :-1] & ground[:, 1:]
    n = states.shape[1]
    some = pair.any(axis=1)
    first = np.where(some, pair.argmax(axis=1), n)
    last = np.where(some, n - 1 - pair[:, ::-1].argmax(axis=1), -1)
    cell = np.arange(n)
    dim = states == DIM
    before = (dim & (cell < first[:, None])).any(axis=1)
    after = (dim & (cell > last[:, None])).any(axis=1)
    return np.column_stack([np.where(before, first + 1, 0), np.where(after, last - 1, n - 1)])


def _spread(
    across: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], lines: int, samples: int
) -> I32:
    """Every line takes the narrower of the two bands around it."""
    at = np.clip(np.searchsorted(starts, np.arange(lines), side="right") - 1, 0, None)
    after = np.minimum(at + 1, len(starts) - 1)
    first = np.maximum(across[at, 0], across[after, 0])
    last = np.minimum(np.minimum(across[at, 1], across[after, 1]), samples - 1)
    return np.column_stack([first, last]).astype(np.int32)
