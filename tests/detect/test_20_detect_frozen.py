"""Frozen mode: on its own day the method itself, later the method with what was known then."""

from dataclasses import fields
from datetime import date

import numpy as np
import pytest

from curupira import presets
from curupira.detect.block import StackBlock, block_layers
from curupira.detect.frozen import PLANES, check_frozen, freeze
from curupira.detect.params import DetectParams
from curupira.detect.season import stabilise, stabilise_by, stabilise_keeping
from curupira.errors import ConfigError
from curupira.units import years_since_2016

PARAMS = DetectParams.from_preset(presets.load("deter_r"))
TIMES = np.datetime64("2022-01-04T09:30", "ns") + np.arange(66) * np.timedelta64(12, "D")
ON = date(2024, 2, 29)


def stack(shape=(30, 150), seed=1):
    rng = np.random.default_rng(seed)
    years = years_since_2016(TIMES)
    season = 10 ** (0.05 * np.cos(2 * np.pi * years - 1))[:, None, None]
    power = 0.04 * season * rng.gamma(4.4, 1 / 4.4, (len(TIMES), *shape))
    power[rng.random(power.shape) < 0.01] = np.nan
    power[-3:, 8:20, 40:70] *= 0.3
    return power.astype(np.float32)


def split(on=ON):
    from curupira.detect.periods import periods

    return periods(on, PARAMS.period).masks(TIMES)


@pytest.mark.parametrize("season", ["harmonic", "none"])
def test_on_its_own_day_a_state_gives_the_method_bit_for_bit(season):
    params = PARAMS.model_copy(
        update={"season": PARAMS.season.model_copy(update={"season": season})}
    )
    power = stack()
    learning, detection = split()
    used = learning | detection
    state = freeze(power[used], TIMES[used], learning[used], params)
    assert state.shape == (PLANES, *power.shape[1:])
    exact = block_layers(StackBlock(power, TIMES), ON, params)
    late = StackBlock(power[detection], TIMES[detection])
    frozen = block_layers(late, ON, params, frozen=state)
    for f in fields(exact):
        np.testing.assert_array_equal(getattr(frozen, f.name), getattr(exact, f.name), f.name)
    assert (exact.n_alerts[10:18, 45:65] == 3).mean() > 0.9


def test_later_images_are_compared_with_the_state():
    power = stack()
    learning, detection = split(date(2023, 12, 31))
    used = learning | detection
    state = freeze(power[used], TIMES[used], learning[used], PARAMS)
    _, now = split()
    frozen = block_layers(StackBlock(power[now], TIMES[now]), ON, PARAMS, frozen=state)
    exact = block_layers(StackBlock(power, TIMES), ON, PARAMS)
    np.testing.assert_array_equal(frozen.reference_db, state[4])
    # Two months of 26 make other coefficients, and hardly other flags.
    assert not np.array_equal(frozen.excess_db, exact.excess_db)
    assert (frozen.n_alerts == exact.n_alerts).mean() > 0.97
    assert (frozen.n_alerts[10:18, 45:65] == 3).mean() > 0.9


@pytest.mark.parametrize("recentre", ["intercept", "median"])
def test_a_kept_season_is_taken_out_as_it_was_found(recentre):
    power = stack((3, 170))
    years, fit = years_since_2016(TIMES), np.ones(len(TIMES), bool)
    stable, season = stabilise_keeping(power, years, fit, recentre=recentre)
    np.testing.assert_array_equal(stable, stabilise(power, years, fit, recentre=recentre))
    np.testing.assert_array_equal(stabilise_by(power[20:23], years[20:23], season), stable[20:23])


def test_images_stay_as_they_are_where_no_season_is_taken_out():
    season = PARAMS.season.model_copy(update={"season": "none"})
    params = PARAMS.model_copy(update={"season": season})
    power = stack()
    learning, detection = split()
    used = learning | detection
    state = freeze(power[used], TIMES[used], learning[used], params)
    late = power[detection]
    block_layers(StackBlock(late, TIMES[detection]), ON, params, frozen=state)
    np.testing.assert_array_equal(late, power[detection])


def test_without_a_level_nothing_is_observed():
    power = stack((8, 130))
    _, now = split()
    state = np.full((PLANES, 8, 130), np.nan, np.float32)
    found = block_layers(StackBlock(power[now], TIMES[now]), ON, PARAMS, frozen=state)
    assert (found.n_alerts == 255).all()


def test_a_preset_that_needs_more_than_a_state_is_refused():
    check_frozen(PARAMS)
    with pytest.raises(ConfigError, match="frozen_days needs"):
        check_frozen(DetectParams.from_preset(presets.load("curupira")))


@pytest.mark.parametrize(
    ("option", "value"), [("border", "noisy"), ("season_order", "after"), ("orbits", "all")]
)
def test_an_option_that_needs_the_past_is_refused_by_name(option, value):
    preset = presets.load("deter_r").replace(**{option: value})
    with pytest.raises(ConfigError, match=f"frozen_days needs {option} = .*has '{value}'"):
        check_frozen(DetectParams.from_preset(preset))
