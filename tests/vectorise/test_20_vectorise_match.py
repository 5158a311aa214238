"""Matching: every rule of product.md 3, points 5 and 6, on squares of pixels."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, pairwise
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from curupira.codes import TRANSITIONS, ClosedReason, IntensityClass, Status
from curupira.records import Observation
from curupira.vectorise.match import Book, Entry, as_multipolygon, overlaps, snap
from curupira.vectorise.reconcile import reconcile

PIXEL = 400.0
DAY0 = date(2024, 1, 1)
#: Start of a detection period in which nothing expires.
LONG_AGO = date(2000, 1, 1)


def cells(x0: int, y0: int, x1: int, y1: int) -> BaseGeometry:
    """Rectangle of 20 m pixels."""
    return box(20 * x0, 20 * y0, 20 * x1, 20 * y1)


def book() -> Book:
    return Book(PIXEL, lambda geometry: float(geometry.area) / 1e4)


def seen(day: int, geometry: BaseGeometry, *, seq: int = 0, **changes: Any) -> Observation:
    """A polygon that the acquisition of a day shows."""
    values: dict[str, Any] = {
        "acquisition_id": f"a{day:04d}",
        "seq": seq,
        "day": DAY0 + timedelta(days=day),
        "scene_id": f"s{day:04d}",
        "geometry": geometry,
        "confirmed": False,
        "intensity_class": IntensityClass.LOW,
        "n_alerts": 1.0,
        "n_alerts_mean": 1.0,
        "intensity": 3.0,
        "excess_db": 0.3,
        "confidence": 0.7,
        "first_flag": DAY0 + timedelta(days=day),
        "last_flag": DAY0 + timedelta(days=day),
        "threshold_db": 2.2,
        "distance_m": 500.0,
        "n_pixels": round(geometry.area / PIXEL),
        "area_ha": geometry.area / 1e4,
        "area_geodesic_ha": geometry.area / 1e4,
    }
    return Observation(**(values | changes))


def clock(day: int) -> datetime:
    return datetime(2024, 1, 2, tzinfo=UTC) + timedelta(days=day)


def fold(b: Book, day: int, *observations: Observation, start: date = LONG_AGO) -> list[Entry]:
    changed, homes = b.apply(start, observations, clock(day))
    assert set(homes) == {o.seq for o in observations}
    return changed


def test_a_polygon_that_touches_nothing_founds_a_warning() -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 6, 6)))
    (entry,) = b.entries.values()
    assert entry.status is Status.PRELIMINARY
    assert entry.issued_at == clock(1)
    assert entry.confirmed_at is None
    assert entry.history == [(DAY0 + timedelta(days=1), pytest.approx(1.44))]


def test_one_match_is_the_union_and_one_pixel_is_enough() -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 6, 6)))
    fold(b, 13, seen(13, cells(5, 5, 10, 10)))
    (entry,) = b.entries.values()
    assert entry.geometry.equals(cells(0, 0, 6, 6).union(cells(5, 5, 10, 10)))
    assert entry.geometry.area == pytest.approx(PIXEL * (36 + 25 - 1))
    assert entry.issued_at == clock(1)
    assert entry.last.day == DAY0 + timedelta(days=13)


@pytest.mark.parametrize("other", [cells(6, 0, 12, 6), cells(6, 6, 12, 12)])
def test_a_common_edge_or_corner_is_no_match(other: BaseGeometry) -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 6, 6)))
    fold(b, 13, seen(13, other))
    assert len(b.open_entries()) == 2
    assert not overlaps(cells(0, 0, 6, 6), other, PIXEL)


def test_of_several_the_oldest_stays_and_the_others_merge_into_it() -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 6, 6)))
    fold(b, 13, seen(13, cells(10, 0, 16, 6)), seen(13, cells(20, 0, 26, 6), seq=1))
    changed = fold(b, 25, seen(25, cells(3, 2, 23, 4)))
    oldest, second, third = (b.entries[k] for k in sorted(b.entries))
    assert [e.key for e in changed] == [oldest.key, second.key, third.key]
    assert oldest.open
    assert oldest.geometry.area == pytest.approx(PIXEL * (3 * 36 + 2 * 8))
    for other in (second, third):
        assert other.closed_reason is ClosedReason.MERGED
        assert other.merged_into == oldest.key
        assert other.geometry.area == pytest.approx(PIXEL * 36), "a closed warning keeps its shape"


def test_what_was_flagged_before_the_watch_began_stays_preliminary() -> None:
    b = Book(PIXEL, lambda g: float(g.area) / 1e4, news_after=DAY0 + timedelta(days=10))
    early, late = DAY0 + timedelta(days=10), DAY0 + timedelta(days=11)
    old = seen(12, cells(0, 0, 6, 6), first_flag=early)
    fold(b, 12, old, seen(12, cells(10, 0, 16, 6), seq=1, confirmed=True, first_flag=late))
    # Its later polygons may begin later: what was seen once is remembered.
    fold(b, 24, seen(24, cells(0, 0, 6, 8), confirmed=True))
    assert [e.status for e in b.entries.values()] == [Status.PRELIMINARY, Status.CONFIRMED]
    # A confirmed warning that swallows it stays confirmed.
    fold(b, 36, seen(36, cells(3, 2, 12, 4)))
    assert b.entries[0].status is Status.CONFIRMED
    assert b.entries[0].confirmed_at == clock(12)


def test_age_is_by_founding_not_by_size_or_confirmation() -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 5, 6)))
    fold(b, 13, seen(13, cells(10, 0, 40, 30), confirmed=True))
    fold(b, 25, seen(25, cells(3, 2, 12, 4)))
    assert b.entries[0].open
    assert b.entries[1].merged_into == 0


def test_several_polygons_may_belong_to_one_warning() -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 20, 6)))
    changed, homes = b.apply(
        LONG_AGO, [seen(13, cells(0, 0, 6, 8)), seen(13, cells(12, 0, 18, 8), seq=1)], clock(13)
    )
    assert len(changed) == 1
    assert {e.key for e in homes.values()} == {0}
    assert b.entries[0].geometry.area == pytest.approx(PIXEL * (120 + 2 * 12))
    assert len(b.entries[0].history) == 2, "one step of its history an acquisition"


def test_polygons_and_warnings_linked_in_a_chain_become_one() -> None:
    # W0 - P0 - W1 - P1 - W2, with P1 given first: components, not pairs, decide.
    b = book()
    fold(b, 1, *(seen(1, cells(10 * k, 0, 10 * k + 6, 6), seq=k) for k in range(3)))
    fold(b, 13, seen(13, cells(13, 0, 23, 3), seq=1), seen(13, cells(3, 0, 13, 3), seq=0))
    assert [e.key for e in b.open_entries()] == [0]
    assert {b.entries[k].merged_into for k in (1, 2)} == {0}


def test_unconfirmed_without_a_flag_in_the_detection_period_expires() -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 6, 6)), seen(1, cells(10, 0, 16, 6), seq=1, confirmed=True))
    last = DAY0 + timedelta(days=1)
    assert fold(b, 20, start=last) == [], "a flag on its first day keeps it"
    (changed,) = fold(b, 61, start=last + timedelta(days=1))
    assert changed.key == 0
    assert changed.closed_reason is ClosedReason.EXPIRED
    assert b.entries[1].status is Status.CONFIRMED, "a confirmed one stays"


def test_expiry_comes_before_matching() -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 6, 6)))
    fold(b, 100, seen(100, cells(0, 0, 6, 6)), start=DAY0 + timedelta(days=40))
    assert b.entries[0].closed_reason is ClosedReason.EXPIRED
    assert b.entries[1].open
    assert b.entries[1].issued_at == clock(100)


def test_confirmation_is_kept_and_its_time_is_the_first() -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 6, 6)))
    fold(b, 13, seen(13, cells(0, 0, 6, 6), confirmed=True))
    fold(b, 25, seen(25, cells(0, 0, 6, 6), confirmed=False))
    fold(b, 37, seen(37, cells(0, 0, 6, 6), confirmed=True))
    entry = b.entries[0]
    assert entry.status is Status.CONFIRMED
    assert entry.confirmed_at == clock(13)
    assert entry.confirming is not None
    assert entry.confirming.scene_id == "s0013"


def test_confirmed_at_once() -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 6, 6), confirmed=True))
    assert b.entries[0].confirmed_at == b.entries[0].issued_at == clock(1)


def test_the_oldest_inherits_the_confirmation_of_what_it_swallows() -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 6, 6)))
    fold(b, 13, seen(13, cells(10, 0, 16, 6), confirmed=True))
    fold(b, 25, seen(25, cells(4, 0, 12, 3)))
    kept = b.entries[0]
    assert kept.status is Status.CONFIRMED
    assert kept.confirmed_at == clock(13)
    assert kept.confirming is not None
    assert kept.confirming.acquisition_id == "a0013"


def test_of_two_confirmations_the_earlier_one_counts() -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 6, 6)), seen(1, cells(10, 0, 16, 6), seq=1))
    fold(b, 13, seen(13, cells(10, 0, 16, 6), confirmed=True))
    fold(b, 25, seen(25, cells(0, 0, 6, 6), confirmed=True))
    fold(b, 37, seen(37, cells(4, 0, 12, 3)))
    assert b.entries[0].confirmed_at == clock(13)


def test_strengths_are_the_largest_seen_and_missing_numbers_do_not_spread() -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 6, 6), n_alerts=1.0, excess_db=0.9, confidence=math.nan))
    flagged = DAY0 - timedelta(days=3)
    fold(
        b,
        13,
        seen(
            13,
            cells(0, 0, 6, 6),
            n_alerts=2.0,
            excess_db=0.5,
            confidence=0.8,
            intensity_class=IntensityClass.HIGH,
            first_flag=flagged,
            threshold_db=9.0,
        ),
    )
    entry = b.entries[0]
    assert (entry.n_alerts, entry.excess_db, entry.confidence) == (2.0, 0.9, 0.8)
    assert entry.intensity_class is IntensityClass.HIGH
    assert entry.first_flag == flagged
    assert entry.threshold_db == 2.2, "the founding observation's"
    fold(b, 25, seen(25, cells(0, 0, 6, 6)))
    assert entry.intensity_class is IntensityClass.HIGH, "never weaker again"


def test_growth_is_that_of_the_last_thirty_days() -> None:
    b = book()
    for day, width in ((0, 10), (20, 20), (40, 30), (60, 40)):
        fold(b, day, seen(day, cells(0, 0, width, 10)))
    # On day 60 the area of day 30 or before is that of day 20: 20 x 10 pixels.
    assert b.entries[0].growth_ha == pytest.approx((40 - 20) * 10 * PIXEL / 1e4)
    fresh = book()
    fold(fresh, 0, seen(0, cells(0, 0, 10, 10)))
    assert fresh.entries[0].growth_ha == 0.0
    fold(fresh, 12, seen(12, cells(0, 0, 15, 10)))
    assert fresh.entries[0].growth_ha == pytest.approx(50 * PIXEL / 1e4), "since first seen"


def test_a_merger_is_no_growth() -> None:
    b = book()
    fold(b, 0, seen(0, cells(0, 0, 10, 10)))
    fold(b, 12, seen(12, cells(20, 0, 40, 10)))
    fold(b, 60, seen(60, cells(8, 0, 22, 10)))
    assert [a for _, a in b.entries[0].history] == pytest.approx([4.0, 12.0, 16.0])
    assert b.entries[0].growth_ha == pytest.approx(4.0), "the bridge alone is new"


@pytest.mark.parametrize("source", list(Status))
@pytest.mark.parametrize("target", list(Status))
def test_only_legal_transitions(source: Status, target: Status) -> None:
    b = book()
    fold(b, 1, seen(1, cells(0, 0, 6, 6)))
    entry = b.entries[0]
    entry.status = source
    if target in TRANSITIONS[source]:
        entry.move_to(target)
        assert entry.status is target
    else:
        with pytest.raises(ValueError, match="cannot become"):
            entry.move_to(target)


def test_snap_undoes_a_small_error_and_keeps_pixels_exact() -> None:
    shifted = shapely.transform(cells(3, 4, 9, 9), lambda xy: xy + 1e-5)
    assert shapely.equals_exact(snap(shifted, 20.0), cells(3, 4, 9, 9), tolerance=0)
    assert as_multipolygon(cells(0, 0, 1, 1)).geom_type == "MultiPolygon"


# --- re-evaluation ------------------------------------------------------------------------------


def stored(b: Book) -> list[Entry]:
    """The book's entries as they come from the store, by row."""
    return [copy.deepcopy(b.entries[k]) for k in sorted(b.entries)]


