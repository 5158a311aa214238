"""The simulated land around real mines: how much is dug, where, and how bright it is."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from pydantic import ValidationError

from curupira.simulate import mining_region as mr
from curupira.simulate.mining_params import load_mining_land
from curupira.simulate.mining_region import make_tile, render
from curupira.simulate.params import load_world
from curupira.simulate.speckle import SpeckleBank

LAND = load_mining_land()
SIDE = 384


def _outlines() -> np.ndarray:
    # Two outlines with forest around and between them.
    outlines = np.zeros((SIDE, SIDE), dtype=np.int32)
    outlines[48:336, 24:168], outlines[48:336, 216:360] = 1, 2
    return outlines


@pytest.fixture(scope="module")
def bank() -> SpeckleBank:
    return SpeckleBank(load_world().speckle, 1)


@pytest.mark.parametrize("name", ["tapajos", "yanomami"])
def test_the_region_s_share_is_dug_and_only_in_outlines(name):
    outlines, region = _outlines(), LAND.region[name]
    dug = [make_tile(LAND, region, outlines, seed).cover >= mr.BARE for seed in range(12)]
    assert not any(d[outlines == 0].any() for d in dug)
    share = float(np.mean([d[outlines > 0].mean() for d in dug]))
    # 24 outlines with a lognormal spread of 0.5: a standard error of 11 %.
    assert share == pytest.approx(region.mined_share, rel=0.35)


def test_every_detection_patch_holds_a_mine():
    tile = make_tile(LAND, LAND.region["tapajos"], _outlines(), 3)
    side, first = LAND.mine.patch_px, 48
    for y in range(first, 336, side):
        for x in (*range(24, 168, side), *range(216, 360, side)):
            assert (tile.cover[y : y + side, x : x + side] >= mr.BARE).any()


def test_mines_lie_at_streams():
    away = []
    for seed in range(6):
        tile = make_tile(LAND, LAND.region["tapajos"], _outlines(), seed)
        stream = np.argwhere(tile.cover == mr.STREAM)
        for kind in (tile.mined, (tile.cover == mr.FOREST) & (_outlines() > 0)):
            some = np.argwhere(kind)[::97]
            away.append(np.median([np.hypot(*(stream - p).T).min() for p in some]))
    # A detection patch away from all streams is dug all the same.
    assert np.mean(away[::2]) < 0.75 * np.mean(away[1::2])


def test_levels_of_forest_and_of_what_is_dug(bank):
    tile = make_tile(LAND, LAND.region["tapajos"], _outlines(), 5)
    pairs = [render(tile, day, n, bank) for n, day in enumerate(LAND.dates)]
    # Means of linear power over pixels and dates, in dB.
    vv, vh = (10 * np.log10(np.mean([10 ** (p[b] / 10) for p in pairs], axis=0)) for b in (0, 1))
    forest, pond = tile.cover == mr.FOREST, tile.cover == mr.POND
    assert vv[forest].mean() == pytest.approx(LAND.forest.level_db[0], abs=0.5)
    assert vh[forest].mean() == pytest.approx(LAND.forest.level_db[1], abs=0.5)
    assert vv[pond].mean() < vv[forest].mean() - 5
    assert vh[tile.cover == mr.BARE].mean() < vh[forest].mean() - 2
    # Half the difference of the bands over forest: -3.25 dB.
    assert ((vh - vv) / 2)[forest].mean() == pytest.approx(-3.25, abs=0.3)


def test_sandbars_drown_and_burnt_land_greens():
    region = LAND.region["yanomami"].model_copy(
        update={"rivers": 1.0, "pasture_share": 0.4, "burnt_share": 0.6}
    )
    dry = date(2023, 1, region.driest_day)
    tiles = [make_tile(LAND, region, np.zeros((SIDE, SIDE), np.int32), s) for s in range(8)]
    bars = [sum((mr._codes_on(t, d) == mr.SANDBAR).sum() for t in tiles)
            for d in (dry, date(2023, 7, 20))]  # fmt: skip
    burnt = [sum((mr._codes_on(t, d) == mr.BURNT).sum() for t in tiles)
             for d in (date(2023, 9, 20), date(2023, 6, 1))]  # fmt: skip
    assert bars[0] > 4 * max(bars[1], 1)
    assert burnt[0] > 0
    assert burnt[1] == 0


def test_one_seed_one_image_and_every_date_its_own(bank):
    region, day = LAND.region["tapajos"], LAND.dates[0]
    first, again = (
        render(make_tile(LAND, region, _outlines(), 9), day, 4, bank)[0] for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    other = render(make_tile(LAND, region, _outlines(), 9), LAND.dates[1], 5, bank)[0]
    # Texture is shared, speckle is not.
    assert np.corrcoef(first.ravel(), other.ravel())[0, 1] < 0.6


def test_numbers_nobody_knows_are_refused():
    with pytest.raises(ValidationError, match="sandbars"):
        load_mining_land(cover={"sandbars": 3})
