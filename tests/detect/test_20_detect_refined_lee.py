"""Refined Lee against a per-pixel loop written from method.md 1D."""

import numpy as np
import pytest
import scipy.ndimage as ndi
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira.detect.refined_lee import refined_lee
from curupira.errors import InputError

# Directions 1 to 4 as the scripts number them; 5 to 8 are these turned by 180 degrees.
LOWER_HALF = np.repeat([0, 0, 0, 1, 1, 1, 1], 7).reshape(7, 7).astype(bool)
LOWER_LEFT = np.tril(np.ones((7, 7), bool))
KERNELS = [np.rot90(kernel, -turn) for turn in range(4) for kernel in (LOWER_HALF, LOWER_LEFT)]
NEAREST = {  # (edge, at a) -> window, from the compass names
    (0, True): np.flipud(LOWER_HALF),
    (0, False): LOWER_HALF,
    (1, True): LOWER_LEFT,
    (1, False): LOWER_LEFT.T,
    (2, True): np.flipud(LOWER_HALF).T,
    (2, False): LOWER_HALF.T,
    (3, True): np.flipud(LOWER_LEFT),
    (3, False): np.flipud(LOWER_LEFT.T),
}
EDGES = ((1, 7), (6, 2), (3, 5), (0, 8))


def speckle(shape, missing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    values = 0.04 * rng.gamma(4.4, 1 / 4.4, shape)
    values[rng.random(shape) < missing] = np.nan
    return values.astype(np.float32)


def stats(values):
    values = values[~np.isnan(values)]
    return (values.mean(), values.var()) if len(values) else (np.nan, np.nan)


def slow(image, side, clamp):
    padded = np.pad(image.astype(float), 3, mode="symmetric")
    out = np.full(image.shape, np.nan)
    for y, x in np.ndindex(image.shape):
        window = padded[y : y + 7, x : x + 7]
        if np.isnan(window[3, 3]):
            continue
        samples = [stats(window[r : r + 3, c : c + 3]) for r in (0, 2, 4) for c in (0, 2, 4)]
        m = np.array([mean for mean, _ in samples])
        ratios = sorted(v / s**2 for s, v in samples if not np.isnan(s))[:5]
        noise = np.mean(ratios)
        gradients = np.array([abs(m[a] - m[b]) for a, b in EDGES])
        edge = int(np.argmax(np.where(np.isnan(gradients), -1, gradients)))
        a, b = EDGES[edge]
        if side == "scripts":
            convex = m[a] - m[4] > m[4] - m[b]
            # Direction k is kernel 2 * ((k - 1) // 2) + (k - 1) % 2 of the turned pairs.
            kernel = KERNELS[edge if convex else edge + 4]
        else:
            kernel = NEAREST[edge, bool(abs(m[a] - m[4]) < abs(m[4] - m[b]))]
        mean, variance = stats(window[kernel])
        if variance == 0:
            out[y, x] = mean
            continue
        weight = (variance - mean**2 * noise) / ((1 + noise) * variance)
        weight = min(max(weight, 0), 1) if clamp else weight
        out[y, x] = mean + weight * (window[3, 3] - mean)
    return out


def assert_same(out, expected):
    """Equal but for float32 ties of two gradients, which may pick another window."""
    np.testing.assert_array_equal(np.isnan(out), np.isnan(expected))
    far = ~np.isclose(out, expected, rtol=2e-4, equal_nan=True)
    assert far.sum() <= 1e-3 * far.size


@pytest.mark.parametrize("side", ["scripts", "nearest"])
@pytest.mark.parametrize("clamp", [False, True])
@pytest.mark.parametrize("missing", [0, 0.01, 0.4])
def test_agrees_with_the_loop(side, clamp, missing):
    image = speckle((24, 139), missing, seed=4)
    image[:, 60:] *= 0.4
    image[12:, :50] *= 2
    assert_same(refined_lee(image, side=side, clamp=clamp), slow(image, side, clamp))


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (7, 7), (8, 160)])
def test_small_images(shape):
    image = speckle(shape, seed=2)
    assert_same(
        refined_lee(image, side="scripts", clamp=False), slow(image, "scripts", clamp=False)
    )


def test_very_sparse_images_have_a_value_wherever_the_centre_has():
    image = speckle((30, 160), 0.97, seed=3)
    for side in ("scripts", "nearest"):
        out = refined_lee(image, side=side, clamp=False)
        np.testing.assert_array_equal(np.isnan(out), np.isnan(image))
    lone = np.full((11, 11), np.nan, np.float32)
    lone[5, 5] = 0.7
    assert refined_lee(lone, side="scripts", clamp=False)[5, 5] == np.float32(0.7)


