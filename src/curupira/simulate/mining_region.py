"""The land of a year of radar over real mining outlines: only their mined share is painted. Pure.

A tile is one piece of land on a metric grid, laid out by itself from a seed. The outlines of
Amazon Mining Watch are unions of detection patches of 480 m, not mine edges, and every patch was
taken for a mine: what is mined is, patch by patch, the part that lies nearest to a simulated
stream, and in the mean as large as the region's share of mined land in outlines. Where imagery of
2023 alone shows no mine any more, it is grown over.
Rivers with sandbars, meadows, open land, fish ponds, pasture and burnt pasture are laid over the
rest, and hills under everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from curupira.simulate.fields import Field32, gaussian_field
from curupira.simulate.mining_params import MiningLand, Region
from curupira.simulate.params import generator

Codes = npt.NDArray[np.int8]

FOREST, STREAM, RIVER, SANDBAR, PASTURE, BURNT, FISH_POND, SECONDARY, OPEN, MEADOW = range(10)
BARE, POND, SPOIL, TREES = range(10, 14)
_RIVER_SIGMA_PX, _PATCH_SIGMA_PX, _PART_SIGMA_PX, _RELIEF_SIGMA_PX = 110.0, 30.0, 2.0, 60.0
#: A valley's depth below its surroundings, and how far its slope reaches.
_VALLEY_M, _VALLEY_REACH_M = 12.0, 250.0
#: Maps of streams are off by some 60 m: of the field whose zero line is the stream, which rises by
#: about 0.035 a pixel.
_MAP_ERROR, _MAP_SIGMA_PX = 0.2, 20.0
#: Brightening and darkening of slopes end here: beyond are layover and shadow.
_RELIEF_LIMIT_DB = 6.0
#: The mask of water is its greatest extent and this around it (method.md 1A.10).
_WATER_BUFFER_M = 60.0
_YEAR = date(2023, 1, 1).toordinal()


@dataclass(frozen=True)
class Tile:
    """One piece of land, all arrays ``(y, x)``.

    ``cover`` codes; ``offset_db`` its patches' own deviation; ``contrast`` what is left of a mine's
    difference to forest; ``low`` when a sandbar or meadow is dry (0-1); ``fire`` day of the year
    on which pasture burns; ``dug_on`` ordinal of the day on which a mine is opened, 0 if before the
    year; ``relief_db`` brightness of the slopes; ``height_m`` and ``stream_m``, the distance to the
    nearest stream, and ``mapped_stream_m`` as a map has it; ``floodplain``.
    """

    land: MiningLand
    region: Region
    seed: int
    cover: Codes
    offset_db: Field32
    forest_db: Field32
    contrast: Field32
    low: Field32
    fire: Field32
    dug_on: npt.NDArray[np.int32]
    relief_db: Field32
    height_m: Field32
    stream_m: Field32
    mapped_stream_m: Field32
    floodplain: npt.NDArray[np.bool_]

    @property
    def mined(self) -> npt.NDArray[np.bool_]:
        """Painted pixels, the trees that stay left out."""
        return (self.cover >= BARE) & (self.cover < TREES)

    @property
    def water(self) -> npt.NDArray[np.bool_]:
        """Where the monitor's mask of water would lie: its greatest extent and 60 m around."""
        wet = np.isin(self.cover, (RIVER, SANDBAR, FISH_POND, MEADOW))
        away = ndimage.distance_transform_edt(~wet) if wet.any() else np.full(wet.shape, np.inf)
        return np.asarray(away * self.land.pixel_m <= _WATER_BUFFER_M)


