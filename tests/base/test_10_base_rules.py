"""Confirmation and intensity class by the shipped presets (method.md 1A step 15, 1B row 10)."""

from __future__ import annotations

import numpy as np
import pytest

from curupira import presets
from curupira.codes import IntensityClass
from curupira.rules import ConfirmParams, intensity_class, is_confirmed


def confirmed(preset: str, n_alerts: list[int]) -> bool:
    """Whether the flags of a polygon's pixels confirm it."""
    rule = ConfirmParams.model_validate(dict(presets.load(preset).section("confirm")))
    median, mean = float(np.median(n_alerts)), float(np.mean(n_alerts))
    return is_confirmed(median, mean, rule.confirm_statistic, rule.confirm_n_alerts)


@pytest.mark.parametrize(
    ("n_alerts", "expected"),
    [([1, 1, 2, 2], True), ([1, 1, 1, 2], False), ([1], False), ([2], True)],
)
def test_median_above_1_11_means_1_5(n_alerts: list[int], expected: bool) -> None:
    # Medians 1.5, 1.0, 1.0 and 2.0: 1.11 lies between a median of 1.0 and of 1.5.
    assert confirmed("deter_r", n_alerts) is expected


@pytest.mark.parametrize(
    ("n_alerts", "expected"), [([1, 1, 1, 2], True), ([1, 1, 1], False), ([3, 1], True)]
)
def test_the_paper_confirms_by_a_mean_above_one(n_alerts: list[int], expected: bool) -> None:
    assert confirmed("deter_r_paper", n_alerts) is expected


def test_sensitive_asks_for_two_dates() -> None:
    assert not confirmed("sensitive", [1, 1, 2, 2])
    assert confirmed("sensitive", [2, 2, 1])


def test_unknown_is_not_confirmed() -> None:
    assert not is_confirmed(float("nan"), float("nan"), "median", 1.11)


@pytest.mark.parametrize(
    ("intensity", "expected"),
    [
        (7.0, IntensityClass.LOW),
        (7.01, IntensityClass.HIGH),
        (0.0, IntensityClass.LOW),
        (float("nan"), IntensityClass.LOW),
    ],
)
def test_high_intensity_is_strictly_above_seven(intensity: float, expected: IntensityClass) -> None:
    limit = presets.load("deter_r").section("confirm")["high_intensity"]
    assert intensity_class(intensity, limit) is expected
