"""New shadow and the patch behind it: a clearing that stays bright shows at its walls.

The forest's wall throws a radar shadow onto the side of a fresh clearing that is nearer to the
radar, and is laid over the far side, which brightens (Bouvet et al. 2018, Remote Sensing 10(8)
1250). Slash between them may scatter like forest. A dark excursion with a lasting bright line
farther from the radar, in the same row, is taken for such a pair, and the pixels between for the
clearing. Orbits run nearly north and south, so that the radar looks along the rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from curupira.detect.exceedance import NO_FLAG, Exceedance
from curupira.detect.lanes import kernel
from curupira.detect.params import ShadowParams
from curupira.detect.verify import Deviation

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]


def reconstruct(
    found: Exceedance,
    score: FloatArray,
    images: Deviation,
    days: IntArray,
    looks_east: bool,
    params: ShadowParams,
) -> tuple[Exceedance, FloatArray]:
    """Flag what lies between a new shadow and the layover beyond it.

    Parameters
    ----------
    found, score
        Flags by the evidence of all orbits, and the pixels' confidence, ``(y, x)``.
    images, days
        Detection images of one orbit and pass, and their days ``(time,)`` since 2020-01-01.
    looks_east
        Whether the radar looks east (ascending) or west (descending); columns run east.
    params
        Section [shadow].

    Returns
    -------
    The same with the pixels between flagged as the shadow is: its images, days and confidence.
    Observed pixels only; what was flagged already keeps its own.
    """
    count, trust = found.n_alerts.copy(), score.copy()
    first, last = found.first_flag_days.copy(), found.last_flag_days.copy()
    _fill(
        np.ascontiguousarray(images.db),
        images.level_db,
        images.spread_db,
        days.astype(np.int32),
        found.first_flag_days,
        1 if looks_east else -1,
        params.shadow_reach_px,
        np.float32(params.shadow_layover),
        count,
        first,
        last,
        trust,
    )
    filled = replace(found, n_alerts=count, first_flag_days=first, last_flag_days=last)
    return filled, trust


@kernel
def _fill(
    db: FloatArray,
    level: FloatArray,
    spread: FloatArray,
    days: IntArray,
    dark_since: IntArray,
    step: int,
    reach: int,
    least: np.float32,
    count: npt.NDArray[np.uint8],
    first: IntArray,
    last: IntArray,
    trust: FloatArray,
) -> None:
    dates, rows, columns = db.shape
    for y in range(rows):
        for x in range(columns):
            since = dark_since[y, x]
            if since == NO_FLAG:
                continue
            for k in range(2, reach + 1):
                at = x + k * step
                if at < 0 or at >= columns:
                    break
                if dark_since[y, at] != NO_FLAG:
                    continue
                total, images = np.float32(0), 0
                for t in range(dates):
                    z = (db[t, y, at] - level[y, at]) / spread[y, at]
                    if days[t] >= since and not np.isnan(z):
                        total += z
                        images += 1
                # The mean of n images scatters with 1 / sqrt n; one is no lasting line.
                if images < 2 or total < least * np.sqrt(np.float32(images)):
                    continue
                for j in range(1, k):
                    to = x + j * step
                    if first[y, to] == NO_FLAG and count[y, to] == 0:
                        count[y, to] = count[y, x]
                        first[y, to] = since
                        last[y, to] = last[y, x]
                        trust[y, to] = trust[y, x]
                break
