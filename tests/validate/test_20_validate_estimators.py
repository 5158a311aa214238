"""Estimators for samples: published example, hand-computed values, coverage on known censuses."""

import numpy as np
import pytest

from curupira.errors import InputError
from curupira.validate.estimators import from_error_matrix, from_strata

#: Worked example of Olofsson et al. 2014, table 8: deforestation, gain, stable forest, non-forest.
COUNTS = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
PIXELS = [200_000, 150_000, 3_200_000, 6_450_000]
PIXEL_HA = 0.09


def half(estimate):
    return 1.959964 * estimate.se


def test_olofsson_2014_worked_example():
    found = from_error_matrix(COUNTS, PIXELS)
    users = [(round(e.value, 2), round(half(e), 2)) for e in found.users.values()]
    assert users == [(0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)]
    assert round(found.producers[0].value, 2) == 0.75
    assert round(half(found.producers[0]), 2) == 0.21
    assert (round(found.overall.value, 2), round(half(found.overall), 2)) == (0.95, 0.02)
    total_ha = sum(PIXELS) * PIXEL_HA
    assert found.area_share[0].value * total_ha == pytest.approx(21_158, abs=1)
    assert half(found.area_share[0]) * total_ha == pytest.approx(6_158, abs=1)


def test_strata_that_are_the_map_classes_give_the_same():
    counts = np.array(COUNTS)
    mapped = np.repeat(np.arange(4), counts.sum(axis=1))
    reference = np.concatenate([np.repeat(np.arange(4), row) for row in counts])
    # So many units that the finite population correction vanishes.
    sizes = {k: 1e4 * n for k, n in enumerate(PIXELS)}
    one = from_error_matrix(COUNTS, PIXELS)
    other = from_strata(mapped, mapped, reference, sizes)
    for part in ("users", "producers", "area_share"):
        for k in range(4):
            a, b = getattr(one, part)[k], getattr(other, part)[k]
            assert b.value == pytest.approx(a.value)
            assert b.se == pytest.approx(a.se, rel=1e-6)
    assert other.overall.se == pytest.approx(one.overall.se, rel=1e-6)


def test_strata_apart_from_the_map_by_hand():
    # Stratum 0: 100 units, 4 sampled; stratum 1: 300 units, 3 sampled.
    stratum = np.array([0, 0, 0, 0, 1, 1, 1])
    mapped = np.array([1, 1, 0, 0, 1, 0, 0])
    reference = np.array([1, 0, 1, 0, 1, 0, 0])
    found = from_strata(stratum, mapped, reference, {0: 100, 1: 300})
    # True positives: means 1/4 and 1/3; mapped: 2/4 and 1/3. UA = (25 + 100) / (50 + 100).
    ua = 125 / 150
    assert found.users[1].value == pytest.approx(ua)
    # Residuals y - UA x: stratum 0: 1/6, -5/6, 0, 0; stratum 1: 1/6, 0, 0.
    s0 = np.var([1 / 6, -5 / 6, 0, 0], ddof=1)
    s1 = np.var([1 / 6, 0, 0], ddof=1)
    variance = (100**2 * 0.96 * s0 / 4 + 300**2 * 0.99 * s1 / 3) / 150**2
    assert found.users[1].se == pytest.approx(np.sqrt(variance))
    assert found.producers[1].value == pytest.approx(125 / (50 + 100))
    assert found.area_share[1].value == pytest.approx((50 + 100) / 400)
    assert found.overall.value == pytest.approx((50 + 300) / 400)


def census(seed):
    """Population with a rare class, an imperfect map, and strata that are neither."""
    rng = np.random.default_rng(seed)
    n = 40_000
    near = rng.random(n) < 0.25
    reference = (rng.random(n) < np.where(near, 0.25, 0.03)).astype(int)
    hit = rng.random(n)
    mapped = np.where(reference == 1, hit < 0.75, hit < 0.04).astype(int)
    return rng, near.astype(int), mapped, reference


def draw(rng, stratum, each):
    picks = [rng.choice(np.flatnonzero(stratum == s), each, replace=False) for s in (0, 1)]
    return np.concatenate(picks)


@pytest.mark.parametrize("by_map", [True, False])
def test_intervals_cover_the_census(by_map):
    rng, near, mapped, reference = census(3)
    stratum = mapped if by_map else near
    sizes = {s: int((stratum == s).sum()) for s in (0, 1)}
    both = (mapped == 1) & (reference == 1)
    truth = {
        "users": both.sum() / (mapped == 1).sum(),
        "producers": both.sum() / (reference == 1).sum(),
        "area_share": reference.mean(),
    }
    covered = dict.fromkeys(truth, 0)
    for _ in range(600):
        units = draw(rng, stratum, 400)
        if by_map:
            counts = np.zeros((2, 2), dtype=int)
            np.add.at(counts, (mapped[units], reference[units]), 1)
            found = from_error_matrix(counts, [sizes[0], sizes[1]])
        else:
            found = from_strata(stratum[units], mapped[units], reference[units], sizes)
        for part, value in truth.items():
            estimate = getattr(found, part)[1]
            covered[part] += estimate.low <= value <= estimate.high
    for part, times in covered.items():
        assert 0.92 <= times / 600 <= 0.98, (part, times / 600)


def test_what_cannot_be_estimated():
    with pytest.raises(InputError, match="fewer than two"):
        from_error_matrix([[1, 0], [3, 4]], [1, 1])
    with pytest.raises(InputError, match="no size"):
        from_error_matrix([[3, 0], [3, 4]], [1, 0])
    with pytest.raises(InputError, match="square"):
        from_error_matrix([[3, 0, 1], [3, 4, 1]], [1, 1])
    ones = np.ones(4, dtype=int)
    with pytest.raises(InputError, match="without a size"):
        from_strata(ones, ones, ones, {0: 10})
    with pytest.raises(InputError, match="smaller than its sample"):
        from_strata(ones, ones, ones, {1: 3})
    # A class that the reference never has: no producer's accuracy.
    found = from_error_matrix([[0, 5], [0, 5]], [1, 1])
    assert found.producers[0].value is None
    assert found.users[0].value == 0
