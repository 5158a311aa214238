"""Images of a simulated mining tile: what its covers look like on a day. Pure.

Levels, wind, wet soil and slopes follow method.md section 4; the year's course of every cover is
its own: sandbars drown in the wet season, meadows flood, burnt pasture greens, ponds of mines dry
and fill, and mines opened during the year are forest before.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt

from curupira.simulate.fields import Field32
from curupira.simulate.mining_params import MiningLand
from curupira.simulate.mining_region import (
    BARE,
    BURNT,
    FISH_POND,
    FOREST,
    MEADOW,
    OPEN,
    PASTURE,
    POND,
    RIVER,
    SANDBAR,
    SECONDARY,
    SPOIL,
    STREAM,
    TREES,
    Codes,
    Tile,
)
from curupira.simulate.params import generator
from curupira.simulate.speckle import SpeckleBank

#: A meadow under water; beyond the covers of a tile.
FLOODED = TREES + 1
_WATER = (RIVER, FISH_POND, POND, FLOODED)
_NOISE_FLOOR = (10**-2.6, 10**-2.7)
#: Part of the rain's brightening that a cover shows.
_EXPOSED = {BARE: 1.0, SANDBAR: 1.0, BURNT: 0.7, PASTURE: 0.5, OPEN: 0.5, MEADOW: 0.5}


def render(tile: Tile, day: date, number: int, bank: SpeckleBank) -> tuple[Field32, Field32]:
    """Image of a day: VV and VH in dB, float32 ``(y, x)``, speckled.

    ``number`` tells the image's speckle from that of all others of the bank.
    """
    land = tile.land
    rng = generator(tile.seed, "mining image", day.toordinal())
    cover, levels = codes_on(tile, day, rng), _levels(land)
    shifts = _shifts(tile, day, rng)
    wild = np.full(FLOODED + 1, land.cover.between_db, dtype=np.float32)
    wild[[BARE, POND, SPOIL]] = land.mine.between_db
    wild[[FOREST, STREAM, TREES]] = 0.0
    dug = (cover == BARE) | (cover == SPOIL) | (cover == POND)
    wood = (cover == FOREST) | (cover == TREES)
    forest_shift = rng.normal(0, land.forest.date_sd_db)
    found = []
    for band in (0, 1):
        level = (levels[band] + shifts[band])[cover] + wild[cover] * tile.offset_db
        forest = np.float32(land.forest.level_db[band]) + tile.forest_db
        # Old mines grow over: their contrast to forest fades.
        level = np.where(dug, forest + tile.contrast * (level - forest), level)
        level = np.where(wood, forest + forest_shift, level) + tile.relief_db
        power = 10 ** (level / 10) + _NOISE_FLOOR[band]
        power = power * bank.rows(number, band, cover.shape, 0, cover.shape[0])
        found.append(np.asarray(10 * np.log10(power), dtype=np.float32))
    return found[0], found[1]


def _levels(land: MiningLand) -> npt.NDArray[np.float32]:
    # (band, cover), in the order of the codes
    c, m, forest = land.cover, land.mine, land.forest.level_db
    pairs = [forest, c.stream_db, c.river_db, c.sandbar_db, c.pasture_db, c.burnt_db]
    pairs += [c.fish_pond_db, c.secondary_db, c.open_db, c.meadow_db]
    pairs += [m.bare_db, m.pond_db, m.spoil_db, forest, c.flooded_db]
    return np.asarray(pairs, dtype=np.float32).T


def _dryness(tile: Tile, day: date) -> float:
    # 1 on the region's driest day, 0 half a year from it.
    turn = 2 * np.pi * (day.timetuple().tm_yday - tile.region.driest_day) / 365.25
    return float((1 + np.cos(turn)) / 2)


def codes_on(tile: Tile, day: date, rng: np.random.Generator) -> Codes:
    """Covers ``(y, x)`` as they look on a day; ``rng`` says which ponds are dry."""
    cover, dry = tile.cover.copy(), _dryness(tile, day)
    cover[(tile.cover == SANDBAR) & (tile.low > dry)] = RIVER
    cover[(tile.cover == MEADOW) & (tile.low > dry)] = FLOODED
    since = (day.timetuple().tm_yday - tile.fire) % 365
    cover[(tile.cover == BURNT) & (since > tile.land.cover.burnt_days)] = PASTURE
    mine = tile.land.mine
    cover[(tile.cover == POND) & ((tile.low + rng.random()) % 1 < mine.dry_ponds)] = BARE
    flooded = mine.flooded_bare * (1 - dry)
    cover[(tile.cover == BARE) & ((tile.low + rng.random()) % 1 < flooded)] = POND
    cover[tile.dug_on > day.toordinal()] = FOREST
    return cover


def _shifts(tile: Tile, day: date, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """(band, cover): the season, wet soil, and the wind on water."""
    c, dry = tile.land.cover, _dryness(tile, day)
    shift = np.zeros((2, FLOODED + 1), dtype=np.float32)
    shift[:, [PASTURE, SECONDARY, OPEN, MEADOW]] = c.season_db * (0.5 - dry)
    shift[:, list(_WATER)] = rng.normal(0, c.wind_sd_db)
    driest, wettest = c.wet_chance
    if rng.random() < driest + (wettest - driest) * (1 - dry):
        for code, part in _EXPOSED.items():
            shift[:, code] += part * np.asarray(c.wet_soil_db, dtype=np.float32)
    return shift
