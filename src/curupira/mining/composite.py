"""Several dates of one place as one image: mean, spread and detail of every pixel. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage

from curupira.blocks import Window
from curupira.errors import InputError
from curupira.mining.scene import FloatArray, RadarScene
from curupira.units import from_db, to_db

#: Side of the surroundings that detail stands out from, metres.
_AROUND_M = 180.0
#: Windows whose dates are kept: all bands of a window are made of one reading.
_KEPT = 4
_T = TypeVar("_T")


def evenly(items: Sequence[_T], number: int) -> list[_T]:
    """The last item of each of ``number`` equal parts; the last of all is among them."""
    return [items[(n + 1) * len(items) // number - 1] for n in range(number)]


def at_random(items: Sequence[_T], number: int, rng: np.random.Generator) -> list[_T]:
    """An item at random of each of ``number`` equal parts."""
    ends = [n * len(items) // number for n in range(number + 1)]
    return [items[int(rng.integers(a, b))] for a, b in pairwise(ends)]


def composite(scenes: Sequence[RadarScene]) -> RadarScene:
    """One image of several dates on one grid.

    Parameters
    ----------
    scenes
        In the order of time. ``vv`` and ``vh``, the mean over the dates (of linear power, in dB),
        have so many times less speckle: what is half grown over shows. The spread, the standard
        deviation over the dates (dB), tells sandbars that drown and land that burns from what
        lasts. The detail is the mean less its own mean over 180 m (dB): mines are ponds, spoil and
        bare ground side by side.

    Returns
    -------
    RadarScene
        Named and dated after the last scene. NaN where fewer than half of the dates are valid.

    Raises
    ------
    InputError
        If the scenes do not share a grid.
    """
    first, last = scenes[0], scenes[-1]
    for scene in scenes[1:]:
        if scene.grid != first.grid:
            raise InputError(
                f"is not on the grid of {first.name}",
                where=scene.name,
                remedy="warp the dates alike: gdalwarp -t_srs ... -te ... -tr 10 10",
            )
    halo = round(_AROUND_M / first.grid.affine.a / 2)

    @lru_cache(maxsize=_KEPT)
    def layers(window: Window) -> dict[str, FloatArray]:
        outer = window.grow(halo, first.window)
        inner = window.relative_to(outer).slices
        pairs = [scene.read(outer) for scene in scenes]
        found: dict[str, FloatArray] = {}
        for number, name in enumerate(("vv", "vh")):
            stack = np.stack([pair[number] for pair in pairs])
            mean, spread = _over_time(stack)
            detail = mean - _around(mean, 2 * halo + 1)
            named = {name: mean, f"{name}_spread": spread, f"{name}_detail": detail}
            found |= {key: layer[inner] for key, layer in named.items()}
        return found

    def band(name: str) -> Callable[[Window], FloatArray]:
        return lambda window: layers(window)[name]

    def read(window: Window) -> tuple[FloatArray, FloatArray]:
        found = layers(window)
        return found["vv"], found["vh"]

    extra = {f"{name}_{what}": band(f"{name}_{what}")
             for name in ("vv", "vh") for what in ("spread", "detail")}  # fmt: skip
    name = f"{last.name}_composite_of_{len(scenes)}"
    return replace(last, name=name, read=read, extra=extra)


def _over_time(stack_db: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (of power, in dB) and standard deviation (of dB) over time."""
    known = ~np.isnan(stack_db)
    count = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        power = np.where(known, from_db(stack_db), 0).sum(axis=0) / count
        middle = np.where(known, stack_db, 0).sum(axis=0) / count
        square = np.where(known, (stack_db - middle) ** 2, 0).sum(axis=0) / count
    few = 2 * count < len(stack_db)
    mean, spread = to_db(power.astype(np.float32)), np.sqrt(square)
    return (
        np.where(few, np.nan, mean).astype(np.float32),
        np.where(few, np.nan, spread).astype(np.float32),
    )


def _around(image: FloatArray, side: int) -> FloatArray:
    """Mean over a square of ``side`` pixels; of the valid ones, the border reflected."""
    known = ~np.isnan(image)
    total = ndimage.uniform_filter(np.where(known, image, 0).astype(np.float32), side)
    share = ndimage.uniform_filter(known.astype(np.float32), side)
    return np.asarray(total / np.maximum(share, 1e-6), dtype=np.float32)


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

    return replace(scene, grid=grid, read=read)


def _blocks(db: FloatArray, factor: int) -> FloatArray:
    power = from_db(db)
    rows, columns = (n // factor for n in power.shape)
    cut = power.reshape(rows, factor, columns, factor)
    count = (~np.isnan(cut)).sum(axis=(1, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(cut, axis=(1, 3)) / count
    return to_db(mean.astype(np.float32))
