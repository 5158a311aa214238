"""The whole assessment on a hand-made district: each rule of product.md section 8."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from shapely.geometry import box

from curupira.validate.accuracy import assess
from curupira.validate.found import Watch
from curupira.validate.matching import Alert, Event

SINCE = date(2022, 1, 1)
WATCH = Watch(
    preset="deter_r",
    since=SINCE,
    end=date(2022, 12, 31),
    known=date(2023, 1, 1),
    revisit_days=12.0,
    monitored_km2=100.0,
)


def on(n):
    return SINCE + timedelta(days=n)


def square(place, side=100.0):
    return box(1000 * place, 0, 1000 * place + side, side)


def event(place, start, visible=None, side=100.0, **more):
    shape = square(place, side)
    return Event(
        f"e{place}",
        shape,
        on(start),
        shape.area / 1e4,
        visible=None if visible is None else on(visible),
        **more,
    )


def alert(place, confirmed, last_flag=None, side=100.0, issued=None, **more):
    shape = square(place, side)
    day = confirmed if confirmed is not None else issued
    return Alert(
        f"w{place}-{day}",
        shape,
        shape.area / 1e4,
        issued=on(day),
        confirmed=None if confirmed is None else on(confirmed),
        last_flag=on(day - 1 if last_flag is None else last_flag),
        **more,
    )


def test_found_within_sixty_days_of_start_and_of_becoming_visible():
    events = [
        event(0, 100, 110),  # found 30 days after the start
        event(1, 100, 150),  # found 80 after the start, 30 after it shows
        event(2, 100, 110),  # never
        event(3, 100, None),  # never visible, never found
        event(4, 340, 350),  # visible less than two revisits before the end
    ]
    found = assess([alert(0, 130), alert(1, 180)], events, WATCH)
    assert found.events == 5
    assert found.estimates["pa_all_count"].value == pytest.approx(1 / 5)
    assert found.estimates["pa_count"].value == pytest.approx(2 / 3)
    assert found.estimates["pa_count"].n == 3


@pytest.mark.parametrize(("day", "in_time"), [(160, True), (161, False)])
def test_sixty_days_are_whole_days_of_the_product_clock(day, in_time):
    found = assess([alert(0, day)], [event(0, 100, 100)], WATCH)
    assert found.estimates["pa_all_count"].value == in_time
    assert found.estimates["pa_count"].value == in_time


@pytest.mark.parametrize(("visible", "counts"), [(340, True), (341, False)])
def test_visible_means_two_revisits_before_the_end(visible, counts):
    found = assess([], [event(0, 330, visible)], WATCH)
    assert WATCH.end == on(364)
    assert found.estimates["pa_count"].n == counts


def test_by_area_a_large_event_weighs_more():
    events = [event(0, 100, 100, side=300), event(1, 100, 100, side=100)]
    found = assess([alert(0, 120, side=300)], events, WATCH)
    assert found.estimates["pa_all_count"].value == 0.5
    assert found.estimates["pa_all_area"].value == pytest.approx(0.9)
    assert found.estimates["pa_area"].value == pytest.approx(0.9)


def test_users_accuracy_concerns_confirmed_warnings():
    alerts = [alert(0, 130), alert(1, 130, side=300), alert(2, None, issued=130)]
    found = assess(alerts, [event(0, 100, 100)], WATCH)
    assert found.warnings == 2
    assert found.estimates["ua_count"].value == 0.5
    assert found.estimates["ua_area"].value == pytest.approx(0.1)
    # One false of each status on 100 km2 in 364 days.
    exposure = 0.1 * 364 / 30.4375
    assert found.false["confirmed"].value == pytest.approx(1 / exposure)
    assert found.false["preliminary"].value == pytest.approx(1 / exposure)


def test_minimum_area_restricts_events_found_and_warnings_judged_but_not_truth():
    small = event(0, 100, 100, side=50)  # 0.25 ha
    large = event(1, 100, 100, side=100)
    # A warning of 1 ha over the small event is true: it covers all of it.
    alerts = [alert(0, 120, side=100), alert(5, 120, side=50)]
    found = assess(alerts, [small, large], WATCH, min_area_ha=0.4)
    assert found.events == 1
    assert found.warnings == 1
    assert found.estimates["ua_count"].value == 1
    assert found.estimates["pa_all_count"].value == 0
    assert found.false["confirmed"].n == 0
    everything = assess(alerts, [small, large], WATCH)
    assert everything.warnings == 2
    assert everything.estimates["ua_count"].value == 0.5


def test_an_area_exactly_at_the_minimum_counts_after_rounding():
    shape = square(0, 100.0)
    edge = Event("e", shape, on(100), 1.0 - 1e-9)
    assert assess([], [edge], WATCH, min_area_ha=1.0).events == 1


def test_only_events_after_monitor_since_count():
    early, same_day, later = event(0, -30, -20), event(1, 0, 10), event(2, 1, 10)
    found = assess([alert(0, 30), alert(1, 30), alert(2, 30)], [early, same_day, later], WATCH)
    assert found.events == 1
    assert found.estimates["ua_count"].value == pytest.approx(1 / 3)


def test_events_after_the_last_acquisition_are_not_judged():
    assert assess([], [event(0, 365)], WATCH).events == 0


def test_a_merged_warning_finds_but_is_not_counted():
    merged = alert(0, 110, judged=False)
    survivor = alert(0, 150)
    found = assess([merged, survivor], [event(0, 100, 100)], WATCH)
    assert found.warnings == 1
    assert found.warned_by[12].value == 1
    assert found.estimates["duplicates"].value == 0


def test_duplicates():
    twice = [alert(0, 110), alert(0, 150), alert(1, 110)]
    found = assess(twice, [event(0, 100), event(1, 100), event(2, 100)], WATCH)
    assert found.estimates["duplicates"].value == 0.5
    assert found.estimates["duplicates"].n == 2


def test_delays_are_kaplan_meier_with_the_missed_censored():
    events = [event(k, 100, 110) for k in range(4)]
    alerts = [alert(0, 112), alert(1, 124), alert(2, 136)]
    document = assess(alerts, events, WATCH).document()
    assert document["delay_days"]["median"]["value"] == 14
    assert document["delay_from_event_days"]["median"]["value"] == 24
    assert document["delay_from_event_days"]["p90"]["value"] is None
    shares = {d: e["value"] for d, e in document["warned_by_days"].items()}
    assert shares == {"6": 0, "12": 0.25, "24": 0.5, "36": 0.75, "60": 0.75}


def test_found_before_it_was_visible_is_no_negative_delay():
    found = assess([alert(0, 110)], [event(0, 100, 150)], WATCH)
    assert found.document()["delay_days"]["median"]["value"] == 0
    assert found.estimates["pa_count"].value == 1


def test_never_visible_has_no_delay_from_becoming_visible():
    document = assess([], [event(0, 100, None)], WATCH).document()
    assert document["delay_days"]["median"]["n"] == 0
    assert document["delay_from_event_days"]["median"]["n"] == 1


def test_operating_points_along_the_confidence():
    events = [event(k, 100, 100) for k in range(10)]
    alerts = [alert(k, 120, confidence=0.99 - k / 100) for k in range(9)]
    alerts += [alert(k, 120, confidence=0.5) for k in (20, 21, 22)]
    found = assess(alerts, events, WATCH)
    assert found.estimates["ua_count"].value == pytest.approx(0.75)
    # Above 0.5 nothing is false: nine of ten events at a user's accuracy of one.
    assert found.estimates["pa_at_ua98"].value == pytest.approx(0.9)
    assert found.estimates["ua_at_pa90"].value == 1
    assert found.estimates["ua_at_pa90"].n == 9
    never = assess(alerts[:5], events, WATCH).estimates["ua_at_pa90"]
    assert never.value is None


def test_prevalence_is_the_truths_own():
    # 20 ha of 100 km2 in 364 days: 0.2007 % a year, so hardly anything changes.
    events = [event(k, 100, 100) for k in range(20)]
    alerts = [alert(k, 120) for k in range(20)] + [alert(k, 120) for k in range(30, 35)]
    found = assess(alerts, events, WATCH)
    assert found.loss_per_year == pytest.approx(0.002007, abs=1e-5)
    assert found.estimates["ua_at_prevalence"].value == pytest.approx(0.8, abs=1e-3)
    # Twice the forest at the same false number: half the loss, so the true ones count double.
    wide = assess(alerts, events, replace(WATCH, monitored_km2=200.0))
    k = 0.002 / wide.loss_per_year
    assert wide.estimates["ua_at_prevalence"].value == pytest.approx(20 * k / (20 * k + 5))


def test_misses_by_cause_add_up_to_what_is_missing():
    events = [
        event(0, 100, 110),  # found
        event(1, 100, 110),  # visible in time, undetected
        event(2, 100, None, causes=("wet", "slash")),
        event(3, 100, None, causes=("shadow",)),
        event(4, 100, 110, causes=("outside_mask",)),
        event(5, 350, None),  # too late for sixty days
        event(6, 100, 250, causes=("slash",)),  # found in time after it showed
        event(7, 100, None),
    ]
    found = assess([alert(0, 120), alert(6, 270)], events, WATCH)
    missed = {name: e.value * 8 for name, e in found.missed_by_cause.items() if e.value}
    assert missed == pytest.approx(
        {
            "undetected": 1,
            "slash": 2,
            "shadow": 1,
            "outside_mask": 1,
            "end_of_series": 1,
            "other": 1,
        }
    )
    total = sum(e.value for e in found.missed_by_cause.values())
    assert total == pytest.approx(1 - found.estimates["pa_all_count"].value)


def test_false_warnings_by_cause():
    alerts = [alert(10, 120), alert(11, 120), alert(12, None, issued=50), alert(0, 120)]
    causes = {"w10-120": "rain", "w0-120": "flood", "w12-50": "partial"}
    found = assess(alerts, [event(0, 100)], WATCH, false_causes=causes)
    counts = {name: e.n for name, e in found.false_by_cause.items() if e.n}
    # The true one has no cause; the unexplained one is speckle.
    assert counts == {"rain": 1, "speckle": 1, "partial": 1}
    assert set(found.false_by_cause) >= {"rain", "flood", "wet", "slash", "border", "season"}
    rates = sum(e.value for e in found.false_by_cause.values())
    assert rates == pytest.approx(found.false["confirmed"].value + found.false["preliminary"].value)


def test_bins_hold_every_event_and_warning_once():
    sides = [20, 40, 60, 90, 130, 200, 400, 600]
    events = [event(k, 100, 100, side=s, distance_m=60.0 * s) for k, s in enumerate(sides)]
    alerts = [alert(k, 120, side=s) for k, s in enumerate(sides)]
    found = assess(alerts, events, WATCH)
    assert [b.events for b in found.by_size] == [1] * 8
    assert [b.warnings for b in found.by_size] == [1] * 8
    assert sum(b.events for b in found.by_distance) == 8
    assert sum(b.warnings for b in found.by_distance) == 0
    document = found.document()["by_size"]
    assert (document[0]["low_ha"], document[-1]["high_ha"]) == (0, None)


def test_class_confusion_and_outlines():
    events = [event(0, 100, low=True), event(1, 100, low=False), event(2, 100, low=None)]
    alerts = [alert(0, 120, low=True), alert(1, 120, low=True), alert(2, 120, low=False)]
    found = assess(alerts, events, WATCH)
    assert found.confusion == {
        "low_intensity": {"low_intensity": 1, "high_intensity": 0},
        "high_intensity": {"low_intensity": 1, "high_intensity": 0},
    }
    assert found.estimates["iou"].value == 1
    assert found.estimates["boundary_iou"].value == 1
    assert found.estimates["area_ratio"].value == 1
    assert {name: values.tolist() for name, values in found.overlaps.items()} == {
        "boundary_iou": [1, 1, 1],
        "iou": [1, 1, 1],
    }
    assert assess(alerts, [event(2, 100)], WATCH).confusion == {}


def test_nothing_at_all_is_undefined_not_wrong():
    document = assess([], [], WATCH).document()
    for key in ("ua_count", "pa_all_count", "pa_count", "pa_at_ua98", "duplicates"):
        assert document[key] == {"value": None, "low": None, "high": None, "n": 0}
    assert document["false_per_1000km2_month"]["confirmed"]["value"] == 0
    assert document["ua_at_prevalence"]["value"] is None


def test_every_interval_holds_its_value():
    rng = np.random.default_rng(2)
    events = [
        event(k, int(s), int(s) + 10, side=float(a))
        for k, (s, a) in enumerate(
            zip(rng.integers(1, 300, 60), rng.uniform(30, 400, 60), strict=True)
        )
    ]
    alerts = [
        alert(
            k, int((e.start - SINCE).days + rng.integers(5, 90)), side=120, confidence=rng.random()
        )
        for k, e in enumerate(events[:40])
    ]
    document = assess(alerts, events, WATCH, min_area_ha=0.3).document()

    def walk(node):
        if isinstance(node, dict) and set(node) == {"value", "low", "high", "n"}:
            yield node
        elif isinstance(node, dict | list):
            for child in node.values() if isinstance(node, dict) else node:
                yield from walk(child)

    estimates = list(walk(document))
    assert len(estimates) > 80
    for e in estimates:
        if None not in (e["value"], e["low"], e["high"]):
            assert e["low"] <= e["value"] <= e["high"]
