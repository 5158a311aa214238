"""Least squares of one harmonic a year, a strip of pixels at a time: inner loops of `season`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curupira.detect.lanes import LANES, Float32, inlined, piece, wide

#: Of the design of a pixel's own valid dates; above it, its season is unknown (method.md 1D).
MAXIMUM_CONDITION = 100.0


@piece
def fit_strip(
    octaves: Float32,
    x0: int,
    design: Float32,
    used: npt.NDArray[np.int64],
    gram: npt.NDArray[np.float64],
    sums: npt.NDArray[np.float64],
    coefficients: Float32,
) -> None:
    """Least squares of the strip at x0 of (t, pixel) into ``coefficients`` (3, lane).

    ``sums`` (6, lane) is scratch.
    """
    wide()
    # The normal matrix of all dates is known; only what a missing value takes from it is counted.
    for lane in range(LANES):
        sums[0, lane] = gram[0, 0]
        sums[1, lane] = gram[0, 1]
        sums[2, lane] = gram[0, 2]
        sums[3, lane] = gram[1, 1]
        sums[4, lane] = gram[1, 2]
        sums[5, lane] = gram[2, 2]
        coefficients[0, lane] = np.float32(0)
        coefficients[1, lane] = np.float32(0)
        coefficients[2, lane] = np.float32(0)
    for k in range(used.shape[0]):
        t = used[k]
        c = design[t, 1]
        s = design[t, 2]
        row = octaves[t, x0:]
        missing = 0
        for lane in range(LANES):
            present = not np.isnan(row[lane])
            value = row[lane] if present else np.float32(0)
            coefficients[0, lane] += value
            coefficients[1, lane] += value * c
            coefficients[2, lane] += value * s
            missing += 0 if present else 1
        if missing > 0:
            for lane in range(LANES):
                gone = 1.0 if np.isnan(row[lane]) else 0.0
                sums[0, lane] -= gone
                sums[1, lane] -= gone * c
                sums[2, lane] -= gone * s
                sums[3, lane] -= gone * c * c
                sums[4, lane] -= gone * c * s
                sums[5, lane] -= gone * s * s
    _solve(sums, coefficients)


@inlined
def _solve(sums: npt.NDArray[np.float64], coefficients: Float32) -> None:
    """Solve the 3 x 3 normal equations of each lane; NaN where they are ill-conditioned."""
    wide()
    limit = MAXIMUM_CONDITION * MAXIMUM_CONDITION
    for lane in range(LANES):
        n = sums[0, lane]
        a = sums[1, lane]
        b = sums[2, lane]
        c = sums[3, lane]
        d = sums[4, lane]
        e = sums[5, lane]
        # Cofactors of the symmetric matrix [[n a b] [a c d] [b d e]].
        nn = c * e - d * d
        na = b * d - a * e
        nb = a * d - b * c
        cc = n * e - b * b
        cd = a * b - n * d
        ee = n * c - a * a
        determinant = n * nn + a * na + b * nb
        trace = n + c + e
        minors = nn + cc + ee
        # Smallest and largest root of z^3 - trace z^2 + minors z - determinant: all roots are
        # real and not negative, so Newton's steps from 0 and from the trace close in on them.
        small = 0.0
        large = trace
        for _ in range(8):
            value = ((small - trace) * small + minors) * small - determinant
            small -= value / ((3.0 * small - 2.0 * trace) * small + minors)
            value = ((large - trace) * large + minors) * large - determinant
            large -= value / ((3.0 * large - 2.0 * trace) * large + minors)
        sound = n > 2.5 and small * limit >= large
        scale = 1.0 / determinant if sound else np.nan
        u = np.float64(coefficients[0, lane])
        v = np.float64(coefficients[1, lane])
        w = np.float64(coefficients[2, lane])
        coefficients[0, lane] = np.float32((nn * u + na * v + nb * w) * scale)
        coefficients[1, lane] = np.float32((na * u + cc * v + cd * w) * scale)
        coefficients[2, lane] = np.float32((nb * u + cd * v + ee * w) * scale)
