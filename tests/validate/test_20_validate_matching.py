"""The rules of product.md section 8 on hand-made warnings and events."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from shapely.geometry import box

from curupira.validate.matching import Alert, Event, Sighting, block_of, boundary_iou, match

DAY = date(2022, 6, 1)


def days(n):
    return DAY + timedelta(days=n)


def event(x0=0, x1=100, start=DAY, **more):
    shape = box(x0, 0, x1, 100)
    return Event("e", shape, start, shape.area / 1e4, **more)


def alert(x0=0, x1=100, confirmed=30, last_flag=29, **more):
    shape = box(x0, 0, x1, 100)
    return Alert(
        "a",
        shape,
        shape.area / 1e4,
        issued=days(20),
        confirmed=None if confirmed is None else days(confirmed),
        last_flag=days(last_flag),
        **more,
    )


@pytest.mark.parametrize(
    ("x0", "x1", "meets"),
    [
        (75, 175, True),  # a quarter of both
        (76, 176, False),  # just less of both
        (90, 130, True),  # 10 of 40 m: a quarter of the warning only
        (91, 131, False),
        (-1000, 25, True),  # a quarter of the event only
        (-1000, 24, False),
        (100, 200, False),  # a shared edge is no overlap
    ],
)
def test_a_quarter_of_either(x0, x1, meets):
    assert match([alert(x0, x1)], [event()]).alert.size == meets


def test_event_has_to_begin_before_the_last_flagged_image():
    # Events begin at midnight, images are taken later that day.
    assert match([alert(last_flag=29)], [event(start=days(29))]).alert.size == 1
    assert match([alert(last_flag=29)], [event(start=days(30))]).alert.size == 0


def test_found_on_the_confirmation_day_and_never_by_a_preliminary_warning():
    pairs = match([alert(confirmed=30), alert(confirmed=None)], [event()])
    assert pairs.true_alerts(2).tolist() == [True, True]
    assert pairs.found.tolist() == [days(30).toordinal(), -1]
    assert pairs.first_found(1)[0] == days(30).toordinal()


def test_the_first_of_several_warnings_counts():
    pairs = match([alert(confirmed=40), alert(confirmed=33)], [event()])
    assert pairs.first_found(1)[0] == days(33).toordinal()


def test_a_warning_confirmed_before_the_event_finds_it_only_by_a_later_sighting():
    late = event(start=days(50))
    early = alert(confirmed=30, last_flag=80)
    assert match([early], [late]).true_alerts(1).all()
    assert np.isinf(match([early], [late]).first_found(1)[0])
    seen = replace(
        early,
        sightings=(
            Sighting(days(40), box(0, 0, 100, 100)),  # before it began
            Sighting(days(55), box(200, 0, 300, 100)),  # elsewhere
            Sighting(days(61), box(0, 0, 100, 100)),
            Sighting(days(73), box(0, 0, 100, 100)),
        ),
    )
    assert match([seen], [late]).first_found(1)[0] == days(61).toordinal()


def test_an_event_that_a_growing_warning_reaches_late_is_found_then():
    """The warning began at one clearing and met its neighbour four months later."""
    grown = replace(
        alert(0, 200, confirmed=30, last_flag=150),
        sightings=(
            Sighting(days(30), box(0, 0, 100, 100)),
            Sighting(days(150), box(100, 0, 200, 100)),
        ),
    )
    events = [event(), event(100, 200)]
    found = match([grown], events).first_found(2)
    assert found.tolist() == [days(30).toordinal(), days(150).toordinal()]


def test_nothing_to_match():
    assert match([], [event()]).first_found(1).tolist() == [np.inf]
    assert match([alert()], []).true_alerts(1).tolist() == [False]


def test_one_warning_may_meet_several_events():
    pairs = match([alert(0, 300)], [event(0, 100), event(100, 200), event(400, 500)])
    assert sorted(pairs.event.tolist()) == [0, 1]
    np.testing.assert_allclose(pairs.overlap_m2, 1e4)


def test_blocks_are_ten_kilometres():
    shapes = [box(x, y, x + 10, y + 10) for x, y in [(0, 0), (9900, 0), (10_100, 0), (0, 10_100)]]
    first, second, third, fourth = block_of(shapes)
    assert first == second
    assert len({first, third, fourth}) == 3


def test_boundary_iou_sees_what_area_does_not():
    one, shifted = box(0, 0, 1000, 1000), box(20, 0, 1020, 1000)
    area_iou = one.intersection(shifted).area / one.union(shifted).area
    assert boundary_iou(one, one, 40) == pytest.approx(1)
    assert boundary_iou(one, shifted, 40) < area_iou - 0.1
    assert boundary_iou(one, box(5000, 0, 6000, 1000), 40) == 0
