"""Optical images beside the radar, from a STAC catalogue on disk: which, and their tiles."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_bounds
from shapely.geometry import box, mapping

BLUE, RED = (20, 40, 200), (200, 40, 20)


def write_image(
    folder: Path, name: str, bounds: tuple[float, ...], day: date, colour: Any, **given: Any
) -> pystac.Item:
    """An image of one colour, with a hole in its north-western quarter, and its item."""
    pixels = np.empty((3, 64, 64), np.uint8)
    pixels[:] = np.array(colour, np.uint8)[:, None, None]
    pixels[:, :32, :32] = 0
    path = folder / f"{name}.tif"
    profile = {"driver": "GTiff", "count": 3, "dtype": given.get("dtype", "uint8"), "nodata": 0}
    with rasterio.open(
        path, "w", width=64, height=64, crs=4326, transform=from_bounds(*bounds, 64, 64), **profile
    ) as file:
        file.write(pixels.astype(profile["dtype"]))
    item = pystac.Item(
        name,
        mapping(box(*bounds)),
        list(bounds),
        datetime.combine(day, time(14), UTC),
        {"platform": "sentinel-2a", "eo:cloud_cover": given.get("cloud", 3.0)},
    )
    item.add_asset(given.get("asset", "visual"), pystac.Asset(str(path)))
    return item


@pytest.fixture
def optical(serving: Callable[..., Any]) -> Any:
    """Images around a warning's first flag: clear, cloudy, of another place, without the asset."""
    served = serving(optical_stac="optical/catalog.json", optical_collections=())
    folder = served.folder / "optical"
    folder.mkdir()
    one = served.client().get(f"/api/warnings/{served.ids[0]}").json()
    flag = date.fromisoformat(one["first_flag_date"])
    west, south, east, north = one["bbox"]
    around = (west - 0.01, south - 0.01, east + 0.01, north + 0.01)
    catalog = pystac.Catalog("optical", "of this test")
    for days in (-3, -40, -7, -90, -21, -399, -401):
        catalog.add_item(write_image(folder, f"b{-days}", around, flag + timedelta(days), BLUE))
    for days in (0, 11, 30, 45, 60, 75, 90):
        catalog.add_item(write_image(folder, f"a{days}", around, flag + timedelta(days), RED))
    other = [v + 1 for v in around]
    for name, place, given in (
        ("cloudy", around, {"cloud": 90.0}),
        ("elsewhere", other, {}),
        ("bare", around, {"asset": "B04"}),
    ):
        day = flag + timedelta(1)
        catalog.add_item(write_image(folder, name, tuple(place), day, RED, **given))
    catalog.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)
    return served, one


def tile_of(lon: float, lat: float, zoom: int) -> str:
    n = 2**zoom
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * n
    return f"{zoom}/{int((lon + 180) / 360 * n)}/{int(y)}"


def test_the_nearest_clear_images_are_offered_and_the_newest(optical: Any) -> None:
    served, one = optical
    client = served.client()
    assert client.get("/api/config").json()["optical_images"] is True
    found = client.get(f"/api/warnings/{one['warning_id']}/optical").json()
    assert [i["image_id"] for i in found["before"]] == ["b3", "b7", "b21", "b40"]
    assert [i["image_id"] for i in found["after"]] == ["a0", "a11", "a30", "a45", "a75", "a90"]
    assert found["before"][0] == {
        "image_id": "b3",
        "day": str(date.fromisoformat(one["first_flag_date"]) - timedelta(3)),
        "platform": "sentinel-2a",
        "cloud": 3.0,
    }


def test_tiles_show_the_image_and_what_it_lacks(optical: Any) -> None:
    served, one = optical
    client = served.client()
    west, south, east, north = one["bbox"]
    lon, lat = (west + east) / 2, (south + north) / 2
    path = f"/api/tiles/optical/b3/{tile_of(east + 0.005, south - 0.005, 17)}.png"
    assert client.get(path).status_code == 404, "not offered yet"
    client.get(f"/api/warnings/{one['warning_id']}/optical")
    pixels = np.asarray(Image.open(io.BytesIO(client.get(path).content)))
    assert pixels.shape == (256, 256, 4)
    assert (pixels[..., 3] == 255).all()
    assert np.abs(pixels[..., :3].astype(int) - BLUE).max() <= 2
    hole = client.get(f"/api/tiles/optical/b3/{tile_of(west - 0.005, north + 0.005, 17)}.png")
    assert not np.asarray(Image.open(io.BytesIO(hole.content)))[..., 3].any()
    away = client.get(f"/api/tiles/optical/b3/{tile_of(lon + 3, lat, 10)}.png")
    assert not np.asarray(Image.open(io.BytesIO(away.content)))[..., 3].any()
    for name in ("cloudy", "elsewhere", "b401", "..%2Foptical%2Fb3"):
        here = tile_of(lon, lat, 14)
        assert client.get(f"/api/tiles/optical/{name}/{here}.png").status_code == 404, name


def test_none_without_a_catalogue_and_a_reason_where_it_fails(
    served: Any, serving: Callable[..., Any]
) -> None:
    path = f"/api/warnings/{served.ids[0]}/optical"
    answer = served.client().get(path)
    assert (answer.status_code, answer.json()["error"]["where"]) == (404, "[serve] optical_stac")
    lost = serving(optical_stac="no/such.json")
    answer = lost.client().get(f"/api/warnings/{lost.ids[0]}/optical")
    assert (answer.status_code, answer.json()["error"]["what"]) == (400, "no such file")
    bad = lost.folder / "no"
    bad.mkdir()
    (bad / "such.json").write_text('{"type": "Feature"}')
    assert lost.client().get(f"/api/warnings/{lost.ids[0]}/optical").status_code == 502


def test_the_dossier_shows_the_ground_before_and_now(optical: Any) -> None:
    served, one = optical
    client = served.client()
    path = f"/api/warnings/{one['warning_id']}/optical"
    for side, colour in (("before", BLUE), ("after", RED)):
        pixels = np.asarray(Image.open(io.BytesIO(client.get(f"{path}/{side}.png").content)))
        assert pixels.shape == (256, 256, 4)
        seen = pixels[pixels[..., 3] > 0][:, :3].astype(int)
        assert len(seen) > 30_000
        assert np.abs(np.median(seen, axis=0) - colour).max() <= 2
    page = client.get(f"/w/{one['warning_id']}/dossier?lang=pt").text
    flag = date.fromisoformat(one["first_flag_date"])
    for day in (flag - timedelta(3), flag + timedelta(90)):
        assert f"{day}, sentinel-2a, 3 % nuvens" in page


def test_a_dossier_is_made_without_a_catalogue_that_fails(
    served: Any, serving: Callable[..., Any]
) -> None:
    lost = serving(optical_stac="http://127.0.0.1:1/stac")
    for one in (served, lost):
        page = one.client().get(f"/w/{one.ids[0]}/dossier?lang=en")
        assert page.status_code == 200
        assert "/chip/before.png" in page.text
        assert "/optical/" not in page.text
    assert lost.client().get(f"/api/warnings/{lost.ids[0]}/optical/after.png").status_code == 502
