"""Exceedance: strict comparison, counts, dates, signed excess."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from curupira.detect.exceedance import NO_FLAG, Exceedance, exceedance

F = npt.NDArray[np.float32]


def _one(series: list[float], reference: float = -13.0, drop: float = 2.0) -> Exceedance:
    db = np.array(series, dtype=np.float32).reshape(-1, 1, 1)
    days = np.arange(len(series), dtype=np.int32) * 12 + 100
    level = np.full((1, 1), reference, dtype=np.float32)
    return exceedance(db, level, np.array(drop, dtype=np.float32), days)


def test_the_comparison_is_strict() -> None:
    found = _one([-15.0])
    assert found.n_alerts[0, 0] == 0
    assert found.excess_db[0, 0] == 0
    assert found.first_flag_days[0, 0] == NO_FLAG
    below = float(np.nextafter(np.float32(-15), np.float32(-16)))
    assert _one([below]).n_alerts[0, 0] == 1


def test_dates_and_excess_of_a_clearing() -> None:
    found = _one([-13.0, -16.0, np.nan, -17.5, -14.0])
    assert found.n_alerts[0, 0] == 2
    assert found.first_flag_days[0, 0] == 112
    assert found.last_flag_days[0, 0] == 136
    assert found.excess_db[0, 0] == 2.5


def test_excess_is_negative_above_the_limit() -> None:
    found = _one([-13.0, -14.5, -12.0])
    assert found.n_alerts[0, 0] == 0
    assert found.excess_db[0, 0] == -0.5


def test_not_observed_without_reference_or_image() -> None:
    for found in (_one([np.nan, np.nan]), _one([-20.0], reference=np.nan), _one([])):
        assert found.n_alerts[0, 0] == 255
        assert np.isnan(found.excess_db[0, 0])
        assert found.first_flag_days[0, 0] == found.last_flag_days[0, 0] == NO_FLAG


def test_the_count_saturates_below_the_code_of_not_observed() -> None:
    assert _one([-20.0] * 300).n_alerts[0, 0] == 254


def _slow(db: F, level: F, drop: F, days: npt.NDArray[np.int32]) -> list[tuple[float, ...]]:
    rows = []
    for y in range(level.shape[0]):
        for x in range(level.shape[1]):
            limit = level[y, x] - drop[y, x]
            valid = [k for k in range(len(db)) if not np.isnan(db[k, y, x])]
            if np.isnan(limit) or not valid:
                rows.append((255, NO_FLAG, NO_FLAG, np.nan))
                continue
            flags = [int(days[k]) for k in valid if db[k, y, x] < limit]
            excess = max(limit - db[k, y, x] for k in valid)
            first, last = (min(flags), max(flags)) if flags else (NO_FLAG, NO_FLAG)
            rows.append((len(flags), first, last, excess))
    return rows


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        (5, 2, 3),
        elements=st.one_of(st.just(float("nan")), st.floats(-25, -5, width=32)),
    ),
    hnp.arrays(
        np.float32, (2, 3), elements=st.one_of(st.just(float("nan")), st.floats(-15, -10, width=32))
    ),
    st.permutations(range(5)),
)
def test_against_a_loop_over_pixels(db: F, level: F, order: list[int]) -> None:
    drop = np.full((2, 3), 2.185, dtype=np.float32)
    days = np.array([100, 112, 124, 136, 148], dtype=np.int32)
    expected = np.array(_slow(db, level, drop, days))
    # The order of the images does not matter.
    found = exceedance(db[order], level, drop, days[order])
    np.testing.assert_array_equal(found.n_alerts.ravel(), expected[:, 0])
    np.testing.assert_array_equal(found.first_flag_days.ravel(), expected[:, 1])
    np.testing.assert_array_equal(found.last_flag_days.ravel(), expected[:, 2])
    np.testing.assert_array_equal(found.excess_db.ravel(), expected[:, 3].astype(np.float32))
    assert found.n_alerts.dtype == np.uint8
    assert found.first_flag_days.dtype == np.int32
    assert found.excess_db.dtype == np.float32
