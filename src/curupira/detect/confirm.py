"""Confidence of a pixel by its number of flags."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def confidence(n_alerts: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Score of a pixel, ``1 - 0.3 ** n_alerts``; 0 without a flag and where not observed (255).

    The anchor is the share of DETER-R's preliminary warnings (one flag) that were true, 70 %
    (Doblas et al. 2022); further flags count as independent, which is a score, not a probability.
    """
    table = 1 - 0.3 ** np.arange(256)
    table[255] = 0
    return table.astype(np.float32)[n_alerts]
