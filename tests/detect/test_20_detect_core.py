"""The temporal core in one pass against its steps one after the other."""

import numpy as np
import pytest

from curupira.cube.codec import decode, encode
from curupira.detect.core import stable_images
from curupira.detect.quegan_yu import quegan_yu
from curupira.detect.reference import reference_level
from curupira.detect.season import stabilise

DATES = 24
YEARS = 4 + np.arange(DATES) * 16 / 365.25
FIT = np.arange(DATES) != 3
KEEP = np.arange(DATES) >= 20


def power(height, width, seed=1):
    rng = np.random.default_rng(seed)
    stack = rng.gamma(4.4, 0.01, (DATES, height, width)).astype(np.float32)
    stack[rng.random(stack.shape) < 0.02] = np.nan
    stack[5, :, : width // 3] = np.nan
    stack[:, -1, -1] = np.nan
    return stack


def in_one_pass(stack, *, filtered=True, learned=~KEEP):
    return stable_images(
        stack,
        YEARS,
        FIT,
        KEEP,
        learned,
        minimum=15,
        quegan_yu=filtered,
    )


# Narrower than the lanes, odd, lower than the windows, one strip, several and a rest.
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, 130), (7, 128), (20, 301)])
@pytest.mark.parametrize("filtered", [True, False])
def test_the_same_bits_as_step_by_step(shape, filtered):
    stack = power(*shape)
    stable = stabilise(stack, YEARS, FIT, recentre="intercept")
    kept, level = in_one_pass(stack, filtered=filtered)
    expected = quegan_yu(stable, window=5, kind="median", keep=KEEP) if filtered else stable[KEEP]
    np.testing.assert_array_equal(kept, expected)
    np.testing.assert_array_equal(level, reference_level(stable[~KEEP], 15))


@pytest.mark.parametrize("shape", [(5, 9), (20, 301)])
def test_codes_give_what_the_decoded_stack_gives(shape):
    codes = encode(power(*shape))
    codes[7, 2, 4] = 1
    kept, level = in_one_pass(codes)
    expected, expected_level = in_one_pass(decode(codes))
    np.testing.assert_allclose(kept, expected, rtol=2e-5)
    np.testing.assert_allclose(level, expected_level, atol=1e-4)


def test_without_learned_images_there_is_no_level():
    kept, level = in_one_pass(power(6, 140), learned=np.zeros(DATES, bool))
    assert np.isnan(level).all()
    assert np.isfinite(kept).any()