@pytest.mark.parametrize(
    ("side", "far", "window"),
    [
        # Bright north, then dark from the centre row on: m1 - m4 > m4 - m7, direction 1, lower.
        ("scripts", "north", "lower"),
        ("nearest", "north", "lower"),
        # Dark south only: m1 - m4 < m4 - m7, direction 5, upper.
        ("scripts", "south", "upper"),
        ("nearest", "south", "upper"),
    ],
)
def test_the_window_beside_a_falling_edge(side, far, window):
    image = np.full((21, 21), 1.0, np.float32)
    if far == "north":
        image[:9] = 3
    else:
        image[12:] = 0.2
    # The named half (seven rows around row 10) holds no edge, so the result is its own level.
    assert refined_lee(image, side=side, clamp=True)[10, 10] == 1
    half = image[7:11] if window == "upper" else image[10:14]
    assert np.all(half[:, 10] == 1)


def test_the_scripts_take_the_far_side_of_a_rising_edge():
    # Dark north, bright from row 9 on, with a chequered noise of 10 %: the centre (10, 10) belongs
    # to the south. m1 - m4 < 0 = m4 - m7, so the scripts take direction 5, the upper half, across
    # the edge; its variance is the edge's, so the noise stays. The near side averages it away.
    image = np.full((21, 21), 1.0, np.float32)
    image[:9] = 0.2
    image *= 1 + 0.1 * (-1.0) ** np.indices(image.shape).sum(axis=0).astype(np.float32)
    assert image[10, 10] == pytest.approx(1.1)
    assert refined_lee(image, side="scripts", clamp=True)[10, 10] > 1.05
    assert refined_lee(image, side="nearest", clamp=True)[10, 10] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_nearest_turns_with_the_image(turns):
    image = speckle((30, 30), seed=6)
    image[:, 11:] *= 3
    out = refined_lee(image, side="nearest", clamp=True)
    turned = refined_lee(np.rot90(image, turns).copy(), side="nearest", clamp=True)
    assert_same(np.rot90(turned, -turns), out)


@pytest.mark.parametrize("side", ["scripts", "nearest"])
@pytest.mark.parametrize("clamp", [False, True])
@pytest.mark.parametrize("level", [0.0, 0.03, 7.1])
def test_a_constant_image_is_itself(side, clamp, level):
    image = np.full((12, 150), level, np.float32)
    image[4, 5] = np.nan
    # Sums of 28 equal values are rounded: to the last digit.
    filtered = refined_lee(image, side=side, clamp=clamp)
    np.testing.assert_allclose(filtered, image, rtol=2e-7)


@given(seed=st.integers(0, 1000), power=st.integers(-6, 6))
@settings(max_examples=15, deadline=None)
def test_scale_equivariance(seed, power):
    image = speckle((9, 14), 0.1, seed)
    out = refined_lee(image, side="scripts", clamp=False)
    scaled = refined_lee(image * np.float32(2.0**power), side="scripts", clamp=False)
    np.testing.assert_array_equal(scaled, out * np.float32(2.0**power))


@pytest.mark.parametrize("missing", [0, 0.005])
def test_tiles_with_a_halo_of_three_are_the_whole(missing):
    image = speckle((40, 330), missing)
    whole = refined_lee(image, side="scripts", clamp=False)
    tiles = np.empty_like(whole)
    for y in range(0, 40, 17):
        for x in range(0, 330, 83):
            y0, x0 = max(y - 3, 0), max(x - 3, 0)
            tile = refined_lee(image[y0 : y + 20, x0 : x + 86], side="scripts", clamp=False)
            tiles[y : y + 17, x : x + 83] = tile[y - y0 : y - y0 + 17, x - x0 : x - x0 + 83]
    # Blocks with and without NaN go through two forms of the same sums: equal to rounding.
    np.testing.assert_array_equal(tiles, whole)


def test_it_smooths_uniform_speckle_without_bias():
    image = speckle((200, 200), seed=9)
    out = refined_lee(image, side="nearest", clamp=True)
    assert out.var() < 0.5 * image.var()
    assert out.mean() == pytest.approx(image.mean(), rel=0.02)


def test_an_edge_is_kept_sharper_than_by_a_mean_of_the_same_size():
    image = np.full((40, 40), 1.0, np.float32)
    image[:, 20:] = 0.25
    noisy = image * speckle((40, 40), seed=1) / 0.04
    out = refined_lee(noisy, side="nearest", clamp=True)
    mean = ndi.uniform_filter(noisy, 7)
    near = np.s_[5:-5, 18:22]
    assert np.abs(out[near] - image[near]).mean() < np.abs(mean[near] - image[near]).mean()


def test_an_empty_image_is_refused():
    with pytest.raises(InputError, match="empty"):
        refined_lee(np.empty((0, 3), np.float32), side="scripts", clamp=False)
