"""STAC items and catalogues: round trip, other providers' items, bad ones."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from itertools import chain
from multiprocessing import get_context

import pystac
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box, mapping

from curupira.codes import OrbitState
from curupira.errors import InputError
from curupira.grid import make_grid
from curupira.records import Asset, Scene
from curupira.stac import item_scene, platform_name, resolve_href, scene_item, write_catalogue

TIME = datetime(2024, 6, 1, 9, 45, 1, tzinfo=UTC)
AREA = box(-55, -4.1, -54.9, -4)
GRID = make_grid(AREA, 20.0)
BANDS = {"vh": "vh", "vv": "vv"}


def scene(scene_id: str = "scene-1", **changes) -> Scene:
    fields = {
        "scene_id": scene_id,
        "platform": "sentinel-1a",
        "acquired": TIME,
        "created": TIME + timedelta(days=1),
        "relative_orbit": 39,
        "orbit_state": OrbitState.DESCENDING,
        "footprint": AREA,
        "assets": {"vh": Asset("/data/vh.tif"), "vv": Asset("/data/stack.tif", 4)},
        "slice_number": 7,
    }
    return Scene(**{**fields, **changes})


def foreign(**changes) -> pystac.Item:
    """An item as Planetary Computer writes them."""
    properties = {
        "platform": "SENTINEL-1A",
        "created": "2024-06-02T10:00:00Z",
        "sat:relative_orbit": 39,
        "sat:orbit_state": "Descending",
        "s1:slice_number": "7",
        "proj:epsg": 32721,
        **changes.pop("properties", {}),
    }
    item = pystac.Item(
        id="S1A_IW_X",
        geometry=changes.get("geometry", mapping(AREA)),
        bbox=list(AREA.bounds),
        datetime=changes.get("datetime", TIME),
        properties={key: text for key, text in properties.items() if text is not None},
    )
    item.add_asset("vh", pystac.Asset(href=changes.get("href", "https://host/vh.tif")))
    return item


def test_item_and_back_gives_the_same_scene():
    first = scene()
    assert item_scene(scene_item(first, GRID), BANDS) == first


def test_item_says_what_the_extensions_ask_for():
    item = scene_item(scene(), GRID, radiometry="sigma0", scale="db")
    properties = item.properties
    assert properties["sar:polarizations"] == ["VV", "VH"]
    assert properties["sat:relative_orbit"] == 39
    assert properties["proj:code"] == "EPSG:32721"
    assert properties["proj:shape"] == list(GRID.shape)
    assert properties["proj:transform"][0] == 20
    assert properties["created"] == properties["published"] == "2024-06-02T09:45:01Z"
    assert properties["curupira:radiometry"] == "sigma0"
    assert item.assets["vh"].extra_fields["unit"] == "dB"
    assert len(item.stac_extensions) == 4


def test_written_catalogue_is_read_by_pystac_and_may_be_moved(tmp_path):
    image = tmp_path / "work" / "images" / "vh.tif"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"x")
    items = [
        scene_item(scene(f"s{n}", assets={"vh": Asset(str(image), n + 1)}), GRID) for n in range(3)
    ]
    path = write_catalogue(tmp_path / "work/cat", items, catalogue_id="c", description="d")
    assert str(tmp_path) not in (tmp_path / "work/cat/items/s0.json").read_text()
    shutil.move(tmp_path / "work", tmp_path / "moved")
    moved = tmp_path / "moved" / "cat" / path.name
    found = [item_scene(item, BANDS) for item in pystac.Catalog.from_file(str(moved)).get_items()]
    assert [s.scene_id for s in found] == ["s0", "s1", "s2"]
    assert found[2].assets["vh"] == Asset(str(tmp_path / "moved/images/vh.tif"), 3)


def test_catalogue_is_extended_and_same_id_replaced(tmp_path):
    write_catalogue(
        tmp_path, [scene_item(scene("a"), GRID), scene_item(scene("b"), GRID)],
        catalogue_id="c", description="d",
    )  # fmt: skip
    newer = scene("b", created=TIME + timedelta(days=9))
    path = write_catalogue(
        tmp_path, [scene_item(newer, GRID), scene_item(scene("c/d"), GRID)],
        catalogue_id="c", description="d",
    )  # fmt: skip
    items = list(pystac.Catalog.from_file(str(path)).get_items())
    assert sorted(item.id for item in items) == ["a", "b", "c/d"]
    created = {item.id: item_scene(item, BANDS).created for item in items}
    assert created["b"] == newer.created
    assert not list(tmp_path.rglob("*.part"))


def _add(folder, names):
    for name in names:
        write_catalogue(folder, [scene_item(scene(name), GRID)], catalogue_id="c", description="d")


def test_two_processes_extend_one_catalogue(tmp_path):
    names = [[f"{one}{n}" for n in range(20)] for one in "ab"]
    start = get_context("fork")
    writers = [start.Process(target=_add, args=(tmp_path, each)) for each in names]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    items = pystac.Catalog.from_file(str(tmp_path / "catalog.json")).get_items()
    assert sorted(item.id for item in items) == sorted(chain(*names))


def test_a_file_that_is_no_catalogue_is_not_overwritten(tmp_path):
    (tmp_path / "catalog.json").write_text("notes")
    with pytest.raises(InputError, match="is no STAC catalogue"):
        write_catalogue(tmp_path, [scene_item(scene(), GRID)], catalogue_id="c", description="d")
    assert (tmp_path / "catalog.json").read_text() == "notes"


def test_other_providers_items_are_read():
    found = item_scene(foreign(), BANDS)
    assert found.platform == "sentinel-1a"
    assert found.orbit_state is OrbitState.DESCENDING
    assert found.slice_number == 7
    assert found.assets == {"vh": Asset("https://host/vh.tif")}
    assert found.created == datetime(2024, 6, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize("clock", ["published", "updated"])
def test_the_clock_falls_back(clock):
    item = foreign(properties={"created": None, clock: "2024-06-05T00:00:00+00:00"})
    assert item_scene(item, BANDS).created == datetime(2024, 6, 5, tzinfo=UTC)


def test_start_datetime_stands_in_for_a_null_datetime():
    document = foreign().to_dict()
    document["properties"] |= {
        "datetime": None,
        "start_datetime": "2024-06-01T09:45:01Z",
        "end_datetime": "2024-06-01T09:45:26Z",
    }
    assert item_scene(pystac.Item.from_dict(document), BANDS).acquired == TIME


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"properties": {"platform": None}}, "platform"),
        ({"properties": {"sat:relative_orbit": None}}, "sat:relative_orbit"),
        ({"properties": {"sat:relative_orbit": "39a"}}, "sat:relative_orbit"),
        ({"properties": {"sat:relative_orbit": 0}}, "sat:relative_orbit"),
        ({"properties": {"sat:orbit_state": "sideways"}}, "sat:orbit_state"),
        ({"properties": {"created": None}}, "created"),
        ({"properties": {"created": "2024-06-02T10:00:00"}}, "created"),
        ({"properties": {"created": "yesterday"}}, "created"),
        ({"properties": {"created": "2024-05-31T00:00:00Z"}}, "datetime"),
        ({"properties": {"s1:slice_number": "x"}}, "s1:slice_number"),
        ({"datetime": datetime(2024, 6, 1)}, "datetime"),
        ({"geometry": mapping(box(0, 0, 0, 0))}, "geometry"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}, "geometry"),
    ],
)
def test_bad_items_name_item_and_field(changes, field):
    with pytest.raises(InputError) as caught:
        item_scene(foreign(**changes), BANDS)
    assert "S1A_IW_X" in str(caught.value)
    assert field in str(caught.value)


def test_missing_assets_are_named():
    with pytest.raises(InputError, match=r"assets\.vv.*VV|assets\.vv.*vv"):
        item_scene(foreign(), BANDS, required=("vh", "vv"))
    with pytest.raises(InputError, match="none of hh"):
        item_scene(foreign(), {"vh": "hh"})
    assert set(item_scene(foreign(), BANDS, required=("vh",)).assets) == {"vh"}


def test_relative_link_without_a_place_is_refused():
    with pytest.raises(InputError, match="relative link"):
        item_scene(foreign(href="./vh.tif"), BANDS)


@given(letter=st.sampled_from("ABCDZ"), form=st.sampled_from(["S1{}", "SENTINEL-1{}", "s1{}"]))
@settings(max_examples=15)
def test_platform_names(letter, form):
    assert platform_name(form.format(letter)) == f"sentinel-1{letter.lower()}"


def test_other_satellites_keep_their_name():
    assert platform_name(" ALOS-2 ") == "alos-2"


def test_links_resolve_against_their_file():
    assert resolve_href("../a.tif", "/d/items/x.json") == "/d/a.tif"
    assert resolve_href("../a.tif", "https://h/d/items/x.json") == "https://h/d/a.tif"
    assert resolve_href("file:///d/a%20b.tif", None) == "/d/a b.tif"
    assert resolve_href("/vsicurl/https://h/a.tif", None).startswith("/vsicurl")


def test_items_are_plain_json(tmp_path):
    path = write_catalogue(tmp_path, [scene_item(scene(), GRID)], catalogue_id="c", description="d")
    document = json.loads((tmp_path / "items" / "scene-1.json").read_text())
    assert document["type"] == "Feature"
    assert document["assets"]["vv"]["curupira:band"] == 4
    assert json.loads(path.read_text())["links"][1]["href"] == "./items/scene-1.json"