def fresh(b: Book) -> list[Entry]:
    return [b.entries[k] for k in sorted(b.entries)]


def test_reconcile_finds_every_warning_of_an_unchanged_fold() -> None:
    b = book()
    fold(b, 1, *(seen(1, cells(10 * k, 0, 10 * k + 6, 6), seq=k) for k in range(3)))
    fold(b, 13, seen(13, cells(3, 0, 13, 3)), seen(13, cells(40, 0, 46, 6), seq=1))
    fold(b, 90, seen(90, cells(40, 0, 46, 6)), start=DAY0 + timedelta(days=30))
    assert reconcile(stored(b), fresh(b), PIXEL) == {k: k for k in b.entries}


def test_of_a_split_the_largest_part_keeps_the_identity() -> None:
    before = book()
    fold(before, 1, seen(1, cells(0, 0, 6, 6)))
    fold(before, 13, seen(13, cells(4, 0, 30, 6)))
    after = book()
    fold(after, 1, seen(1, cells(0, 0, 6, 6)))
    fold(after, 13, seen(13, cells(12, 0, 30, 6)))
    assert reconcile(stored(before), fresh(after), PIXEL) == {1: 0}


def test_of_several_that_become_one_the_oldest_keeps_the_identity() -> None:
    before = book()
    fold(before, 1, seen(1, cells(0, 0, 6, 6)))
    fold(before, 13, seen(13, cells(10, 0, 40, 20)))
    after = book()
    fold(after, 1, seen(1, cells(0, 0, 6, 6)))
    fold(after, 13, seen(13, cells(10, 0, 40, 20)))
    fold(after, 25, seen(25, cells(3, 0, 12, 4)))
    assert reconcile(stored(before), fresh(after), PIXEL) == {0: 0, 1: 1}


