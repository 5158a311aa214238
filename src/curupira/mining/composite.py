"""Several dates of one place as one image: median, spread and change of every pixel. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from curupira.blocks import Window
from curupira.errors import InputError
from curupira.mining.scene import FloatArray, RadarScene
from curupira.units import from_db, to_db

#: Fewer dates have no spread worth the name.
MINIMUM_DATES = 3
#: Percentiles whose difference is the spread.
_LOW, _HIGH = 10, 90


def composite(scenes: Sequence[RadarScene]) -> RadarScene:
    """One image of several dates on one grid.

    Parameters
    ----------
    scenes
        At least three. A mine is dark all year; a sandbar drowns, burnt land greens: the median
        (VV and VH, dB) takes speckle and passing darkness out; the spread, the 90th less the 10th
        percentile over the dates (dB), tells the changing from the lasting; the change, the median
        of the newer half of the dates less that of the older (dB), tells what is being opened.

    Returns
    -------
    RadarScene
        Named and dated after the last scene. NaN where fewer than three dates are valid.

    Raises
    ------
    InputError
        If there are too few scenes, or they do not share a grid.
    """
    if len(scenes) < MINIMUM_DATES:
        raise InputError(
            f"{len(scenes)} dates, at least {MINIMUM_DATES} are needed for a composite",
            where=scenes[0].name if scenes else "scenes",
            remedy="give --scene once for each date",
        )
    first, last = scenes[0], scenes[-1]
    for scene in scenes[1:]:
        if scene.grid != first.grid:
            raise InputError(
                f"is not on the grid of {first.name}",
                where=scene.name,
                remedy="warp the dates alike: gdalwarp -t_srs ... -te ... -tr 10 10",
            )

    def read(window: Window) -> tuple[FloatArray, FloatArray]:
        vv, vh = _stacks(scenes, window)
        return _quantile(vv, 50), _quantile(vh, 50)

    def band(number: int, of: Callable[[FloatArray], FloatArray]) -> Callable[[Window], FloatArray]:
        return lambda window: of(_stacks(scenes, window)[number])

    extra = {
        f"{name}_{what}": band(number, of)
        for number, name in enumerate(("vv", "vh"))
        for what, of in (("spread", _spread), ("change", _change))
    }
    name = f"{last.name}_composite_of_{len(scenes)}"
    return RadarScene(name, last.day, first.grid, read, extra, first.radiometry)


def _spread(stack: FloatArray) -> FloatArray:
    return _quantile(stack, _HIGH) - _quantile(stack, _LOW)


def _change(stack: FloatArray) -> FloatArray:
    older = len(stack) // 2
    return _quantile(stack[older:], 50, 1) - _quantile(stack[:older], 50, 1)


def coarsen(scene: RadarScene, factor: int) -> RadarScene:
    """An image with pixels ``factor`` times as wide: the mean of their linear power.

    The mean is over the valid pixels; NaN where there is none. Rows and columns that fill no pixel
    are left out.
    """
    rows, columns = (n // factor for n in scene.grid.shape)
    grid = GeoBox((rows, columns), scene.grid.affine @ Affine.scale(factor), scene.grid.crs)

    def read(window: Window) -> tuple[FloatArray, FloatArray]:
        edges = (window.y0, window.y1, window.x0, window.x1)
        vv, vh = scene.read(Window(*(n * factor for n in edges)))
        return _blocks(vv, factor), _blocks(vh, factor)

    return RadarScene(scene.name, scene.day, grid, read, radiometry=scene.radiometry)


def _blocks(db: FloatArray, factor: int) -> FloatArray:
    power = from_db(db)
    rows, columns = (n // factor for n in power.shape)
    cut = power.reshape(rows, factor, columns, factor)
    count = (~np.isnan(cut)).sum(axis=(1, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(cut, axis=(1, 3)) / count
    return to_db(mean.astype(np.float32))


def _stacks(scenes: Sequence[RadarScene], window: Window) -> tuple[FloatArray, FloatArray]:
    # (time, y, x) of both bands
    pairs = [scene.read(window) for scene in scenes]
    return np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])


def _quantile(stack: FloatArray, percent: float, least: int = MINIMUM_DATES) -> FloatArray:
    """Percentile over time, linear between dates; NaN under ``least`` valid dates."""
    # Sorting puts NaN last, so that the valid dates of each pixel come first.
    ordered = np.sort(stack, axis=0)
    count = (~np.isnan(stack)).sum(axis=0)
    at = np.maximum(count - 1, 0) * (percent / 100)
    low = np.floor(at).astype(np.intp)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    below = np.take_along_axis(ordered, low[None], axis=0)[0]
    above = np.take_along_axis(ordered, high[None], axis=0)[0]
    found = below + (above - below) * (at - low)
    return np.where(count >= least, found, np.nan).astype(np.float32)
