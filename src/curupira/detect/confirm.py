"""Confirmation and intensity class of a polygon: pure rules on its pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curupira.codes import IntensityClass, Status
from curupira.detect.params import ConfirmParams


def confirmed(n_alerts: npt.ArrayLike, params: ConfirmParams) -> bool:
    """Whether the alert pixels of one polygon confirm it (CR2).

    ``n_alerts`` holds the flag counts of the alert pixels only. Their median or mean must exceed
    ``confirm_n_alerts``, strictly; no pixel confirms nothing. Source: method.md 1A step 15.
    """
    values = np.asarray(n_alerts, dtype=np.float64)
    if values.size == 0:
        return False
    value = np.median(values) if params.confirm_statistic == "median" else np.mean(values)
    return bool(value > params.confirm_n_alerts)


def status(median: float, mean: float, params: ConfirmParams) -> Status:
    """Status of a new polygon from the median and the mean of ``n_alerts`` over its pixels."""
    value = median if params.confirm_statistic == "median" else mean
    return Status.CONFIRMED if value > params.confirm_n_alerts else Status.PRELIMINARY


def intensity_class(intensity: float, params: ConfirmParams) -> IntensityClass:
    """High intensity (CLEAR_CUT) strictly above ``high_intensity``, in tenths of dB; else low."""
    return IntensityClass.HIGH if intensity > params.high_intensity else IntensityClass.LOW


def confidence(n_alerts: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Score of a pixel, ``1 - 0.3 ** n_alerts``; 0 without a flag and where not observed (255).

    The anchor is the share of DETER-R's preliminary warnings (one flag) that were true, 70 %
    (Doblas et al. 2022); further flags count as independent, which is a score, not a probability.
    """
    table = 1 - 0.3 ** np.arange(256)
    table[255] = 0
    return table.astype(np.float32)[n_alerts]