def test_what_nothing_supports_any_more_has_no_partner() -> None:
    before, after = book(), book()
    fold(before, 1, seen(1, cells(0, 0, 6, 6)), seen(1, cells(50, 50, 56, 56), seq=1))
    fold(after, 1, seen(1, cells(0, 0, 6, 6)))
    assert reconcile(stored(before), fresh(after), PIXEL) == {0: 0}
    assert reconcile([], fresh(after), PIXEL) == {}
    assert reconcile(stored(before), [], PIXEL) == {}


def test_a_confirmed_warning_is_never_preliminary_again() -> None:
    before, after = book(), book()
    fold(before, 1, seen(1, cells(0, 0, 6, 6), confirmed=True))
    fold(after, 1, seen(1, cells(0, 0, 6, 6)))
    assert reconcile(stored(before), fresh(after), PIXEL) == {}
    assert reconcile(stored(after), fresh(before), PIXEL) == {0: 0}, "forward it may go"


def test_neither_does_a_confirmed_one_expire_nor_an_expired_one_live_again() -> None:
    confirmed, expired, alive = book(), book(), book()
    fold(confirmed, 1, seen(1, cells(0, 0, 6, 6), confirmed=True))
    fold(alive, 1, seen(1, cells(0, 0, 6, 6)))
    fold(expired, 1, seen(1, cells(0, 0, 6, 6)))
    fold(expired, 90, start=DAY0 + timedelta(days=30))
    assert reconcile(stored(confirmed), fresh(expired), PIXEL) == {}
    assert reconcile(stored(expired), fresh(alive), PIXEL) == {}
    assert reconcile(stored(alive), fresh(expired), PIXEL) == {0: 0}


