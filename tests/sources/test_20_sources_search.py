"""Searching a real STAC API (stac-fastapi-pgstac), and reading its images over HTTP."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from shapely.geometry import box, mapping
from stac_api import Api, FileServer, Handler

from curupira.blocks import Window
from curupira.codes import OrbitState
from curupira.cog import write_cog
from curupira.errors import InputError, SourceError
from curupira.grid import LONLAT, project
from curupira.records import Scene
from curupira.sources.catalogue import read_items, select
from curupira.sources.images import Images, Provider
from curupira.sources.profiles import SourceParams
from curupira.sources.raster import check_scene, read_band
from curupira.sources.search import adapt, find_scene, search_scenes

#: 1024 pixels of 20 m: some blocks of a COG, so that a window is less than the file.
GRID = GeoBox.from_bbox(
    (500_000, 9_500_000 - 20_480, 520_480, 9_500_000), crs="EPSG:32721", resolution=20
)
OUTLINE = project(box(*GRID.extent.boundingbox.bbox), "EPSG:32721", LONLAT)
FIRST = datetime(2024, 1, 3, 9, 30, tzinfo=UTC)


def item(number: int, href: str = "", **changes: Any) -> dict[str, Any]:
    """Item number n: taken every 6 days over the grid, published a day later."""
    taken = FIRST + timedelta(days=6 * number)
    properties = {
        "datetime": taken.isoformat(),
        "created": (taken + timedelta(days=1)).isoformat(),
        "platform": "SENTINEL-1A",
        "sat:relative_orbit": 83,
        "sat:orbit_state": "descending",
        **changes.pop("properties", {}),
    }
    outline = changes.pop("outline", OUTLINE)
    asset = {"href": href or f"https://example.org/{number}.tif", "roles": ["data"]}
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": f"scene-{number:04d}",
        "geometry": mapping(outline),
        "bbox": list(outline.bounds),
        "properties": {k: v for k, v in properties.items() if v is not None},
        "links": [],
        "assets": {"vh": asset | changes.pop("asset", {})},
        **changes,
    }


def params(url: str, collection: str, **settings: Any) -> SourceParams:
    return SourceParams.model_validate(
        {
            "profile": "pc-rtc",
            "catalogue": url,
            "collection": collection,
            "access": "none",
            "clock_delay_hours": 0.0,
            "attempts": 3,
            "timeout_s": 10,
            "requests_per_second": 1000,
            **settings,
        }
    )


def search(given: SourceParams, **query: Any) -> list[Scene]:
    defaults = {"area": OUTLINE, "since": None, "until": None, "on_bad": None}
    provider = Provider(given)
    provider.http.sleep = lambda _: None
    return search_scenes(provider, **(defaults | query))


@pytest.fixture(scope="session")
def year(stac_api: Api) -> str:
    """Collection of 230 scenes, so three pages, and one elsewhere."""
    far = item(400, outline=box(10, 50, 11, 51))
    return stac_api.collection([*(item(n) for n in range(230)), far])


def test_all_pages_are_read_in_order(stac_api: Api, year: str) -> None:
    found = search(params(stac_api.url, year))
    assert [s.scene_id for s in found] == [f"scene-{n:04d}" for n in range(230)]
    first = found[0]
    assert (first.platform, first.relative_orbit) == ("sentinel-1a", 83)
    assert first.orbit_state is OrbitState.DESCENDING
    assert first.created - first.acquired == timedelta(days=1)


@pytest.mark.parametrize(
    ("since", "until", "numbers"),
    [
        (date(2024, 1, 9), date(2024, 1, 15), [1, 2]),
        (date(2024, 1, 10), date(2024, 1, 14), []),
        (None, date(2024, 1, 9), [0, 1]),
        (date(2027, 9, 29), None, [228, 229]),
    ],
)
def test_days_of_acquisition(
    stac_api: Api, year: str, since: date | None, until: date | None, numbers: list[int]
) -> None:
    found = search(params(stac_api.url, year), since=since, until=until)
    expected = [n for n in range(230) if n in numbers]
    if since and since.year == 2027:
        expected = [n for n in range(230) if (FIRST + timedelta(days=6 * n)).date() >= since]
        assert expected
    assert [s.scene_id for s in found] == [f"scene-{n:04d}" for n in expected]


def test_area(stac_api: Api, year: str) -> None:
    found = search(params(stac_api.url, year), area=box(10.2, 50.2, 10.8, 50.8))
    assert [s.scene_id for s in found] == ["scene-0400"]
    assert search(params(stac_api.url, year), area=box(0, 0, 1, 1)) == []


def test_by_ingestion_late_scenes_are_found(stac_api: Api) -> None:
    late = item(0, properties={"created": "2024-03-01T00:00:00Z"})
    older = item(1, properties={"created": "2024-02-01T00:00:00Z"})
    collection = stac_api.collection([late, older])
    given = params(stac_api.url, collection, select_by="ingestion")
    since = date(2024, 2, 20)
    found = search(given, since=since)
    assert len(found) == 2
    chosen = select(found, given, area=OUTLINE, since=since, until=None)
    assert [s.scene_id for s in chosen] == ["scene-0000"]


def test_bad_items_are_reported_and_the_rest_used(stac_api: Api) -> None:
    lacking = item(1, properties={"sat:relative_orbit": None})
    other = item(2)
    other["assets"] = {"hh": other["assets"]["vh"]}
    no_clock = item(3, properties={"created": None})
    collection = stac_api.collection([item(0), lacking, other, no_clock])
    bad: dict[str, str] = {}
    found = search(
        params(stac_api.url, collection), on_bad=lambda name, e: bad.update({name: str(e)})
    )
    assert [s.scene_id for s in found] == ["scene-0000"]
    assert "sat:relative_orbit" in bad["scene-0001"]
    assert "assets" in bad["scene-0002"]
    assert set(bad) <= {"scene-0001", "scene-0002", "scene-0003"}


def test_items_without_a_clock_get_the_profiles(stac_api: Api) -> None:
    document = item(0, properties={"created": None})
    adapted = adapt(document, params("http://x", "c", clock_delay_hours=24.0))
    assert isinstance(adapted, dict)
    stated = datetime.fromisoformat(adapted["properties"]["created"])
    assert stated - FIRST == timedelta(hours=24)
    assert "created" not in document["properties"]


def test_operas_names_tell_what_its_items_do_not() -> None:
    name = "OPERA_L2_RTC-S1_T039-082385-IW1_20240103T093000Z_20240104T010203Z_S1A_30_v1.0"
    asset = {"href": f"https://d.org/{name}_VH.tif"}
    document = {
        "type": "Feature",
        "id": name,
        "geometry": mapping(OUTLINE),
        "properties": {"datetime": "2024-01-03T09:30:00Z", "created": "2024-02-02T00:00:00Z"},
        "assets": {
            "0_VH": asset,
            "0_VV": {"href": asset["href"].replace("VH", "VV")},
            "0_mask": {"href": asset["href"].replace("VH", "mask")},
        },
    }
    given = SourceParams(profile="opera-rtc")
    adapted = adapt(document, given)
    assert isinstance(adapted, dict)
    found = adapted["properties"]
    assert (found["platform"], found["sat:relative_orbit"]) == ("S1A", 39)
    # 09:30 UTC near 57 W is 5:42 in the morning: southwards.
    assert found["sat:orbit_state"] == "descending"
    assert found["created"].startswith("2024-01-04T01:02:03")
    assert {k: a["href"].rpartition("_")[2] for k, a in adapted["assets"].items()} == {
        "*_VH.tif": "VH.tif",
        "*_VV.tif": "VV.tif",
    }


@pytest.mark.parametrize(("access", "scheme"), [("s3", "s3"), ("oidc", "https")])
def test_the_link_that_the_credentials_open_is_taken(access: str, scheme: str) -> None:
    document = item(0, "s3://eodata/a.tif")
    document["assets"]["vh"]["alternate"] = {"https": {"href": "https://download.x.org/a"}}
    adapted = adapt(
        document, SourceParams.model_validate({"profile": "cdse-grd", "access": access})
    )
    assert isinstance(adapted, dict)
    assert adapted["assets"]["vh"]["href"].startswith(f"{scheme}://")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, b"oops", "does not answer after 3 attempts"),
        (200, b"<html>Captive portal</html>", "something else than JSON"),
        (401, b"who are you", "HTTP 401"),
        (200, b'{"type": "nothing"}', "no STAC API"),
    ],
)
def test_a_catalogue_that_fails(files: FileServer, status: int, body: bytes, words: str) -> None:
    files.times(99, "", lambda h: h.answer(status, body))
    with pytest.raises(SourceError, match=words) as caught:
        search(params(files.url, "c"))
    assert "pc-rtc" in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_catalogue_that_fails_for_a_moment(files: FileServer, stac_api: Api, year: str) -> None:
    proxied = Proxy(files, stac_api)
    files.times(1, "/search", lambda h: h.answer(429, b"", Retry_After="1"))
    files.times(1, "/search", lambda h: h.answer(503, b""))
    files.faults.append(proxied)
    assert len(search(params(files.url, year))) == 230
    # Three pages, two of them failures first.
    assert len([p for p, _ in files.seen if p.startswith("/search")]) >= 5


class Proxy:
    """Hands requests to the STAC API and puts itself in its place."""

    def __init__(self, files: FileServer, api: Api) -> None:
        self.files, self.api = files, api

    def __call__(self, handler: Handler) -> bool:
        request = urllib.request.Request(
            self.api.url + handler.path,
            data=handler.body or None,
            method=handler.command,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            text = response.read().decode().replace(self.api.url, self.files.url)
        handler.answer(200, text.encode(), "application/json")
        return True


# ---- images -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def picture() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(5)
    return rng.gamma(4.4, 10**-1.27 / 4.4, (1024, 1024)).astype(np.float32)


@pytest.fixture
def served(
    files: FileServer, picture: np.ndarray[Any, Any]
) -> Callable[..., tuple[Scene, SourceParams]]:
    """A scene whose image the file server serves."""
    write_cog(files.folder / "vh.tif", picture[None], GRID, nodata=float("nan"))

    def make(checksum: str = "", **settings: Any) -> tuple[Scene, SourceParams]:
        given = params(files.url, "c", asset_vv="", **settings)
        asset = {"file:checksum": checksum} if checksum else {}
        document = adapt(item(0, f"{files.url}/vh.tif", asset=asset), given)
        assert isinstance(document, dict)
        (scene,) = read_items([("x", document)], given.assets, required=(), on_bad=None, now=None)
        return scene, given

    return make


def reader(given: SourceParams, window: Window | None = None) -> Callable[[Scene], Any]:
    def read(ready: Scene) -> Any:
        whole = check_scene(ready, GRID, given)
        return read_band(ready, "vh", GRID, window or whole, given)

    return read


def images(given: SourceParams, tmp_path: Path, **kwargs: Any) -> Images:
    found = Images(given, tmp_path / "downloads", kwargs.get("find", find_scene))
    for provider in (found.first, found.second):
        if provider is not None:
            provider.http.sleep = lambda _: None
    return found


@pytest.mark.parametrize("read", ["download", "window"])
def test_both_ways_read_the_same_pixels(
    served: Callable[..., Any], picture: np.ndarray[Any, Any], tmp_path: Path, read: str
) -> None:
    scene, given = served(read=read)
    got = images(given, tmp_path).use(scene, reader(given))
    np.testing.assert_array_equal(got, picture)
    assert not list((tmp_path / "downloads").glob("*"))


def test_a_window_is_less_than_the_file(
    served: Callable[..., Any], files: FileServer, tmp_path: Path
) -> None:
    scene, given = served(read="window")

    def corner(ready: Scene) -> Any:
        return read_band(ready, "vh", GRID, Window(0, 50, 0, 50), given)

    images(given, tmp_path).use(scene, corner)
    asked = 0
    for _, headers in files.seen:
        if headers["method"] == "HEAD":
            continue
        first, last = headers["range"].removeprefix("bytes=").split("-")
        asked += int(last) - int(first) + 1
    assert asked < (files.folder / "vh.tif").stat().st_size / 2


@pytest.mark.parametrize("read", ["download", "window"])
@pytest.mark.parametrize("fault", ["429", "500", "cut", "drop"])
def test_passing_faults_do_not_change_the_image(
    served: Callable[..., Any],
    files: FileServer,
    picture: np.ndarray[Any, Any],
    tmp_path: Path,
    read: str,
    fault: str,
) -> None:
    scene, given = served(read=read)
    whole = (files.folder / "vh.tif").read_bytes()

    def hang_up(handler: Handler) -> None:
        handler.close_connection = True

    answers: dict[str, Callable[[Handler], None]] = {
        "429": lambda h: h.answer(429, b"", Retry_After="1"),
        "500": lambda h: h.answer(500, b"oops"),
        "cut": lambda h: h.send_file(whole, cut=7_000),
        "drop": hang_up,
    }
    # The first request of all, and one in the middle of the reading.
    files.times(1, "vh", answers[fault])
    seen = {"n": 0}

    def later(handler: Handler) -> bool:
        seen["n"] += 1
        if seen["n"] == 2:
            answers[fault](handler)
            return True
        return False

    files.faults.append(later)
    got = images(given, tmp_path).use(scene, reader(given))
    np.testing.assert_array_equal(got, picture)


@pytest.mark.parametrize("read", ["download", "window"])
def test_a_login_page_names_provider_scene_and_remedy(
    served: Callable[..., Any], files: FileServer, tmp_path: Path, read: str
) -> None:
    scene, given = served(read=read)
    files.times(99, "vh", lambda h: h.answer(200, b"<html>login</html>", "text/html"))
    with pytest.raises(SourceError, match="web page instead of the image") as caught:
        images(given, tmp_path).use(scene, reader(given))
    text = str(caught.value)
    assert "pc-rtc" in text
    assert "scene-0000" in text
    assert "credentials" in text


@pytest.mark.parametrize("read", ["download", "window"])
def test_a_missing_file_is_the_scenes_fault(
    served: Callable[..., Any], files: FileServer, tmp_path: Path, read: str
) -> None:
    scene, given = served(read=read)
    (files.folder / "vh.tif").unlink()
    with pytest.raises(InputError, match="does not have it"):
        images(given, tmp_path).use(scene, reader(given))


def test_a_wrong_checksum_is_the_scenes_fault(
    served: Callable[..., Any], files: FileServer, tmp_path: Path
) -> None:
    digest = hashlib.sha256(b"another file").hexdigest()
    scene, given = served(read="download", checksum=f"1220{digest}")
    with pytest.raises(InputError, match="differed from the checksum"):
        images(given, tmp_path).use(scene, reader(given))
    assert len(files.seen) == 2
    assert not list((tmp_path / "downloads").glob("*"))


def test_no_signature_reaches_an_error(
    served: Callable[..., Any], files: FileServer, tmp_path: Path
) -> None:
    scene, given = served(
        read="window", access="sas", token_url=f"{files.url}/token", token_hosts=("127.0.0.1",)
    )

    def sas(handler: Handler) -> bool:
        if handler.path.startswith("/token"):
            body = {"token": "sig=SECRET", "msft:expiry": "2099-01-01T00:00:00Z"}
            handler.answer(200, json.dumps(body).encode(), "application/json")
            return True
        assert "sig=SECRET" in handler.path
        return False

    files.faults.append(sas)
    # Counts, to be refused after the signed link is known to GDAL.
    whole = (files.folder / "vh.tif").read_bytes()
    files.folder.joinpath("vh.tif").write_bytes(whole[:4] + bytes(len(whole) - 4))
    with pytest.raises((SourceError, InputError)) as caught:
        images(given, tmp_path).use(scene, reader(given))
    assert "SECRET" not in str(caught.value)
    assert "scene-0000" in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_environment_of_gdal_is_restored(served: Callable[..., Any], tmp_path: Path) -> None:
    scene, given = served(read="window")
    inside = {}

    def look(ready: Scene) -> None:
        inside.update(rasterio.env.getenv())

    with rasterio.Env():
        images(given, tmp_path).use(scene, look)
        after = rasterio.env.getenv()
    assert inside["GDAL_HTTP_MAX_RETRY"] == "2"
    assert not any("UNSAFESSL" in name for name in inside)
    assert "GDAL_HTTP_MAX_RETRY" not in after


def test_a_second_provider_steps_in_for_a_scene(
    served: Callable[..., Any],
    files: FileServer,
    stac_api: Api,
    picture: np.ndarray[Any, Any],
    tmp_path: Path,
) -> None:
    (files.folder / "mirror.tif").write_bytes((files.folder / "vh.tif").read_bytes())
    # The same view of the ground, under another name.
    mirror = item(0, f"{files.url}/mirror.tif", id="S1A_OTHER_NAME")
    collection = stac_api.collection([item(1), mirror])
    scene, given = served(read="download", fallback=stac_api.url, attempts=2)
    given = given.model_copy(update={"collection": collection})
    files.times(99, "vh.tif", lambda h: h.answer(503, b"maintenance"))
    got = images(given, tmp_path).use(scene, reader(given))
    np.testing.assert_array_equal(got, picture)


def test_without_the_scene_the_first_providers_error_stays(
    served: Callable[..., Any], files: FileServer, stac_api: Api, tmp_path: Path
) -> None:
    collection = stac_api.collection([item(1)])
    scene, given = served(fallback=stac_api.url, attempts=2)
    given = given.model_copy(update={"collection": collection})
    files.times(99, "vh.tif", lambda h: h.answer(503, b"maintenance"))
    with pytest.raises(SourceError, match="HTTP 503"):
        images(given, tmp_path).use(scene, reader(given))
