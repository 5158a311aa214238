"""Shadow, layover, slopes, slices, passes, mines: the geometry and the calendar."""

from itertools import pairwise

import numpy as np
import pytest

from curupira.codes import OrbitState
from curupira.simulate.district import simulate_district
from curupira.simulate.geometry import edge_db, local_incidence_deg, slope_to_radar_deg
from curupira.simulate.params import District, load_world
from curupira.simulate.scenes import plan_passes
from curupira.simulate.weather import rain_share


def walls(state: OrbitState, incidence: float = 38.0) -> np.ndarray:
    clearing = np.zeros((60, 60), dtype=bool)
    clearing[10:50, 20:40] = True
    return edge_db(
        clearing,
        ~clearing,
        incidence_deg=incidence,
        state=state,
        resolution_m=10,
        p=load_world().edges,
        district=District(1, "default"),
    )


def test_shadow_lies_on_the_near_side_and_layover_on_the_far_side() -> None:
    descending = walls(OrbitState.DESCENDING)[10:50].mean(axis=0)
    # A descending pass looks west: the wall east of the clearing throws its shadow into it.
    assert descending[39] < -4
    assert descending[20] > 1
    assert descending[:20].max() == descending[40:].min() == 0
    ascending = walls(OrbitState.ASCENDING)[10:50].mean(axis=0)
    assert ascending[20] < -4
    assert ascending[39] > 1


def test_shadow_is_as_long_as_the_wall_is_high_and_the_angle_flat() -> None:
    for incidence in (31.0, 38.0, 45.0):
        edge = walls(OrbitState.DESCENDING, incidence)[10:50, 20:40]
        shadow_m = 10 * (np.minimum(edge, 0).sum(axis=1) / load_world().edges.shadow_db)
        height = District(1, "default").draw("wall height", load_world().edges.height_m)
        assert shadow_m.mean() == pytest.approx(height * np.tan(np.radians(incidence)), rel=0.12)


def test_a_slope_that_faces_the_radar_has_a_smaller_incidence() -> None:
    x = np.arange(50, dtype=np.float32) * 10
    # Rises to the west: faces a radar in the east, as on a descending pass.
    hill = np.tile(-x * np.tan(np.radians(8)), (20, 1)).astype(np.float32)
    slope = slope_to_radar_deg(hill, 10, OrbitState.DESCENDING)
    np.testing.assert_allclose(slope, 8, atol=0.01)
    np.testing.assert_allclose(local_incidence_deg(38, slope), 30, atol=0.01)
    np.testing.assert_allclose(slope_to_radar_deg(hill, 10, OrbitState.ASCENDING), -8, atol=0.01)


def test_hilly_districts_are_hilly() -> None:
    plain, hilly = (
        simulate_district(size_km=3, years=2.6, seed=4, scenario=s) for s in ("default", "hilly")
    )
    spread = [d.views[112].lia_deg.std() for d in (plain, hilly)]
    assert spread[1] > 3 * spread[0]
    assert spread[1] > 3


def test_dual_flies_two_orbits_with_two_platforms() -> None:
    world = load_world("dual")
    passes = plan_passes(world, District(2, "dual"), years=3, revisit_days=6)
    assert {p.relative_orbit for p in passes} == {112, 76}
    assert {p.orbit_state for p in passes} == set(OrbitState)
    for orbit in (112, 76):
        mine = [p for p in passes if p.relative_orbit == orbit]
        assert {p.platform for p in mine} == {"sentinel-1a", "sentinel-1b"}
        days = [(q.day - mine[0].day).days for q in mine]
        assert all(day % 6 == 0 for day in days)
        one = [p for p in mine if p.platform == "sentinel-1a"]
        assert {(b.day - a.day).days % 12 for a, b in pairwise(one)} == {0}
    afternoon = next(p for p in passes if p.orbit_state is OrbitState.ASCENDING)
    morning = next(p for p in passes if p.orbit_state is OrbitState.DESCENDING)
    assert rain_share(world, afternoon) > rain_share(world, morning)


def test_some_dates_are_missing_and_only_late_scenes_are_late() -> None:
    for scenario, latest in (("default", 1), ("late", 30)):
        world = load_world(scenario)
        lags, lost = [], 0
        for seed in range(20):
            passes = plan_passes(world, District(seed, scenario), years=4, revisit_days=12)
            lags += [(p.created - p.acquired).total_seconds() / 86400 for p in passes]
            lost += 122 - len(passes)
        assert 0.02 < lost / (20 * 122) < 0.08
        assert min(lags) >= 1
        assert max(lags) <= latest
        assert (np.mean(np.array(lags) > 1) > 0.05) == (scenario == "late")


def seamed():
    # Which seeds have one follows from the first draw: 6 in 175.
    draws = [District(seed, "default").rng("seam", 112).random() for seed in range(1000)]
    found = np.flatnonzero(np.array(draws) < 6 / 175)
    assert 15 < found.size < 60
    return simulate_district(size_km=6, years=2.6, seed=int(found[0]))


def test_a_seam_divides_the_district_between_two_footprints() -> None:
    district = seamed()
    seam = district.views[112].seam
    ahead = seam.behind_m < 0
    assert 0.0 < ahead.mean() < 1.0
    first, second = seam.footprints
    assert first.intersection(second).area == pytest.approx(0, abs=1)
    for footprint in seam.footprints:
        assert footprint.area == pytest.approx(175e3 * 250e3, rel=1e-6)
    # A descending pass flies south: what is ahead of the seam is the south.
    rows = np.nonzero(ahead)[0]
    assert rows.mean() > np.nonzero(~ahead)[0].mean()
    outline = district.landscape.grid.extent.geom
    share = second.intersection(outline).area / outline.area
    assert ahead.mean() == pytest.approx(share, abs=0.01)


def test_mines_follow_streams_and_are_dark() -> None:
    for seed in range(30):
        district = simulate_district(size_km=8, years=2.6, seed=seed)
        mines = [e for e in district.events if e.kind == "mine"]
        if mines:
            break
    mine = max(mines, key=lambda e: e.area_ha)
    assert mine.place.geometry.intersects(mine.course)
    shares = {part.name: part.share for part in mine.parts}
    assert set(shares) == {"bare", "pond", "spoil"}
    patches = district.patches
    inside = patches.event == mine.event_id
    assert inside.sum() / 100 == pytest.approx(mine.area_ha * sum(shares.values()), rel=0.15)
    assert 1 < mine.settled_drop_db < 10