def test_a_rejected_warning_stays_itself() -> None:
    before, after = book(), book()
    fold(before, 1, seen(1, cells(0, 0, 6, 6), confirmed=True))
    before.entries[0].close(ClosedReason.REJECTED)
    fold(after, 1, seen(1, cells(0, 0, 6, 6), confirmed=True))
    assert reconcile(stored(before), fresh(after), PIXEL) == {0: 0}


# --- properties ---------------------------------------------------------------------------------


@st.composite
def squares(draw: st.DrawFn) -> list[tuple[BaseGeometry, bool]]:
    """Disjoint rectangles on a small field, as one acquisition shows them."""
    found: list[tuple[BaseGeometry, bool]] = []
    for _ in range(draw(st.integers(0, 4))):
        x, y = draw(st.integers(0, 20)), draw(st.integers(0, 20))
        shape = cells(x, y, x + draw(st.integers(1, 9)), y + draw(st.integers(1, 9)))
        if all(shape.intersection(other).area == 0 for other, _ in found):
            found.append((shape, draw(st.booleans())))
    return found


Passes = list[list[tuple[BaseGeometry, bool]]]
passes = st.lists(squares(), min_size=1, max_size=7)


def play(
    acquisitions: Passes, turn: list[int] | None = None, *, renumber: bool = False, days: int = 24
) -> tuple[Book, list[list[Status]]]:
    """Fold; ``turn`` hands over the polygons of each acquisition in another order.

    With ``renumber`` they get other numbers as well.
    """
    b, statuses = book(), []
    for n, shapes in enumerate(acquisitions):
        day = 12 * n
        by = turn[n % len(turn)] % len(shapes) if turn and shapes else 0
        numbers = [(k + by) % len(shapes) if renumber else k for k in range(len(shapes))]
        observations = [
            seen(day, shape, seq=seq, confirmed=confirmed)
            for seq, (shape, confirmed) in zip(numbers, shapes, strict=True)
        ]
        observations = observations[by:] + observations[:by]
        fold(b, day, *observations, start=DAY0 + timedelta(days=day - days))
        statuses.append([b.entries[k].status for k in sorted(b.entries)])
    return b, statuses


