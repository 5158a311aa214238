"""What an acquisition saw of the ground: no data is not "no change"."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from curupira.blocks import Window
from curupira.codes import NOT_OBSERVED
from curupira.detect.block import Layers, StackBlock
from curupira.detect.exceedance import NO_FLAG
from curupira.detect.geometry import lia_mask
from curupira.detect.params import DetectParams
from curupira.detect.periods import days_since_2020
from curupira.pipelines.masks import MASKED, MONITORED, OUTSIDE


class Seen(IntEnum):
    """Codes of a pixel on the day of an acquisition."""

    MASKED = 0
    OBSERVED = 1
    NOT_OBSERVED = 2
    #: It has a value, but too few earlier images to be compared with.
    NOT_JUDGED = 3
    OUTSIDE = 255


@dataclass(frozen=True, slots=True)
class SeenLayers:
    """Codes and dates of a block ``(y, x)``.

    ``code``: uint8 of ``Seen``. ``last_days``: int32, day since 2020-01-01 of the newest image of
    the stack that holds a value there: a pixel that is not observed has not been since that day.
    ``NO_FLAG`` where none does, and where nothing is watched: of such ground not all images are
    read, and how much of it depends on the tiles.
    """

    code: npt.NDArray[np.uint8]
    last_days: npt.NDArray[np.int32]


def seen_layers(
    block: StackBlock,
    inner: Window,
    layers: Layers,
    zones: npt.NDArray[np.uint8],
    sar_mask: npt.NDArray[np.bool_],
    params: DetectParams,
) -> SeenLayers:
    """What the last image of a block's stack, and those before it, saw.

    Parameters
    ----------
    block, inner
        The stack with its halo, and the part of it that the others describe.
    layers, zones, sar_mask
        ``(y, x)`` of that part: the detection's layers, the mask's zones, warnings made before.
    """
    last = np.full(inner.shape, NO_FLAG, dtype=np.int32)
    now = np.zeros(inner.shape, dtype=bool)
    watched = (zones == MONITORED) & ~sar_mask
    days = days_since_2020(block.times)
    for k in reversed(range(len(days))):
        unseen = watched & (last == NO_FLAG)
        if not unseen.any():
            break
        valid = block.valid(k)[inner.slices]
        if block.lia_deg is not None:
            valid &= lia_mask(block.lia_deg[(k, *inner.slices)], params.geometry)
        last[unseen & valid] = days[k]
        if k == len(days) - 1:
            now = valid
    code = np.where(now, Seen.OBSERVED, Seen.NOT_OBSERVED).astype(np.uint8)
    code[now & (layers.n_alerts == NOT_OBSERVED)] = Seen.NOT_JUDGED
    code[(zones == MASKED) | sar_mask] = Seen.MASKED
    code[zones == OUTSIDE] = Seen.OUTSIDE
    return SeenLayers(code, last)
