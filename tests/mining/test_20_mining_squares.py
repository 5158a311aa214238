"""Four squares a hit, merged as in the paper's Figure 5; engines do not decide."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from curupira import presets
from curupira.errors import ConfigError
from curupira.mining.params import MiningParams
from curupira.mining.squares import drop_lone, four_squares, merge_squares, squares_of
from curupira.mining.windows import WindowMap

GRID = GeoBox((312, 312), Affine(10, 0, 500_000, 0, -10, 9_300_000), "EPSG:32721")


def map_of(values, stride=52):
    return WindowMap(np.array(values, dtype=np.float32), GRID, 104, stride)


def test_figure_5_eight_squares_become_six():
    found = map_of([[0.95, 0.85, 0.1]])
    x, y = found.centres()
    hits = np.column_stack([x[0, :2], y[0, :2]])
    eight, _ = four_squares(hits, np.array([0.95, 0.85]), 520)
    assert len(eight) == 8
    six = squares_of(found, 0.8, 0.9)
    assert len(six) == 6
    assert six.geometry.area.tolist() == [270_400] * 6
    assert six.total_bounds.tolist() == [500_000, 9_298_960, 501_560, 9_300_000]
    # The shared pair is named once, with the better probability.
    shared = six[six["n_windows"] == 2]
    assert shared.total_bounds.tolist() == [500_520, 9_298_960, 501_040, 9_300_000]
    assert shared["probability"].tolist() == pytest.approx([0.95, 0.95])
    assert shapely.union_all(six.geometry).area == pytest.approx(6 * 270_400)


def test_whole_windows_are_squares_themselves():
    found = map_of([[0.95, 0.1, 0.85]], stride=104)
    whole = squares_of(found, 0.8, 0.9, "whole")
    assert whole.geometry.area.tolist() == [1040.0**2] * 2
    assert whole.total_bounds.tolist() == [500_000, 9_298_960, 503_120, 9_300_000]
    assert whole["n_windows"].tolist() == [1, 1]


def test_shared_squares_have_the_mean_of_the_windows_over_them():
    seen = map_of([[0.5, 0.9], [np.nan, 0.9]])
    found = squares_of(seen, 0.02, 0.9, "shared")
    score = {tuple(g.bounds[:2]): (p, n) for g, p, n in
             zip(found.geometry, found.probability, found.n_windows, strict=True)}  # fmt: skip
    left, top = seen.scene.affine.c, seen.scene.affine.f
    # Squares of half a window from the first pixel on; row 2, column 0 has no window.
    assert len(score) == 8
    assert (left, top - 3 * 520) not in score
    assert score[left, top - 520] == pytest.approx((0.5, 1))
    # Odds of 1, 9 and 9: their geometric mean is 81 ** (1 / 3).
    middle = score[left + 520, top - 2 * 520]
    assert middle == pytest.approx((81 ** (1 / 3) / (1 + 81 ** (1 / 3)), 3))
    assert found.probability.is_monotonic_decreasing
    assert len(squares_of(seen, 0.89, 0.9, "shared")) == 4
    with pytest.raises(ConfigError, match="divide"):
        squares_of(map_of([[0.9]], stride=40), 0.5, 0.9, "shared")


def test_shared_squares_at_a_finer_step_trust_the_windows_around_them_most():
    # Steps of a quarter: nine windows hold the square in the middle whole.
    odds = np.arange(1.0, 10.0).reshape(3, 3)
    seen = map_of(1 / (1 + np.exp(-odds / 10)), stride=26)
    found = squares_of(seen, 0.02, 0.9, "shared")
    assert found.geometry.area.tolist() == [270_400] * 9
    left, top = seen.scene.affine.c, seen.scene.affine.f
    score = {tuple(g.bounds[:2]): (np.log(p / (1 - p)) * 10, n) for g, p, n in
             zip(found.geometry, found.probability, found.n_windows, strict=True)}  # fmt: skip
    weight = np.outer([1, 2, 1], [1, 2, 1])
    expected = float((odds * weight).sum() / 16)
    assert score[left + 520, top - 2 * 520] == pytest.approx((expected, 9))
    # Only the first window holds the first square; only the last three rows the lowest ones.
    assert score[left, top - 520] == pytest.approx((1.0, 1))
    assert score[left + 520, top - 3 * 520] == pytest.approx(((7 + 2 * 8 + 9) / 4, 3))


def test_lone_squares_need_more():
    rules = MiningParams.from_preset(presets.load("unesp_2025", "mining").replace(
        lone_threshold=0.9, lone_neighbours=4, lone_km=2.0)).classify  # fmt: skip

    def frame(*hits):
        x, y, p = np.array(hits, dtype=float).T
        centres, probability = four_squares(np.column_stack([x, y]), p, 520)
        shapes = shapely.box(*(centres - 260).T, *(centres + 260).T)
        return gpd.GeoDataFrame({"probability": probability}, geometry=shapes, crs=GRID.crs)

    # A hit alone has three neighbours a square: lone, and kept only where it is sure.
    assert len(drop_lone(frame((0, 0, 0.85)), rules)) == 0
    assert len(drop_lone(frame((0, 0, 0.95)), rules)) == 4
    assert len(drop_lone(frame((0, 0, 0.85), (1040, 0, 0.85)), rules)) == 8
    assert len(drop_lone(frame((0, 0, 0.85), (9000, 0, 0.95)), rules)) == 4
    off = rules.model_copy(update={"lone_threshold": 0.0})
    assert len(drop_lone(frame((0, 0, 0.85)), off)) == 4
    assert len(drop_lone(frame((0, 0, 0.85)).iloc[:0], rules)) == 0


def test_above_means_above():
    found = map_of([[0.5, 0.75]])
    assert len(squares_of(found, 0.75, 0.9)) == 0
    assert len(squares_of(found, 0.5, 0.9)) == 4
    assert len(squares_of(found, 0.4, 0.9)) == 6
    assert len(squares_of(map_of([[np.nan, np.nan]]), 0.5, 0.9)) == 0


def test_one_map_serves_every_threshold():
    rng = np.random.default_rng(0)
    found = map_of(rng.random((5, 5)))
    low = squares_of(found, 0.6, 0.9)
    high = squares_of(found, 0.8, 0.9)
    kept = low[low["probability"] > 0.8]
    assert {g.wkb for g in kept.normalize()} == {g.wkb for g in high.normalize()}


@pytest.mark.parametrize(("shift", "left"), [(51.9, 1), (52.1, 2)])
def test_ninety_per_cent_by_area(shift, left):
    # A tenth of 520 m along one axis leaves 90 %.
    centres = np.array([[0.0, 0.0], [shift, 0.0]])
    kept, _, count = merge_squares(centres, np.array([0.9, 0.8]), 520, 0.9)
    assert (len(kept), count.sum()) == (left, 2)


def test_ninety_per_cent_counts_both_axes():
    kept, _, _ = merge_squares(np.array([[0, 0], [40.0, 40.0]]), np.array([0.9, 0.8]), 520, 0.9)
    assert len(kept) == 2


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_merging_leaves_no_pair_and_loses_none(seed):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 300, (40, 2))
    probability = rng.random(40).round(1)
    kept, score, count = merge_squares(centres, probability, 520, 0.9)
    shuffled = rng.permutation(40)
    again = merge_squares(centres[shuffled], probability[shuffled], 520, 0.9)
    np.testing.assert_array_equal(kept, again[0])
    assert count.sum() == 40
    assert score.max() == probability.max()

    def shared(a, b):
        return np.prod(np.maximum(0, 1 - np.abs(a - b) / 520))

    pairs = [shared(a, b) for i, a in enumerate(kept) for b in kept[i + 1 :]]
    assert max(pairs, default=0) < 0.9
    assert all(max(shared(c, k) for k in kept) >= 0.9 - 1e-6 for c in centres)


def test_the_map_as_a_raster():
    found = map_of(np.zeros((5, 5)))
    assert found.grid.extent.boundingbox == (500_260, 9_297_140, 502_860, 9_299_740)
    assert found.grid.resolution.x == 520
    x, y = found.centres()
    np.testing.assert_allclose(found.grid.affine @ (0.5, 0.5), (x[0, 0], y[0, 0]))
