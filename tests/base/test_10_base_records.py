"""Scenes and acquisitions: grouping depends on the set of scenes alone."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box

from curupira.codes import OrbitState
from curupira.records import Asset, Scene, group_acquisitions

T0 = datetime(2024, 3, 1, 23, 55, tzinfo=UTC)


def scene(name, minutes=0.0, *, platform="sentinel-1a", orbit=22, created_minutes=1440.0):
    return Scene(
        scene_id=name,
        platform=platform,
        acquired=T0 + timedelta(minutes=minutes),
        created=T0 + timedelta(minutes=minutes + created_minutes),
        relative_orbit=orbit,
        orbit_state=OrbitState.DESCENDING,
        footprint=box(-55, -6, -54, -5),
        assets={"vh": Asset("/data/vh.tif")},
    )


def names(acquisitions):
    return [[s.scene_id for s in a.scenes] for a in acquisitions]


def test_slices_of_a_pass_are_one_acquisition():
    # Gaps count between neighbours: a long pass stays one, across midnight too.
    scenes = [scene("c", 18), scene("a", 0), scene("b", 9.9)]
    found = group_acquisitions(scenes)
    assert names(found) == [["a", "b", "c"]]
    assert found[0].day == date(2024, 3, 1)
    assert found[0].acquired == T0
    assert found[0].relative_orbit == 22
    assert found[0].acquisition_id == "sentinel-1a_022_20240301T235500"


def test_ten_minutes_platform_and_orbit_divide():
    scenes = [
        scene("a"),
        scene("b", 10),
        scene("c", 1, platform="sentinel-1b"),
        scene("d", 2, orbit=112),
    ]
    assert names(group_acquisitions(scenes)) == [["a"], ["c"], ["d"], ["b"]]


def test_the_clock_is_the_last_published():
    found = group_acquisitions([scene("a", created_minutes=9000), scene("b", 1)])
    assert found[0].created == T0 + timedelta(minutes=9000)


def test_nothing_from_nothing():
    assert group_acquisitions([]) == []


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 60),
            st.sampled_from(["sentinel-1a", "sentinel-1c"]),
            st.sampled_from([22, 24]),
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_any_order_gives_the_same(rows, random):
    scenes = [scene(f"s{n}", m, platform=p, orbit=o) for n, (m, p, o) in enumerate(rows)]
    shuffled = random.sample(scenes, len(scenes))
    assert group_acquisitions(shuffled) == group_acquisitions(scenes)
    found = group_acquisitions(scenes)
    assert sorted(s.scene_id for a in found for s in a.scenes) == sorted(s.scene_id for s in scenes)
    assert len({a.acquisition_id for a in found}) == len(found)
    assert [a.acquired for a in found] == sorted(a.acquired for a in found)
