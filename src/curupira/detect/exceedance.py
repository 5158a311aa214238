"""Exceedance: which images lie below the reference level by more than the threshold. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curupira.codes import NOT_OBSERVED
from curupira.detect.lanes import kernel, wide

#: No flag: stands in ``first_flag_days`` and ``last_flag_days``.
NO_FLAG = int(np.iinfo(np.int32).min)
#: ``n_alerts`` stops counting here; 255 means not observed.
MAX_ALERTS = NOT_OBSERVED - 1
#: Pixels judged side by side; their counts stay in the first-level cache.
_STRIP = 512

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Exceedance:
    """Per pixel ``(y, x)``: flags, first and last flagged day since 2020-01-01, largest excess."""

    n_alerts: npt.NDArray[np.uint8]
    first_flag_days: npt.NDArray[np.int32]
    last_flag_days: npt.NDArray[np.int32]
    excess_db: FloatArray


def exceedance(
    db: FloatArray,
    reference_db: FloatArray,
    threshold_db: FloatArray,
    days: npt.NDArray[np.int32],
) -> Exceedance:
    """Count the images strictly below ``reference - threshold``.

    Parameters
    ----------
    db
        ``(time, y, x)`` filtered images of the detection period, dB, NaN missing, in any order.
    reference_db
        ``(y, x)``, NaN where the pixel has none.
    threshold_db
        Positive drop, ``(y, x)`` or a scalar array.
    days
        ``(time,)`` days since 2020-01-01 of the images.

    Returns
    -------
    ``n_alerts`` 0 to 254, or 255 where there is no reference or no valid image. First and last day
    are ``NO_FLAG`` where nothing is flagged. ``excess_db`` is the largest of reference - threshold
    - image: positive by how far the strongest flag fell below the limit, negative by how far the
    nearest miss stayed above it, NaN where not observed. Source: method.md section 0.
    """
    shape = reference_db.shape
    pixels = reference_db.size
    limit = np.broadcast_to(reference_db - threshold_db, shape).ravel()
    images = np.ascontiguousarray(db, dtype=np.float32).reshape(len(db), pixels)
    count = np.zeros(pixels, dtype=np.int32)
    first = np.full(pixels, np.iinfo(np.int32).max, dtype=np.int32)
    last = np.full(pixels, NO_FLAG, dtype=np.int32)
    excess = np.full(pixels, np.nan, dtype=np.float32)
    limit = np.ascontiguousarray(limit, dtype=np.float32)
    _exceed(images, limit, days.astype(np.int32), count, first, last, excess)
    alerts = np.where(np.isnan(excess), NOT_OBSERVED, np.minimum(count, MAX_ALERTS))
    first[count == 0] = NO_FLAG
    return Exceedance(
        n_alerts=alerts.astype(np.uint8).reshape(shape),
        first_flag_days=first.reshape(shape),
        last_flag_days=last.reshape(shape),
        excess_db=excess.reshape(shape),
    )


def nothing_observed(shape: tuple[int, int]) -> Exceedance:
    """What no image says of ``(y, x)`` pixels."""
    return Exceedance(
        n_alerts=np.full(shape, NOT_OBSERVED, dtype=np.uint8),
        first_flag_days=np.full(shape, NO_FLAG, dtype=np.int32),
        last_flag_days=np.full(shape, NO_FLAG, dtype=np.int32),
        excess_db=np.full(shape, np.nan, dtype=np.float32),
    )


def joined(
    level: FloatArray, found: Exceedance, other_level: FloatArray, other: Exceedance
) -> tuple[FloatArray, Exceedance]:
    """Join two orbits per pixel; of equals the earlier one in orbit order stays."""
    unseen, other_unseen = found.n_alerts == NOT_OBSERVED, other.n_alerts == NOT_OBSERVED
    count = np.where(unseen, 0, found.n_alerts).astype(np.int32)
    count += np.where(other_unseen, 0, other.n_alerts)
    alerts = np.where(unseen & other_unseen, NOT_OBSERVED, np.minimum(count, MAX_ALERTS))
    # NO_FLAG is the smallest number: it loses a maximum by itself, and a minimum after a swap.
    never = np.int32(np.iinfo(np.int32).max)
    first = np.minimum(
        np.where(found.first_flag_days == NO_FLAG, never, found.first_flag_days),
        np.where(other.first_flag_days == NO_FLAG, never, other.first_flag_days),
    )
    stronger = (other.excess_db > found.excess_db) | (unseen & ~other_unseen)
    stronger |= np.isnan(level) & unseen
    merged = Exceedance(
        n_alerts=alerts.astype(np.uint8),
        first_flag_days=np.where(first == never, np.int32(NO_FLAG), first),
        last_flag_days=np.maximum(found.last_flag_days, other.last_flag_days),
        excess_db=np.fmax(found.excess_db, other.excess_db),
    )
    return np.where(stronger, other_level, level), merged


@kernel
def _exceed(
    db: FloatArray,
    limit: FloatArray,
    days: npt.NDArray[np.int32],
    count: npt.NDArray[np.int32],
    first: npt.NDArray[np.int32],
    last: npt.NDArray[np.int32],
    excess: FloatArray,
) -> None:
    wide()
    for start in range(0, limit.shape[0], _STRIP):
        width = min(_STRIP, limit.shape[0] - start)
        level, n, a, z, top = (
            limit[start:],
            count[start:],
            first[start:],
            last[start:],
            excess[start:],
        )
        for t in range(db.shape[0]):
            image, day = db[t, start:], days[t]
            for i in range(width):
                below = level[i] - image[i]
                flag = below > np.float32(0)
                n[i] += np.int32(flag)
                a[i] = day if flag and day < a[i] else a[i]
                z[i] = day if flag and day > z[i] else z[i]
                more = below > top[i] or np.isnan(top[i])
                top[i] = below if more else top[i]
