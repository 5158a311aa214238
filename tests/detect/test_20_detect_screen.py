"""Local anomaly: slow reference, what it keeps and what it removes, tiles, gaps."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pytest

from curupira import presets
from curupira.blocks import Window, split
from curupira.cube.codec import decode, encode
from curupira.detect.block import StackBlock, block_layers
from curupira.detect.params import DetectParams, ScreenParams
from curupira.detect.screen import local_anomaly_db, screen_images
from curupira.errors import ConfigError

PARAMS = ScreenParams(screen="local", screen_cell_px=8, screen_window_cells=7, screen_limit_db=1.5)
SMALL = ScreenParams(screen="local", screen_cell_px=4, screen_window_cells=3, screen_limit_db=9.0)
LEARNED = 12


def forest_power(shape: tuple[int, int, int], seed: int = 1) -> npt.NDArray[np.float32]:
    """Forest at -13 dB with speckle of 9 looks."""
    speckle = np.random.default_rng(seed).gamma(9, 1 / 9, shape)
    return (10**-1.3 * speckle).astype(np.float32)


def learning(dates: int) -> npt.NDArray[np.bool_]:
    return np.arange(dates) < LEARNED


def drop(image: npt.NDArray[np.float32], db: float | npt.NDArray[np.floating]) -> None:
    image *= np.asarray(10 ** (-np.asarray(db) / 10), dtype=np.float32)


def mean_db(image: npt.NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.nanmean(image)))


def slow_anomaly(
    power: npt.NDArray[np.float32], learned: npt.NDArray[np.bool_], p: ScreenParams, origin: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The definition, in loops: medians around, and how the cells scatter about them."""
    cell, reach = p.screen_cell_px, p.screen_window_cells // 2
    normal = np.nanmedian(power[learned], axis=0)
    offset = origin % cell
    n = -(-(power.shape[1] + offset) // cell)
    cells = np.full((len(power), n, n), np.nan)
    for t in range(len(power)):
        for i in range(n):
            for j in range(n):
                part = (
                    slice(max(i * cell - offset, 0), (i + 1) * cell - offset),
                    slice(max(j * cell - offset, 0), (j + 1) * cell - offset),
                )
                values = (power[t] / normal)[part]
                if (~np.isnan(values)).sum() >= 0.2 * cell * cell:
                    cells[t, i, j] = np.nanmean(values)
    # Cells of the rim may hold too few pixels in every image.
    some = ~np.isnan(cells[learned]).all(axis=0)
    level = np.ones((n, n))
    level[some] = np.nanmedian(cells[learned][:, some], axis=0)
    db = 10 * np.log10(cells / level)
    out, spread = np.full_like(db, np.nan), np.full_like(db, np.nan)
    for t in range(len(power)):
        for i in range(n):
            for j in range(n):
                around = db[t, max(i - reach, 0) : i + reach + 1, max(j - reach, 0) : j + reach + 1]
                if (~np.isnan(around)).sum() >= 2:
                    out[t, i, j] = np.nanmedian(around)
                    spread[t, i, j] = 1.4826 * np.nanmedian(np.abs(around - out[t, i, j]))
    return out, spread


@pytest.mark.parametrize("origin", [0, 3, 10])
def test_anomaly_equals_its_definition(origin: int) -> None:
    power = forest_power((15, 22, 22))
    power[13, 4:20, 2:9] *= 0.5
    power[2, 3:7, :] = np.nan
    found = local_anomaly_db(power, learning(15), SMALL, origin=(origin, origin))
    expected = slow_anomaly(power, learning(15), SMALL, origin)
    np.testing.assert_allclose(found[0], expected[0], atol=2e-4)
    np.testing.assert_allclose(found[1], expected[1], atol=2e-4)


def test_roughness_is_that_of_patches_and_not_of_clearings() -> None:
    power = forest_power((14, 160, 160))
    even = screen_images(power, learning(14), PARAMS).roughness_db
    # Nine looks in cells of 64 pixels: 0.18 dB, less what the level takes of its twelve images.
    assert np.median(even) == pytest.approx(10 / np.log(10) / np.sqrt(9 * 64), rel=0.15)
    patches = np.random.default_rng(3).normal(0, 0.4, (14, 10, 10))
    moist = power * 10 ** (np.kron(patches, np.ones((16, 16))) / 10).astype(np.float32)
    rough = screen_images(moist, learning(14), PARAMS).roughness_db
    assert np.median(rough) == pytest.approx(np.hypot(np.median(even), 0.4), rel=0.2)
    watched, learnt = power.copy(), power.copy()
    drop(watched[12:, 40:80, 40:80], 4)
    cleared = screen_images(watched, learning(14), PARAMS).roughness_db
    np.testing.assert_array_equal(cleared, even)
    # Ten hectares in the last third of the learning period, within windows of 125.
    drop(learnt[8:, 72:88, 72:88], 4)
    cleared = screen_images(learnt, learning(14), PARAMS).roughness_db
    assert (cleared / even).max() < 1.25


def test_clearing_of_30_ha_survives() -> None:
    power = forest_power((14, 120, 120))
    cleared = (slice(45, 72), slice(45, 72))  # 540 m: 29 ha
    drop(power[13][cleared], 3)
    screened = screen_images(power, learning(14), PARAMS).power
    change = mean_db(screened[13][cleared]) - mean_db(power[:LEARNED, *cleared])
    assert change == pytest.approx(-3, abs=0.25)


def test_rain_cell_and_season_are_removed() -> None:
    power = forest_power((15, 150, 150))
    y, x = np.mgrid[:150, :150]
    rain = 1.2 * np.exp(-((y - 75) ** 2 + (x - 75) ** 2) / (2 * 60**2))  # 2.8 km wide
    drop(power[13], rain)
    drop(power[14], -0.7)  # the whole image brighter
    screened = screen_images(power, learning(15), PARAMS).power
    core = (slice(60, 90), slice(60, 90))
    assert mean_db(power[13][core]) < -13.9
    assert mean_db(screened[13][core]) == pytest.approx(-13, abs=0.2)
    assert mean_db(screened[14]) == pytest.approx(-13, abs=0.1)


def test_heavy_rain_drops_the_image_where_it_falls() -> None:
    power = forest_power((14, 160, 160))
    drop(power[13][:, :80], 4)
    screened = screen_images(power, learning(14), PARAMS).power
    assert np.isnan(screened[13][:, :60]).all()
    assert not np.isnan(screened[13][:, 100:]).any()
    assert not np.isnan(screened[:13]).any()


def test_only_the_background_is_measured() -> None:
    power = forest_power((14, 96, 96))
    forest = np.zeros((96, 96), dtype=bool)
    forest[:, ::2] = True
    drop(power[13], np.where(forest, 0, 5))  # pasture after a fire
    screened = screen_images(power, learning(14), PARAMS, background=forest).power
    assert mean_db(screened[13][forest]) == pytest.approx(-13, abs=0.1)
    assert mean_db(screened[13][~forest]) == pytest.approx(-18, abs=0.1)


def test_missing_stays_missing_and_spreads_nowhere() -> None:
    power = forest_power((14, 64, 64))
    power[13, 10:20, 10:20] = 0
    power[5, 30, 30] = np.nan
    screened = screen_images(power, learning(14), PARAMS).power
    missing = np.isnan(screened)
    assert missing[13, 10:20, 10:20].all()
    assert missing[5, 30, 30]
    assert missing.sum() == 101


def test_without_forest_around_the_image_stays() -> None:
    power = forest_power((14, 64, 64))
    drop(power[13], 1)
    nowhere = np.zeros((64, 64), dtype=bool)
    screened = screen_images(power, learning(14), PARAMS, background=nowhere)
    np.testing.assert_array_equal(screened.power, power)
    assert np.isnan(screened.roughness_db).all()


@pytest.mark.parametrize("side", [1, 24])
def test_a_lone_series_is_taken_as_it_is(side: int) -> None:
    power = forest_power((14, side, side))
    screened = screen_images(power, learning(14), PARAMS)
    np.testing.assert_array_equal(screened.power, power)
    np.testing.assert_array_equal(screened.roughness_db, 0)


@pytest.mark.parametrize(("size", "cell"), [(64, 8), (50, 8), (64, 5)])
def test_layers_do_not_depend_on_the_tiles(size: int, cell: int) -> None:
    recipe = presets.load("curupira").replace(
        screen="local",
        screen_cell_px=cell,
        screen_window_cells=3,
        season="none",
        minimum_learning_images=5,
    )
    params = DetectParams.from_preset(recipe)
    vh = forest_power((30, 150, 150))
    drop(vh[28:, 60:80, 60:80], 5)
    vh[3, 20:50, :] = np.nan
    first = np.datetime64("2022-01-05T09:45", "ns")
    times = first + np.arange(30) * np.timedelta64(12, "D")
    forest = np.random.default_rng(2).random((150, 150)) > 0.3
    block = StackBlock(vh=vh, times=times, vv=4 * forest_power(vh.shape, 2), background=forest)
    on = date(2022, 12, 19)
    whole = block_layers(block, on, params, forest=forest)
    area = Window(0, 150, 0, 150)
    assert (whole.n_alerts[62:78, 62:78] > 0).any()
    for window in split(area, size):
        outer = window.grow(params.halo, area)
        at = (slice(None), *outer.slices)
        part = replace(
            block,
            vh=vh[at],
            vv=None if block.vv is None else block.vv[at],
            background=forest[outer.slices],
            origin=(outer.y0, outer.x0),
        )
        found = block_layers(part, on, params, forest=forest[outer.slices])
        found = found.crop(window.relative_to(outer))
        for name in ("n_alerts", "first_flag_days", "excess_db", "confidence"):
            expected = getattr(whole, name)[window.slices]
            np.testing.assert_array_equal(getattr(found, name), expected)


@pytest.mark.parametrize("cell", [3, 5, 7])
def test_screened_images_do_not_depend_on_where_they_begin(cell: int) -> None:
    params = PARAMS.model_copy(update={"screen_cell_px": cell, "screen_window_cells": 3})
    power = forest_power((14, 400, 300))
    whole = screen_images(power, learning(14), params).power
    # Far enough in that the cells around are whole.
    y, x = 101, 52
    part = screen_images(power[:, y:, x:], learning(14), params, origin=(y, x)).power
    far = 3 * cell
    np.testing.assert_array_equal(part[:, far:, far:], whole[:, y + far :, x + far :])


def test_a_window_gets_what_the_whole_has_there() -> None:
    power = forest_power((14, 60, 50))
    power[3, 20:40] *= 0.7
    power[2, 10] = 0
    untouched = power.copy()
    whole = screen_images(power, learning(14), PARAMS, origin=(5, 2))
    window = Window(11, 37, 3, 41)
    part = screen_images(power, learning(14), PARAMS, origin=(5, 2), inner=window)
    np.testing.assert_array_equal(part.power, whole.power[(..., *window.slices)])
    np.testing.assert_array_equal(part.roughness_db, whole.roughness_db[window.slices])
    assert np.isnan(whole.power[2, 10]).all()
    np.testing.assert_array_equal(power, untouched)


def test_codes_of_the_cube_are_screened_as_what_they_stand_for() -> None:
    power = forest_power((14, 60, 50))
    power[3, 20:40] *= 0.7
    power[2, 10] = 0
    codes = encode(power)
    window = Window(11, 37, 3, 41)
    found = screen_images(codes, learning(14), PARAMS, inner=window)
    expected = screen_images(decode(codes), learning(14), PARAMS, inner=window)
    np.testing.assert_array_equal(found.power, expected.power)
    np.testing.assert_array_equal(found.roughness_db, expected.roughness_db)
    np.testing.assert_array_equal(found.rows(5, 9), expected.power[:, 5:9])


def test_window_must_have_a_centre() -> None:
    with pytest.raises(ConfigError, match="odd"):
        DetectParams.from_preset(presets.load("deter_r").replace(screen_window_cells=4))


def test_faithful_presets_do_not_screen() -> None:
    for name in ("deter_r", "deter_r_paper", "deter_r_c2", "sensitive"):
        params = DetectParams.from_preset(presets.load(name))
        assert params.screen.screen == "none"
        assert params.screen.reach == 0
