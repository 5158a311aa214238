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

from curupira.detect.lanes import kernel, piece
from curupira.detect.params import VERIFY_REACH

FloatArray = npt.NDArray[np.float32]

#: Filtered images in dB, and level and one over spread of their pixels.
Planes = tuple[FloatArray, FloatArray, FloatArray]

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
    _scale(out, _planes(vh), _planes(vv), network)
    return out


def neighbourhoods(
    vh: Deviation, vv: Deviation, at: tuple[npt.NDArray[np.intp], ...]
) -> FloatArray:
    """What the network is shown at some ``(time, row, column)``: ``(pixel, 2 * SIDE**2)``."""
    out = np.empty((at[0].size, 2 * SIDE * SIDE), np.float32)
    _gather(_planes(vh), _planes(vv), np.stack(at, axis=1), out)
    return out


def _planes(one: Deviation) -> Planes:
    scale = np.float32(1) / one.spread_db
    return np.ascontiguousarray(one.db), np.ascontiguousarray(one.level_db), scale


@piece
def _look(planes: Planes, t: int, y: int, x: int, out: FloatArray) -> None:
    """Deviations around a pixel of one image, clipped; 0 where there is none."""
    db, level, scale = planes
    _, rows, columns = db.shape
    k = 0
    for r in range(y - VERIFY_REACH, y + VERIFY_REACH + 1):
        for c in range(x - VERIFY_REACH, x + VERIFY_REACH + 1):
            value = np.float32(0)
            if 0 <= r < rows and 0 <= c < columns:
                z = (db[t, r, c] - level[r, c]) * scale[r, c]
                value = np.float32(0) if np.isnan(z) else z
            out[k] = min(max(value, np.float32(LOWEST)), np.float32(HIGHEST))
            k += 1


@kernel
def _gather(vh: Planes, vv: Planes, at: npt.NDArray[np.int64], out: FloatArray) -> None:
    half = SIDE * SIDE
    for i in range(at.shape[0]):
        t, y, x = at[i, 0], at[i, 1], at[i, 2]
        _look(vh, t, y, x, out[i, :half])
        _look(vv, t, y, x, out[i, half:])


@piece
def _dense(values: FloatArray, weights: FloatArray, bias: FloatArray, out: FloatArray) -> None:
    """A layer whose negative sums become 0."""
    # An assignment to a slice compiles for seconds: numba brings what it says of wrong shapes.
    for j in range(out.shape[0]):
        out[j] = bias[j]
    for i in range(weights.shape[0]):
        value, row = values[i], weights[i]
        for j in range(weights.shape[1]):
            out[j] += value * row[j]
    for j in range(out.shape[0]):
        out[j] = max(out[j], np.float32(0))


@kernel
def _scale(ratio: FloatArray, vh: Planes, vv: Planes, network: Network) -> None:
    half = SIDE * SIDE
    seen = np.empty(2 * half, np.float32)
    first = np.empty(network.b1.shape[0], np.float32)
    second = np.empty(network.b2.shape[0], np.float32)
    dates, rows, columns = ratio.shape
    for t in range(dates):
        for y in range(rows):
            for x in range(columns):
                # NaN fails this too.
                if not ratio[t, y, x] > np.float32(0):
                    continue
                _look(vh, t, y, x, seen[:half])
                _look(vv, t, y, x, seen[half:])
                _dense(seen, network.w1, network.b1, first)
                _dense(first, network.w2, network.b2, second)
                odds = network.b3[0]
                for j in range(second.shape[0]):
                    odds += second[j] * network.w3[j, 0]
                ratio[t, y, x] *= np.float32(2) / (np.float32(1) + np.exp(-odds))
