"""Several dates as one image: mean, spread, detail, and which dates."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from curupira.blocks import Window
from curupira.errors import InputError
from curupira.mining.composite import at_random, composite, evenly
from curupira.mining.patches import shift_of
from curupira.mining.scene import RadarScene

GRID = GeoBox((40, 30), Affine.translation(5e5, 9e6) @ Affine.scale(20, -20), "EPSG:32721")


def scene(db, number=0, grid=GRID):
    pair = (db.astype(np.float32), (db - 6).astype(np.float32))
    return RadarScene(
        f"s{number}",
        date(2023, 1, 1 + number),
        grid,
        lambda window: (pair[0][window.slices], pair[1][window.slices]),
    )


@pytest.fixture(scope="module")
def stack():
    db = np.random.default_rng(1).normal(-8, 2, (5, 40, 30))
    db[0, 3, 4] = np.nan
    db[:3, 9, 9] = np.nan
    return db


@pytest.fixture(scope="module")
def made(stack):
    return composite([scene(db, n) for n, db in enumerate(stack)])


def test_it_is_the_slow_one(stack, made):
    whole = made.window
    vv, vh = made.read(whole)
    mean = 10 * np.log10(np.nanmean(10 ** (stack / 10), axis=0))
    spread = np.nanstd(stack, axis=0)
    # Three of five dates are missing there: too many.
    mean[9, 9] = spread[9, 9] = np.nan
    np.testing.assert_allclose(vv, mean, atol=1e-4)
    np.testing.assert_allclose(vh, mean - 6, atol=1e-4)
    np.testing.assert_allclose(made.extra["vh_spread"](whole), spread, atol=1e-4)
    detail = made.extra["vv_detail"](whole)
    padded = np.pad(mean, 4, mode="symmetric")
    for row, column in ((0, 0), (3, 4), (9, 12), (20, 15), (39, 29)):
        around = np.nanmean(padded[row : row + 9, column : column + 9])
        assert detail[row, column] == pytest.approx(mean[row, column] - around, abs=1e-3)
    assert np.isnan(detail[9, 9])
    assert (made.name, made.day) == ("s4_composite_of_5", date(2023, 1, 5))


@pytest.mark.parametrize("band", ["vv_spread", "vv_detail", "vh_detail"])
def test_a_window_is_the_same_cut_out_of_the_whole(made, band):
    part = Window(7, 31, 2, 25)
    np.testing.assert_allclose(
        made.extra[band](part), made.extra[band](made.window)[part.slices], atol=1e-5
    )


def test_dates_on_two_grids_are_refused(stack):
    other = GeoBox(GRID.shape, GRID.affine @ Affine.translation(1, 0), GRID.crs)
    with pytest.raises(InputError, match="not on the grid of s0"):
        composite([scene(stack[0]), scene(stack[1], 1, other)])


def test_which_dates():
    assert evenly(range(30), 12)[-1] == 29
    assert evenly(range(5), 5) == [0, 1, 2, 3, 4]
    assert evenly(range(6), 3) == [1, 3, 5]
    rng = np.random.default_rng(0)
    draws = np.array([at_random(range(30), 12, rng) for _ in range(200)])
    assert (np.diff(draws, axis=1) > 0).all(), "one of each part, in the order of time"
    assert set(draws.ravel()) == set(range(30))


def test_shifts_are_the_point_s_own_and_bounded():
    drawn = np.array([shift_of("s1", n, 10) for n in range(300)])
    assert np.abs(drawn).max() == 10
    assert shift_of("s1", 7, 10) == shift_of("s1", 7, 10)
    assert len({shift_of(f"s{n}", 7, 10) for n in range(20)}) > 10
    assert shift_of("s1", 7, 0) == (0, 0)
