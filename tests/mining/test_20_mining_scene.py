"""Bands, Lee filter, and what is refused about an image."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from curupira import presets
from curupira.blocks import Window
from curupira.errors import ConfigError, InputError
from curupira.mining.params import MiningParams
from curupira.mining.scene import (
    RadarScene,
    band_stack,
    check_grid,
    check_scale,
    decibels,
    lee,
    read_bands,
    remembering,
)

PRESET = presets.load("unesp_2025", "mining")


def bands(**options):
    return MiningParams.from_preset(PRESET.replace(**options)).bands


def test_bands_by_hand():
    vv, vh = np.full((2, 2), -7.0, np.float32), np.full((2, 2), -13.0, np.float32)
    vv[0, 0] = np.nan
    found = band_stack(vv, vh, bands(lee="none"))
    assert found.dtype == np.float32
    assert np.isnan(found[:, 0, 0]).all()
    assert found[:, 1, 1].tolist() == [-7.0, -13.0, -3.0]


@pytest.mark.parametrize(
    ("pa", "expected"),
    [
        ("half_difference", -3.0),
        ("half_sum", -10.0),
        ("ratio", 10**-0.6),
        ("rvi", 4 * 10**-1.3 / (10**-0.7 + 10**-1.3)),
    ],
)
def test_variants_of_pa(pa, expected):
    one = np.ones((1, 1), np.float32)
    found = band_stack(-7 * one, -13 * one, bands(lee="none", pa=pa))
    assert found[2, 0, 0] == pytest.approx(expected, rel=1e-5)


def slow_lee(image, looks):
    out = np.full(image.shape, np.nan)
    padded = np.pad(image, 1, mode="symmetric")
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            window = padded[y : y + 3, x : x + 3]
            window = window[~np.isnan(window)]
            if np.isnan(image[y, x]):
                continue
            mean, var = window.mean(), window.var()
            noise = 1 / looks
            b = 0.0
            if var > 0:
                b = min(max((var - mean**2 * noise) / (1 + noise) / var, 0.0), 1.0)
            out[y, x] = mean + b * (image[y, x] - mean)
    return out


@given(seed=st.integers(0, 2**31), share=st.sampled_from([0.0, 0.1, 0.6]))
@settings(max_examples=15, deadline=None)
def test_lee_is_the_slow_one(seed, share):
    rng = np.random.default_rng(seed)
    image = rng.gamma(2, 0.1, (7, 9)).astype(np.float32)
    image[rng.random(image.shape) < share] = np.nan
    np.testing.assert_allclose(lee(image, 3, 4.4), slow_lee(image, 4.4), rtol=1e-5)


def test_lee_smooths_speckle_and_keeps_a_constant():
    rng = np.random.default_rng(0)
    image = rng.gamma(4.4, 1 / 4.4, (80, 80)).astype(np.float32)
    # A 3 x 3 mean alone would leave a third of the spread.
    assert lee(image, 3, 4.4).std() < 0.55 * image.std()
    assert lee(image, 3, 4.4).mean() == pytest.approx(1.0, abs=0.03)
    np.testing.assert_allclose(lee(np.full((5, 5), 0.2, np.float32), 3, 4.4), 0.2, rtol=1e-6)


@pytest.mark.parametrize("kind", ["none", "linear", "db"])
def test_a_window_is_the_same_cut_out_of_the_whole(kind):
    rng = np.random.default_rng(3)
    vv = rng.normal(-7, 2, (40, 50)).astype(np.float32)
    vh = rng.normal(-14, 2, (40, 50)).astype(np.float32)
    vv[5:9, 20] = np.nan
    grid = GeoBox((40, 50), Affine(10, 0, 0, 0, -10, 0), "EPSG:32721")
    scene = RadarScene("s", None, grid, lambda w: (vv[w.slices], vh[w.slices]))
    params = bands(lee=kind)
    whole = band_stack(vv, vh, params)
    for window in (Window(0, 40, 0, 50), Window(3, 17, 11, 30), Window(20, 40, 0, 9)):
        part = read_bands(scene, window, params)
        np.testing.assert_array_equal(part, whole[(slice(None), *window.slices)])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_remembering_image_reads_less_and_says_the_same(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(70, 200, 2))
    image = rng.normal(-10, 2, (2, *shape)).astype(np.float32)
    read = []

    def plain(window):
        read.append(window)
        return tuple(band[window.slices] for band in image)

    grid = GeoBox(shape, Affine(20, 0, 5e5, 0, -20, 9.3e6), "EPSG:32721")
    kept = remembering(RadarScene("a", None, grid, plain))
    # Windows about one place, as the patches of a point are.
    corner = [int(rng.integers(0, n - 60)) for n in shape]
    for _ in range(12):
        y, x = (c + int(rng.integers(0, 20)) for c in corner)
        window = Window(y, y + 40, x, x + 40)
        for found, band in zip(kept.read(window), image, strict=True):
            np.testing.assert_array_equal(found, band[window.slices])
    # A side lies in one piece, in the next, or in both.
    assert len(read) == len(set(read)) <= 9


def test_filter_in_linear_power_is_brighter_than_in_db():
    rng = np.random.default_rng(4)
    db = (10 * np.log10(rng.gamma(4.4, 1 / 4.4, (60, 60)))).astype(np.float32)
    linear = band_stack(db, db, bands(lee="linear"))[0].mean()
    assert linear == pytest.approx(0.0, abs=0.3)
    assert band_stack(db, db, bands(lee="db"))[0].mean() < linear


def test_scale_is_told_by_the_values():
    rng = np.random.default_rng(5)
    vv_db = rng.normal(-7, 2, 1000).astype(np.float32)
    vh_db = rng.normal(-14, 2, 1000).astype(np.float32)
    vv, vh = (10 ** (vv_db / 10)), (10 ** (vh_db / 10))
    check_scale(vv_db, vh_db, "db", where="s")
    check_scale(vv, vh, "linear", where="s")
    with pytest.raises(InputError, match="this is linear power, not dB"):
        check_scale(vv, vh, "db", where="s")
    with pytest.raises(InputError, match="no linear power"):
        check_scale(vv_db, vh_db, "linear", where="s")
    with pytest.raises(InputError, match="no dB"):
        check_scale(vv * 1000, vh * 1000, "db", where="s")
    with pytest.raises(InputError, match="no valid pixel"):
        check_scale(vv_db * np.nan, vh_db, "db", where="s")


def test_decibels():
    values = np.array([1.0, 0.0, -1.0, np.nan, 0.1], np.float32)
    np.testing.assert_allclose(
        decibels(values, "linear"), [0, np.nan, np.nan, np.nan, -10], atol=1e-5
    )
    np.testing.assert_array_equal(
        decibels(np.array([-np.inf, -5], np.float32), "db"), np.array([np.nan, -5], np.float32)
    )


@pytest.mark.parametrize(
    ("affine", "crs", "message"),
    [
        (Affine(1e-4, 0, -57, 0, -1e-4, -6), "EPSG:4326", "metres are needed"),
        (Affine(20, 0, 0, 0, -20, 0), "EPSG:32721", "not 10 m"),
        (Affine(10, 1, 0, 1, -10, 0), "EPSG:32721", "turned"),
        (Affine(10, 0, 0, 0, 10, 0), "EPSG:32721", "flipped"),
    ],
)
def test_grids_that_do_not_suit(affine, crs, message):
    with pytest.raises(InputError, match=message):
        check_grid(GeoBox((10, 10), affine, crs), 10.0, where="s")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size_px": 50}, "multiple of 4"),
        ({"lee_window": 4}, "odd"),
        ({"bands": ["vv", "vv"]}, "twice"),
        ({"pa": "mean"}, "half_difference"),
        ({"focal_alpha": 2.0}, "less than or equal to 1"),
        ({"bands": ["vv", "vh_spread"]}, "several dates"),
        ({"dates": 0}, "greater than or equal to 1"),
    ],
)
def test_presets_out_of_range_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        MiningParams.from_preset(PRESET.replace(**options))


def test_the_paper_s_numbers():
    params = MiningParams.from_preset(PRESET)
    assert params.patches.size_m == 1040
    assert (params.training.epochs, params.training.batch_size) == (30, 32)
    assert (params.classify.stride_px, params.classify.merge_overlap) == (52, 0.9)
