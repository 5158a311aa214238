"""Local anomaly of every image: what a whole neighbourhood does is weather, not clearing. Pure.

Forest brightens and darkens together over kilometres: rain, moisture, season, calibration. Cells of
some pixels tell by how much each image departs from the learning period there; the median over the
cells around leaves out clearings, which fill few of them, and is taken out of the image. After the
spatial stabilisation of Doblas et al. 2020 (Remote Sensing 12(23) 3922), per cell not per image.

Cells are aligned to the grid and not to the block, so that the result does not depend on tiling.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from curupira.blocks import Window
from curupira.detect.lanes import (
    LANES,
    kernel,
    lane_medians,
    scratch,
    wide,
)
from curupira.detect.networks import median_network
from curupira.detect.params import ScreenParams
from curupira.detect.periods import in_place
from curupira.detect.reference import reference_level
from curupira.detect.screened import Screened, Stack, power_of, spread_over
from curupira.units import from_db, to_db

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

#: Median absolute deviation of a normal law to its standard deviation.
_MAD_TO_SD = np.float32(1.4826)
#: A cell needs this share of its pixels, a neighbourhood this share of its cells, to be believed.
MINIMUM_SHARE = 0.2
#: Rows of cells that are measured together: their pixels of all images stay in the cache.
_BAND = 2


def screen_images(
    stack: Stack,
    learning: BoolArray,
    params: ScreenParams,
    *,
    background: BoolArray | None = None,
    origin: tuple[int, int] = (0, 0),
    inner: Window | None = None,
) -> Screened:
    """Take the local anomaly out of every image; drop pixels where it is beyond the limit.

    Parameters
    ----------
    stack
        ``(time, y, x)`` of one orbit and polarisation: linear gamma0, NaN or <= 0 missing, or the
        cube's codes of it (uint16).
    learning
        ``(time,)`` which images are of the learning period; their median is the normal state.
    params
        Section [screen] of a preset.
    background
        ``(y, x)`` forest that the anomaly is measured on; None: every pixel.
    origin
        Row and column of the first pixel on the grid.
    inner
        Window in the images' own pixels that is wanted; None: all of it.

    Returns
    -------
    Of the window. Where too little forest is around to tell, the image stays as it is and the
    roughness is NaN. Where the images themselves are too small to tell (a lone series has nothing
    around), it is 0.
    """
    inner = inner or Window(0, stack.shape[1], 0, stack.shape[2])
    anomaly, spread = local_anomaly_db(
        stack, learning, params, background=background, origin=origin
    )
    limit = np.float32(params.screen_limit_db)
    with np.errstate(invalid="ignore"):
        extreme = np.abs(anomaly) > limit
    factor = np.where(np.isnan(anomaly), np.float32(1), from_db(-anomaly))
    factor[extreme] = np.nan
    cell = params.screen_cell_px
    corner = origin[0] % cell + inner.y0, origin[1] % cell + inner.x0
    roughness = np.ones((1, *inner.shape), dtype=np.float32)
    rough = _typical(spread[in_place(np.flatnonzero(learning))], np.nan)
    rough[_cells_around(rough.shape, params.screen_window_cells) < _enough(params)] = 0
    spread_over(np.ones_like(roughness), rough[np.newaxis], cell, *corner, roughness)
    return Screened(stack, inner, factor, cell, corner, roughness[0])


def local_anomaly_db(
    stack: Stack,
    learning: BoolArray,
    params: ScreenParams,
    *,
    background: BoolArray | None = None,
    origin: tuple[int, int] = (0, 0),
) -> tuple[FloatArray, FloatArray]:
    """Median over the cells around of image over normal state, ``(time, cells, cells)`` dB.

    And how much these cells differ from it, as a robust standard deviation, dB. The first cell
    holds the first pixel. NaN where too few cells around have forest in view.
    Parameters as in ``screen_images``.
    """
    cell = params.screen_cell_px
    learned = in_place(np.flatnonzero(learning))
    images, height, width = stack.shape
    first = origin[0] % cell, origin[1] % cell
    rows, columns = (math.ceil((n + o) / cell) for n, o in zip((height, width), first, strict=True))
    ratio = np.empty((images, rows, columns), dtype=np.float32)
    least = max(1, round(MINIMUM_SHARE * cell * cell))
    for i in range(0, rows, _BAND):
        y0, y1 = max(i * cell - first[0], 0), min((i + _BAND) * cell - first[0], height)
        power = power_of(stack, Window(y0, y1, 0, width))
        normal = from_db(reference_level(power[learned], 1))
        if background is not None:
            normal[~background[y0:y1]] = np.nan
        means = np.empty((images, min(_BAND, rows - i), columns), dtype=np.float32)
        _cell_means(power, normal, cell, (y0 + first[0]) % cell, first[1], least, means)
        ratio[:, i : i + _BAND] = means
    cells_db = to_db(ratio)
    # An image's ratio to a median is off by a constant: speckle's mean is not its median.
    cells_db -= np.float32(10 * np.log10(_typical(ratio[learned], 1)))
    return _medians_around(cells_db, params.screen_window_cells, _enough(params))


def _typical(values: FloatArray, otherwise: float) -> FloatArray:
    """Median over the images of each cell, ``otherwise`` where there is none."""
    images, *shape = values.shape
    # Sorted, NaN comes last. (numpy's own median takes ten times as long where values are missing.)
    ranked = np.sort(values.reshape(images, -1).T, axis=1)
    valid = np.count_nonzero(~np.isnan(ranked), axis=1)
    cells, upper = np.arange(len(ranked)), np.minimum(valid // 2, images - 1)
    low, high = ranked[cells, np.maximum(valid - 1, 0) // 2], ranked[cells, upper]
    level = np.where(valid > 0, (low + high) / np.float32(2), np.float32(otherwise))
    return level.reshape(shape)


def _enough(params: ScreenParams) -> int:
    """Valid cells that a neighbourhood needs."""
    return max(1, round(MINIMUM_SHARE * params.screen_window_cells**2))


def _cells_around(shape: tuple[int, ...], side: int) -> npt.NDArray[np.int64]:
    """``(cells, cells)`` how many a square window around each has, cut off at the border."""
    reach = side // 2
    along = [
        np.minimum(np.arange(n) + reach, n - 1) - np.maximum(np.arange(n) - reach, 0) + 1
        for n in shape
    ]
    return np.asarray(np.multiply.outer(*along))


def _medians_around(cells: FloatArray, side: int, enough: int) -> tuple[FloatArray, FloatArray]:
    """Median of the valid cells in a square window around each, cut off at the border.

    And 1.4826 times the median of their distances from it. NaN where too few of the window's cells
    are valid.
    """
    dates, rows, columns = cells.shape
    reach = side // 2
    width = columns + 2 * reach
    # Flat with the border of missing cells: then a strip may run on into the next row.
    strips = -(-rows * width // LANES) * LANES
    flat = np.full((dates, strips + 2 * reach * (width + 1)), np.nan, dtype=np.float32)
    inner = flat[:, : (rows + 2 * reach) * width].reshape(dates, rows + 2 * reach, width)
    inner[:, reach : reach + rows, reach : reach + columns] = cells
    out = np.empty((2, dates, strips), dtype=np.float32)
    _window_medians(flat, width, side, np.float32(enough), median_network(side * side), *out)
    median, spread = out[:, :, : rows * width].reshape(2, dates, rows, width)[..., :columns]
    return median, _MAD_TO_SD * spread


@kernel
def _cell_means(
    power: FloatArray,
    normal: FloatArray,
    cell: int,
    row0: int,
    column0: int,
    least: int,
    out: FloatArray,
) -> None:
    wide()
    dates, rows, columns = power.shape
    total = np.empty(out.shape[2], np.float32)
    count = np.empty(out.shape[2], np.float32)
    ratio, known = np.empty(columns, np.float32), np.empty(columns, np.float32)
    for t in range(dates):
        for i in range(out.shape[1]):
            total[:] = np.float32(0)
            count[:] = np.float32(0)
            for y in range(max(i * cell - row0, 0), min((i + 1) * cell - row0, rows)):
                image, level = power[t, y], normal[y]
                for x in range(columns):
                    value = image[x] / level[x]
                    here = not np.isnan(value)
                    ratio[x] = value if here else np.float32(0)
                    known[x] = np.float32(1) if here else np.float32(0)
                for j in range(out.shape[2]):
                    for x in range(
                        max(j * cell - column0, 0), min((j + 1) * cell - column0, columns)
                    ):
                        total[j] += ratio[x]
                        count[j] += known[x]
            for j in range(out.shape[2]):
                mean = total[j] / count[j]
                out[t, i, j] = mean if count[j] >= least else np.float32(np.nan)


@kernel
def _window_medians(
    flat: FloatArray,
    width: int,
    side: int,
    enough: np.float32,
    network: npt.NDArray[np.int64],
    out: FloatArray,
    spread: FloatArray,
) -> None:
    wide()
    size = side * side
    wires = scratch((size + 3) * LANES).reshape(size + 3, LANES)
    values, median, valid, sign = wires[:size], wires[size], wires[size + 1], wires[size + 2]
    for t in range(out.shape[0]):
        for p0 in range(0, out.shape[1], LANES):
            for k in range(size):
                source, wire = flat[t, p0 + k // side * width + k % side :], values[k]
                for lane in range(LANES):
                    wire[lane] = source[lane]
            lane_medians(values, network, sign, valid, median)
            for k in range(size):
                source, wire = flat[t, p0 + k // side * width + k % side :], values[k]
                for lane in range(LANES):
                    wire[lane] = abs(source[lane] - median[lane])
            lane_medians(values, network, sign, valid, sign)
            level, around = out[t, p0:], spread[t, p0:]
            for lane in range(LANES):
                enough_here = valid[lane] >= enough
                level[lane] = median[lane] if enough_here else np.float32(np.nan)
                around[lane] = sign[lane] if enough_here else np.float32(np.nan)
