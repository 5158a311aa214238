"""Quegan-Yu and its local expectation against loops and scipy."""

import numpy as np
import pytest
import scipy.ndimage as ndi
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira.detect.quegan_yu import local_expectation, quegan_yu, quegan_yu_by_rows
from curupira.errors import InputError

SHAPES = [(1, 1), (2, 3), (9, 7), (12, 131), (5, 300)]


def speckle(shape, missing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    values = 0.04 * rng.gamma(4.4, 1 / 4.4, shape)
    values[rng.random(shape) < missing] = np.nan
    return values.astype(np.float32)


def slow_expectation(image, window, kind):
    halo = window // 2
    padded = np.pad(image.astype(float), halo, mode="symmetric")
    out = np.full(image.shape, np.nan)
    for y, x in np.ndindex(image.shape):
        values = padded[y : y + window, x : x + window]
        values = values[~np.isnan(values)]
        if not np.isnan(image[y, x]):
            out[y, x] = np.median(values) if kind == "median" else values.mean()
    return out


def slow_quegan_yu(stack, window, kind):
    expectations = np.stack([slow_expectation(image, window, kind) for image in stack])
    ratio = stack / expectations
    count = (~np.isnan(ratio)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return expectations * (np.nansum(ratio, axis=0) / count)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["median", "box"])
@pytest.mark.parametrize("window", [1, 3, 5, 7])
@pytest.mark.parametrize("missing", [0, 0.02, 0.7])
def test_expectation_agrees_with_loops(shape, kind, window, missing):
    image = speckle(shape, missing)
    out = local_expectation(image, window, kind)
    np.testing.assert_allclose(out, slow_expectation(image, window, kind), rtol=2e-6)


def test_median_of_a_clean_image_is_scipy_s():
    image = speckle((70, 333))
    expected = ndi.median_filter(image, 5)
    np.testing.assert_array_equal(local_expectation(image, 5, "median"), expected)


def test_box_of_a_clean_image_is_scipy_s():
    image = speckle((70, 333))
    expected = ndi.uniform_filter(image.astype(float), 5)
    np.testing.assert_allclose(local_expectation(image, 5, "box"), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["median", "box"])
@pytest.mark.parametrize("window", [3, 5])
def test_filter_agrees_with_loops(kind, window):
    stack = speckle((7, 11, 140), 0.05)
    stack[2, :, :40] = np.nan
    out = quegan_yu(stack, window=window, kind=kind)
    np.testing.assert_allclose(out, slow_quegan_yu(stack, window, kind), rtol=3e-6)


@pytest.mark.parametrize("kind", ["median", "box"])
def test_kept_images_are_the_same_as_of_all(kind):
    stack = speckle((8, 10, 20), 0.05)
    whole = quegan_yu(stack, window=5, kind=kind)
    np.testing.assert_array_equal(
        quegan_yu(stack, window=5, kind=kind, keep=slice(6, None)), whole[6:]
    )
    flags = np.arange(8) % 3 == 0
    np.testing.assert_array_equal(quegan_yu(stack, window=5, kind=kind, keep=flags), whole[flags])


@pytest.mark.parametrize("kind", ["median", "box"])
def test_a_constant_stack_stays(kind):
    stack = np.full((4, 9, 150), 0.03, np.float32)
    np.testing.assert_allclose(quegan_yu(stack, window=5, kind=kind), stack, rtol=5e-7)


@pytest.mark.parametrize("kind", ["median", "box"])
@given(seed=st.integers(0, 1000), power=st.integers(-8, 8))
@settings(max_examples=10, deadline=None)
def test_scale_equivariance_and_nan_in_place(kind, seed, power):
    stack = speckle((5, 8, 12), 0.1, seed)
    out = quegan_yu(stack, window=5, kind=kind)
    # A power of two scales floats exactly.
    scaled = quegan_yu(stack * np.float32(2.0**power), window=5, kind=kind)
    np.testing.assert_array_equal(scaled, out * np.float32(2.0**power))
    np.testing.assert_array_equal(np.isnan(out), np.isnan(stack))


@pytest.mark.parametrize("kind", ["median", "box"])
def test_tiles_with_a_halo_of_two_are_the_whole(kind):
    stack = speckle((4, 40, 320), 0.01)
    whole = quegan_yu(stack, window=5, kind=kind)
    tiles = np.empty_like(whole)
    for y in range(0, 40, 13):
        for x in range(0, 320, 71):
            y0, x0 = max(y - 2, 0), max(x - 2, 0)
            tile = quegan_yu(stack[:, y0 : y + 15, x0 : x + 73], window=5, kind=kind)
            inner = tile[:, y - y0 : y - y0 + 13, x - x0 : x - x0 + 71]
            tiles[:, y : y + 13, x : x + 71] = inner
    np.testing.assert_array_equal(tiles, whole)


@pytest.mark.parametrize("kind", ["median", "box"])
@pytest.mark.parametrize(("height", "window"), [(3, 3), (17, 5), (33, 5), (50, 11)])
def test_rows_made_on_the_way_are_the_whole(kind, height, window):
    stack = speckle((4, height, 140), missing=0.02)
    keep = np.array([True, False, True, True])
    found = quegan_yu_by_rows(
        lambda first, last: stack[:, first:last].copy(),
        stack.shape,
        window=window,
        kind=kind,
        keep=keep,
    )
    whole = quegan_yu(stack, window=window, kind=kind, keep=keep)
    np.testing.assert_array_equal(found, whole)


def test_the_median_keeps_a_small_drop_that_the_mean_smears():
    # A 3 x 3 drop is outvoted in a 5 x 5 median and smeared by the mean: the two differ by design.
    image = np.full((15, 15), 1.0, np.float32)
    image[6:9, 6:9] = 0.4
    assert local_expectation(image, 5, "median")[7, 7] == 1
    assert local_expectation(image, 5, "box")[7, 7] == pytest.approx(1 - 0.6 * 9 / 25)


def test_zero_is_no_observation_of_the_ratio():
    stack = speckle((3, 6, 6))
    stack[1] = 0
    out = quegan_yu(stack, window=5, kind="median", keep=slice(0, 1))
    expected = quegan_yu(stack[[0, 2]], window=5, kind="median", keep=slice(0, 1))
    np.testing.assert_array_equal(out, expected)


def test_filtering_reduces_the_variance_of_speckle():
    stack = speckle((30, 60, 60))
    out = quegan_yu(stack, window=5, kind="median", keep=slice(29, None))
    variation = (out[0].std() / out[0].mean()) ** 2
    assert variation < 0.25 / 4.4


@pytest.mark.parametrize("window", [0, 4])
def test_an_even_window_is_refused(window):
    with pytest.raises(InputError, match="centre"):
        local_expectation(speckle((5, 5)), window, "median")


def test_an_empty_image_is_refused():
    with pytest.raises(InputError, match="empty"):
        quegan_yu(np.empty((2, 0, 5), np.float32), window=5, kind="box")
