"""The map of window probabilities that classification makes and squares are cut from. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox

from curupira.mining.scene import FloatArray


@dataclass(frozen=True)
class WindowMap:
    """Probability of every window ``(row, column)``, NaN where it was not classified.

    Window ``(i, j)`` covers the scene's pixels from ``(i, j) * stride_px`` on, ``size_px`` a side.
    """

    probability: FloatArray
    scene: GeoBox
    size_px: int
    stride_px: int

    @property
    def grid(self) -> GeoBox:
        """The map as a raster: a pixel is the middle of a window, one stride wide."""
        offset = (self.size_px - self.stride_px) / 2
        affine = self.scene.affine @ Affine.translation(offset, offset)
        return GeoBox(self.probability.shape, affine @ Affine.scale(self.stride_px), self.scene.crs)

    def centres(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """X and y of all windows' centres, each ``(row, column)``, in the scene's CRS."""
        rows, columns = self.probability.shape
        half = self.size_px / 2
        x = self.scene.affine.c + self.scene.affine.a * (np.arange(columns) * self.stride_px + half)
        y = self.scene.affine.f + self.scene.affine.e * (np.arange(rows) * self.stride_px + half)
        grid_x, grid_y = np.meshgrid(x, y)
        return grid_x, grid_y
