"""The anchor table's machinery: rules on made series, how they are filtered, the kept figures."""

from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from benchmark_scripts import benchmark

from curupira.detect.quegan_yu import quegan_yu
from curupira.detect.refined_lee import refined_lee


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    return benchmark("anchor_figures")


@pytest.fixture(scope="module")
def making(figures: ModuleType) -> ModuleType:
    assert figures is not None
    return benchmark("anchor_series")


@pytest.fixture(scope="module")
def table(making: ModuleType) -> ModuleType:
    assert making is not None
    return benchmark("simulated_anchors")


def made(figures: ModuleType, drop_db: float, seed: int = 0, *, cleared: bool = True) -> object:
    """Forest of 0.5 dB for two years, then from day 800 on darker by ``drop_db``."""
    days = 12.0 * np.arange(90)
    db = -13 + np.random.default_rng(seed).normal(0, 0.5, days.size)
    db[days >= 800] -= drop_db
    return figures.Series(days, db, 730.0, 830.0 if cleared else np.nan, cleared)


def test_rules_find_a_clearing_and_leave_forest_alone(figures: ModuleType) -> None:
    cleared, forest = made(figures, 4.0), made(figures, 0.0, cleared=False)
    # Images fall on days 804, 816: two flags are there on the second, the sum passes on the first
    # or the second.
    assert figures.two_flags(cleared, figures.NEAR_DB) == 816
    assert figures.accumulated(cleared) in (804, 816)
    assert np.isnan(figures.two_flags(forest, figures.NEAR_DB))
    assert np.isnan(figures.accumulated(forest))


def test_anchors_of_series_whose_figures_are_known(figures: ModuleType) -> None:
    series = [made(figures, 4.0, k) for k in range(40)]
    series += [made(figures, 0.0, 100 + k, cleared=False) for k in range(40)]
    found = figures.anchors(series)
    assert found["history sd (dB), median"] == pytest.approx(0.5, abs=0.03)
    assert found["never flagged (%)"] == 0
    assert found["drop 0 days after the first flag (dB)"] == pytest.approx(4.0, abs=0.3)
    assert found["T 2.5: found (%)"] == 100
    assert found["T 2.5: delay after the later optical image (days)"] == pytest.approx(816 - 830)
    bands = figures.interval(series, 20)
    value, low, high = bands["history sd (dB), median"]
    assert low <= value <= high


@pytest.mark.parametrize("at", [(15, 16), (10, 12), (0, 0), (2, 37), (39, 20)])
def test_a_pixel_is_filtered_as_in_the_whole_image(making: ModuleType, at: tuple[int, int]) -> None:
    stack = np.random.default_rng(3).gamma(4, 0.0125, (30, 40, 40)).astype(np.float32)
    stack[15:, 10:20, 12:22] *= 0.4
    near = np.arange(30) >= 4
    level = quegan_yu(stack[near], window=5, kind="median")
    whole = [refined_lee(image, side="scripts", clamp=False)[at] for image in level]
    np.testing.assert_array_equal(
        making.filtered_db(stack, near, at), 10 * np.log10(np.maximum(whole, 1e-6))
    )


def test_what_a_date_does_to_all_forest_is_taken_out(making: ModuleType) -> None:
    rng = np.random.default_rng(4)
    fine = rng.gamma(4, 0.0125, (6, 40, 40)).astype(np.float32)
    wobble = np.array([1, 1.3, 0.7, 1, 0.9, 1.1], dtype=np.float32)
    core = np.zeros((20, 20), dtype=bool)
    core[:10] = True

    def district(images: np.ndarray) -> SimpleNamespace:
        renderer = SimpleNamespace(vh=lambda i: images[i])
        return SimpleNamespace(passes=list(images), renderer=renderer)

    plain = making.stabilised(district(fine), core)
    wobbling = making.stabilised(district(fine * wobble[:, np.newaxis, np.newaxis]), core)
    np.testing.assert_allclose(wobbling, plain, rtol=1e-5)
    np.testing.assert_allclose(plain[:, core].mean(axis=1), 1, rtol=1e-5)


def test_every_anchor_has_its_real_figure(figures: ModuleType, table: ModuleType) -> None:
    real = table.RealFigures.read(table.REAL)
    made_names = figures.anchors([made(figures, 4.0), made(figures, 0.0, 1, cleared=False)])
    assert set(real.bands) == set(made_names)
    assert all(low <= value <= high for value, low, high in real.bands.values())
    # Figures that method.md 4A states of the same series.
    assert real.bands["history sd (dB), median"][0] == pytest.approx(0.50, abs=0.02)
    assert real.bands["T 2.5: found (%)"][0] == pytest.approx(74.1, abs=0.1)


def test_gaps_are_drawn_as_the_real_ones_are_spread(table: ModuleType) -> None:
    real = table.RealFigures.read(table.REAL)
    rng = np.random.default_rng(5)
    gaps = np.array([real.draw_gap(rng) for _ in range(4000)])
    assert gaps.min() >= real.gap_days[0]
    assert gaps.max() <= real.gap_days[-1]
    assert np.median(gaps) == pytest.approx(real.gap_days[10], abs=2)


def test_seeds_are_named_one_by_one_or_by_the_first_and_last(table: ModuleType) -> None:
    assert table.numbers("680-682,800") == [680, 681, 682, 800]
