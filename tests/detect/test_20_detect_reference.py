"""Reference level against numpy's nanmedian."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira.detect.reference import reference_level
from curupira.errors import InputError


def stack(dates=31, shape=(5, 60), missing=0.3, seed=0):
    rng = np.random.default_rng(seed)
    values = 0.04 * rng.gamma(4.4, 1 / 4.4, (dates, *shape))
    values[rng.random(values.shape) < missing] = np.nan
    return values.astype(np.float32)


def slow(values, minimum):
    out = np.full(values.shape[1:], np.nan)
    for y, x in np.ndindex(out.shape):
        valid = values[:, y, x][~np.isnan(values[:, y, x])].astype(float)
        if len(valid) >= max(minimum, 1):
            out[y, x] = 10 * np.log10(np.median(valid))
    return out


@pytest.mark.parametrize("dates", [1, 2, 3, 30, 31, 80])
@pytest.mark.parametrize("missing", [0, 0.05, 0.6])
def test_agrees_with_nanmedian(dates, missing):
    values = stack(dates, missing=missing)
    np.testing.assert_allclose(reference_level(values, 3), slow(values, 3), atol=2e-5)


def test_too_few_valid_images_give_nan():
    values = stack(12, shape=(1, 13), missing=0)
    for x in range(13):
        values[x:, 0, x] = np.nan
    level = reference_level(values, 10)
    np.testing.assert_array_equal(np.isnan(level[0]), np.arange(13) < 10)
    assert np.isnan(reference_level(values, 0)[0, 0])


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_order_does_not_count_and_scale_is_a_shift(seed, scale):
    values = stack(24, shape=(2, 9), seed=seed)
    level = reference_level(values, 2)
    shuffled = np.random.default_rng(seed).permutation(values, axis=0)
    np.testing.assert_array_equal(reference_level(shuffled, 2), level)
    scaled = reference_level(values * np.float32(scale), 2)
    np.testing.assert_allclose(scaled, level + 10 * np.log10(scale), atol=2e-4)


def test_a_constant_series_is_its_own_level():
    values = np.full((11, 3, 200), 0.05, np.float32)
    np.testing.assert_allclose(reference_level(values, 5), 10 * np.log10(0.05), atol=1e-5)


def test_no_image_is_an_error():
    with pytest.raises(InputError, match="no image"):
        reference_level(np.empty((0, 4, 4), np.float32), 1)
