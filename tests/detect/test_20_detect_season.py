"""Seasonal stabilisation against a per-pixel least squares in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira.detect.season import check_season, stabilise, stabilise_db
from curupira.errors import InputError

YEARS = 5 + np.arange(60) * 12 / 365.25


def series(shape=(6, 7), missing=0.1, seed=0, years=YEARS):
    """(t, y, x) dB with a season, noise and NaN."""
    rng = np.random.default_rng(seed)
    amplitude = rng.uniform(0, 1, shape)
    phase = rng.uniform(0, 6, shape)
    angle = 2 * np.pi * years[:, None, None]
    db = -13 + amplitude * np.cos(angle - phase) + rng.normal(0, 2, (len(years), *shape))
    db[rng.random(db.shape) < missing] = np.nan
    return db.astype(np.float32)


def slow(db, years, fit, recentre):
    out = np.full(db.shape, np.nan)
    design = np.stack(
        [np.ones_like(years), np.cos(2 * np.pi * years), np.sin(2 * np.pi * years)], 1
    )
    for y, x in np.ndindex(db.shape[1:]):
        values = db[:, y, x].astype(float)
        use = fit & ~np.isnan(values)
        if use.sum() < 3 or np.linalg.cond(design[use]) > 100:
            continue
        beta = np.linalg.lstsq(design[use], values[use], rcond=None)[0]
        if recentre == "median":
            out[:, y, x] = values - design @ beta + np.median(values[use])
        else:
            out[:, y, x] = values - design[:, 1:] @ beta[1:]
    return out


@pytest.mark.parametrize("recentre", ["intercept", "median"])
@pytest.mark.parametrize("last", [60, 50])
def test_agrees_with_least_squares(recentre, last):
    db = series(shape=(12, 13))
    fit = np.arange(60) < last
    out = stabilise_db(db, YEARS, fit, recentre=recentre)
    np.testing.assert_allclose(out, slow(db, YEARS, fit, recentre), atol=1e-4)


@pytest.mark.parametrize("recentre", ["intercept", "median"])
def test_linear_form_is_the_db_form(recentre):
    db = series(shape=(3, 50))
    fit = np.ones(60, bool)
    out = stabilise((10 ** (db / 10)).astype(np.float32), YEARS, fit, recentre=recentre)
    expected = stabilise_db(db, YEARS, fit, recentre=recentre)
    np.testing.assert_allclose(10 * np.log10(out), expected, atol=2e-4)


def test_a_pure_season_of_known_amplitude_is_removed_and_the_level_kept():
    clean = series(missing=0)
    angle = 2 * np.pi * YEARS[:, None, None]
    db = (-13 + 0.4 * np.cos(angle - 1.1) + 0 * clean).astype(np.float32)
    out = stabilise_db(db, YEARS, np.ones(60, bool), recentre="intercept")
    np.testing.assert_allclose(out, -13, atol=2e-5)


def test_the_paper_s_form_ends_at_the_series_median():
    db = series(missing=0)
    fit = np.ones(60, bool)
    scripts = stabilise_db(db, YEARS, fit, recentre="intercept").astype(float)
    paper = stabilise_db(db, YEARS, fit, recentre="median").astype(float)
    difference = paper - scripts
    # A constant a pixel: it cancels between learning and detection images.
    assert np.ptp(difference, axis=0).max() < 1e-5
    residuals = paper - np.median(db, axis=0)
    np.testing.assert_allclose(residuals.mean(axis=0), 0, atol=1e-4)


def test_zero_and_negative_power_is_missing():
    power = (10 ** (series(missing=0) / 10)).astype(np.float32)
    marked = power.copy()
    marked[3], marked[7] = 0, -1
    nan = power.copy()
    nan[[3, 7]] = np.nan
    fit = np.ones(60, bool)
    np.testing.assert_array_equal(
        stabilise(marked, YEARS, fit, recentre="intercept"),
        stabilise(nan, YEARS, fit, recentre="intercept"),
    )


def test_a_pixel_seen_in_one_season_only_is_unknown_and_its_neighbours_are_not():
    db = series(missing=0)
    plain = stabilise_db(db, YEARS, np.ones(60, bool), recentre="intercept")
    db[np.abs(YEARS % 1 - 0.5) > 0.04, 2, 3] = np.nan
    out = stabilise_db(db, YEARS, np.ones(60, bool), recentre="intercept")
    assert np.isnan(out[:, 2, 3]).all()
    others = np.ones(db.shape[1:], bool)
    others[2, 3] = False
    np.testing.assert_array_equal(out[:, others], plain[:, others])


@given(start=st.floats(0, 1), span=st.floats(0.05, 0.6), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_condition_limit_per_pixel_is_that_of_the_design(start, span, seed):
    years = 6 + start + np.sort(np.random.default_rng(seed).uniform(0, span, 20))
    design = np.stack(
        [np.ones_like(years), np.cos(2 * np.pi * years), np.sin(2 * np.pi * years)], 1
    )
    condition = np.linalg.cond(design)
    db = series(shape=(1, 1), missing=0, years=years)
    refused = np.isnan(stabilise_db(db, years, np.ones(20, bool), recentre="intercept")).all()
    if abs(condition - 100) > 1:
        assert refused == (condition > 100)


@given(seed=st.integers(0, 1000), shift=st.floats(-10, 10))
@settings(max_examples=15, deadline=None)
def test_adding_a_level_adds_it_and_nan_stays_where_it_was(seed, shift):
    db = series(seed=seed, shape=(2, 3))
    fit = np.ones(60, bool)
    out = stabilise_db(db, YEARS, fit, recentre="intercept")
    moved = stabilise_db(db + np.float32(shift), YEARS, fit, recentre="intercept")
    np.testing.assert_allclose(moved, out + np.float32(shift), atol=1e-4)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(db))


def test_a_tile_gives_the_bits_of_the_whole():
    db = series(shape=(9, 40))
    fit = np.ones(60, bool)
    whole = stabilise_db(db, YEARS, fit, recentre="intercept")
    tile = stabilise_db(db[:, 3:6, 7:31], YEARS, fit, recentre="intercept")
    np.testing.assert_array_equal(tile, whole[:, 3:6, 7:31])


def dates(*months):
    return np.array([f"{2020 + i % 2}-{m:02d}-11" for i, m in enumerate(months)], "datetime64[ns]")


def test_season_of_a_full_year_is_accepted():
    check_season(dates(*range(1, 13)))
    check_season(dates(*range(1, 9)))


def test_too_few_calendar_months_are_refused_with_the_remedy():
    with pytest.raises(InputError, match='season = "none"') as caught:
        check_season(dates(1, 2, 3, 4, 10, 11, 12, 1, 2, 3), where="samples")
    assert "7 calendar months" in str(caught.value)
    assert str(caught.value).startswith("samples")


def test_an_ill_conditioned_design_is_refused(monkeypatch):
    # Eight months always give a sound design; the limit is tried by lowering it.
    monkeypatch.setattr("curupira.detect.season.MAXIMUM_CONDITION", 1.2)
    with pytest.raises(InputError, match="condition number"):
        check_season(dates(1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 1))


def test_lengths_must_agree_and_a_fit_needs_images():
    db = series()
    with pytest.raises(InputError, match="do not agree"):
        stabilise_db(db, YEARS[1:], np.ones(60, bool), recentre="intercept")
    with pytest.raises(InputError, match="no image"):
        stabilise_db(db, YEARS, np.zeros(60, bool), recentre="intercept")
