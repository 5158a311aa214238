"""Codec of the cube: what a code means, and how far the decoded value is from the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira.cube import codec
from curupira.units import power_table


def slow_code(power: float) -> int:
    if not np.isfinite(power) or power <= 0:
        return 0
    db = min(max(10 * np.log10(power), -60.0), 60.0)
    return 1 + round((db + 60) / 0.01)


@settings(max_examples=60, deadline=None)
@given(st.floats(-59.99, 59.99))
def test_error_is_at_most_half_a_step(db):
    power = np.float32([10 ** (db / 10)])
    decoded = 10 * np.log10(np.float64(codec.decode(codec.encode(power))))
    assert abs(decoded[0] - 10 * np.log10(np.float64(power[0]))) <= 0.005 + 2e-6


def test_every_code_comes_back():
    codes = np.arange(12_002, dtype=np.uint16)
    np.testing.assert_array_equal(codec.encode(codec.decode(codes)), codes)
    degrees = np.arange(18_002, dtype=np.uint16)
    np.testing.assert_array_equal(codec.encode_degrees(codec.decode_degrees(degrees)), degrees)


def test_codes_agree_with_a_slow_reference():
    rng = np.random.default_rng(1)
    power = np.float32(10 ** rng.uniform(-8, 8, 500))
    slow = np.array([slow_code(float(value)) for value in power])
    # A value exactly between two codes may fall either way.
    assert np.abs(codec.encode(power).astype(int) - slow).max() <= 1
    assert (codec.encode(power) == slow).mean() > 0.99


def test_known_codes():
    power = np.array([1e-6, 1.0, 10 ** (-1.35), 1e6], np.float32)
    np.testing.assert_array_equal(codec.encode(power), [1, 6001, 4651, 12_001])


@pytest.mark.parametrize("missing", [np.nan, 0.0, -0.0, -1e-3, np.inf, -np.inf])
def test_what_is_missing(missing):
    assert codec.encode(np.float32([missing]))[0] == 0
    assert np.isnan(codec.decode(np.zeros(1, np.uint16)))[0]


def test_out_of_range_power_is_clipped_not_lost():
    codes = codec.encode(np.float32([1e-9, 1e30]))
    np.testing.assert_allclose(codec.decode(codes), [1e-6, 1e6], rtol=1e-6)


def test_codes_that_mean_nothing_are_missing():
    assert np.isnan(codec.decode(np.array([12_002, 65_535], np.uint16))).all()


def test_float64_and_any_shape():
    power = np.full((2, 3, 4), 0.05)
    assert codec.encode(power).dtype == np.uint16
    assert codec.decode(codec.encode(power)).dtype == np.float32
    assert codec.decode(codec.encode(power)).shape == (2, 3, 4)


def test_degrees():
    angle = np.float32([0, 28, 38.123, 180, np.nan, -9999, 180.1])
    decoded = codec.decode_degrees(codec.encode_degrees(angle))
    np.testing.assert_allclose(decoded[:4], angle[:4], atol=0.005 + 1e-5)
    assert np.isnan(decoded[4:]).all()


def test_a_finer_step_is_nearer_and_ends_earlier():
    power = np.float32([0.04567, 1e6])
    fine = codec.decode(codec.encode(power, 0.001), 0.001)
    assert abs(10 * np.log10(fine[0] / power[0])) <= 0.0006
    assert 10 * np.log10(fine[1]) == pytest.approx(-60 + 65_534 * 0.001, abs=1e-4)


def test_fill_missing_leaves_what_is_there():
    codes = np.array([[6001, 0], [6001, 6001]], np.uint16)
    out = np.array([[np.nan, np.nan], [0.5, np.nan]], np.float32)
    codec.fill_missing(codes, power_table(), out)
    np.testing.assert_allclose(out, [[1, np.nan], [0.5, 1]], rtol=1e-6)


def test_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        power_table()[3] = 0
