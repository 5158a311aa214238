"""Verification of single images: a small network looks at the neighbourhood of a dark pixel.

Speckle, rain and a moist patch darken a pixel as a clearing does, but not with the same shape, nor
both polarisations alike. For every pixel that an image darkens, the deviations of VH and VV from
each pixel's own reference level, in its own spreads, of the 5 x 5 pixels around go through three
small dense layers. What they doubt says less, what they believe says more.

Trained on disturbances planted into real images (``benchmarks/train_verifier.py``); the weights
and where they come from are in ``verifier.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curupira.detect.lanes import LANES, kernel, piece, scratch, wide
from curupira.detect.params import VERIFY_REACH

FloatArray = npt.NDArray[np.float32]

#: Side of the neighbourhood.
SIDE = 2 * VERIFY_REACH + 1
#: Deviations beyond are clipped, in spreads.
LOWEST, HIGHEST = -8.0, 4.0


@dataclass(frozen=True, slots=True)
class Deviation:
    """Filtered images ``(time, y, x)`` with level and spread ``(y, x)`` of their pixels, all dB."""

    db: FloatArray
    level_db: FloatArray
    spread_db: FloatArray


class Network(NamedTuple):
    """Weights ``(inputs, units)`` and biases of the dense layers; inputs are VH, then VV by rows.

    The last layer gives the log odds of a clearing at equal odds before.
    """

    w1: FloatArray
    b1: FloatArray
    w2: FloatArray
    b2: FloatArray
    w3: FloatArray
    b3: FloatArray


@cache
def load_network() -> Network:
    """The network of the package."""
    text = resources.files(__package__).joinpath("verifier.json").read_text(encoding="utf-8")
    layers = json.loads(text)["layers"]
    return Network(**{name: np.asarray(values, np.float32) for name, values in layers.items()})


def verified(ratio: FloatArray, vh: Deviation, vv: Deviation, network: Network) -> FloatArray:
    """Scale what speaks for a clearing by how much the neighbourhood looks like one.

    Parameters
    ----------
    ratio
        ``(time, y, x)`` what every image says, nats; NaN missing.
    vh, vv
        Deviations of the same images. A missing or outside neighbour counts as undisturbed.
    network
        From ``load_network``.

    Returns
    -------
    ``(time, y, x)``: a positive ratio times 2 p, p the network's probability of a clearing at equal
    odds. Negative and missing ratios are kept.
    """
    out = np.array(ratio, dtype=np.float32)
    for t, image in enumerate(out):
        _scale(image, _around(vh, t), _around(vv, t), network)
    return out


def neighbourhoods(
    vh: Deviation, vv: Deviation, at: tuple[npt.NDArray[np.intp], ...]
) -> FloatArray:
    """What the network is shown at some ``(time, row, column)``: ``(pixel, 2 * SIDE**2)``."""
    half = SIDE * SIDE
    out = np.empty((at[0].size, 2 * half), np.float32)
    for t in np.unique(at[0]):
        here = at[0] == t
        for k, one in enumerate((vh, vv)):
            windows = np.lib.stride_tricks.sliding_window_view(_around(one, t), (SIDE, SIDE))
            seen = windows[at[1][here], at[2][here]].reshape(-1, half)
            out[here, k * half : (k + 1) * half] = seen
    return out


def _around(one: Deviation, t: int) -> FloatArray:
    """Deviations of an image in spreads, clipped; 0 where there is none, and in a border around."""
    z = (one.db[t] - one.level_db) * (np.float32(1) / one.spread_db)
    z = np.where(np.isnan(z), np.float32(0), z)
    np.clip(z, np.float32(LOWEST), np.float32(HIGHEST), out=z)
    return np.pad(z, VERIFY_REACH)


@kernel
def _scale(ratio: FloatArray, vh: FloatArray, vv: FloatArray, network: Network) -> None:
    """Scale the positive ratios of an image (y, x), LANES pixels at a time."""
    inputs, units = network.w1.shape
    seen = scratch(inputs * LANES).reshape(inputs, LANES)
    first = scratch(units * LANES).reshape(units, LANES)
    second = scratch(network.b2.shape[0] * LANES).reshape(network.b2.shape[0], LANES)
    odds = scratch(LANES).reshape(1, LANES)
    places = np.empty((LANES, 2), np.int64)
    rows, columns = ratio.shape
    size = 0
    for y in range(rows):
        for x in range(columns):
            # NaN fails this too.
            if ratio[y, x] > np.float32(0):
                _look(vh, y, x, seen, 0, size)
                _look(vv, y, x, seen, inputs // 2, size)
                places[size, 0] = y
                places[size, 1] = x
                size += 1
            if size == LANES or (size > 0 and y == rows - 1 and x == columns - 1):
                _dense(seen, network.w1, network.b1, first)
                _rectify(first)
                _dense(first, network.w2, network.b2, second)
                _rectify(second)
                _dense(second, network.w3, network.b3, odds)
                for k in range(size):
                    even = np.float32(1) + np.exp(-odds[0, k])
                    ratio[places[k, 0], places[k, 1]] *= np.float32(2) / even
                size = 0


@piece
def _look(image: FloatArray, y: int, x: int, seen: FloatArray, first: int, lane: int) -> None:
    """Put the neighbourhood of a pixel into a lane of the wires from ``first`` on."""
    for r in range(SIDE):
        for c in range(SIDE):
            seen[first + r * SIDE + c, lane] = image[y + r, x + c]


@piece
def _dense(values: FloatArray, weights: FloatArray, bias: FloatArray, out: FloatArray) -> None:
    """A layer of wires (wire, lane)."""
    wide()
    for j in range(out.shape[0]):
        total = out[j]
        for lane in range(LANES):
            total[lane] = bias[j]
        for i in range(values.shape[0]):
            weight, row = weights[i, j], values[i]
            for lane in range(LANES):
                total[lane] += weight * row[lane]


@piece
def _rectify(wires: FloatArray) -> None:
    """Negative sums become 0."""
    wide()
    for j in range(wires.shape[0]):
        row = wires[j]
        for lane in range(LANES):
            row[lane] = max(row[lane], np.float32(0))
