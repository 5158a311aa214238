"""Which acquisitions of a workspace a model of several dates looks at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from shapely.geometry import box

from curupira.errors import InputError
from curupira.pipelines.mine_images import year_before
from curupira.records import Acquisition, Scene

LAST = datetime(2024, 1, 2, 9, 45, tzinfo=UTC)


def acquisition(days_ago, orbit=10, platform="sentinel-1a"):
    when = LAST - timedelta(days=days_ago)
    scene = Scene(f"{platform}_{orbit}_{days_ago}", platform, when, when, orbit, "descending",
                  box(-56, -7, -55, -6), {})  # fmt: skip
    return Acquisition((scene,))


def test_evenly_over_the_year_before_on_its_own_track():
    known = [acquisition(12 * n) for n in range(-2, 60)]
    known += [acquisition(12 * n + 5, orbit=11) for n in range(40)]
    known += [acquisition(12 * n + 1, platform="nisar") for n in range(40)]
    now = known[2]
    assert now.acquired == LAST
    found = year_before(now, known[::-1], 12)
    ages = [(LAST - a.acquired).days for a in found]
    # 31 dates in 365 days: the last of each of twelve parts.
    assert ages == [348, 312, 288, 252, 228, 192, 156, 132, 96, 72, 36, 0]
    assert {a.sensor for a in found} == {"sentinel-1"}
    assert year_before(now, known, 31)[0].acquired == LAST - timedelta(days=360)


def test_too_few_dates_are_told():
    known = [acquisition(12 * n) for n in range(11)]
    with pytest.raises(InputError, match="11 dates of its orbit in a year, but the model looks at"):
        year_before(known[0], known, 12)
