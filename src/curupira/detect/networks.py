"""Sorting networks: fixed lists of compare-exchange steps, the same for every pixel.

A network has no branch that depends on the data, so one list of steps sorts many pixels side by
side, one vector lane each. Missing values need no branch either: the missing ones of a pixel are
replaced in turn by +inf and -inf. The median of the valid values then lies at the middle of all,
or one rank below it when that balance is odd (see `lanes.lane_medians`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt

Pairs = tuple[tuple[int, int], ...]


def batcher(size: int) -> Pairs:
    """Odd-even merge sort of ``size`` wires, as (lower, upper) wire pairs (Batcher 1968).

    After the exchange of a pair, the lower wire holds the smaller value.
    """
    pairs = []
    run = 1
    while run < size:
        step = run
        while step >= 1:
            for start in range(step % run, size - step, 2 * step):
                for wire in range(start, start + min(step, size - start - step)):
                    if wire // (2 * run) == (wire + step) // (2 * run):
                        pairs.append((wire, wire + step))
            step //= 2
        run *= 2
    return tuple(pairs)


def prune(pairs: Pairs, outputs: Iterable[int]) -> Pairs:
    """Leave out the exchanges that no wire in ``outputs`` depends on."""
    needed = set(outputs)
    kept = []
    for pair in reversed(pairs):
        if needed.intersection(pair):
            kept.append(pair)
            needed.update(pair)
    return tuple(reversed(kept))


def drop_idle(pairs: Pairs, states: npt.NDArray[np.bool_]) -> Pairs:
    """Leave out the exchanges that never swap, given what is known of the input's order.

    Parameters
    ----------
    pairs
        The network.
    states
        (state, wire): every 0-1 input the network can meet. By the 0-1 principle (Knuth, TAOCP 3,
        5.3.4) an exchange idle on all of these is idle on all real inputs of the same order.
    """
    wires = list(states.T.copy())
    kept = []
    for low, high in pairs:
        if np.any(wires[low] & ~wires[high]):
            kept.append((low, high))
            wires[low], wires[high] = wires[low] & wires[high], wires[low] | wires[high]
    return tuple(kept)


def sorted_runs(runs: int, length: int) -> npt.NDArray[np.bool_]:
    """Every 0-1 input of ``runs`` ascending runs of ``length`` wires each, (state, wire)."""
    ascending = np.tri(length + 1, length, -1, dtype=bool)[:, ::-1]
    return np.array(
        [np.concatenate(choice) for choice in itertools.product(ascending, repeat=runs)]
    )


@cache
def median_network(size: int) -> npt.NDArray[np.int64]:
    """Network (exchange, 2) that leaves the middle of ``size`` wires, and the rank below, in place.

    Only wires ``size // 2`` and ``size // 2 - 1`` are final; `lane_medians` says which one counts.
    """
    middle = size // 2
    pairs = prune(batcher(size), {middle, max(middle - 1, 0)})
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
