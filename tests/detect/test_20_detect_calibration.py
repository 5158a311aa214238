"""Calibration: clutter, nominal against observed false rate, distance law."""

import numpy as np
import pytest
from scipy import stats

from curupira.detect.calibration import clutter, clutter_drops, false_rates, fit_distance_law
from curupira.errors import InputError


def _forest(images: int, series: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(-13, 1, (images, series))


@pytest.mark.parametrize(("images", "expected"), [(5, 1.16), (30, 2.04), (60, 2.32)])
def test_mean_minus_minimum_of_gaussian_noise(images: int, expected: float) -> None:
    # method.md 4, anchor (a): in units of the series' standard deviation.
    found = clutter(_forest(60, 4000), images)
    assert found.mean_db == pytest.approx(expected, abs=0.02)
    assert found.n == 4000 * (60 // images)
    assert found.images == images


def test_drops_of_a_series_by_hand() -> None:
    series = np.array([[-13.0], [-14.0], [np.nan], [-12.0], [-16.0], [-13.0]])
    np.testing.assert_allclose(clutter_drops(series, 2), [0.5, 2.0])
    np.testing.assert_allclose(clutter_drops(series), [16 - 68 / 5])
    found = clutter(series, 2)
    assert (found.mean_db, found.sd_db) == (1.25, 0.75)


def test_series_too_short_are_left_out_or_refused() -> None:
    series = np.array([[-13.0, np.nan], [-14.0, np.nan], [-12.0, -13.0]])
    assert clutter_drops(series, 3).size == 1
    assert clutter_drops(series).size == 1
    with pytest.raises(InputError, match="long enough"):
        clutter_drops(series, 4)
    with pytest.raises(InputError, match="no spread"):
        clutter_drops(series, 1)


def test_observed_rate_of_gaussian_drops_is_the_nominal() -> None:
    drops = np.random.default_rng(1).normal(1.31, 0.35, 200_000)
    rates = false_rates(drops, [2.0, 2.5, 3.94], mean_db=1.31, sd_db=0.35)
    # method.md 1B 25: one-sided normal 2.28 %, 0.62 %, 4.1e-5.
    assert [r.nominal for r in rates] == pytest.approx([0.02275, 0.00621, 4.07e-5], rel=2e-3)
    for rate in rates:
        assert rate.low <= rate.nominal <= rate.high
        assert rate.low <= rate.observed <= rate.high
        assert rate.n == 200_000


def test_skewed_drops_exceed_the_nominal_rate() -> None:
    drops = clutter_drops(_forest(60, 20_000), 60)
    (rate,) = false_rates(drops, [2.5], mean_db=float(drops.mean()), sd_db=float(drops.std()))
    # Minima of many draws are skewed: the normal law promises too much.
    assert rate.low > rate.nominal


def test_wilson_interval_against_a_published_value() -> None:
    drops = np.array([1.0] * 9 + [3.0])
    (rate,) = false_rates(drops, [0.0], mean_db=2.0, sd_db=1.0)
    assert (rate.observed, rate.low, rate.high) == pytest.approx((0.1, 0.0179, 0.4042), abs=1e-4)
    (none,) = false_rates(drops, [9.0], mean_db=2.0, sd_db=1.0)
    assert (none.observed, none.low) == pytest.approx((0, 0))
    assert none.high > 0


def test_the_fit_recovers_the_papers_law() -> None:
    rng = np.random.default_rng(2)
    x = stats.logistic.rvs(2.40633, 0.29973, size=20_000, random_state=rng)
    law = fit_distance_law(10**x)
    assert law.mu == pytest.approx(2.40633, abs=0.01)
    assert law.s == pytest.approx(0.29973, abs=0.005)
    assert (law.n, law.left_out) == (20_000, 0)


def test_the_fit_is_the_maximum_of_the_likelihood() -> None:
    x = stats.logistic.rvs(2.4, 0.3, size=300, random_state=np.random.default_rng(4))
    law = fit_distance_law(10**x)

    def likelihood(mu: float, s: float) -> float:
        return float(stats.logistic.logpdf(x, mu, s).sum())

    best = likelihood(law.mu, law.s)
    for dmu, ds in [(0.003, 0), (-0.003, 0), (0, 0.003), (0, -0.003)]:
        assert likelihood(law.mu + dmu, law.s + ds) < best


def test_the_histogram_is_ready_for_a_figure() -> None:
    distances = np.concatenate([np.full(5, 100.0), np.full(5, 1000.0), [0, -1, np.nan, np.inf]])
    law = fit_distance_law(distances, bin_width=0.25)
    assert (law.n, law.left_out) == (10, 4)
    assert sum(b.n for b in law.bins) == 10
    assert sum(b.share for b in law.bins) == pytest.approx(1)
    assert 0.3 < sum(b.fitted for b in law.bins) < 1
    assert law.bins[0].low == pytest.approx(2.0)
    assert (law.bins[0].n, law.bins[-1].n) == (5, 5)
    for left, right in zip(law.bins[:-1], law.bins[1:], strict=True):
        assert left.high == pytest.approx(right.low)


@pytest.mark.parametrize("distances", [[], [100.0] * 9, [100.0] * 50, [0.0] * 50])
def test_too_few_distances_are_refused(distances: list[float]) -> None:
    with pytest.raises(InputError, match="too few"):
        fit_distance_law(np.array(distances))
