"""Catalogues: reading with bad items in them, duplicates, selection."""

import json
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import translate
from shapely.geometry import box
from stac_api import FileServer

from curupira.codes import OrbitState
from curupira.errors import ConfigError, InputError, SourceError
from curupira.grid import make_grid
from curupira.records import Asset, Scene
from curupira.sources.catalogue import (
    connection,
    drop_duplicates,
    product_id,
    read_catalogue,
    select,
)
from curupira.sources.profiles import SourceParams
from curupira.stac import scene_item, write_catalogue

TIME = datetime(2024, 6, 1, 9, 45, 1, tzinfo=UTC)
AREA = box(-55, -4.1, -54.9, -4)
GRID = make_grid(AREA, 20.0)
BANDS = {"vh": "vh", "vv": "vv"}


def scene(scene_id: str = "a", **changes) -> Scene:
    fields = {
        "scene_id": scene_id,
        "platform": "sentinel-1a",
        "acquired": TIME,
        "created": TIME + timedelta(days=1),
        "relative_orbit": 39,
        "orbit_state": OrbitState.DESCENDING,
        "footprint": AREA,
        "assets": {"vh": Asset("/data/vh.tif")},
    }
    return Scene(**{**fields, **changes})


def catalogue(folder: Path, *scenes: Scene) -> Path:
    items = [scene_item(one, GRID) for one in scenes]
    return write_catalogue(folder, items, catalogue_id="c", description="d")


def edit(path: Path, scene_id: str, **properties) -> None:
    file = path.parent / "items" / f"{scene_id}.json"
    document = json.loads(file.read_text())
    for name, text in properties.items():
        key = name.replace("__", ":")
        document["properties"][key] = text
        if text is None and key != "datetime":
            del document["properties"][key]
    file.write_text(json.dumps(document))


def test_scenes_come_in_time_order(tmp_path):
    later = scene("early-name", acquired=TIME + timedelta(days=12), created=TIME.replace(month=8))
    path = catalogue(tmp_path, later, scene("z"))
    found = read_catalogue(path, BANDS, on_bad=None)
    assert [one.scene_id for one in found] == ["z", "early-name"]
    assert found == read_catalogue(str(path), BANDS, on_bad=None)


