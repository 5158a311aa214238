"""Ground truth for synthetic scenes: sigma0 as a function of line and sample. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from scipy.ndimage import map_coordinates

F32 = npt.NDArray[np.float32]
#: Linear sigma0 ``(y, x)`` of a block of lines and samples; NaN where there is no data.
Field = Callable[[slice, slice], F32]
#: Map x and y ``(y, x)`` of lines ``(y, 1)`` and samples ``(1, x)``.
Mapping = Callable[
    [npt.NDArray[np.float64], npt.NDArray[np.float64]],
    tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
]


class PointTarget(NamedTuple):
    """A bright point: position in fractional line and sample, and peak linear sigma0."""

    line: float
    sample: float
    sigma0: float


def flat(sigma0: float) -> Field:
    """The same everywhere."""
    return lambda rows, cols: np.full(
        (rows.stop - rows.start, cols.stop - cols.start), sigma0, np.float32
    )


def ramp(low_db: float, high_db: float, samples: int) -> Field:
    """Linear in dB from sample 0 to the last."""

    def field(rows: slice, cols: slice) -> F32:
        share = np.arange(cols.start, cols.stop) / max(samples - 1, 1)
        row = 10 ** ((low_db + (high_db - low_db) * share) / 10)
        return np.tile(row.astype(np.float32), (rows.stop - rows.start, 1))

    return field


def edges(dark: float, bright: float, size: int) -> Field:
    """Chequerboard with fields of ``size`` pixels."""

    def field(rows: slice, cols: slice) -> F32:
        odd = (
            np.arange(rows.start, rows.stop)[:, None] // size
            + np.arange(cols.start, cols.stop) // size
        ) % 2
        return np.where(odd == 1, np.float32(bright), np.float32(dark))

    return field


def with_points(field: Field, targets: Sequence[PointTarget], width_px: float = 1.0) -> Field:
    """A field and, on top, Gaussian points with a standard deviation of ``width_px`` pixels."""
    reach = int(np.ceil(5 * width_px))

    def both(rows: slice, cols: slice) -> F32:
        block = field(rows, cols).copy()
        for target in targets:
            y = np.arange(
                max(rows.start, round(target.line) - reach),
                min(rows.stop, round(target.line) + reach + 1),
            )
            x = np.arange(
                max(cols.start, round(target.sample) - reach),
                min(cols.stop, round(target.sample) + reach + 1),
            )
            if len(y) == 0 or len(x) == 0:
                continue
            apart = (y[:, None] - target.line) ** 2 + (x - target.sample) ** 2
            spot = target.sigma0 * np.exp(-0.5 * apart / width_px**2)
            block[y[0] - rows.start : y[-1] + 1 - rows.start, x - cols.start] += spot
        return block

    return both


def from_map(truth: npt.NDArray[np.floating], grid: GeoBox, place: Mapping) -> Field:
    """A raster on the ground, seen from the radar.

    Parameters
    ----------
    truth
        Linear sigma0 ``(y, x)``.
    grid
        Where it lies.
    place
        Coordinates in the grid's CRS of lines and samples, from ``locate`` for instance.

    Returns
    -------
    Field
        Bilinear; NaN outside the raster.
    """
    back = ~grid.affine
    values = np.asarray(truth, dtype=np.float64)

    def field(rows: slice, cols: slice) -> F32:
        lines = np.arange(rows.start, rows.stop, dtype=np.float64)[:, None]
        samples = np.arange(cols.start, cols.stop, dtype=np.float64)[None, :]
        x, y = place(lines, samples)
        col, row = back.a * x + back.b * y + back.c, back.d * x + back.e * y + back.f
        # A GeoBox counts from a pixel's corner, an array from its centre.
        found = map_coordinates(
            values, [row - 0.5, col - 0.5], order=1, mode="constant", cval=np.nan
        )
        return np.asarray(found, dtype=np.float32)

    return field
