"""Sorting networks and lane helpers against numpy."""

import itertools

import numpy as np
import pytest

from curupira.detect import lanes
from curupira.detect.networks import batcher, drop_idle, median_network, prune, sorted_runs


@lanes.kernel
def lane_medians(values, network, sign, valid, out):
    lanes.lane_medians(values, network, sign, valid, out)


@lanes.kernel
def log_and_exp(values, logs, powers):
    for i in range(values.size):
        logs[i] = lanes.log2(values[i])
        powers[i] = lanes.exp2(values[i])


def run(pairs, values):
    values = list(values)
    for low, high in pairs:
        values[low], values[high] = sorted((values[low], values[high]))
    return values


@pytest.mark.parametrize("size", range(1, 11))
def test_batcher_sorts_every_zero_one_input(size):
    for bits in itertools.product((0, 1), repeat=size):
        assert run(batcher(size), bits) == sorted(bits)


@pytest.mark.parametrize("size", [1, 2, 5, 10, 11, 12])
def test_median_network_leaves_the_two_middle_ranks(size):
    rng = np.random.default_rng(size)
    pairs = median_network(size)
    for _ in range(50):
        values = rng.permutation(size)
        result = run(pairs, values)
        assert result[size // 2] == size // 2
        assert result[max(size // 2 - 1, 0)] == max(size // 2 - 1, 0)


def test_a_network_without_idle_exchanges_still_sorts_what_it_was_made_for():
    full = prune(batcher(20), range(7, 13))
    lean = prune(drop_idle(batcher(20), sorted_runs(5, 4)), range(7, 13))
    assert len(lean) < len(full)
    rng = np.random.default_rng(0)
    for _ in range(300):
        values = np.sort(rng.random((5, 4)), axis=1).ravel()
        assert run(lean, values)[7:13] == sorted(values)[7:13]


@pytest.mark.parametrize("size", [1, 2, 9, 25, 30])
def test_median_of_the_valid_with_any_number_missing(size):
    rng = np.random.default_rng(size)
    values = rng.random((size, lanes.LANES)).astype(np.float32)
    for lane in range(lanes.LANES):
        values[rng.permutation(size)[: lane % (size + 1)], lane] = np.nan
    with np.errstate(all="ignore"):
        expected = np.array(
            [np.median(v[~np.isnan(v)]) if (~np.isnan(v)).any() else np.nan for v in values.T]
        )
    sign, valid, out = np.empty((3, lanes.LANES), np.float32)
    count = (~np.isnan(values)).sum(axis=0)
    lane_medians(values, median_network(size), sign, valid, out)
    np.testing.assert_array_equal(valid, count)
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_log_and_exp_are_accurate_over_the_range_of_gamma0():
    power = np.geomspace(1e-6, 1e4, 5000).astype(np.float32)
    exponent = np.linspace(-40, 40, 5000).astype(np.float32)
    log, exp, unused = np.empty((3, 5000), np.float32)
    log_and_exp(power, log, unused)
    np.testing.assert_allclose(log, np.log2(power.astype(float)), atol=2e-6)
    log_and_exp(exponent, unused, exp)
    # The argument itself carries up to 127 in float32: 127 * 2^-24 * ln 2 relative.
    np.testing.assert_allclose(exp, np.exp2(exponent.astype(float)), rtol=6e-6)
    none = np.array([0.0, -1.0, np.nan], np.float32)
    log, exp = np.empty((2, 3), np.float32)
    log_and_exp(none, log, exp)
    assert np.isnan(log).all()
    assert np.isnan(exp[2])


@pytest.mark.parametrize(("size", "halo", "padded"), [(5, 2, 9), (1, 3, 140), (3, 3, 12)])
def test_border_repeats_the_edge_pixel(size, halo, padded):
    index = lanes.border_index(size, halo, padded)
    assert len(index) >= padded
    expected = [(i - halo) % (2 * size) for i in range(len(index))]
    np.testing.assert_array_equal(index, [min(i, 2 * size - 1 - i) for i in expected])
