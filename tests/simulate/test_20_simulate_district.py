"""Events, sequences and rendering of simulated districts."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira.simulate.district import simulate_district
from curupira.simulate.events import VISIBLE_DB, mean_drop
from curupira.simulate.params import load_world, scenarios
from curupira.simulate.placement import area_quantile, distance_quantile, even_ranks
from curupira.simulate.sequences import Sequence, days_until_fire, grounds, nominal_drop


@pytest.fixture(scope="module")
def district():
    return simulate_district(size_km=2, years=2.6, seed=9)


def test_every_scenario_loads() -> None:
    assert set(scenarios()) >= {"default", "clean", "rain", "wet", "hilly", "late", "shifted"}
    for scenario in scenarios():
        load_world(scenario)


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 250))
def test_images_do_not_depend_on_the_rows_computed_at_a_time(district, rows: int) -> None:
    whole = district.renderer.image(5, rows=10_000)
    parts = district.renderer.image(5, rows=rows)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a, b)


def test_gamma0_is_finite_and_positive(district) -> None:
    vh, vv = district.renderer.image(0)
    for image in (vh, vv):
        assert np.isfinite(image).all()
        assert (image > 0).all()


def test_area_mixture_matches_a_plain_monte_carlo() -> None:
    p = load_world().events
    rng = np.random.default_rng(0)
    median = np.where(rng.random(200_000) < p.small_share, p.small_median_ha, p.large_median_ha)
    plain = median * np.exp(rng.normal(0, p.area_sd_ln, median.size))
    drawn = area_quantile(even_ranks(20_000, rng), p)
    for limit in (0.2, 0.5, 1.5, 5.0):
        assert (drawn < limit).mean() == pytest.approx((plain < limit).mean(), abs=0.01)


def test_distance_law_has_the_published_quantiles() -> None:
    p = load_world().events
    distances = distance_quantile(even_ranks(5000, np.random.default_rng(0)), p, 1e6)
    assert np.median(distances) == pytest.approx(255, rel=0.04)
    assert np.quantile(distances, 0.9) == pytest.approx(1161, rel=0.06)


def test_a_clearing_is_bright_then_dark_then_regrows() -> None:
    sequence = Sequence(30.0, 0.5, 4.0, 0.85, 100.0, 2.0, 0.35, 1.0)
    drop = nominal_drop(sequence, np.array([-1.0, 0.0, 29.0, 30.0, 80.0, 5000.0]))
    expected = [np.nan, 0.5, 0.5, 4.0, 4 * (0.35 + 0.65 * np.exp(-0.25)), 1.4]
    np.testing.assert_allclose(drop, expected, rtol=1e-5)


def test_patches_that_the_first_fire_leaves_burn_later() -> None:
    sequence = Sequence(30.0, 0.5, 4.0, 0.85, np.inf, 2.0, 0.0, 1.0, 0.25, 20.0)
    assert grounds(sequence) == [(0.75, 0.0), (0.25, 20.0)]
    age = np.array([29.0, 30.0, 49.0, 50.0, 5000.0])
    np.testing.assert_allclose(nominal_drop(sequence, age), [0.5, 4.0, 4.0, 4.0, 4.0])
    np.testing.assert_allclose(nominal_drop(sequence, age, 20.0), [0.5, 0.5, 0.5, 4.0, 4.0])


def test_slash_waits_for_the_months_of_fire() -> None:
    p = load_world().sequence
    waits = [days_until_fire(p, date(2023, month, 15), 30.0) for month in range(1, 13)]
    assert max(waits[6:9]) < 40
    assert waits[3] > 2 * waits[6]
    assert waits[3] > waits[5] > waits[6]
    # Whoever fells later never burns earlier.
    burnt = [
        date(2023, 1, 1 + k).toordinal() + days_until_fire(p, date(2023, 1, 1 + k), 30)
        for k in range(30)
    ]
    assert (np.diff(burnt) >= 0).all()
    # By hand: 10 days at half pace, then the rest at full.
    half = p.model_copy(update={"burning_pace": (1.0, 0.5, *[1.0] * 10)})
    assert days_until_fire(half, date(2023, 2, 19), 12.0) == pytest.approx(17.0)


def test_a_clearing_burns_in_patches_as_large_as_was_drawn(district) -> None:
    patches = district.patches
    large = [e for e in district.events if e.kind == "clearing" and e.area_ha > 1]
    assert large
    for event in large:
        numbers = np.flatnonzero(patches.event_of == event.event_id)
        counts = np.bincount(patches.patch.ravel(), minlength=patches.event_of.size)[numbers]
        np.testing.assert_allclose(
            counts / counts.sum(), [part.share for part in event.parts], atol=0.02
        )
        dark = district.timeline.days >= event.start_days + event.sequence.slash_days
        later = district.timeline.days < (
            event.start_days + event.sequence.slash_days + event.sequence.second_days
        )
        if event.sequence.darkens and (dark & later).any():
            burnt, left = (part.vh_drop_db[dark & later].mean() for part in event.parts)
            assert burnt > left + 0.5


def test_covers_keep_their_own_season() -> None:
    district = simulate_district(size_km=4, years=4, seed=1)
    land = district.landscape
    kinds = np.array(land.covers.kind)
    assert {"sandbar", "pond", "pasture", "river"} <= set(kinds)
    levels = district.renderer._levels.vh_db
    month = district.timeline.months

    def seen(kind: str, months: tuple[int, ...]) -> float:
        over_forest = levels[kinds == kind] - levels[0]
        return float(over_forest[:, np.isin(month, months)].mean())

    # Sand lies dry in September and is river in March; grass is greenest with the rains.
    assert seen("sandbar", (8, 9, 10)) > seen("sandbar", (2, 3, 4)) + 4
    assert seen("pasture", (1, 2, 3)) > seen("pasture", (7, 8, 9)) + 1
    # The flood comes after the rains.
    assert seen("flooded_forest", (4, 5, 6)) > seen("flooded_forest", (10, 11, 12)) + 0.5


def test_painted_pixels_darken_on_their_day_and_no_earlier(district) -> None:
    patches, timeline = district.patches, district.timeline
    monitored = [e for e in district.events if e.kind == "clearing"]
    large = max(monitored, key=lambda e: e.area_ha)
    mask = patches.event == large.event_id
    onset = patches.onset_days[mask]
    assert onset.min() >= large.start_days
    assert onset.max() <= np.ceil(large.start_days + large.growth_days)
    drop = mean_drop(large, timeline.days)
    assert (drop[timeline.days < large.start_days] == 0).all()
    painted = np.array([(onset <= day).mean() for day in timeline.days])
    seen = drop >= VISIBLE_DB
    assert (painted[seen] > 0.2).all()


def test_events_lie_on_free_forest_or_say_so(district) -> None:
    event, land = district.patches.event, district.landscape
    kinds = np.array(land.covers.kind)
    for item in district.events:
        found = set(kinds[np.unique(land.cover[event == item.event_id])])
        wanted = {"secondary", "flooded_forest"} if item.outside_mask else {"forest", "stream"}
        assert found <= wanted
        if not item.outside_mask:
            assert (land.distance_m[event == item.event_id] > 0).all()
