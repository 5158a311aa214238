"""What the values of a file mean: power or angles, missing or not."""

from __future__ import annotations

import numpy as np

from curupira.sources.resample import FloatImage
from curupira.units import from_db

ANGLES = ("lia", "angle")


def linear_power(raw: FloatImage, scale: str) -> FloatImage:
    """Values of a file as linear power; NaN for what is no positive finite power.

    Zero and negative power are the border or no-data of Sentinel-1 products.
    """
    with np.errstate(over="ignore"):
        power = from_db(raw) if scale == "db" else raw
    with np.errstate(invalid="ignore"):
        return np.where((power > 0) & (power < np.inf), power, np.nan).astype(np.float32)


def angle_degrees(raw: FloatImage) -> FloatImage:
    """Values of a file as angles in degrees; NaN for what is none."""
    with np.errstate(invalid="ignore"):
        return np.where((raw >= 0) & (raw <= 180), raw, np.nan).astype(np.float32)
