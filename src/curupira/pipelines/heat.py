"""How much forest was disturbed around a place: the heat map (Doblas et al. 2022, Figure 9)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

#: Radius of the kernel and least side of a cell, km; most cells of a map.
KERNEL_KM, CELL_KM = 50.0, 10.0
_MOST_CELLS = 40_000
_KM_PER_DEGREE = 111.32
#: Below this a cell holds only what the transform rounds, m2/ha.
_NOTHING = 1e-6


def heat(sums: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Disturbed m2 per hectare of ground within 50 km of each cell's centre.

    Parameters
    ----------
    sums
        Array (place, 3 or more): longitude, latitude, any column, hectares.
    """
    found: dict[str, Any] = {"radius_km": KERNEL_KM, "side_km": CELL_KM, "cells": []}
    if not len(sums):
        return found
    lat0 = float(sums[:, 1].mean())
    km = np.array([_KM_PER_DEGREE * math.cos(math.radians(lat0)), _KM_PER_DEGREE])
    place = sums[:, :2] * km
    span = np.ptp(place, axis=0) + 2 * KERNEL_KM
    side = max(CELL_KM, math.sqrt(float(np.prod(span)) / _MOST_CELLS))
    found["side_km"] = round(side, 3)
    low = place.min(axis=0) - KERNEL_KM - side
    shape = np.ceil((place.max(axis=0) + KERNEL_KM + side - low) / side).astype(int)
    ranges = [(low[k], low[k] + shape[k] * side) for k in (0, 1)]
    total, *_ = np.histogram2d(
        place[:, 0], place[:, 1], bins=shape.tolist(), range=ranges, weights=sums[:, 3]
    )
    reach = math.floor(KERNEL_KM / side)
    along = np.arange(-reach, reach + 1) * side
    disc = (np.hypot(*np.meshgrid(along, along)) <= KERNEL_KM).astype(np.float64)
    # Of the ground that the cells of the disc cover, so that the map's total is that of the sums.
    density = fftconvolve(total, disc, mode="same") * 1e4 / (disc.sum() * side**2 * 100)
    for i, j in zip(*np.nonzero(density > _NOTHING), strict=True):
        lon, lat = (low + (np.array([i, j]) + 0.5) * side) / km
        found["cells"].append(
            {
                "lon": round(float(lon), 4),
                "lat": round(float(lat), 4),
                # Digits that count, however little: a hectare is some hundredths far and wide.
                "m2_per_ha": float(f"{density[i, j]:.5g}"),
            }
        )
    return found