def picture(entries: Iterable[Entry]) -> list[tuple[Any, ...]]:
    return sorted(
        (
            shapely.normalize(e.geometry).wkt,
            str(e.status),
            str(e.closed_reason),
            e.first_flag,
            e.last_flag,
            e.issued_at,
            str(e.confirmed_at),
            [(d, round(a, 9)) for d, a in e.history],
        )
        for e in entries
    )


@settings(max_examples=60, deadline=None)
@given(passes)
def test_open_warnings_are_disjoint_and_cover_what_was_seen(acquisitions: Passes) -> None:
    b, _ = play(acquisitions, days=10_000)
    for first, second in combinations(b.open_entries(), 2):
        assert first.geometry.intersection(second.geometry).area == 0
    everything = shapely.union_all([shape for shapes in acquisitions for shape, _ in shapes])
    covered = shapely.union_all([e.geometry for e in b.open_entries()])
    assert covered.symmetric_difference(everything).area == 0, "nothing seen is lost or invented"


@settings(max_examples=60, deadline=None)
@given(passes)
def test_statuses_only_move_along_legal_transitions(acquisitions: Passes) -> None:
    b, statuses = play(acquisitions)
    for earlier, later in pairwise(statuses):
        for before, now in zip(earlier, later, strict=False):
            assert now is before or now in TRANSITIONS[before]
    for entry in b.entries.values():
        assert (entry.status is Status.CLOSED) == (entry.closed_reason is not None)
        assert (entry.closed_reason is ClosedReason.MERGED) == (entry.merged_into is not None)
        if entry.merged_into is not None:
            assert entry.merged_into < entry.key, "into an older one"


turns = st.lists(st.integers(0, 3), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(passes, turns)
def test_the_fold_is_a_function_of_the_observations(acquisitions: Passes, turn: list[int]) -> None:
    expected = picture(play(acquisitions)[0].entries.values())
    assert picture(play(acquisitions)[0].entries.values()) == expected
    assert picture(play(acquisitions, turn)[0].entries.values()) == expected


@settings(max_examples=60, deadline=None)
@given(passes, turns)
def test_the_numbering_within_an_acquisition_does_not_change_what_is_open(
    acquisitions: Passes, turn: list[int]
) -> None:
    # Of two warnings of one age the numbering says which one merges into the other.
    other, _ = play(acquisitions, turn, renumber=True)
    assert picture(play(acquisitions)[0].open_entries()) == picture(other.open_entries())


@settings(max_examples=40, deadline=None)
@given(passes, passes)
def test_reconcile_pairs_one_to_one_and_legally(before: Passes, after: Passes) -> None:
    old, new = stored(play(before)[0]), fresh(play(after)[0])
    pairs = reconcile(old, new, PIXEL)
    assert len(set(pairs.values())) == len(pairs)
    by_key = {e.key: e for e in new}
    for key, j in pairs.items():
        assert overlaps(by_key[key].geometry, old[j].geometry, PIXEL)
        assert (
            by_key[key].status is old[j].status or by_key[key].status in TRANSITIONS[old[j].status]
        )
    # Nobody is left alone who could have been paired with one left alone.
    for e in new:
        if e.key not in pairs:
            for j in set(range(len(old))) - set(pairs.values()):
                assert reconcile([old[j]], [e], PIXEL) == {}
