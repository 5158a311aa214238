"""Several districts scored as one."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from shapely.geometry import box

from curupira.errors import InputError
from curupira.validate.accuracy import assess
from curupira.validate.found import Watch
from curupira.validate.matching import Alert, Event, Sighting
from curupira.validate.pool import Case, pool

SINCE = date(2022, 1, 1)
WATCH = Watch("deter_r", SINCE, date(2022, 12, 31), date(2023, 1, 1), 12.0, 50.0)


def case(*, found, start=date(2022, 6, 1), watch=WATCH):
    shape = box(0, 0, 100, 100)
    events = [Event("1", shape, start, 1.0, visible=start)]
    day = start + timedelta(days=20)
    seen = (Sighting(day, shape),)
    alerts = [Alert("w", shape, 1.0, day, day, day, confidence=0.9, sightings=seen)]
    return Case(alerts if found else [], events, watch, {"w": "rain"})


def score(joined):
    return assess(joined.alerts, joined.events, joined.watch, false_causes=joined.false_causes)


def test_districts_at_one_place_do_not_meet():
    """The warning of one district must not find the event of another at the same coordinates."""
    found = score(pool([case(found=True), case(found=False), case(found=False)]))
    assert (found.events, found.warnings) == (3, 1)
    assert found.estimates["pa_all_count"].value == pytest.approx(1 / 3)
    assert found.estimates["duplicates"].n == 1
    assert found.watch.monitored_km2 == 150


def test_one_district_pooled_is_itself():
    alone = case(found=True)
    own, pooled = score(alone).document(), score(pool([alone])).document()
    assert own == pooled


def test_causes_stay_with_their_district():
    lone = replace(case(found=True), events=[])
    other = replace(case(found=True), events=[], false_causes={})
    found = score(pool([lone, other]))
    assert {c: e.n for c, e in found.false_by_cause.items() if e.n} == {"rain": 1, "speckle": 1}


def test_events_are_of_their_own_districts_time():
    # The second district is watched from February: an event of its January does not count.
    later = replace(WATCH, since=date(2022, 1, 25))
    january = date(2022, 1, 10)
    pooled = pool([case(found=True, start=january), case(found=True, start=january, watch=later)])
    assert score(pooled).events == 1


def test_what_cannot_be_pooled():
    with pytest.raises(InputError, match="no district"):
        pool([])
    other = replace(WATCH, end=date(2022, 10, 1))
    with pytest.raises(InputError, match="same time"):
        pool([case(found=True), case(found=True, watch=other)])
