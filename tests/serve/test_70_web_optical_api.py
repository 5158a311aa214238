"""Optical images from a real STAC API, over HTTP: order, cloud, other people's addresses, keys."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_bounds
from shapely.geometry import box, mapping

from curupira.errors import SourceError
from curupira.sources.optical import OpticalSource, find_images, read_picture

PLACE = (-55.1, -6.1, -55.0, -6.0)
DAY = date(2024, 6, 1)
SERVER = Path(__file__).parents[1] / "support" / "range_server.py"


def item(name: str, days: int, cloud: float | None = 3.0, **given: Any) -> dict[str, Any]:
    """An item so many days after the first flag, as servers store it."""
    place = given.get("place", PLACE)
    said = {"datetime": f"{DAY + timedelta(days)}T14:00:00Z", "platform": "sentinel-2a"}
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": mapping(box(*place)),
        "bbox": list(place),
        "properties": said | ({} if cloud is None else {"eo:cloud_cover": cloud}),
        "links": [],
        "assets": {"visual": {"href": given.get("href", f"https://images.example/{name}.tif")}},
    }


def around(source: OpticalSource) -> tuple[list[str], list[str], list[str]]:
    """Ids before, since, and of the newest, as the application asks for them."""
    before = find_images(
        source, PLACE, DAY - timedelta(400), DAY - timedelta(1), newest=True, most=4
    )
    since = find_images(source, PLACE, DAY, DAY + timedelta(400), newest=False, most=4)
    latest = find_images(source, PLACE, DAY, DAY + timedelta(400), newest=True, most=2)
    return tuple([image.image_id for image in some] for some in (before, since, latest))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def many(stac_api: Any) -> str:
    """A collection with more images than fit on a page, and with what must not be offered."""
    odd = [
        item("cloudy", 0, 90.0),
        item("unsaid", 2, None),
        item("elsewhere", 0, place=(-50.1, -6.1, -50.0, -6.0)),
        item("file", 1, href="file:///etc/hostname"),
        item("absolute", 400, href="/etc/hostname"),
        item("bucket", 1, href="s3://bucket/odd.tif"),
        item("before the reach", -401),
    ]
    days = [*range(-300, 0), *range(1, 301)]
    return str(stac_api.collection(odd + [item(f"d{d}", d) for d in days]))


def test_a_server_that_sorts_is_asked_for_the_nearest(stac_api: Any, many: str) -> None:
    source = OpticalSource(stac_api.url, (many,), "visual", 40.0)
    before, since, latest = around(source)
    assert before == ["d-1", "d-2", "d-3", "d-4"]
    assert set(since) == {"d1", "d2", "unsaid", "d3"}
    assert [name for name in since if name != "unsaid"] == ["d1", "d2", "d3"]
    assert latest == ["absolute", "d300"]
    # A path is one of the server's own.
    (last,) = find_images(
        source, PLACE, DAY + timedelta(400), DAY + timedelta(400), newest=True, most=9
    )
    assert last.href == f"{stac_api.url}/etc/hostname"
    day = find_images(source, PLACE, DAY, DAY + timedelta(3), newest=False, most=99)
    assert {image.image_id: image.cloud for image in day} == {
        "d1": 3.0,
        "d2": 3.0,
        "unsaid": None,
        "d3": 3.0,
    }


class Plain:
    """A STAC API of the least kind: it gives items as they come, a few a page."""

    def __init__(self, files: Any, items: list[dict[str, Any]], page: int = 40) -> None:
        self.files, self.items, self.page, self.asked = files, items, page, 0
        files.faults.append(self)

    def __call__(self, handler: Any) -> bool:
        path = handler.path.partition("?")[0]
        if path == "/":
            conforms = ["https://api.stacspec.org/v1.0.0/core"]
            conforms.append("https://api.stacspec.org/v1.0.0/item-search")
            document: dict[str, Any] = {"type": "Catalog", "id": "plain", "stac_version": "1.0.0"}
            search = {"rel": "search", "method": "POST", "type": "application/geo+json"}
            document |= {
                "description": "of this test",
                "conformsTo": conforms,
                "links": [search | {"href": f"{self.files.url}/search"}],
            }
        else:
            wanted = json.loads(handler.body)
            assert "sortby" not in wanted
            self.asked += 1
            start = int(wanted.get("token", 0))
            first, last = (text[:10] for text in wanted["datetime"].split("/"))
            fit = [i for i in self.items if first <= i["properties"]["datetime"][:10] <= last]
            more = {"rel": "next", "method": "POST", "href": f"{self.files.url}/search"}
            more |= {"body": wanted | {"token": start + self.page}}
            document = {
                "type": "FeatureCollection",
                "features": fit[start : start + self.page],
                "links": [more] if start + self.page < len(fit) else [],
            }
        handler.answer(200, json.dumps(document).encode(), "application/json")
        return True


def test_of_a_server_that_cannot_sort_every_page_is_read(files: Any) -> None:
    rng = np.random.default_rng(3)
    days = rng.permutation([*range(-150, 0), *range(1, 151)]).tolist()
    plain = Plain(files, [item("unsaid", 0, None), *(item(f"d{d}", d) for d in days)])
    before, since, latest = around(OpticalSource(files.url, (), "visual", 40.0))
    assert before == ["d-1", "d-2", "d-3", "d-4"]
    assert since == ["unsaid", "d1", "d2", "d3"]
    assert latest == ["d150", "d149"]
    assert plain.asked == 12, "four pages, three times"


def test_too_many_that_cannot_be_sorted_are_refused(files: Any) -> None:
    Plain(files, [item(f"i{n}", n % 300) for n in range(1001)], page=500)
    source = OpticalSource(files.url, (), "visual", 40.0)
    with pytest.raises(SourceError, match="more than 1000 images"):
        find_images(source, PLACE, DAY, DAY + timedelta(400), newest=False, most=4)


def test_a_dead_server_is_named_without_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTICAL_KEY", "SECRET")
    source = OpticalSource("http://127.0.0.1:1/stac?key={OPTICAL_KEY}", ("s2",), "visual", 40.0)
    with pytest.raises(SourceError) as raised:
        find_images(source, PLACE, DAY, DAY, newest=True, most=1)
    assert "SECRET" not in str(raised.value)


def test_a_key_of_the_environment_is_part_of_the_address(
    files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTICAL_KEY", "a1")
    Plain(files, [item("one", 1)])
    source = OpticalSource(files.url + "/?key={OPTICAL_KEY}", (), "visual", 40.0)
    assert around(source)[1] == ["one"]
    assert files.seen[0][0] == "/?key=a1"


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[str]:
    """Address of an image that is given out against a signature only, by a process of its own."""
    folder = tmp_path / "images" / "container"
    folder.mkdir(parents=True)
    size = {"width": 64, "height": 64, "count": 3, "dtype": "uint8", "crs": 4326}
    with rasterio.open(
        folder / "a.tif", "w", driver="GTiff", transform=from_bounds(*PLACE, 64, 64), **size
    ) as file:
        file.write(np.full((3, 64, 64), 120, np.uint8))
    command = [sys.executable, str(SERVER), str(folder.parent), "sig=SECRET"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/container/a.tif"
        server.kill()


def mercator(lon: float, lat: float) -> tuple[float, float]:
    return lon * 111319.4908, math.asinh(math.tan(math.radians(lat))) * 6378137


def sign(handler: Any) -> None:
    """Answer as Planetary Computer's service of signatures does."""
    body = {"token": "sig=SECRET", "msft:expiry": "2099-01-01T00:00:00Z"}
    handler.answer(200, json.dumps(body).encode(), "application/json")


