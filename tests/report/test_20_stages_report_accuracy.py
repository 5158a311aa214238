"""Figures of an accuracy assessment: what is drawn is what was measured."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira.report.accuracy import side_by_side, words
from curupira.report.accuracy_figures import frontier_figure, outlines_figure, with_nines


@given(st.floats(0, 0.9999999))
@settings(max_examples=100)
def test_a_confidence_is_told_to_a_tenth_of_what_is_missing_to_certainty(confidence: float) -> None:
    text = with_nines(confidence)
    assert float(text) == pytest.approx(confidence, abs=0.06 * (1 - confidence))


def test_confidences_near_one_are_told_apart() -> None:
    texts = [with_nines(c) for c in (0.5, 0.87, 0.9961, 0.99949, 0.999981, 1.0)]
    assert texts == ["0.50", "0.87", "0.9961", "0.99949", "0.999981", "1"]
    assert all(a != b for a, b in pairwise(texts))


def test_accuracy_along_the_confidence_holds_between_two_warnings() -> None:
    # Three warnings; keeping those of 0.95 or more keeps the first alone.
    frontier = [(0.99, 1.0, 0.2), (0.9, 0.5, 0.2), (0.5, 2 / 3, 0.4)]
    figure = frontier_figure(frontier)
    figure.canvas.draw()
    plane, along = figure.axes
    np.testing.assert_allclose(plane.lines[-1].get_xydata(), [[p, u] for _, u, p in frontier])
    users = along.lines[0]
    x, y = users.get_data(orig=False)
    assert users.get_drawstyle() == "steps-post"
    np.testing.assert_allclose(x, [2.0, 1.0, -np.log10(0.5)])
    np.testing.assert_allclose(y, [1.0, 0.5, 2 / 3])
    assert "0.9" in [tick.get_text() for tick in along.get_xticklabels()]


def test_every_true_warning_is_in_the_histogram_of_outlines() -> None:
    values = np.array([0.0, 0.31, 0.5, 0.52, 1.0])
    left, right = outlines_figure({"IoU": values, "Boundary IoU": np.empty(0)}).axes
    assert sum(bar.get_height() for bar in left.patches) == 5
    assert left.lines[0].get_xdata()[0] == 0.5
    assert "No true warning" in [text.get_text() for text in right.texts]


def estimate(value: float | None, low: float | None, high: float | None, n: int) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": n}


@pytest.mark.parametrize(
    ("found", "unit", "text"),
    [
        (estimate(0.0, 0.0, 0.1287, 26), "%", "0.0 % (0.0 to 12.9)"),
        (estimate(0.335, None, None, 1), "%", "33.5 % (too few for an interval)"),
        (estimate(28.0, 16.0, None, 5), "days", "28.0 days (16.0 or more)"),
        (estimate(28.0, None, 40.0, 5), "", "28.0 (up to 40.0)"),
        (estimate(None, None, None, 24), "days", "not reached (n = 24)"),
        (estimate(None, None, None, 0), "%", "nothing to count"),
    ],
)
def test_estimates_read_well_where_a_value_or_an_interval_is_missing(
    found: dict[str, Any], unit: str, text: str
) -> None:
    assert words(found, unit=unit) == text


def test_presets_side_by_side_say_what_there_is_not() -> None:
    whole, none = estimate(0.5, 0.25, 0.75, 8), estimate(None, None, None, 0)
    delay = {"median": estimate(30.0, 24.0, None, 8)}
    document = {
        "preset": "own",
        **dict.fromkeys(("ua_count", "pa_all_count"), whole),
        "pa_count": none,
        "delay_from_event_days": delay,
        "delay_days": {"median": estimate(None, None, None, 8)},
        "false_per_1000km2_month": {"confirmed": estimate(0.0, 0.0, 5.0, 0)},
    }
    table = side_by_side([document])
    assert [row[1] for row in table.rows] == [
        "50 (25 to 75; n = 8)",
        "50 (25 to 75; n = 8)",
        "nothing to count",
        "30 (24 or more; n = 8)",
        "not reached (n = 8)",
        "0.0 (0.0 to 5.0; n = 0)",
    ]
