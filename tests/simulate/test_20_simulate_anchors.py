"""Simulated series keep to figures that were measured on real ones (method.md 4A).

The whole table, with its intervals, is ``benchmarks/simulated_anchors.py``; here are the figures
that need no spatial filter, in bounds that hold for any seed.
"""

from datetime import date, timedelta

import numpy as np
import pytest

from curupira.simulate.district import simulate_district
from curupira.simulate.params import District, load_world
from curupira.simulate.scenes import plan_passes
from curupira.simulate.sequences import (
    SequenceNumbers,
    draw_sequence,
    drop_series,
    soil_wetness,
)
from curupira.simulate.weather import local_season, season_db

#: Spread of a filtered forest pixel from date to date, measured on the real series (dB).
FOREST_SD_DB = 0.5
#: What the published filter leaves of a drop of dB in the middle of a clearing, at the median.
LEFT_BY_FILTER = 0.78


def clearings(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    p = load_world().sequence
    rng = np.random.default_rng(1)
    found = []
    for i in range(count):
        district = District(i // 20, "default")
        days = rng.uniform(0, 12) + 12.0 * np.arange(28)
        start = date(2021, 6, 1) + timedelta(days=int(rng.integers(0, 90)))
        months = np.array([(start + timedelta(days=day)).month for day in days])
        numbers = SequenceNumbers.of(p, district)
        wet = soil_wetness(p, District(i, "default"), months)
        sequence = draw_sequence(p, numbers, rng.random(), start, rng)
        surfaces = drop_series(sequence, days, wet, p, numbers, rng)
        power = sum(s.share * 10 ** (-np.nan_to_num(s.vh_drop_db) / 10) for s in surfaces)
        vh = -10 * np.log10(power)
        found.append((days, LEFT_BY_FILTER * vh + rng.normal(0, FOREST_SD_DB, days.size)))
    return found


def test_clearings_darken_late_and_brighten_again_as_real_ones_do() -> None:
    profile: dict[int, list[float]] = {0: [], 48: [], 96: [], 200: []}
    stays, never = [], 0
    for days, drop in clearings(1200):
        flags = np.flatnonzero(drop > 2.185)
        if not flags.size:
            never += 1
            continue
        since = days - days[flags[0]]
        stays.append((drop[(since >= 0) & (since <= 180)] > 2).mean())
        for lag in profile:
            at = (since >= lag) & (since < lag + 12)
            profile[lag] += drop[at].tolist()
    # Folds 0-1: 16 % never flag; 37 % of the dates stay dark; drop 3.0, 2.1, 1.1, 0.5 dB.
    # (One share left by the filter, whatever the clearing's size: fewer never flag than there.)
    assert 0.04 < never / 1200 < 0.2
    assert np.median(stays) == pytest.approx(0.37, abs=0.16)
    first = np.median(profile[0])
    for lag, real in ((48, 2.07 / 2.97), (96, 1.11 / 2.97), (200, 0.46 / 2.97)):
        assert np.median(profile[lag]) / first == pytest.approx(real, abs=0.15)


def test_forest_varies_from_date_to_date_as_real_forest_does() -> None:
    district = simulate_district(size_km=3, years=3, seed=21)
    forest = (district.landscape.cover == 0) & (district.patches.patch == 0)
    image = np.stack([district.renderer.image(i)[0] for i in range(60)])
    # 200 m means of pure forest stand in for the filter.
    blocks = (15, 20, 15, 20)
    pure = forest.reshape(blocks).all(axis=(1, 3))
    assert pure.sum() > 30
    db = 10 * np.log10(image.reshape(60, *blocks).mean(axis=(2, 4))[:, pure])
    year = 2 * np.pi * district.timeline.days[:60] / 365.25
    season = np.column_stack([np.ones(60), np.cos(year), np.sin(year)])
    db -= season[:, 1:] @ np.linalg.lstsq(season, db, rcond=None)[0][1:]
    spread = db.std(axis=0, ddof=1)
    assert 0.3 < np.median(spread) < 0.7
    assert 0.8 < np.median(db.mean(axis=0) - db.min(axis=0)) < 1.8
    lag = [np.corrcoef(s[1:], s[:-1])[0, 1] for s in db.T]
    assert abs(np.median(lag)) < 0.2


def test_places_have_seasons_of_their_own_beside_the_districts() -> None:
    world, shape = load_world(), (400, 400)
    district = District(4, "default")
    own = local_season(world, district, shape)
    np.testing.assert_array_equal(own, local_season(world, district, shape))
    sd = district.draw("season between", world.forest.season_between_db)
    assert own.std(axis=(1, 2)) == pytest.approx([sd, sd], rel=0.15)
    passes = plan_passes(world, district, years=3, revisit_days=12)
    series = np.stack([season_db(own, scene)[::40, ::40] for scene in passes])
    # A season: over whole years nothing is left of it, and a year later it is the same.
    assert np.abs(series.mean(axis=0)).max() < 0.1 * np.abs(series).max()
    days = np.array([(scene.day - passes[0].day).days for scene in passes])
    later = np.searchsorted(days, days + 365.25)
    pairs = [(k, n) for k, n in enumerate(later) if n < days.size and days[n] - days[k] <= 372]
    assert len(pairs) > 10
    now, then = (series[list(side)].ravel() for side in zip(*pairs, strict=True))
    # The repeat of 12 days falls a week beside the year.
    assert np.corrcoef(now, then)[0, 1] > 0.98