def test_bad_items_are_reported_and_the_rest_goes_on(tmp_path):
    names = ["good", "noplatform", "naive", "future", "noasset", "nojson", "gone", "noitem"]
    path = catalogue(tmp_path, *(scene(name) for name in names))
    edit(path, "noplatform", platform=None)
    edit(path, "naive", datetime="2024-06-01T09:45:01")
    edit(path, "future", datetime="2031-06-01T00:00:00Z", created="2031-06-02T00:00:00Z")
    items = path.parent / "items"
    document = json.loads((items / "noasset.json").read_text())
    document["assets"] = {"hh": document["assets"]["vh"]}
    (items / "noasset.json").write_text(json.dumps(document))
    (items / "nojson.json").write_text("<html>")
    (items / "gone.json").unlink()
    (items / "noitem.json").write_text('{"type": "Feature", "id": "noitem"}')
    reasons: dict[str, InputError] = {}
    found = read_catalogue(
        path, BANDS, on_bad=lambda name, error: reasons.update({name: error}),
        now=datetime(2025, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    assert [one.scene_id for one in found] == ["good"]
    assert sorted(reasons) == sorted(set(names) - {"good"})
    assert "platform" in str(reasons["noplatform"])
    assert "time zone" in str(reasons["naive"])
    assert "future" in str(reasons["future"])
    assert "assets.vh" in str(reasons["noasset"])
    assert "no JSON" in str(reasons["nojson"])
    assert "not there" in str(reasons["gone"])


def test_without_a_listener_the_first_bad_item_raises(tmp_path):
    path = catalogue(tmp_path, scene("a"))
    edit(path, "a", platform=None)
    with pytest.raises(InputError, match="platform"):
        read_catalogue(path, BANDS, on_bad=None)


def test_what_is_no_catalogue(tmp_path):
    with pytest.raises(ConfigError, match="curupira source index"):
        read_catalogue(tmp_path / "none.json", BANDS, on_bad=None)
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(InputError, match="no STAC object"):
        read_catalogue(tmp_path / "list.json", BANDS, on_bad=None)
    (tmp_path / "page.json").write_text("<html>")
    with pytest.raises(InputError, match="no JSON"):
        read_catalogue(tmp_path / "page.json", BANDS, on_bad=None)


def test_child_catalogues_and_feature_collections_are_followed_once(tmp_path):
    catalogue(tmp_path / "one", scene("a"))
    feature = scene_item(scene("b"), GRID).to_dict()
    (tmp_path / "page.json").write_text(
        json.dumps({"type": "FeatureCollection", "features": [feature]})
    )
    links = ["./one/catalog.json", "./one/catalog.json", "./page.json", "./root.json"]
    (tmp_path / "root.json").write_text(
        json.dumps({"type": "Catalog", "links": [{"rel": "child", "href": href} for href in links]})
    )
    found = read_catalogue(tmp_path / "root.json", BANDS, on_bad=None)
    assert [one.scene_id for one in found] == ["a", "b"]


def remote(server: FileServer, *scenes: Scene, timeout_s: float = 5.0):
    """Read a catalogue over HTTP: scenes, what was bad, and the pauses between tries."""
    catalogue(server.folder, *scenes)
    url, bad, pauses = f"{server.url}/catalog.json?token=s3cret", {}, []
    http = connection(SourceParams(catalogue=url, attempts=3, timeout_s=timeout_s))
    http.sleep = pauses.append
    found = read_catalogue(url, BANDS, on_bad=bad.__setitem__, http=http)
    return [one.scene_id for one in found], bad, pauses


def test_a_remote_catalogue_is_asked_again(files):
    files.times(2, "catalog.json", lambda handler: handler.answer(503, b""))
    files.times(1, "items/a", lambda handler: handler.answer(503, b""))
    found, bad, pauses = remote(files, scene("a"), scene("b"))
    assert (found, bad, len(pauses)) == (["a", "b"], {}, 3)


@pytest.mark.parametrize("status", [403, 404, 503])
@pytest.mark.parametrize("part", ["catalog.json", "items/a"])
def test_a_remote_catalogue_that_cannot_be_read(files, status, part):
    files.times(99, part, lambda handler: handler.answer(status, b""))
    if (status, part) == (404, "items/a"):
        # As a lost file of a local one: the others are read.
        found, bad, _ = remote(files, scene("a"), scene("b"))
        assert found == ["b"]
        assert "not there" in str(bad["a"])
        return
    with pytest.raises(SourceError, match=f"HTTP {status}") as caught:
        remote(files, scene("a"))
    assert caught.value.exit_code == 3
    assert "s3cret" not in str(caught.value)


def test_a_silent_server_is_not_waited_for(files):
    release = threading.Event()
    files.times(99, "catalog.json", lambda _: release.wait(20))
    start = time.monotonic()
    try:
        with pytest.raises(SourceError, match="does not answer after 3 attempts"):
            remote(files, scene("a"), timeout_s=0.2)
    finally:
        release.set()
    assert time.monotonic() - start < 10


OPERA = "OPERA_L2_RTC-S1_T137-292319-IW2_20211119T015858Z_{}_S1A_30_v1.0"
SAFE = "S1A_IW_GRDH_1SDV_20210119T031653_20210119T031718_036201_043ED0_{}"


def test_product_ids():
    first, second = OPERA.format("20250830T120333Z"), OPERA.format("20260101T000000Z")
    assert product_id(first) == product_id(second) != first
    assert product_id(SAFE.format("8255")) == product_id(SAFE.format("00FF"))
    assert product_id("plain_20240101T000000") == "plain_20240101T000000"
    assert product_id(first) != product_id(first.replace("292319", "292320"))


def test_the_newest_processing_wins():
    old = scene(OPERA.format("20250830T120333Z"))
    new = scene(OPERA.format("20260101T000000Z"), created=TIME + timedelta(days=500))
    kept, dropped = drop_duplicates([old, new])
    assert kept == [new]
    assert dropped[0][0] == old
    assert "superseded by" in dropped[0][1]


def test_same_view_under_other_names():
    new = scene("pc_rtc", created=TIME + timedelta(days=9), acquired=TIME.replace(microsecond=5))
    kept, dropped = drop_duplicates([scene("a"), new])
    assert (kept, [one for one, _ in dropped]) == ([new], [scene("a")])


def test_one_timestamp_keeps_the_first_id():
    kept, dropped = drop_duplicates([scene("b"), scene("a")])
    assert [one.scene_id for one in kept] == ["a"]
    assert dropped[0][0].scene_id == "b"
    assert "two scenes with one timestamp" in dropped[0][1]


@pytest.mark.parametrize(
    "changes",
    [
        {"platform": "sentinel-1c"},
        {"relative_orbit": 40},
        {"acquired": TIME + timedelta(seconds=2)},
        {"footprint": translate(AREA, 0.02)},
    ],
)
def test_neighbours_are_no_duplicates(changes):
    kept, dropped = drop_duplicates([scene("a"), scene("b", **changes)])
    assert len(kept) == 2
    assert dropped == []


@given(order=st.permutations(range(6)))
@settings(max_examples=20)
def test_the_result_depends_on_the_set_alone(order):
    scenes = [
        scene("a"), scene("b"), scene("c", created=TIME + timedelta(days=3)),
        scene("d", relative_orbit=4), scene("e", footprint=translate(AREA, 0.004)),
        scene(OPERA.format("20250830T120333Z"), acquired=TIME + timedelta(days=12),
              created=TIME + timedelta(days=13)),
    ]  # fmt: skip
    assert drop_duplicates([scenes[n] for n in order]) == drop_duplicates(scenes)


def chosen(scenes, since=None, until=None, by=None, **settings_):
    found = select(scenes, SourceParams(**settings_), area=AREA, since=since, until=until, by=by)
    return [one.scene_id for one in found]


def test_selection_by_acquisition_includes_both_ends():
    days = [scene(f"d{n}", acquired=TIME + timedelta(days=n)) for n in range(4)]
    assert chosen(days, date(2024, 6, 2), date(2024, 6, 3)) == ["d1", "d2"]
    assert chosen(days) == ["d0", "d1", "d2", "d3"]


def test_selection_by_ingestion_has_the_two_month_cut_off():
    published = datetime(2024, 9, 1, 12, tzinfo=UTC)
    scenes = [
        scene("fresh", acquired=datetime(2024, 8, 31, tzinfo=UTC), created=published),
        scene("late", acquired=datetime(2024, 7, 1, tzinfo=UTC), created=published),
        scene("too-late", acquired=datetime(2024, 6, 30, 23, tzinfo=UTC), created=published),
        scene("before", created=datetime(2024, 8, 30, tzinfo=UTC)),
    ]
    by = {"since": date(2024, 9, 1), "until": date(2024, 9, 1)}
    assert chosen(scenes, **by, by="ingestion") == ["late", "fresh"]
    assert chosen(scenes, **by, select_by="ingestion") == ["late", "fresh"]
    assert chosen(scenes, **by, select_by="ingestion", late_months=3)[0] == "too-late"
    assert chosen(scenes, **by) == []


def test_filters():
    up = scene("up", orbit_state=OrbitState.ASCENDING)
    other = scene("c", platform="sentinel-1c")
    both = scene("vv", assets={"vh": Asset("/a"), "vv": Asset("/b")})
    aside = scene("aside", footprint=translate(AREA, AREA.bounds[2] - AREA.bounds[0]))
    scenes = [up, other, both, aside]
    assert chosen(scenes, orbit_state="ascending") == ["up"]
    assert chosen(scenes, platforms=("S1C",)) == ["c"]
    assert chosen(scenes, polarisations=("vh", "vv")) == ["vv"]
    assert chosen(scenes) == ["c", "up", "vv"]
