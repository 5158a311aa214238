"""Threshold: the published table, continuity, and what missing distances do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira import presets
from curupira.detect.params import DetectParams, ThresholdParams
from curupira.detect.threshold import threshold_db, threshold_sigma

#: method.md 1A: distance (m), paper T, paper dB, code T, code dB (distance not capped).
TABLE = [
    (20, 2.535, 2.197, 2.500, 2.185),
    (100, 2.795, 2.288, 2.500, 2.185),
    (255, 3.220, 2.437, 2.500, 2.185),
    (500, 3.546, 2.551, 2.795, 2.288),
    (1000, 3.765, 2.628, 3.326, 2.474),
    (2000, 3.871, 2.665, 3.676, 2.597),
    (5120, 3.922, 2.683, 3.867, 2.664),
    (10000, 3.933, 2.687, 3.912, 2.679),
]


def _params(**values: object) -> ThresholdParams:
    return DetectParams.from_preset(presets.load("deter_r").replace(**values)).threshold


CODE = _params(max_distance_m=10_000.0)
PAPER = _params(threshold_law="cdf", max_distance_m=10_000.0)


@pytest.mark.parametrize(("d", "paper_t", "paper_db", "code_t", "code_db"), TABLE)
def test_the_table_of_both_laws(
    d: float, paper_t: float, paper_db: float, code_t: float, code_db: float
) -> None:
    at = np.array([d], dtype=np.float32)
    assert threshold_sigma(at, PAPER)[0] == pytest.approx(paper_t, abs=1e-3)
    assert threshold_db(at, PAPER)[0] == pytest.approx(paper_db, abs=1e-3)
    assert threshold_sigma(at, CODE)[0] == pytest.approx(code_t, abs=1e-3)
    assert threshold_db(at, CODE)[0] == pytest.approx(code_db, abs=1e-3)


def test_deter_r_stops_at_the_search_radius() -> None:
    at = np.array([5120.0, 6000.0, 10_000.0, 1e7, np.inf], dtype=np.float32)
    np.testing.assert_array_equal(
        threshold_sigma(at, _params()), np.full(5, threshold_sigma(at[:1], CODE)[0])
    )


def test_sech_squared_meets_the_clamp_at_mu() -> None:
    mu = 10**CODE.distance_mu
    below, above = threshold_sigma(np.array([mu * (1 - 1e-6), mu * (1 + 1e-6)]), CODE)
    assert below == CODE.threshold_min
    assert above == pytest.approx(CODE.threshold_min, abs=1e-9)
    assert above >= below


def test_missing_distance_takes_tmin() -> None:
    for params in (CODE, PAPER):
        found = threshold_db(np.array([[np.nan, 5000.0]], dtype=np.float32), params)
        assert found[0, 0] == np.float32(1.31 + 0.35 * 2.5)
        assert found[0, 1] > 2.6
        assert threshold_db(None, params) == np.float32(1.31 + 0.35 * 2.5)


def test_zero_distance_takes_tmin() -> None:
    for params in (CODE, PAPER):
        assert threshold_sigma(np.zeros(1), params)[0] == 2.5


def test_fixed_takes_tmax_everywhere() -> None:
    params = _params(threshold_law="fixed")
    at = np.array([np.nan, 0, 10, 1e6], dtype=np.float32)
    np.testing.assert_array_equal(threshold_sigma(at, params), 3.94)
    assert threshold_db(None, params) == np.float32(1.31 + 0.35 * 3.94)


def test_published_limits_in_db() -> None:
    assert float(threshold_db(None, CODE)) == pytest.approx(2.185, abs=1e-6)
    assert float(threshold_db(None, _params(threshold_law="fixed"))) == pytest.approx(2.689)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(1, 5000),
    st.sampled_from(["pdf_clamped", "cdf"]),
    st.floats(1.0, 3.0),
    st.floats(3.0, 5.0),
)
def test_against_the_printed_formula(d: float, law: str, low: float, high: float) -> None:
    params = _params(threshold_law=law, threshold_min=low, threshold_max=high)
    z = (math.log10(d) - 2.40633) / (2 * 0.29973)
    if law == "cdf":
        expected = low + (high - low) * (0.5 + 0.5 * math.tanh(z))
    elif math.log10(d) < 2.40633:
        expected = low
    else:
        expected = high - (high - low) / math.cosh(z) ** 2
    assert threshold_sigma(np.array([d]), params)[0] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1e5), min_size=2, max_size=20))
def test_farther_is_never_more_sensitive(distances: list[float]) -> None:
    at = np.sort(np.array(distances))
    for params in (_params(), PAPER):
        t = threshold_sigma(at, params)
        assert np.all(np.diff(t) >= -1e-12)
        assert np.all((t >= 2.5) & (t <= 3.94))


def test_shape_and_type() -> None:
    found = threshold_db(np.ones((3, 4), dtype=np.float32), CODE)
    assert found.shape == (3, 4)
    assert found.dtype == np.float32
