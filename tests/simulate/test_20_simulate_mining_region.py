"""The simulated land around real mines: how much is dug, where, and how bright it is."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from pydantic import ValidationError

from curupira.simulate import mining_region as mr
from curupira.simulate.mining_image import FLOODED, codes_on, render
from curupira.simulate.mining_params import load_mining_land
from curupira.simulate.mining_region import make_tile
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
    rng = np.random.default_rng(0)
    bars = [sum((codes_on(t, d, rng) == mr.SANDBAR).sum() for t in tiles)
            for d in (dry, date(2023, 7, 20))]  # fmt: skip
    burnt = [sum((codes_on(t, d, rng) == mr.BURNT).sum() for t in tiles)
             for d in (date(2023, 9, 20), date(2023, 6, 1))]  # fmt: skip
    assert bars[0] > 4 * max(bars[1], 1)
    assert burnt[0] > 0
    assert burnt[1] == 0


def test_meadows_flood_in_the_wet_season_only():
    region = LAND.region["yanomami"].model_copy(update={"meadow_share": 0.4})
    tiles = [make_tile(LAND, region, np.zeros((SIDE, SIDE), np.int32), s) for s in range(4)]
    rng = np.random.default_rng(0)
    wet, dry = (
        np.mean([(codes_on(t, day, rng)[t.cover == mr.MEADOW] == FLOODED).mean() for t in tiles])
        for day in (date(2023, 7, 20), date(2023, 1, region.driest_day))
    )
    assert wet > 0.9
    assert dry < 0.1


def test_a_mine_not_seen_in_the_year_is_grown_over_and_a_new_one_is_forest_before():
    region = LAND.region["tapajos"].model_copy(update={"new_share": 0.5})
    left, opened = [], []
    for seed in range(8):
        seen = np.zeros((SIDE, SIDE), dtype=bool)
        seen[:, : SIDE // 2] = True
        tile = make_tile(LAND, region, _outlines(), seed, seen)
        old = tile.mined & (tile.dug_on == 0)
        left.append([tile.contrast[old & side].mean() for side in (seen, ~seen)])
        new = tile.mined & (tile.dug_on > 0)
        opened.append(new.sum() / tile.mined.sum())
        before, after = (
            codes_on(tile, day, np.random.default_rng(0))[new]
            for day in (date(2022, 12, 31), date(2024, 1, 1))
        )
        assert (before == mr.FOREST).all()
        assert (after >= mr.BARE).all()
    fresh, old_share = np.mean(left, axis=0)
    a, b = LAND.mine.fresh
    assert fresh == pytest.approx(a / (a + b), abs=0.12)
    a, b = LAND.mine.old
    assert old_share == pytest.approx(a / (a + b), abs=0.12)
    assert np.mean(opened) == pytest.approx(0.5, abs=0.15)


def test_slopes_to_the_radar_are_bright_and_hills_follow_their_relief():
    flat, hilly = (
        make_tile(
            LAND,
            LAND.region["yanomami"].model_copy(update={"relief_m": relief}),
            np.zeros((SIDE, SIDE), np.int32),
            3,
        )
        for relief in (0.0, 120.0)
    )
    assert np.std(hilly.relief_db) > 2 * np.std(flat.relief_db)
    # Falling to the east is facing the radar of a descending pass.
    facing = np.gradient(hilly.height_m, LAND.pixel_m, axis=1)
    assert np.corrcoef(facing.ravel(), hilly.relief_db.ravel())[0, 1] < -0.95
    # A slope of 10 degrees: tan(62) / tan(52), 1.67 dB.
    steep = np.isclose(np.degrees(np.arctan(-facing)), 10, atol=0.3)
    assert hilly.relief_db[steep].mean() == pytest.approx(1.67, abs=0.1)


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