def test_images_are_signed_where_the_host_is_named(files: Any, locked: str) -> None:
    files.times(9, "/token", sign)
    bounds = (*mercator(PLACE[0], PLACE[1]), *mercator(PLACE[2], PLACE[3]))
    signing = OpticalSource("x", (), "visual", 40.0, f"{files.url}/token", ("127.0.0.1",))
    for _ in range(2):
        picture = read_picture(signing, locked, bounds, 16)
        assert (picture[8, 8] == (120, 120, 120, 255)).all()
    assert [path for path, _ in files.seen] == ["/token/127/container"], "asked for once"
    elsewhere = OpticalSource("x", (), "visual", 40.0, f"{files.url}/token", (".example.org",))
    for source in (elsewhere, OpticalSource("x", (), "visual", 40.0)):
        with pytest.raises(SourceError) as raised:
            read_picture(source, locked, bounds, 16)
        assert "SECRET" not in str(raised.value)


def test_the_application_shows_a_signed_image_of_an_api(
    serving: Any, stac_api: Any, files: Any, locked: str
) -> None:
    files.times(9, "/token", sign)
    served = serving()
    client = served.client()
    one = client.get(f"/api/warnings/{served.ids[0]}").json()
    west, south, east, north = one["bbox"]
    place = (west - 0.01, south - 0.01, east + 0.01, north + 0.01)
    days = (date.fromisoformat(one["first_flag_date"]) - DAY).days
    given = {"place": place, "href": locked}
    name = stac_api.collection(
        [item("b", days - 5, None, **given), item("a", days + 5, 12.5, **given)]
    )
    served.app.state.site.store.close()
    served = serving(
        optical_stac=stac_api.url,
        optical_collections=(name,),
        optical_token_url=f"{files.url}/token",
        optical_token_hosts=("127.0.0.1",),
    )
    client = served.client()
    found = client.get(f"/api/warnings/{one['warning_id']}/optical").json()
    assert [(i["image_id"], i["cloud"]) for i in found["before"]] == [("b", None)]
    assert [(i["image_id"], i["cloud"]) for i in found["after"]] == [("a", 12.5)]
    n = 2**10
    x, y = (
        int((PLACE[0] + 180.05) / 360 * n),
        (1 - math.asinh(math.tan(math.radians(-6.05))) / math.pi),
    )
    answer = client.get(f"/api/tiles/optical/a/10/{x}/{int(y / 2 * n)}.png")
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert (pixels[pixels[..., 3] == 255][:, :3] == 120).all()
    assert (pixels[..., 3] == 255).any()
    assert "SECRET" not in json.dumps(found)
    page = client.get(f"/w/{one['warning_id']}/dossier?lang=en").text
    assert "cloud not stated" in page
    assert "12 % cloud" in page
    for side in ("before", "after"):
        path = f"/api/warnings/{one['warning_id']}/optical/{side}.png"
        assert page.count(f'src="{path}"') == 1
        assert client.get(path).headers["content-type"] == "image/png"
