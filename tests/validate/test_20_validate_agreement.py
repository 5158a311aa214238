"""Agreement table and user's accuracy: totals, shares, and what the intervals cover."""

from __future__ import annotations

import numpy as np
import pytest

from curupira.codes import IntensityClass, Verdict
from curupira.validate.agreement import (
    CATEGORIES,
    Category,
    Judged,
    agreement_table,
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