def make_tile(
    land: MiningLand,
    region: Region,
    outlines: npt.NDArray[np.int32],
    seed: int,
    seen: npt.NDArray[np.bool_] | None = None,
) -> Tile:
    """Lay out the land of a tile.

    Parameters
    ----------
    land, region
        Numbers of the simulation.
    outlines
        ``(y, x)``: 0 outside, else the number of the mining outline.
    seed
        Of the tile: one seed, one land.
    seen
        ``(y, x)``: where imagery of the year alone shows the mine; everywhere if None.
    """
    shape = (outlines.shape[0], outlines.shape[1])
    rng = generator(seed, "mining land")
    course = gaussian_field(shape, land.mine.stream_sigma_px, rng)
    stream = _line_distance(course)
    mapped = _line_distance(course + _MAP_ERROR * gaussian_field(shape, _MAP_SIGMA_PX, rng))
    cover = np.full(shape, FOREST, dtype=np.int8)
    _lay_pasture(cover, region, rng)
    cover[stream < rng.uniform(0.8, 2.0)] = STREAM
    floodplain = _lay_river(cover, region, shape, rng)
    fresh = np.ones(shape, dtype=bool) if seen is None else seen
    contrast, dug_on = _dig(cover, stream, outlines, fresh, land, region, rng)
    height = _heights(stream * np.float32(land.pixel_m), region, rng)
    return Tile(
        land=land,
        region=region,
        seed=seed,
        cover=cover,
        offset_db=gaussian_field(shape, 12.0, rng),
        forest_db=land.forest.type_db * gaussian_field(shape, 40.0, rng)
        + land.forest.texture_db * gaussian_field(shape, 1.5, rng),
        contrast=contrast,
        low=_uniform(gaussian_field(shape, 8.0, rng)),
        fire=(183 + 120 * _uniform(gaussian_field(shape, 40.0, rng))).astype(np.float32),
        dug_on=dug_on,
        relief_db=_relief(height, land),
        height_m=height,
        stream_m=stream * np.float32(land.pixel_m),
        mapped_stream_m=mapped * np.float32(land.pixel_m),
        floodplain=floodplain,
    )


def _heights(stream_m: Field32, region: Region, rng: np.random.Generator) -> Field32:
    hills = region.relief_m * gaussian_field(stream_m.shape, _RELIEF_SIGMA_PX, rng)
    valley = 1 - np.exp(-((stream_m / _VALLEY_REACH_M) ** 2))
    return np.asarray(200 + hills + _VALLEY_M * valley, dtype=np.float32)


def _relief(height: Field32, land: MiningLand) -> Field32:
    # Volume scattering on a slope seen from the east (Vollrath et al. 2020; method.md 3, Terrain):
    # ground range projection leaves it in sigma0 that is not flattened.
    east = np.gradient(height, land.pixel_m, axis=1)
    up = np.radians(90 - land.forest.incidence_deg)
    angle = np.clip(up + np.arctan(-east), np.radians(5), np.radians(85))
    bright = 10 * np.log10(np.tan(angle) / np.tan(up))
    return np.asarray(np.clip(bright, -_RELIEF_LIMIT_DB, _RELIEF_LIMIT_DB), dtype=np.float32)


def _line_distance(field: Field32) -> Field32:
    # Distance (pixels) to the zero line of a smooth field, to first order.
    dy, dx = np.gradient(field)
    return np.asarray(np.abs(field) / np.maximum(np.hypot(dy, dx), 1e-4), dtype=np.float32)


def _uniform(field: Field32) -> Field32:
    # Standard normal to uniform by the logistic approximation.
    return np.asarray(1 / (1 + np.exp(-1.702 * field)), dtype=np.float32)


def _highest(share: float, sigma: float, shape: tuple[int, int], rng: Any) -> Any:
    # Of the ensemble, not of the tile: small tiles may hold all or nothing of it.
    return _uniform(gaussian_field(shape, sigma, rng)) > 1 - share


