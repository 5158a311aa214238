"""Counting beside another system, on cases small enough to count by hand, and against loops."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira.validate.compare import Notice, compare

DAY = date(2024, 1, 10)


def notice(x: float, days: int = 0, size: float = 100, kind: str = "deforestation") -> Notice:
    return Notice(f"{x}", shapely.box(x, 0, x + size, size), DAY + timedelta(days=days), kind)


def test_counted_by_hand():
    ours = [notice(0, 0), notice(1000, 10), notice(2000, 20), notice(3000, 30)]
    theirs = [
        notice(0, 12),  # we were first, by 12 days
        notice(1000, 10, kind="degradation"),  # same day
        notice(2000, 5),  # later
        notice(9000, 8),  # only theirs
    ]
    found = compare(ours, theirs, since=DAY, until=DAY + timedelta(days=60))
    assert (found.ours.total, found.ours.matched, found.ours.only) == (4, 3, 1)
    assert (found.theirs.total, found.theirs.matched, found.theirs.only) == (4, 3, 1)
    assert (found.ours.total_ha, found.ours.only_ha, found.overlap_ha) == (4.0, 1.0, 3.0)
    lead = found.lead
    assert (lead.first, lead.same_day, lead.later, lead.only) == (1, 1, 1, 1)
    assert lead.first_or_only.value == 0.5
    assert lead.lead_days.value == 0
    assert found.classes[("deforestation", "degradation")] == 1
    assert found.months == [
        {"month": "2024-01", "ours": 3, "only_ours": 0, "theirs": 4, "only_theirs": 1},
        {"month": "2024-02", "ours": 1, "only_ours": 1, "theirs": 0, "only_theirs": 0},
    ]


def test_november_to_march_alone():
    june = 150
    ours = [notice(0, 0), notice(1000, june), notice(2000, june)]
    theirs = [notice(0, -5), notice(1000, june + 9)]
    found = compare(ours, theirs, since=DAY - timedelta(days=9), until=DAY + timedelta(days=300))
    assert found.lead.first_or_only.value == pytest.approx(2 / 3)
    assert (found.lead_cloudy.warnings, found.lead_cloudy.first_or_only.value) == (1, 0.0)


def test_a_match_beyond_the_end_counts_and_one_years_ago_does_not():
    found = compare([notice(0)], [notice(0, 40)], since=DAY, until=DAY)
    assert (found.lead.first, found.theirs.total) == (1, 0)
    found = compare([notice(0)], [notice(0, -400)], since=DAY, until=DAY)
    assert found.lead.only == 1


def test_a_touching_corner_is_no_match():
    assert compare([notice(0)], [notice(80)], since=DAY, until=DAY).ours.matched == 0  # 20 %
    assert compare([notice(0)], [notice(74)], since=DAY, until=DAY).ours.matched == 1  # 26 %


def test_nothing_on_either_side():
    found = compare([], [])
    assert (found.ours.total, found.theirs.total, found.lead.first_or_only.value) == (0, 0, None)
    assert compare([notice(0)], []).lead.only == 1


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(-80, 80)), max_size=12),
    st.lists(st.tuples(st.integers(0, 12), st.integers(-80, 80)), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_against_plain_loops(a, b):
    """Every pair, one by one; and the sums agree with the whole."""
    ours, theirs = [notice(50 * x, d) for x, d in a], [notice(50 * x, d) for x, d in b]
    span = {"since": DAY - timedelta(days=50), "until": DAY + timedelta(days=50)}
    found = compare(ours, theirs, **span, window_days=60)
    first = only = later = same = 0
    for one in ours:
        if not span["since"] <= one.day <= span["until"]:
            continue
        days = [
            two.day
            for two in theirs
            if one.geometry.intersection(two.geometry).area >= 2500
            and abs((one.day - two.day).days) <= 60
        ]
        only += not days
        first += bool(days) and min(days) > one.day
        same += bool(days) and min(days) == one.day
        later += bool(days) and min(days) < one.day
    lead = found.lead
    assert (lead.first, lead.same_day, lead.later, lead.only) == (first, same, later, only)
    assert lead.warnings == found.ours.total == sum(m["ours"] for m in found.months)
    assert found.theirs.total == sum(m["theirs"] for m in found.months)
