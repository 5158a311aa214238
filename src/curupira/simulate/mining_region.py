"""A year of radar over real mining outlines: only their mined share is painted. Pure.

A tile is one piece of land on a metric grid, rendered by itself from a seed. The outlines of
Amazon Mining Watch are unions of detection patches of 480 m, not mine edges, and every patch was
taken for a mine: what is mined is, patch by patch, the part that lies nearest to a simulated
stream, and in the mean as large as the region's share of mined land in outlines.
Rivers with sandbars, fish ponds, pasture and burnt pasture are laid over the rest.
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
from curupira.simulate.speckle import SpeckleBank

Codes = npt.NDArray[np.int8]

FOREST, STREAM, RIVER, SANDBAR, PASTURE, BURNT, FISH_POND, SECONDARY = range(8)
BARE, POND, SPOIL, TREES = range(8, 12)
_WATER = (RIVER, FISH_POND, POND)
_RIVER_SIGMA_PX, _PATCH_SIGMA_PX, _PART_SIGMA_PX = 110.0, 30.0, 2.0
_NOISE_FLOOR = (10**-2.6, 10**-2.7)


@dataclass(frozen=True)
class Tile:
    """One piece of land.

    ``cover`` int8 ``(y, x)``; ``offset_db`` its patches' own deviation; ``contrast`` what is left
    of a mine's difference to forest; ``sand`` when a sandbar is dry (0-1); ``fire`` day of the year
    on which pasture burns.
    """

    land: MiningLand
    region: Region
    seed: int
    cover: Codes
    offset_db: Field32
    forest_db: Field32
    contrast: Field32
    sand: Field32
    fire: Field32

    @property
    def mined(self) -> npt.NDArray[np.bool_]:
        """Painted pixels, the trees that stay left out."""
        return (self.cover >= BARE) & (self.cover < TREES)


def make_tile(land: MiningLand, region: Region, outlines: npt.NDArray[np.int32], seed: int) -> Tile:
    """Lay out the land of a tile.

    Parameters
    ----------
    land, region
        Numbers of the simulation.
    outlines
        ``(y, x)``: 0 outside, else the number of the mining outline.
    seed
        Of the tile: one seed, one land.
    """
    shape = (outlines.shape[0], outlines.shape[1])
    rng = generator(seed, "mining land")
    stream = _line_distance(gaussian_field(shape, land.mine.stream_sigma_px, rng))
    cover = np.full(shape, FOREST, dtype=np.int8)
    _lay_pasture(cover, region, rng)
    cover[stream < rng.uniform(0.8, 2.0)] = STREAM
    _lay_river(cover, region, shape, rng)
    contrast = _dig(cover, stream, outlines, land, region, rng)
    return Tile(
        land=land,
        region=region,
        seed=seed,
        cover=cover,
        offset_db=gaussian_field(shape, 12.0, rng),
        forest_db=land.forest.type_db * gaussian_field(shape, 40.0, rng)
        + land.forest.texture_db * gaussian_field(shape, 1.5, rng),
        contrast=contrast,
        sand=_uniform(gaussian_field(shape, 8.0, rng)),
        fire=(183 + 120 * _uniform(gaussian_field(shape, 40.0, rng))).astype(np.float32),
    )


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
    for _ in range(int(rng.poisson(region.ponds * cover.size / 1e6))):
        y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        r = rng.uniform(2, 6)
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        cover[(rows - y) ** 2 + (columns - x) ** 2 < r * r] = FISH_POND


def _lay_river(
    cover: Codes, region: Region, shape: tuple[int, int], rng: np.random.Generator
) -> None:
    # A zero line of the smooth field passes a tile of 10 km about once: rarer by a shifted level.
    field = gaussian_field(shape, _RIVER_SIGMA_PX, rng)
    if rng.random() > region.rivers:
        return
    away, half = _line_distance(field), rng.uniform(4, 14)
    cover[away < half] = RIVER
    rim = (away > 0.35 * half) & (away < 1.3 * half)
    cover[rim & _highest(region.sandbar_share * 2.5, 8.0, shape, rng)] = SANDBAR


def _dig(
    cover: Codes,
    stream: Field32,
    outlines: npt.NDArray[np.int32],
    land: MiningLand,
    region: Region,
    rng: np.random.Generator,
) -> Field32:
    """Paint the mined part of every outline into ``cover``; return the contrast ``(y, x)``."""
    shape = (cover.shape[0], cover.shape[1])
    rank = stream / np.float32(land.mine.reach_m / land.pixel_m) + gaussian_field(shape, 8.0, rng)
    part = gaussian_field(shape, _PART_SIGMA_PX, rng)
    contrast = np.ones(shape, dtype=np.float32)
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
            contrast[window][block][dug] = own.beta(*land.mine.fresh)
    return contrast


def _spread(sd_ln: float, rng: np.random.Generator) -> float:
    # Lognormal with a mean of 1.
    return float(rng.lognormal(-sd_ln * sd_ln / 2, sd_ln))


def _blocks(shape: tuple[int, int], side: int) -> list[tuple[slice, slice]]:
    return [
        (slice(y, y + side), slice(x, x + side))
        for y in range(0, shape[0], side)
        for x in range(0, shape[1], side)
    ]


def render(tile: Tile, day: date, number: int, bank: SpeckleBank) -> tuple[Field32, Field32]:
    """Image of a day: VV and VH in dB, float32 ``(y, x)``, speckled.

    ``number`` tells the image's speckle from that of all others of the bank.
    """
    rng = generator(tile.seed, "mining image", day.toordinal())
    cover, levels = _codes_on(tile, day), _levels(tile.land)
    shift = _shifts(tile, day, rng)
    found = []
    wild = np.full(TREES + 1, tile.land.cover.between_db, dtype=np.float32)
    wild[[BARE, POND, SPOIL]] = tile.land.mine.between_db
    wild[[FOREST, STREAM, TREES]] = 0.0
    dug = (cover == BARE) | (cover == SPOIL) | (cover == POND)
    forest_shift = rng.normal(0, tile.land.forest.date_sd_db)
    for band in (0, 1):
        level = levels[band][cover] + shift[cover] + wild[cover] * tile.offset_db
        forest = np.float32(tile.land.forest.level_db[band]) + tile.forest_db
        # Old mines grow over: their contrast to forest fades.
        level = np.where(dug, forest + tile.contrast * (level - forest), level)
        level = np.where((cover == FOREST) | (cover == TREES), forest + forest_shift, level)
        power = 10 ** (level / 10) + _NOISE_FLOOR[band]
        shape = (cover.shape[0], cover.shape[1])
        power = power * bank.rows(number, band, shape, 0, shape[0])
        found.append(np.asarray(10 * np.log10(power), dtype=np.float32))
    return found[0], found[1]


def _levels(land: MiningLand) -> npt.NDArray[np.float32]:
    # (band, cover)
    c, m, forest = land.cover, land.mine, land.forest.level_db
    pairs = [forest, c.stream_db, c.river_db, c.sandbar_db, c.pasture_db, c.burnt_db]
    pairs += [c.fish_pond_db, c.secondary_db, m.bare_db, m.pond_db, m.spoil_db, forest]
    return np.asarray(pairs, dtype=np.float32).T


def _dryness(tile: Tile, day: date) -> float:
    # 1 on the region's driest day, 0 half a year from it.
    turn = 2 * np.pi * (day.timetuple().tm_yday - tile.region.driest_day) / 365.25
    return float((1 + np.cos(turn)) / 2)


def _codes_on(tile: Tile, day: date) -> Codes:
    """Covers as they look on a day: drowned sandbars are river, unburnt pasture is pasture."""
    cover = tile.cover.copy()
    cover[(cover == SANDBAR) & (tile.sand > _dryness(tile, day))] = RIVER
    since = (day.timetuple().tm_yday - tile.fire) % 365
    cover[(cover == BURNT) & (since > tile.land.cover.burnt_days)] = PASTURE
    return cover


def _shifts(tile: Tile, day: date, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    # (cover,): the season, and the wind on water.
    shift = np.zeros(TREES + 1, dtype=np.float32)
    shift[[PASTURE, SECONDARY]] = tile.land.cover.season_db * (0.5 - _dryness(tile, day))
    shift[list(_WATER)] = rng.normal(0, tile.land.cover.wind_sd_db)
    return shift