def _lay_pasture(cover: Codes, region: Region, rng: np.random.Generator) -> None:
    shape = (cover.shape[0], cover.shape[1])
    cover[_highest(region.secondary_share, _PATCH_SIGMA_PX, shape, rng)] = SECONDARY
    share = float(np.clip(region.pasture_share * rng.lognormal(-0.3, 0.8), 0, 0.5))
    pasture = _highest(share, _PATCH_SIGMA_PX, shape, rng)
    cover[pasture] = PASTURE
    cover[pasture & _highest(region.burnt_share, 20.0, shape, rng)] = BURNT
    cover[_highest(region.open_share, _PATCH_SIGMA_PX, shape, rng)] = OPEN
    cover[_highest(region.meadow_share, 15.0, shape, rng)] = MEADOW
    for _ in range(int(rng.poisson(region.ponds * cover.size / 1e6))):
        y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        r = rng.uniform(2, 6)
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        cover[(rows - y) ** 2 + (columns - x) ** 2 < r * r] = FISH_POND


def _lay_river(
    cover: Codes, region: Region, shape: tuple[int, int], rng: np.random.Generator
) -> Any:
    """Lay a river with its sandbars, or none; return the floodplain, meadows among it."""
    # A zero line of the smooth field passes a tile of 10 km about once: rarer by a shifted level.
    field = gaussian_field(shape, _RIVER_SIGMA_PX, rng)
    floodplain = cover == MEADOW
    if rng.random() > region.rivers:
        return floodplain
    away, half = _line_distance(field), rng.uniform(4, 14)
    cover[away < half] = RIVER
    rim = (away > 0.35 * half) & (away < 1.3 * half)
    cover[rim & _highest(region.sandbar_share * 2.5, 8.0, shape, rng)] = SANDBAR
    return np.asarray(floodplain | (away < 4 * half))


def _dig(
    cover: Codes,
    stream: Field32,
    outlines: npt.NDArray[np.int32],
    seen: npt.NDArray[np.bool_],
    land: MiningLand,
    region: Region,
    rng: np.random.Generator,
) -> tuple[Field32, npt.NDArray[np.int32]]:
    """Paint the mined part of every outline into ``cover``; return contrast and day of opening."""
    shape = (cover.shape[0], cover.shape[1])
    rank = stream / np.float32(land.mine.reach_m / land.pixel_m) + gaussian_field(shape, 8.0, rng)
    part = gaussian_field(shape, _PART_SIGMA_PX, rng)
    contrast, dug_on = np.ones(shape, dtype=np.float32), np.zeros(shape, dtype=np.int32)
    ends = np.cumsum([land.mine.parts[name] for name in ("bare", "pond", "spoil")])
    for number, window in enumerate(ndimage.find_objects(outlines), start=1):
        if window is None:
            continue
        # Every outline has its own numbers, whatever part of it the tile holds.
        own = np.random.default_rng([number, int(rng.integers(2**31))])
        mean = region.mined_share * _spread(land.mine.share_sd_ln, own)
        inside = outlines[window] == number
        for block in _blocks(inside.shape, land.mine.patch_px):
            chosen = inside[block]
            if not chosen.any():
                continue
            share = float(np.clip(mean * _spread(land.mine.patch_sd_ln, own), 0.005, 0.7))
            near = rank[window][block]
            dug = chosen & (near <= np.quantile(near[chosen], share))
            codes = np.searchsorted(ends, _uniform(part[window][block])[dug], side="right") + BARE
            cover[window][block][dug] = codes.astype(np.int8)
            fresh = bool(seen[window][block][chosen].mean() > 0.5)
            left = own.beta(*(land.mine.fresh if fresh else land.mine.old))
            contrast[window][block][dug] = left
            # What is new this year is not grown over yet.
            if own.random() < region.new_share:
                contrast[window][block][dug] = own.beta(*land.mine.fresh)
                dug_on[window][block][dug] = _YEAR + int(own.integers(365))
    return contrast, dug_on


def _spread(sd_ln: float, rng: np.random.Generator) -> float:
    # Lognormal with a mean of 1.
    return float(rng.lognormal(-sd_ln * sd_ln / 2, sd_ln))


def _blocks(shape: tuple[int, int], side: int) -> list[tuple[slice, slice]]:
    return [
        (slice(y, y + side), slice(x, x + side))
        for y in range(0, shape[0], side)
        for x in range(0, shape[1], side)
    ]
