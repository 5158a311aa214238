"""Sampling plans: who is drawn, how likely, and that it can be repeated."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import shapely

from curupira.codes import IntensityClass
from curupira.errors import ConfigError
from curupira.validate.sampling import (
    Candidate,
    Draw,
    Plan,
    allocate,
    covered_share,
    draw,
    stratum_of,
)

RNG = np.random.default_rng(7)


def population(n: int, *, tiles: int = 5, covered: int = 0) -> list[Candidate]:
    sizes = RNG.lognormal(0.5, 1.2, n)
    return [
        Candidate(
            f"w{i:05d}",
            float(sizes[i]),
            IntensityClass.HIGH if i % 3 else IntensityClass.LOW,
            f"T{i % tiles}",
            0.9 if i < covered else 0.5,
        )
        for i in range(n)
    ]


def taken(found: list[Draw]) -> set[str]:
    return {d.warning_id for d in found if d.drawn}


def test_deter_r_takes_the_hundred_largest_and_three_hundred_others() -> None:
    warnings = population(1000, covered=40)
    found = draw(warnings, Plan.DETER_R, seed=1)
    assert len(found) == 1000
    assert sum(d.automatic for d in found) == 40
    rest = sorted(warnings[40:], key=lambda c: -c.area_ha)
    assert {c.warning_id for c in rest[:100]} <= taken(found)
    assert len(taken(found)) == 400
    assert not any(d.drawn for d in found if d.automatic)
    random = [d for d in found if d.stratum == "random"]
    assert {d.probability for d in random} == {300 / 860}


def test_half_covered_is_not_more_than_half() -> None:
    assert not any(d.automatic for d in draw(population(10), Plan.DETER_R, seed=1))


def test_deter_rt_looks_into_every_tile() -> None:
    big = [Candidate(f"a{i}", 50 + i, IntensityClass.HIGH, "T0") for i in range(60)]
    small = [Candidate(f"b{i}", 1 + i / 100, IntensityClass.HIGH, f"S{i % 4}") for i in range(200)]
    found = draw([*big, *small], Plan.DETER_RT, seed=3)
    extra = [d for d in found if d.stratum == "tile"]
    assert {d.warning_id for d in extra} == {"b199", "b198", "b197", "b196"}
    assert len(taken(found)) == 50 + 4 + 46
    assert all(d.probability == 1 for d in extra)


def test_a_draw_depends_on_the_set_and_the_seed_alone() -> None:
    warnings = population(500)
    for plan in Plan:
        one = draw(warnings, plan, seed=5, blind_share=0.2)
        assert draw(warnings[::-1], plan, seed=5, blind_share=0.2) == one
        assert taken(draw(warnings, plan, seed=6)) != taken(one)
        drawn = [d for d in one if d.drawn]
        assert sum(d.blind for d in one) == round(0.2 * len(drawn))
        assert all(d.drawn for d in one if d.blind)


def test_inclusion_probabilities_are_the_shares_drawn_over_many_seeds() -> None:
    warnings = population(60)
    tally: Counter[str] = Counter()
    for seed in range(400):
        tally.update(taken(draw(warnings, Plan.STRATIFIED, seed=seed, size=24)))
    stated = {d.warning_id: d.probability for d in draw(warnings, Plan.STRATIFIED, seed=0, size=24)}
    for name, p in stated.items():
        # Six standard errors of a share of 400.
        assert tally[name] / 400 == pytest.approx(p, abs=6 * (p * (1 - p) / 400) ** 0.5 + 1e-12)


def test_the_inverse_probabilities_sum_to_the_population() -> None:
    warnings = population(300)
    found = draw(warnings, Plan.STRATIFIED, seed=2, size=90)
    assert len(taken(found)) == 90
    assert sum(1 / d.probability for d in found if d.drawn) == pytest.approx(300)
    assert {d.stratum for d in found} == {stratum_of(c) for c in warnings}


def test_small_classes_give_what_they_have() -> None:
    assert allocate({"a": 2, "b": 100, "c": 100}, 50) == {"a": 2, "b": 24, "c": 24}
    assert allocate({"a": 2}, 50) == {"a": 2}
    assert allocate({}, 5) == {}
    assert draw([], Plan.STRATIFIED, seed=1) == []


def test_a_share_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError):
        draw([], Plan.DETER_R, seed=1, blind_share=1.5)
    with pytest.raises(ConfigError):
        draw([], Plan.DETER_R, seed=1, size=-1)


def test_covered_share_counts_overlapping_alerts_once() -> None:
    square = shapely.box(0, 0, 10, 10)
    alerts = [shapely.box(0, 0, 5, 10), shapely.box(0, 0, 5, 10), shapely.box(5, 0, 6, 10)]
    far = shapely.box(50, 50, 60, 60)
    assert covered_share([square, far], alerts) == [pytest.approx(0.6), 0.0]
    assert covered_share([square], []) == [0.0]
