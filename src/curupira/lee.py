"""Lee's speckle filter, for whoever needs it: the mining images and `curupira grd`. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.special import polygamma

from curupira.units import from_db, to_db

FloatArray = npt.NDArray[np.float32]


def additive_variance(looks: float) -> float:
    """Variance in dB of speckle of a number of looks: ``(10 / ln 10)^2 trigamma(looks)``."""
    return float((10 / np.log(10)) ** 2 * polygamma(1, looks))


def lee_of_power(power: FloatArray, window: int, looks: float, *, in_db: bool) -> FloatArray:
    """Lee filter of linear power, on the power itself or on its dB.

    In dB speckle is additive; values that have no dB (zero, negative) become NaN.
    """
    if not in_db:
        return lee(power, window, looks)
    filtered = lee(to_db(power), window, looks, additive_variance=additive_variance(looks))
    return from_db(filtered)


def lee(
    image: FloatArray, window: int, looks: float, *, additive_variance: float | None = None
) -> FloatArray:
    """Lee filter (Lee 1981) with a square window, reflected borders.

    Parameters
    ----------
    image
        ``(y, x)``; NaN missing. Statistics are over the valid pixels of a window; NaN where the
        centre is NaN.
    window
        Side, pixels, odd.
    looks
        Equivalent number of looks; the relative noise variance is ``1 / looks``.
    additive_variance
        Variance of additive noise instead (an image in dB).

    Returns
    -------
    float32 ``(y, x)``
        ``mean + b (image - mean)``, b in [0, 1].
    """
    additive = -1.0 if additive_variance is None else additive_variance
    padded = np.pad(image.astype(np.float32), window // 2, mode="symmetric")
    found: FloatArray = _lee(padded, window // 2, 1 / looks, additive)
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _lee(padded: FloatArray, half: int, relative: float, additive: float) -> FloatArray:
    # Pixel by pixel, in one order: the same pixels give the same bits wherever a block begins.
    rows, columns = padded.shape[0] - 2 * half, padded.shape[1] - 2 * half
    out = np.full((rows, columns), np.nan, dtype=np.float32)
    for y in range(rows):
        for x in range(columns):
            if np.isnan(padded[y + half, x + half]):
                continue
            # Relative to the centre, so that the variance keeps its digits in one pass.
            centre = np.float64(padded[y + half, x + half])
            count, total, squares = 0, 0.0, 0.0
            for v in range(y, y + 2 * half + 1):
                for u in range(x, x + 2 * half + 1):
                    value = np.float64(padded[v, u]) - centre
                    if not np.isnan(value):
                        count += 1
                        total += value
                        squares += value * value
            apart = total / count
            variance = squares / count - apart * apart
            mean = centre + apart
            signal = variance - additive
            if additive < 0:
                signal = (variance - mean * mean * relative) / (1 + relative)
            weight = min(max(signal / variance, 0.0), 1.0) if variance > 0 else 0.0
            out[y, x] = mean - weight * apart
    return out
