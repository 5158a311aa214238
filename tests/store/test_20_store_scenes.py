"""Scenes, the acquisitions they form, and what makes an acquisition dirty."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curupira.codes import SceneState
from curupira.errors import StoreError
from curupira.records import Scene, group_acquisitions
from curupira.store import Store, acquisition, observation, quality, scene

NOW = datetime(2024, 6, 3, tzinfo=UTC)
FIRST = "sentinel-1a_039_20240601T094500"


def ingest(session, *scenes: Scene) -> None:
    for one in scenes:
        scene.record(session, one, state=SceneState.INGESTED, recorded_at=NOW, cube_snapshot="S1")


def evaluate(session, acquisition_id: str) -> None:
    acquisition.set_evaluated(
        session,
        acquisition_id,
        input_hash="h",
        evaluated_at=NOW,
        run_id="r",
        observed_km2=10.0,
        masked_km2=2.0,
        unobserved_km2=1.0,
    )


def grouping(session) -> dict[str, list[str]]:
    return {
        row.acquisition_id: [s.scene_id for s in scene.of_acquisition(session, row.acquisition_id)]
        for row in acquisition.in_order(session)
    }


def test_a_scene_comes_back_as_it_was(store: Store, make_scene) -> None:
    island = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(2, 2, 3, 3)])
    given_ = [make_scene(0), make_scene(30, slice_number=None), make_scene(60, footprint=island)]
    with store.transaction() as session:
        ingest(session, *given_)
    with store.reading() as session:
        assert scene.ingested(session) == given_


def test_slices_form_one_acquisition(store: Store, make_scene) -> None:
    with store.transaction() as session:
        ingest(session, make_scene(0.5), make_scene(0), make_scene(1))
        # The name that the second slice had given to both is kept until the run has seen it.
        row, emptied = acquisition.in_order(session)
        assert (row.acquisition_id, emptied.n_scenes) == (FIRST, 0)
        assert (row.n_scenes, row.dirty, row.relative_orbit) == (3, True, 39)
        assert row.created == make_scene(1).created, "the clock is the last scene's"
        assert grouping(session)[FIRST] == [make_scene(m).scene_id for m in (0, 0.5, 1)]


def test_an_evaluated_acquisition_is_clean_until_a_late_slice(store: Store, make_scene) -> None:
    with store.transaction() as session:
        ingest(session, make_scene(0))
        evaluate(session, FIRST)
        assert acquisition.dirty(session) == []
        ingest(session, make_scene(5))
        (row,) = acquisition.dirty(session)
        assert (row.acquisition_id, row.n_scenes, row.observed_km2) == (FIRST, 2, 10.0)


def test_other_passes_stay_clean(store: Store, make_scene) -> None:
    day = 24 * 60
    with store.transaction() as session:
        ingest(session, make_scene(0), make_scene(12 * day))
        for row in acquisition.in_order(session):
            evaluate(session, row.acquisition_id)
        ingest(session, make_scene(1), make_scene(0, orbit=54), make_scene(0, platform="s1c"))
        names = [row.acquisition_id for row in acquisition.dirty(session)]
    assert names == ["s1c_039_20240601T094500", FIRST, "sentinel-1a_054_20240601T094500"]


def test_an_earlier_slice_renames_the_acquisition(
    store: Store, make_scene, make_observation
) -> None:
    with store.transaction() as session:
        ingest(session, make_scene(0))
        observation.replace(session, FIRST, [make_observation()])
        evaluate(session, FIRST)
        ingest(session, make_scene(-4))
        emptied = acquisition.get(session, FIRST)
        new = "sentinel-1a_039_20240601T094100"
        # The old name keeps its observations until the run replaces them, so it must stay visible.
        assert [row.acquisition_id for row in acquisition.dirty(session)] == [new, FIRST]
        assert (emptied.n_scenes, acquisition.get(session, new).n_scenes) == (0, 2)
        with pytest.raises(StoreError, match="has scenes"):
            acquisition.remove(session, new)
        acquisition.remove(session, FIRST)
        assert list(grouping(session)) == [new]
        assert observation.load(session) == []


def test_a_slice_between_joins_two_acquisitions(store: Store, make_scene) -> None:
    with store.transaction() as session:
        ingest(session, make_scene(0), make_scene(16))
        assert len(grouping(session)) == 2
        ingest(session, make_scene(8))
        # The second is kept for the run to see, as all that lose their scenes.
        assert [len(names) for names in grouping(session).values()] == [3, 0]


def test_one_that_was_only_learned_from_is_seen_when_it_loses_its_scenes(
    store: Store, make_scene
) -> None:
    old = make_scene(0)
    with store.transaction() as session:
        ingest(session, old)
        acquisition.get(session, FIRST).dirty = False
        quality.settle(
            session, old.scene_id, quality={}, reason="dark", changed=False, recorded_at=NOW
        )
        assert [(r.acquisition_id, r.n_scenes) for r in acquisition.dirty(session)] == [(FIRST, 0)]


def test_reprocessed_scene_supersedes(store: Store, make_scene) -> None:
    old = make_scene(0)
    new = replace(old, scene_id="new", created=old.created + timedelta(days=3))
    with store.transaction() as session:
        ingest(session, old)
        evaluate(session, FIRST)
        scene.supersede(session, old.scene_id, reason="superseded by new", recorded_at=NOW)
        assert [r.n_scenes for r in acquisition.dirty(session)] == [0]
        ingest(session, new)
        (row,) = acquisition.dirty(session)
        assert (row.acquisition_id, row.n_scenes) == (FIRST, 1)
        assert scene.ingested(session) == [new]
        assert scene.counts(session) == {
            SceneState.INGESTED: 1,
            SceneState.QUARANTINED: 0,
            SceneState.SUPERSEDED: 1,
        }
        with pytest.raises(StoreError, match="no such scene"):
            scene.supersede(session, "none", reason="", recorded_at=NOW)


def test_a_scene_that_moves_in_time_leaves_its_acquisition(store: Store, make_scene) -> None:
    with store.transaction() as session:
        ingest(session, make_scene(0), make_scene(1))
        evaluate(session, FIRST)
        moved = make_scene(1)
        ingest(session, replace(moved, acquired=moved.acquired + timedelta(days=2)))
        found = {row.acquisition_id: row.n_scenes for row in acquisition.dirty(session)}
    assert found == {FIRST: 1, "sentinel-1a_039_20240603T094600": 1}


def test_pending_is_new_or_newer_and_not_fooled_by_microseconds(store: Store, make_scene) -> None:
    precise = datetime(2024, 6, 2, 9, 0, 0, 123_999, UTC)
    one, two = make_scene(0, created=precise), make_scene(1)
    with store.transaction() as session:
        assert scene.pending(session, [one, two]) == [one, two]
        ingest(session, one)
        scene.record(
            session, two, state=SceneState.QUARANTINED, recorded_at=NOW, reason="truncated"
        )
        assert scene.pending(session, [one, two]) == []
        newer = replace(two, created=two.created + timedelta(hours=1))
        assert scene.pending(session, [one, newer]) == [newer]
        ingest(session, newer)
        assert scene.quarantined(session) == []


def test_quarantine_keeps_the_reason(store: Store, make_scene) -> None:
    with store.transaction() as session:
        scene.record(
            session,
            make_scene(0),
            state=SceneState.QUARANTINED,
            recorded_at=NOW,
            reason="vh.tif: not a raster",
            run_id="r1",
        )
        scene.quarantine_item(session, "bad", reason="no datetime", recorded_at=NOW, run_id="r2")
    with store.reading() as session:
        found = {row.scene_id: row.reason for row in scene.quarantined(session)}
        assert found == {make_scene(0).scene_id: "vh.tif: not a raster", "bad": "no datetime"}
        assert [row.scene_id for row in scene.quarantined(session, run_id="r2")] == ["bad"]
        assert acquisition.in_order(session) == []
        assert scene.latest(session) is None
        with pytest.raises(StoreError, match="incomplete"):
            scene.to_record(scene.quarantined(session, run_id="r2")[0])


def test_an_unreadable_item_does_not_undo_an_ingested_scene(store: Store, make_scene) -> None:
    one = make_scene(0)
    with store.transaction() as session:
        ingest(session, one)
        scene.quarantine_item(session, one.scene_id, reason="broken", recorded_at=NOW)
        assert scene.ingested(session) == [one]


def test_ingested_of_orbits_and_times(store: Store, make_scene) -> None:
    with store.transaction() as session:
        ingest(session, *(make_scene(m, orbit=o) for m in (0, 60, 120) for o in (39, 54)))
        start = make_scene(0).acquired
        found = scene.ingested(
            session,
            relative_orbits={39},
            since=start + timedelta(minutes=60),
            until=start + timedelta(minutes=120),
        )
        assert [s.scene_id for s in found] == [make_scene(60).scene_id]
        last = scene.latest(session)
        assert last is not None
        assert last.acquired == make_scene(120).acquired


def test_mark_dirty_from_a_day_onward(store: Store, make_scene) -> None:
    day = 24 * 60
    with store.transaction() as session:
        ingest(session, *(make_scene(n * day, orbit=o) for n in (0, 6, 12) for o in (39, 54)))
        for row in acquisition.in_order(session):
            evaluate(session, row.acquisition_id)
        since = make_scene(6 * day).acquired
        assert acquisition.mark_dirty(session, relative_orbits={39}, since=since) == 2
        assert {row.relative_orbit for row in acquisition.dirty(session)} == {39}
        assert acquisition.mark_dirty(session) == 6


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_order_of_arrival_gives_the_same_acquisitions(data, store: Store, make_scene) -> None:
    minutes = data.draw(
        st.lists(
            st.tuples(st.integers(0, 60), st.sampled_from([39, 54])),
            min_size=1,
            max_size=8,
            unique=True,
        )
    )
    scenes = [make_scene(m, orbit=o) for m, o in minutes]
    gone = data.draw(st.sets(st.sampled_from([s.scene_id for s in scenes]), max_size=2))
    expected = {
        a.acquisition_id: [s.scene_id for s in a.scenes]
        for a in group_acquisitions([s for s in scenes if s.scene_id not in gone])
    }
    with store.reading() as session:  # discarded after each example
        for one in data.draw(st.permutations(scenes)):
            ingest(session, one)
        for name in sorted(gone):
            scene.supersede(session, name, reason="test", recorded_at=NOW)
        found = grouping(session)
        assert {key: names for key, names in found.items() if names} == expected
        # Those left without scenes are seen by the run as well.
        assert {r.acquisition_id for r in acquisition.dirty(session)} == set(found)
