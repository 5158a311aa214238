"""Multi-looking and bilinear sampling: slow references, and what has to be conserved."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from curupira.grd.geocode import looked, looks, multilook, sample
from curupira.grd.image import equivalent_looks


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 23), columns=st.integers(1, 23), side=st.integers(1, 4), seed=st.integers(0)
)
def test_power_is_conserved(rows, columns, side, seed):
    rng = np.random.default_rng(seed)
    power = rng.gamma(4.4, 0.1 / 4.4, (rows, columns)).astype(np.float32)
    found = multilook(power, side)
    assert found.shape == (rows // side, columns // side)
    whole = power[: rows // side * side, : columns // side * side]
    assert found.sum() * side**2 == pytest.approx(float(whole.sum()), rel=1e-4)
    # Every pixel, the obvious way.
    for y, x in np.ndindex(found.shape):
        square = power[y * side : (y + 1) * side, x * side : (x + 1) * side]
        assert found[y, x] == pytest.approx(square.mean(), rel=1e-5)


def test_missing_pixels_do_not_darken():
    power = np.full((4, 8), 0.1, np.float32)
    power[0, 0] = power[0:2, 2] = np.nan
    power[0:2, 4] = power[0, 5] = np.nan
    power[0:2, 6:8] = np.nan
    found = multilook(power, 2)
    np.testing.assert_allclose(found[0, :2], 0.1, rtol=1e-6)
    assert np.isnan(found[0, 2:]).all()
    np.testing.assert_allclose(found[1], 0.1, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0))
def test_bilinear(seed):
    rng = np.random.default_rng(seed)
    image = rng.random((17, 23)).astype(np.float32)
    line, column = rng.uniform(-1, 17.5, (9, 11)), rng.uniform(-1, 23.5, (9, 11))
    line[0, :3], column[0, :3] = (0, 16, 5), (22, 0, 22)
    expected = map_coordinates(image.astype(np.float64), (line, column), order=1, cval=np.nan)
    outside = (line < 0) | (line > 16) | (column < 0) | (column > 22)
    found = sample(image, line, column)
    np.testing.assert_array_equal(np.isnan(found), outside)
    np.testing.assert_allclose(found[~outside], expected[~outside], atol=2e-6)


def test_a_missing_pixel_reaches_only_as_far_as_its_weight():
    image = np.ones((5, 5), np.float32)
    image[2, 2] = np.nan
    at = np.array([[1.0, 2.0, 1.5, 1.0, 3.0, np.nan]]), np.array([[1.0, 1.0, 1.5, 2.0, 2.5, 1.0]])
    found = sample(image, *at)[0]
    np.testing.assert_array_equal(np.isnan(found), [False, False, True, False, False, True])


@pytest.mark.parametrize("side", [1, 2, 3])
def test_looked_places_are_where_they_were(side):
    """A ramp, multi-looked and sampled at looked places, is the ramp."""
    y, x = np.mgrid[:30, :36].astype(np.float32)
    ramp = multilook((3 + 0.5 * y + 0.25 * x).astype(np.float32), side)
    rng = np.random.default_rng(1)
    line, column = rng.uniform(3, 26, (8, 8)), rng.uniform(3, 32, (8, 8))
    found = sample(ramp, looked(line, side), looked(column, side))
    np.testing.assert_allclose(found, 3 + 0.5 * line + 0.25 * column, rtol=1e-5)


def test_looks():
    assert [looks(metres, 10.0) for metres in (5, 10, 14, 20, 30, 100)] == [1, 1, 1, 2, 3, 10]
    assert equivalent_looks(1) == pytest.approx(4.4)
    assert equivalent_looks(2) == pytest.approx(8.8)
