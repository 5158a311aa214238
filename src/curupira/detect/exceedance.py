"""Exceedance: which images lie below the reference level by more than the threshold. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curupira.codes import NOT_OBSERVED

#: No flag: stands in ``first_flag_days`` and ``last_flag_days``.
NO_FLAG = int(np.iinfo(np.int32).min)
#: ``n_alerts`` stops counting here; 255 means not observed.
MAX_ALERTS = NOT_OBSERVED - 1

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
    limit = np.broadcast_to(reference_db - threshold_db, reference_db.shape)
    count = np.zeros(limit.shape, dtype=np.int32)
    first = np.full(limit.shape, np.iinfo(np.int32).max, dtype=np.int32)
    last = np.full(limit.shape, NO_FLAG, dtype=np.int32)
    excess = np.full(limit.shape, np.nan, dtype=np.float32)
    for image, day in zip(db, days, strict=True):
        below = limit - image
        flag = below > 0
        count += flag
        first[flag] = np.minimum(first[flag], day)
        last[flag] = np.maximum(last[flag], day)
        np.fmax(excess, below, out=excess)
    observed = ~np.isnan(excess)
    alerts = np.where(observed, np.minimum(count, MAX_ALERTS), NOT_OBSERVED)
    return Exceedance(
        n_alerts=alerts.astype(np.uint8),
        first_flag_days=np.where(count > 0, first, np.int32(NO_FLAG)),
        last_flag_days=last,
        excess_db=excess,
    )
