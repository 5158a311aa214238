"""Shares, rates, delays: against hand-computed values, and coverage on simulated samples."""

import numpy as np
import pytest

from curupira.validate.delay import kaplan_meier, quantile
from curupira.validate.scores import (
    Estimate,
    at_prevalence,
    frontier,
    median_of,
    rate,
    share,
    wilson,
)


def test_wilson_by_hand():
    # 8 of 10: Newcombe 1998 gives 0.4902 to 0.9433.
    assert wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0.0, 20)[0] == 0
    assert wilson(1.0, 20)[1] == 1


def test_share_by_number_and_by_area():
    hits, blocks = np.array([True, True, False]), np.zeros(3, dtype=np.int64)
    assert share(hits, blocks).value == pytest.approx(2 / 3)
    weighted = share(hits, blocks, np.array([1.0, 1.0, 8.0]))
    assert weighted.value == pytest.approx(0.2)
    # Kish: 100 / 66 = 1.5 items, so the interval is wide.
    assert weighted.high - weighted.low > share(hits, blocks).high - share(hits, blocks).low
    assert share(np.array([], dtype=bool), np.array([], dtype=np.int64)) == Estimate(
        None, None, None, 0
    )


def test_blocks_that_agree_widen_the_interval():
    # Twenty blocks of twenty items, all alike within a block: twenty observations, not 400.
    blocks = np.repeat(np.arange(20), 20)
    clustered = np.repeat(np.arange(20) % 2 == 0, 20)
    alone = share(clustered, np.zeros(400, dtype=np.int64))
    whole = share(clustered, blocks)
    assert whole.value == alone.value == 0.5
    assert whole.high - whole.low > 3 * (alone.high - alone.low)


def test_share_covers_the_truth_of_clustered_items():
    rng = np.random.default_rng(11)
    blocks = np.repeat(np.arange(40), 10)
    covered = 0
    for _ in range(120):
        hits = rng.random(400) < np.repeat(rng.beta(4, 1, 40), 10)
        found = share(hits, blocks)
        covered += found.low <= 0.8 <= found.high
    assert 0.89 <= covered / 120 <= 1


def test_rate_is_garwoods():
    # Garwood 1936: five events, 1.6235 to 11.6683.
    found = rate(5, 2.0)
    assert (found.value, found.n) == (2.5, 5)
    assert (found.low, found.high) == pytest.approx((1.6235 / 2, 11.6683 / 2), abs=1e-3)
    # None seen: the rule of three, to the two-sided bound.
    assert rate(0, 1.0).high == pytest.approx(3.6889, abs=1e-4)
    assert rate(0, 1.0).low == 0
    assert rate(3, 0.0).value is None


def test_prevalence_scales_the_true_warnings_alone():
    # 90 true and 10 false at 4 % loss; at 0.2 % there are 4.5 true and still 10 false ones.
    found = at_prevalence(Estimate(0.9, 0.8, 0.95, 100), 0.04, 0.002)
    assert found.value == pytest.approx(4.5 / 14.5)
    assert found.low < found.value < found.high
    assert at_prevalence(Estimate(0.9, 0.8, 0.95, 100), 0.002, 0.002).value == pytest.approx(0.9)
    assert at_prevalence(Estimate(1.0, 0.9, 1.0, 100), 0.04, 0.002).value == 1
    assert at_prevalence(Estimate(0.9, 0.8, 0.95, 100), 0.0, 0.002).value is None


def test_frontier_by_hand():
    confidence = np.array([0.9, 0.8, 0.8, 0.5, np.nan])
    true = np.array([True, True, False, False, True])
    points = frontier(confidence, true, np.array([0.9, 0.5, -np.inf]), 4)
    assert [p.confidence for p in points] == [0.9, 0.8, 0.5]
    assert [p.warnings for p in points] == [1, 3, 4]
    assert [p.ua for p in points] == pytest.approx([1, 2 / 3, 1 / 2])
    assert [p.pa_all for p in points] == [0.25, 0.25, 0.5]


def test_kaplan_meier_by_hand():
    # At risk 5, 4, 2: 1 - 1/5 = 0.8; times 1 - 1/4 = 0.6; the one at 12 is censored; times 1/2.
    curve = kaplan_meier([6, 10, 12, 18, 30], [True, True, False, True, False])
    assert curve.days.tolist() == [6, 10, 18]
    assert curve.waiting == pytest.approx([0.8, 0.6, 0.3])
    # Greenwood at day 10: 1/(5*4) + 1/(4*3), on the log(-log) scale.
    spread = 1.959964 * np.sqrt(1 / 20 + 1 / 12) / -np.log(0.6)
    assert curve.low[1] == pytest.approx(0.6 ** np.exp(spread))
    assert curve.high[1] == pytest.approx(0.6 ** np.exp(-spread))
    assert quantile(curve, 0.5).value == 18
    assert quantile(curve, 0.9).value is None
    assert quantile(curve, 0.5).n == 5


def test_never_found_gives_no_median():
    assert quantile(kaplan_meier([60, 60], [False, False]), 0.5).value is None
    assert quantile(kaplan_meier([], []), 0.5) == Estimate(None, None, None, 0)


def test_all_found_on_one_day():
    found = quantile(kaplan_meier([12] * 30, [True] * 30), 0.9)
    assert (found.value, found.low) == (12, 12)


def test_median_delay_covers_the_truth_under_censoring():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        delay, end = rng.exponential(20 / np.log(2), 80), rng.uniform(10, 120, 80)
        found = quantile(kaplan_meier(np.minimum(delay, end), delay <= end), 0.5)
        covered += found.low <= 20 <= found.high
    assert 0.90 <= covered / 200 <= 0.995


def test_median_of_values():
    found = median_of(np.arange(1.0, 102.0), np.zeros(101, dtype=np.int64))
    assert found.value == 51
    assert 35 < found.low < 51 < found.high < 67
    assert median_of(np.array([]), np.array([], dtype=np.int64)).value is None
    assert median_of(np.array([3.0]), np.array([0])).low is None
