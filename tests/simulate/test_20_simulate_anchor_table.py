"""The anchor table's machinery: rules on made series, and the kept figures of the real ones."""

from types import ModuleType

import numpy as np
import pytest
from benchmark_scripts import benchmark


@pytest.fixture(scope="module")
def table() -> ModuleType:
    return benchmark("simulated_anchors")


def made(table: ModuleType, drop_db: float, seed: int = 0, *, cleared: bool = True) -> object:
    """Forest of 0.5 dB for two years, then from day 800 on darker by ``drop_db``."""
    days = 12.0 * np.arange(90)
    db = -13 + np.random.default_rng(seed).normal(0, 0.5, days.size)
    db[days >= 800] -= drop_db
    return table.Series(days, db, 730.0, 830.0 if cleared else np.nan, cleared)


def test_rules_find_a_clearing_and_leave_forest_alone(table: ModuleType) -> None:
    cleared, forest = made(table, 4.0), made(table, 0.0, cleared=False)
    # Images fall on days 804, 816: two flags are there on the second, the sum passes on the first
    # or the second.
    assert table.two_flags(cleared, table.NEAR_DB) == 816
    assert table.accumulated(cleared) in (804, 816)
    assert np.isnan(table.two_flags(forest, table.NEAR_DB))
    assert np.isnan(table.accumulated(forest))


def test_anchors_of_series_whose_figures_are_known(table: ModuleType) -> None:
    series = [made(table, 4.0, k) for k in range(40)]
    series += [made(table, 0.0, 100 + k, cleared=False) for k in range(40)]
    found = table.anchors(series)
    assert found["history sd (dB), median"] == pytest.approx(0.5, abs=0.03)
    assert found["never flagged (%)"] == 0
    assert found["drop 0 days after the first flag (dB)"] == pytest.approx(4.0, abs=0.3)
    assert found["T 2.5: found (%)"] == 100
    assert found["T 2.5: delay after the later optical image (days)"] == pytest.approx(816 - 830)
    bands = table.interval(series, 20)
    value, low, high = bands["history sd (dB), median"]
    assert low <= value <= high


def test_every_anchor_has_its_real_figure(table: ModuleType) -> None:
    real = table.RealFigures.read(table.REAL)
    made_names = table.anchors([made(table, 4.0), made(table, 0.0, 1, cleared=False)])
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
