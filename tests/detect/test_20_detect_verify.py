"""Verification of single images: slow reference, shapes it tells apart, gaps, tiles."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from importlib import resources

import numpy as np
import numpy.typing as npt
import pytest

from curupira import presets
from curupira.blocks import Window, split
from curupira.detect.block import StackBlock, block_layers
from curupira.detect.params import DetectParams
from curupira.detect.verify import (
    HIGHEST,
    LOWEST,
    SIDE,
    Deviation,
    Network,
    load_network,
    neighbourhoods,
    verified,
)

FloatArray = npt.NDArray[np.float32]
NET = load_network()


def deviation(z: FloatArray, seed: int = 5) -> Deviation:
    """Images that lie ``z`` spreads from levels and spreads that differ from pixel to pixel."""
    rng = np.random.default_rng(seed)
    level = rng.normal(-13, 1, z.shape[1:]).astype(np.float32)
    spread = rng.uniform(0.4, 0.8, z.shape[1:]).astype(np.float32)
    return Deviation((level + z * spread).astype(np.float32), level, spread)


def slow_probability(z_vh: FloatArray, z_vv: FloatArray, net: Network, y: int, x: int) -> float:
    """The definition: two layers of rectified sums, then the logistic law."""
    seen = []
    for z in (z_vh, z_vv):
        wide = np.pad(np.nan_to_num(z), SIDE // 2)
        seen.append(np.clip(wide[y : y + SIDE, x : x + SIDE], LOWEST, HIGHEST).ravel())
    h = np.maximum(np.concatenate(seen) @ net.w1 + net.b1, 0)
    h = np.maximum(h @ net.w2 + net.b2, 0)
    return float(1 / (1 + np.exp(-(h @ net.w3 + net.b3)[0])))


def test_the_kernel_equals_its_definition() -> None:
    rng = np.random.default_rng(2)
    z_vh, z_vv = rng.normal(-1, 2, (2, 2, 9, 8)).astype(np.float32)
    z_vh[0, 3, 3] = np.nan
    z_vv[1, :3] = np.nan
    ratio = rng.normal(0, 2, z_vh.shape).astype(np.float32)
    ratio[1, 4, 4] = np.nan
    out = verified(ratio, deviation(z_vh), deviation(z_vv, 6), NET)
    for t, y, x in np.ndindex(*ratio.shape):
        says = ratio[t, y, x]
        expected = says
        if says > 0:
            expected = says * 2 * slow_probability(z_vh[t], z_vv[t], NET, y, x)
        assert out[t, y, x] == pytest.approx(expected, rel=2e-3, abs=1e-4, nan_ok=True)


def test_a_clearing_is_believed_and_a_lone_dark_pixel_doubted() -> None:
    """The same drop of the pixel itself: what is around decides."""
    z = np.zeros((1, 21, 21), np.float32)
    lone, patch = z.copy(), z.copy()
    lone[0, 10, 10] = -4
    patch[0, 7:14, 7:14] = -4
    ratio = np.ones_like(z)
    doubted = verified(ratio, deviation(lone), deviation(lone), NET)[0, 10, 10]
    believed = verified(ratio, deviation(patch), deviation(patch), NET)[0, 10, 10]
    assert doubted < 0.5
    assert believed > 1.2


def test_levels_of_the_pixels_do_not_matter() -> None:
    z = np.random.default_rng(3).normal(-1, 2, (1, 12, 12)).astype(np.float32)
    ratio = np.ones_like(z)
    one, other = (
        verified(ratio, deviation(z, seed), deviation(z, seed + 1), NET) for seed in (1, 8)
    )
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_training_sees_what_the_kernel_sees() -> None:
    z = np.random.default_rng(4).normal(0, 2, (2, 7, 7)).astype(np.float32)
    seen = neighbourhoods(
        deviation(z), deviation(-z), (np.array([1, 0]), np.array([3, 0]), np.array([3, 6]))
    )
    assert seen.shape == (2, 2 * SIDE * SIDE)
    inside = np.clip(z[1, 1:6, 1:6], LOWEST, HIGHEST).ravel()
    np.testing.assert_allclose(seen[0, : SIDE * SIDE], inside, atol=1e-5)
    # At the corner only nine pixels are there; the others count as undisturbed.
    assert (seen[1, : SIDE * SIDE] != 0).sum() == 9


def test_the_weights_say_where_they_come_from() -> None:
    text = resources.files("curupira.detect").joinpath("verifier.json").read_text("utf-8")
    document = json.loads(text)
    assert "MIT" in document["images"]
    assert "Apache-2.0" in document["images"]
    assert document["trained_by"] == "benchmarks/train_verifier.py"
    assert document["test"]["multiearth-para"]["rank_area"] > 0.8
    assert NET.w1.shape[0] == 2 * SIDE * SIDE
    assert NET.w3.shape[1] == 1


def test_tiles_with_a_halo_equal_the_whole() -> None:
    rng = np.random.default_rng(7)
    dates, side = 30, 150
    times = np.datetime64("2021-01-05") + np.arange(dates) * np.timedelta64(12, "D")
    vh, vv = (0.05 * rng.gamma(9, 1 / 9, (2, dates, side, side))).astype(np.float32)
    for stack in (vh, vv):
        stack[-2:, 60:75, 60:75] *= 0.4
    recipe = presets.load("curupira").replace(
        verify="network", learning_months=9, detection_months=1, screen_window_cells=3
    )
    params = DetectParams.from_preset(recipe)
    on = times[-1].astype(date)
    whole = Window(0, side, 0, side)
    block = StackBlock(vh=vh, vv=vv, times=times)
    expected = block_layers(block, on, params)
    plain = recipe.replace(verify="none")
    without = block_layers(block, on, DetectParams.from_preset(plain))
    assert (expected.confidence != without.confidence).any()
    for window in split(whole, 80):
        outer = window.grow(params.halo, whole)
        part = replace(
            block,
            vh=vh[(slice(None), *outer.slices)],
            vv=vv[(slice(None), *outer.slices)],
            origin=(outer.y0, outer.x0),
        )
        found = block_layers(part, on, params).crop(window.relative_to(outer))
        np.testing.assert_array_equal(found.confidence, expected.confidence[window.slices])
        np.testing.assert_array_equal(found.n_alerts, expected.n_alerts[window.slices])
