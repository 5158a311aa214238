"""Threshold: the drop below the reference level that flags a pixel. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curupira.detect.params import ThresholdParams

FloatArray = npt.NDArray[np.float32]


def threshold_sigma(
    distance_m: npt.NDArray[np.floating], params: ThresholdParams
) -> npt.NDArray[np.float64]:
    """T in units of the clutter's standard deviation, by distance to known deforestation.

    Parameters
    ----------
    distance_m
        Any shape, metres; distances beyond ``max_distance_m`` count as that one. NaN (masked)
        gives Tmin.
    params
        The law and its numbers.

    Returns
    -------
    Same shape, between Tmin and Tmax.

    Notes
    -----
    method.md section 0 and 1A step 9. ``pdf_clamped`` is the authors' script, ``cdf`` the paper.
    """
    low, high = params.threshold_min, params.threshold_max
    distance = np.asarray(distance_m, dtype=np.float64)
    if params.threshold_law == "fixed":
        return np.full(distance.shape, high)
    with np.errstate(divide="ignore"):
        # Distance zero is inside known deforestation: log10 gives -inf, both laws give Tmin.
        log_d = np.log10(np.minimum(distance, params.max_distance_m))
    z = (log_d - params.distance_mu) / (2 * params.distance_s)
    if params.threshold_law == "cdf":
        t = low + (high - low) * (0.5 + 0.5 * np.tanh(z))
    else:
        # sech^2 = 1 - tanh^2, which does not overflow; below mu the script clamps to Tmin.
        t = np.where(z < 0, low, high - (high - low) * (1 - np.tanh(z) ** 2))
    return np.asarray(np.where(np.isnan(distance), low, t), dtype=np.float64)


def threshold_db(
    distance_m: npt.NDArray[np.floating] | None, params: ThresholdParams
) -> FloatArray:
    """Positive drop t in dB: clutter mean plus T times its standard deviation.

    ``distance_m`` is ``(y, x)`` in metres. None (no distance known) gives a 0-dimensional array to
    broadcast: T is Tmin then, or Tmax by the law ``fixed``.
    """
    distance = np.asarray(np.nan) if distance_m is None else distance_m
    t = threshold_sigma(distance, params)
    return np.asarray(params.clutter_mean_db + params.clutter_sd_db * t, dtype=np.float32)
