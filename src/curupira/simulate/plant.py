"""Clearings planted into real images: known truth on real speckle, weather and relief. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from curupira.errors import InputError
from curupira.simulate.shapes import SQUARE_M_PER_HA, rectangle


@dataclass(frozen=True, slots=True)
class Clearing:
    """A clearing to be planted.

    ``geometry`` is in the CRS of the images (metres); ``day`` (UTC) is the first day on which the
    ground is bare; the drops of gamma0 are positive, in dB.
    """

    name: str
    geometry: BaseGeometry
    day: date
    drop_vh_db: float
    drop_vv_db: float

    @property
    def area_ha(self) -> float:
        """Area of the polygon in the images' CRS."""
        return float(self.geometry.area) / SQUARE_M_PER_HA

    def truth(self) -> dict[str, Any]:
        """Properties for a truth layer."""
        return {
            "name": self.name,
            "date": self.day.isoformat(),
            "area_ha": round(self.area_ha, 3),
            "drop_vh_db": self.drop_vh_db,
            "drop_vv_db": self.drop_vv_db,
        }


def lot(
    x: float, y: float, area_ha: float, *, aspect: float = 1.5, angle_deg: float = 0
) -> BaseGeometry:
    """Rectangle of an area in hectares around a point in metres, turned counter-clockwise."""
    height = float(np.sqrt(area_ha * SQUARE_M_PER_HA / aspect))
    shape = rectangle(aspect * height, height, angle_deg)
    return translate(shape, x, y)


def plant(
    stack: npt.NDArray[np.float32],
    times: npt.NDArray[np.datetime64],
    grid: GeoBox,
    clearings: Sequence[Clearing],
    band: Literal["vh", "vv"],
) -> npt.NDArray[np.float32]:
    """Lower the backscatter within clearings from their day on; the speckle stays as it is.

    Linear gamma0 of every pixel whose centre lies in a clearing is multiplied by
    ``10 ** (-drop / 10)`` in the images of its day and later. Clearings that overlap multiply.

    Parameters
    ----------
    stack
        ``(time, y, x)`` linear gamma0; NaN stays NaN. It is not changed.
    times
        ``(time,)`` naive UTC, in any order.
    grid
        Where the pixels are.
    band
        Which of the two drops applies.

    Returns
    -------
    A new array of the stack's shape and type; pixels outside the clearings and images before
    them are bit for bit the same.

    Raises
    ------
    InputError
        If shapes differ, a drop is negative, or a clearing holds no pixel of the grid.
    """
    if stack.shape != (times.size, grid.shape.y, grid.shape.x):
        raise InputError(
            f"a stack of {stack.shape} does not fit {times.size} times on {tuple(grid.shape)}",
            where="plant",
            remedy="give (time, y, x) and the grid of the same pixels",
        )
    planted = stack.copy()
    for clearing in clearings:
        drop = clearing.drop_vh_db if band == "vh" else clearing.drop_vv_db
        if drop < 0:
            raise InputError(
                f"a drop of {drop} dB is a rise", where=clearing.name, remedy="drops are positive"
            )
        inside = _inside(clearing, grid)
        factor = np.where(inside, np.float32(10 ** (-drop / 10)), np.float32(1))
        planted[times >= np.datetime64(clearing.day)] *= factor
    return planted


def _inside(clearing: Clearing, grid: GeoBox) -> npt.NDArray[np.bool_]:
    burnt = rasterize(
        [clearing.geometry], out_shape=tuple(grid.shape), transform=grid.affine, dtype="uint8"
    )
    inside = np.asarray(burnt, dtype=np.bool_)
    if not inside.any():
        raise InputError(
            "the clearing holds no pixel of the images",
            where=clearing.name,
            remedy="place it on them, in their coordinate reference system",
        )
    return inside
