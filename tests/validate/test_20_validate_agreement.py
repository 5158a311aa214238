"""Agreement table and user's accuracy: totals, shares, and what the intervals cover."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from curupira.codes import IntensityClass, Verdict
from curupira.validate.agreement import (
    CATEGORIES,
    Category,
    Judged,
    UserAccuracy,
    agreement_table,
    judged_share,
    silent,
    user_accuracy,
)
from curupira.validate.sampling import Candidate, Plan, draw
from curupira.validate.verdicts import REJECTING, UNASSESSED

HIGH, LOW = IntensityClass.HIGH, IntensityClass.LOW


def test_every_pair_of_classes_has_one_category() -> None:
    for kind in IntensityClass:
        assert set(CATEGORIES[kind]) == set(Verdict)
        assert {v for v, c in CATEGORIES[kind].items() if c is Category.MAJOR} == REJECTING
        assert {v for v, c in CATEGORIES[kind].items() if c is Category.UNASSESSED} == UNASSESSED


def test_the_table_adds_up_and_its_totals_are_the_sums_of_their_rows() -> None:
    judged = [
        Judged(HIGH, Verdict.RECENT_DEFORESTATION, 6.0),
        Judged(HIGH, Verdict.RECENT_DEGRADATION, 2.0),
        Judged(LOW, Verdict.RECENT_DEGRADATION, 1.0),
        Judged(LOW, Verdict.NON_FOREST, 0.5),
        Judged(HIGH, Verdict.CLOUD, 0.5),
    ]
    rows = agreement_table(judged)
    totals = {r.category: r for r in rows if r.verdict is None}
    for category in Category:
        parts = [r for r in rows if r.category is category and r.verdict is not None]
        assert totals[category].n == sum(r.n for r in parts)
        assert totals[category].area_ha == pytest.approx(sum(r.area_ha for r in parts))
    assert totals[Category.AGREEMENT].share_area == pytest.approx(0.7)
    assert totals[Category.MINOR].share_n == pytest.approx(0.2)
    assert totals[Category.MAJOR].share_area == pytest.approx(0.05)
    assert sum(r.share_area for r in totals.values()) == pytest.approx(1)


def test_an_empty_table_has_no_shares_and_no_accuracy() -> None:
    assert {r.share_n for r in agreement_table([])} == {0.0}
    assert {e.value for e in user_accuracy([], by_area=True).values()} == {None}


def test_the_four_ways_to_count_what_nobody_could_assess() -> None:
    judged = [
        *[Judged(HIGH, Verdict.RECENT_DEFORESTATION, 1.0)] * 6,
        *[Judged(HIGH, Verdict.AUTOMATIC, 1.0)] * 2,
        Judged(HIGH, Verdict.FALSE_POSITIVE, 1.0),
        Judged(HIGH, Verdict.CLOUD, 1.0),
    ]
    found = {name: e.value for name, e in user_accuracy(judged, by_area=False).items()}
    assert found == {
        "excluded": pytest.approx(8 / 9),
        "counted_false": pytest.approx(8 / 10),
        "counted_true": pytest.approx(9 / 10),
        "without_automatic": pytest.approx(6 / 7),
    }
    # Everybody was looked at: nothing is left to chance.
    assert all(e.low == e.high for e in user_accuracy(judged, by_area=False).values())


def test_a_stratified_sample_finds_the_accuracy_of_the_population() -> None:
    rng = np.random.default_rng(11)
    n = 1500
    area = rng.lognormal(0.5, 1.0, n)
    # The large ones are better: a plain mean over a sample of the largest would flatter.
    false = rng.random(n) < np.where(area > 5, 0.02, 0.25)
    kind = [HIGH if x else LOW for x in rng.random(n) < 0.5]
    warnings = [Candidate(f"{i:05d}", float(area[i]), kind[i]) for i in range(n)]
    truth = float(area[~false].sum() / area.sum())
    hits, values = 0, []
    for seed in range(60):
        judged = [
            Judged(
                kind[int(d.warning_id)],
                Verdict.NON_FOREST if false[int(d.warning_id)] else Verdict.RECENT_DEFORESTATION,
                float(area[int(d.warning_id)]),
                d.probability,
                d.probability,
            )
            for d in draw(warnings, Plan.STRATIFIED, seed=seed, size=300)
            if d.drawn
        ]
        found = user_accuracy(judged, by_area=True)["excluded"]
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        values.append(found.value)
        hits += found.low <= truth <= found.high
    assert np.mean(values) == pytest.approx(truth, abs=0.02)
    assert hits >= 51, "a 95 % interval covers the truth in most of 60 samples"


def test_a_sample_without_an_error_says_no_certainty() -> None:
    right = [Judged(HIGH, Verdict.RECENT_DEFORESTATION, 1.0, 10 / 300, 10 / 300)] * 10
    wrong = [Judged(HIGH, Verdict.NON_FOREST, 1.0, 10 / 300, 10 / 300)] * 10
    for judged, value in ((right, 1.0), (wrong, 0.0)):
        found = user_accuracy(judged, by_area=False)["excluded"]
        assert found.value == value
        assert found.low is not None
        assert found.high is not None
        # Wilson's bound of 10 in 10: z^2 / (n + z^2) away from certainty.
        assert found.high - found.low == pytest.approx(1.96**2 / (10 + 1.96**2), abs=1e-4)
        assert found.low <= value <= found.high


@pytest.mark.parametrize("by_area", [False, True])
def test_intervals_near_certainty_cover_the_truth(by_area: bool) -> None:
    rng = np.random.default_rng(5)
    n, drawn, repeats = 3000, 150, 300
    area = rng.lognormal(0.5, 0.7, n)
    false = np.zeros(n, dtype=bool)
    false[rng.choice(n, 30, replace=False)] = True
    x = area if by_area else np.ones(n)
    truth = float(x[~false].sum() / x.sum())
    covered = 0
    for _ in range(repeats):
        judged = [
            Judged(
                HIGH,
                Verdict.NON_FOREST if false[i] else Verdict.RECENT_DEFORESTATION,
                float(area[i]),
                drawn / n,
                drawn / n,
            )
            for i in rng.choice(n, drawn, replace=False)
        ]
        found = user_accuracy(judged, by_area=by_area)["excluded"]
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    # Without Wilson's interval 0.79 and 0.71: one sample in five has no error at all.
    assert covered / repeats >= 0.93


DAY, NEXT = date(2024, 6, 1), date(2024, 6, 2)


def test_who_is_judged_stands_for_the_stratum_of_the_day() -> None:
    sure, random = (DAY, "deter_r", "largest"), (DAY, "deter_r", "random")
    asked = {sure: 100, random: 2900}
    # The queue begins with the largest: of the others nothing is known yet.
    assert judged_share({sure: (100, 100), random: (2900, 0)}, asked) == {}
    assert judged_share({sure: (100, 0), random: (2900, 9)}, asked) == {}
    found = judged_share({sure: (100, 50), random: (2900, 29)}, asked)
    assert found == {sure: pytest.approx(0.5), random: pytest.approx(0.01)}
    # What the estimate is not about neither counts nor is missed.
    assert judged_share({sure: (100, 50), random: (2900, 0)}, {sure: 7}) == {sure: 0.5}


def test_clouds_are_no_judgement() -> None:
    """Whose stratum is under clouds is stood for by the rest of it, not by other strata."""
    clear, cloudy = Verdict.RECENT_DEFORESTATION, Verdict.CLOUD
    judged = [
        *[Judged(HIGH, clear, 1.0, 10 / 100, 10 / 100)] * 10,
        *[Judged(LOW, Verdict.NON_FOREST, 1.0, 10 / 100, 2 / 100)] * 2,
        *[Judged(LOW, cloudy, 1.0, 10 / 100, 2 / 100)] * 8,
    ]
    found = {name: e.value for name, e in user_accuracy(judged, by_area=False).items()}
    assert found["excluded"] == found["without_automatic"] == pytest.approx(0.5)
    assert found["counted_false"] == pytest.approx(100 / 200)
    assert found["counted_true"] == pytest.approx(180 / 200)
    # Where nothing but clouds was seen of a stratum, only the bounds can be told.
    hidden = [replace(j, usable=None) for j in judged]
    found = {name: e.value for name, e in user_accuracy(hidden, by_area=False).items()}
    assert (found["excluded"], found["without_automatic"]) == (None, None)
    assert found["counted_true"] == pytest.approx(180 / 200)


def test_strata_that_nothing_stands_for_are_named() -> None:
    first, second = (DAY, "stratified", "low_small"), (NEXT, "stratified", "low_small")
    other = (DAY, "stratified", "high_large")
    counted = {first: (30, 0), second: (60, 1), other: (5, 0)}
    assert silent(counted, {first: 30, second: 60, other: 5}) == [("stratified", "high_large")]
    assert silent(counted, {first: 30, second: 60}) == []
    assert silent(counted, {first: 30}) == [("stratified", "low_small")]


def test_a_day_without_a_verdict_is_stood_for_by_the_same_stratum_of_other_days() -> None:
    first, second = (DAY, "stratified", "low_small"), (NEXT, "stratified", "low_small")
    other_plan = (NEXT, "deter_r", "low_small")
    counted = {first: (30, 10), second: (60, 0), other_plan: (5, 0)}
    found = judged_share(counted, {first: 30, second: 60})
    assert found == {first: pytest.approx(10 / 90)}
    assert judged_share(counted, {first: 30, other_plan: 5}) == {}


def test_a_half_reviewed_sample_is_not_taken_for_the_whole() -> None:
    rng = np.random.default_rng(0)
    n = 3000
    area = rng.lognormal(0.5, 1.0, n)
    false = rng.random(n) < np.where(area > 8, 0.02, 0.3)
    warnings = [Candidate(f"{i:05d}", float(area[i]), HIGH) for i in range(n)]
    every = draw(warnings, Plan.DETER_R, seed=1)
    queue = [d for d in every if d.drawn]
    population = Counter((DAY, "deter_r", d.stratum) for d in every)

    def estimate(done: int) -> UserAccuracy:
        seen = Counter((DAY, "deter_r", d.stratum) for d in queue[:done])
        share = judged_share({k: (m, seen[k]) for k, m in population.items()}, population)
        judged = [
            Judged(
                HIGH,
                Verdict.NON_FOREST if false[int(d.warning_id)] else Verdict.RECENT_DEFORESTATION,
                float(area[int(d.warning_id)]),
                share[DAY, "deter_r", d.stratum],
                share[DAY, "deter_r", d.stratum],
            )
            for d in (queue[:done] if share else [])
        ]
        return user_accuracy(judged, by_area=False)["excluded"]

    truth = float((~false).mean())
    assert estimate(100).value is None, "only the largest are judged"
    for done in (150, 250, 400):
        found = estimate(done)
        assert found.value == pytest.approx(truth, abs=0.12)
        assert found.low is not None
        assert found.high is not None
        assert found.low <= truth <= found.high
