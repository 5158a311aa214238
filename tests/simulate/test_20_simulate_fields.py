"""Random fields and speckle have the statistics that they are documented to have."""

import numpy as np
import pytest

from curupira.simulate.fields import gaussian_field, upsample
from curupira.simulate.params import District, SpeckleWorld, Spread, load_world
from curupira.simulate.speckle import SpeckleBank


@pytest.fixture(scope="module")
def speckle() -> SpeckleWorld:
    return load_world().speckle


@pytest.fixture(scope="module")
def bank(speckle: SpeckleWorld) -> SpeckleBank:
    return SpeckleBank(speckle, seed=5)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_speckle_has_the_looks_and_correlation_of_the_ground_range_product(
    bank: SpeckleBank,
) -> None:
    image = bank.rows(7, 0, (1000, 1000), 0, 1000)
    assert image.mean() == pytest.approx(1, abs=0.01)
    assert 1 / image.var() == pytest.approx(4.35, abs=0.15)
    by_two = image.reshape(500, 2, 500, 2).mean(axis=(1, 3))
    assert 1 / by_two.var() == pytest.approx(8.3, abs=0.4)
    for axis in (0, 1):
        near = np.swapaxes(image, 0, axis)
        assert correlation(near[1:], near[:-1]) == pytest.approx(0.45, abs=0.02)
        assert correlation(near[2:], near[:-2]) == pytest.approx(0.04, abs=0.02)


def test_speckle_is_independent_between_dates_and_bands(bank: SpeckleBank) -> None:
    first = bank.rows(7, 0, (512, 512), 0, 512)
    for image, band in ((7, 1), (8, 0), (9, 1)):
        assert abs(correlation(first, bank.rows(image, band, (512, 512), 0, 512))) < 0.02


def test_speckle_does_not_repeat_at_a_pixel_over_the_dates(bank: SpeckleBank) -> None:
    series = np.stack([bank.rows(i, 0, (300, 300), 0, 300) for i in range(60)])
    # The variance over time of single pixels is that of one image: no pixel is stuck.
    assert series.var(axis=0, ddof=1).mean() == pytest.approx(1 / 4.35, rel=0.05)
    lag = correlation(series[1:], series[:-1])
    assert abs(lag) < 0.01


def test_speckle_rows_do_not_depend_on_the_cut(bank: SpeckleBank) -> None:
    whole = bank.rows(3, 1, (700, 333), 0, 700)
    parts = [bank.rows(3, 1, (700, 333), y, min(y + 150, 700)) for y in range(0, 700, 150)]
    np.testing.assert_array_equal(np.vstack(parts), whole)


@pytest.mark.parametrize("sigma", [0.0, 0.8, 2.0, 9.0, 40.0])
def test_fields_have_unit_variance(sigma: float) -> None:
    rng = np.random.default_rng(1)
    fields = np.stack([gaussian_field((257, 130), sigma, rng) for _ in range(25)])
    assert fields.shape == (25, 257, 130)
    assert fields.std() == pytest.approx(1, abs=0.12)


def test_field_correlation_length_follows_sigma() -> None:
    field = gaussian_field((2000, 2000), 20.0, np.random.default_rng(2))
    # A Gaussian kernel of sigma gives exp(-lag^2 / 4 sigma^2).
    assert correlation(field[40:], field[:-40]) == pytest.approx(np.exp(-1), abs=0.06)


def test_upsampling_keeps_a_plane() -> None:
    y, x = np.mgrid[:6, :7].astype(np.float32)
    fine = upsample(3 * y - 2 * x, 4, (20, 24))
    fy, fx = np.mgrid[:20, :24] / 4
    np.testing.assert_allclose(fine, 3 * fy - 2 * fx, atol=1e-4)


def test_districts_differ_and_shifted_moves_by_one_standard_deviation() -> None:
    spread = Spread(mean=4.0, sd=0.5, harder=-1)
    draws = [District(seed, "default").draw("x", spread) for seed in range(300)]
    assert np.mean(draws) == pytest.approx(4.0, abs=0.1)
    assert np.std(draws) == pytest.approx(0.45, abs=0.06)
    shifted = [District(seed, "shifted").draw("x", spread) for seed in range(300)]
    np.testing.assert_allclose(np.subtract(shifted, draws), -0.5, atol=1e-9)
