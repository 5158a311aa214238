"""OGC API - Features, read by GDAL as QGIS does; maps, tiles, series; generated requests."""

from __future__ import annotations

import io
import math
import socket
import subprocess
import sys
import time
import warnings as python_warnings
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pyogrio
import pytest
from odc.geo.geobox import GeoBox
from PIL import Image

from curupira.pipelines.tilegrid import WORLD, least_zoom


@pytest.fixture(scope="module")
def address(served: Any) -> Iterator[str]:
    """The application on a free port of the loopback, in a process of its own.

    GDAL holds the interpreter while it waits: a server in a thread could never answer it.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from curupira.cli.main import run; run()"]
    command += ["serve", "-w", str(served.folder), "--port", str(port), "-q"]
    server = subprocess.Popen(command)
    base = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{base}/health", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield base
    finally:
        server.kill()
        server.wait(20)


def test_gdal_reads_the_warnings(served: Any, address: str) -> None:
    layers = pyogrio.list_layers(f"OAPIF:{address}/ogc")
    assert [name for name, _ in layers] == ["warning"]
    frame = pyogrio.read_dataframe(f"OAPIF:{address}/ogc", layer="warning")
    assert set(served.ids) <= set(frame["warning_id"])
    client = served.client()
    one = client.get(f"/api/warnings/{served.ids[0]}").json()
    west, south, east, north = one["bbox"]
    hits = pyogrio.read_dataframe(
        f"OAPIF:{address}/ogc", layer="warning", bbox=(west, south, east, north)
    )
    assert served.ids[0] in set(hits["warning_id"])
    assert pyogrio.read_dataframe(f"OAPIF:{address}/ogc", layer="warning", bbox=(0, 0, 1, 1)).empty


def test_pages_follow_each_other_and_filters_count(served: Any) -> None:
    client = served.client()
    url, seen = "/ogc/collections/warning/items?limit=1", []
    while url:
        page = client.get(url).json()
        assert page["numberReturned"] == len(page["features"]) == 1
        seen += [f["id"] for f in page["features"]]
        after = [link["href"] for link in page["links"] if link["rel"] == "next"]
        url = after[0] if after else None
    assert len(seen) == len(set(seen)) == page["numberMatched"]
    items = "/ogc/collections/warning/items"
    one = client.get(f"{items}/{seen[0]}").json()["properties"]
    issued = one["issued_at"]
    assert "verdict_by" not in one

    def ids(query: str) -> set[str]:
        return {f["id"] for f in client.get(f"{items}?{query}").json()["features"]}

    assert ids(f"datetime={issued}") >= {seen[0]}
    assert ids(f"datetime={issued[:10]}/..") >= {seen[0]}
    assert ids("datetime=../2000-01-01") == set()
    assert ids(f"status={one['status']}&warning_id={seen[0]}") == {seen[0]}
    wrong = ("status=nonsense", "nothing=1", "bbox=1,2,3", "datetime=x", "limit=0", "limit=x")
    whole = ("relative_orbit=x", "relative_orbit=--5", "first_flag_days=1e3")
    for query in (*wrong, *whole, "datetime=2024-02-01/2024-01-01"):
        assert client.get(f"{items}?{query}").status_code == 400, query
    for path in ("", "/api", "/conformance", "/collections", "/collections/warning"):
        assert client.get(f"/ogc{path}?foo=1").status_code == 400, path
        assert client.get(f"/ogc{path}?f=json").status_code == 200, path
    assert client.get(f"{items}?limit=1000000").json()["numberReturned"] == page["numberMatched"]
    assert client.get("/ogc/collections/other").status_code == 404
    assert client.get(f"{items}/none").status_code == 404


def test_a_box_across_the_180th_meridian_is_two(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OGC 17-069r4, 7.15.3: the first longitude is then greater than the third number."""
    client = served.client()
    west, south, east, north = client.get(f"/api/warnings/{served.ids[0]}").json()["bbox"]
    around = f"{west - 0.001},{south},{west - 0.002},{north}"
    away = f"{east + 1},{south},{west - 1},{north}"
    items = "/ogc/collections/warning/items?limit=10000&bbox="
    for url in (items, "/api/warnings.geojson?bbox="):
        found, none = (client.get(url + box).json()["features"] for box in (around, away))
        assert found
        assert none == []
    assert client.get(f"{items}{around.replace(',', ',0,', 2)}").status_code == 400
    heights = [f"{west - 0.001},{south},0,{west - 0.002},{north},9"]
    assert client.get(items + heights[0]).json()["numberMatched"] > 0
    # Cells are chosen by the same two boxes.
    monkeypatch.setattr("curupira.serve.routes.warning.CELLS_ABOVE", 0)
    cells = "/api/warnings.geojson?zoom=5&bbox="
    assert client.get(f"{cells}-60,-90,-170,90").json()["features"]
    assert client.get(f"{cells}170,-90,-170,90").json()["features"] == []
    assert client.get(f"{items}{west},{north},{east},{south}").status_code == 400


def test_documents_of_the_standard_link_to_each_other(served: Any) -> None:
    client = served.client()
    landing = client.get("/ogc").json()
    rels = {link["rel"] for link in landing["links"]}
    assert {"self", "service-desc", "conformance", "data"} <= rels
    for link in landing["links"]:
        answer = client.get(link["href"])
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] == link["type"].split(";")[0]
    conforms = client.get("/ogc/conformance").json()["conformsTo"]
    assert any(c.endswith("/conf/core") for c in conforms)
    (collection,) = client.get("/ogc/collections").json()["collections"]
    assert collection["id"] == "warning"
    assert "/ogc/collections" in client.get("/openapi.json").json()["paths"]


def tile_at(lon: float, lat: float, z: int) -> str:
    n = 2**z
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * n
    return f"{z}/{int((lon + 180) / 360 * n)}/{int(y)}"


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_tiles_show_images_where_they_are_and_nothing_elsewhere(served: Any) -> None:
    client = served.client()
    found = client.get("/api/acquisitions").json()
    newest = next(a for a in found if a["product"])
    west, south, east, north = client.get("/api/config").json()["bbox"]
    here = tile_at((west + east) / 2, (south + north) / 2, 14)
    for path in (f"sar/mosaic/{here}", f"sar/{newest['acquisition_id']}/{here}"):
        image = pixels(client.get(f"/api/tiles/{path}.png").content)
        assert image.shape == (256, 256, 4)
        seen = image[image[..., 3] > 0]
        assert len(seen) > 1000
        assert seen[:, :3].std() > 5, "an image, not a plain colour"
        green, red = seen[:, 1].mean(), seen[:, 0].mean()
        assert 40 < green < 230
        assert 40 < red < 230
    away = pixels(client.get(f"/api/tiles/sar/mosaic/{tile_at(10, 50, 14)}.png").content)
    assert not away.any()
    layer = f"/api/tiles/product/{newest['acquisition_id']}"
    assert pixels(client.get(f"{layer}/n_alerts/{here}.png").content)[..., 3].any()
    for path in (f"sar/none/{here}", "sar/mosaic/1/5/0", f"product/..%2fwarnings/n_alerts/{here}"):
        assert client.get(f"/api/tiles/{path}.png").status_code == 404
    assert client.get(f"{layer}/passwd/{here}.png").status_code == 422
    assert client.get(f"/api/tiles/xyz/none/{here}").status_code == 404


def test_radar_is_drawn_as_dark_and_bright_as_asked(served: Any) -> None:
    client = served.client()
    lon, lat = (client.get(f"/api/warnings/{served.ids[0]}").json()["bbox"][k] for k in (0, 1))
    path = f"/api/tiles/sar/mosaic/{tile_at(lon, lat, 14)}.png"
    dark, bright = client.get("/api/config").json()["stretch_db"]

    def drawn(low: float, high: float) -> Any:
        answer = client.get(path, params={"dark": low, "bright": high})
        assert answer.status_code == 200
        return pixels(answer.content).astype(float)

    usual = drawn(dark, bright)
    assert client.get(path).content == client.get(f"{path}?dark={dark}&bright={bright}").content
    seen = usual[..., 3] > 0
    green = drawn(dark - 6, bright - 6)[seen][:, 1]
    assert (green >= usual[seen][:, 1]).all()
    assert green.mean() > usual[seen][:, 1].mean() + 20
    # VH in dB comes back out of two stretches alike, where neither clips.
    wide = drawn(-40, 10)[seen][:, 1]
    level = -40 + wide / 255 * 50
    inside = (level > dark + 0.5) & (level < bright - 0.5)
    again = dark + usual[seen][:, 1] / 255 * (bright - dark)
    assert inside.sum() > 100
    assert abs(level - again)[inside].max() < 0.2
    assert client.get(path, params={"dark": 0, "bright": 0}).status_code == 400
    assert client.get(path, params={"dark": "nan"}).status_code == 422


@pytest.mark.parametrize(("side", "zoom"), [(500, 4), (4096, 4), (5000, 9), (60_000, 9)])
def test_a_tile_of_a_large_area_reads_no_more_than_some_pixels(side: int, zoom: int) -> None:
    grid = GeoBox.from_bbox((0, 0, side * 20, side * 20), crs="EPSG:32721", resolution=20)
    assert least_zoom(grid) == zoom
    if side > 4096:
        assert 2 * WORLD / 2**zoom / 20 <= 4096 < 2 * WORLD / 2 ** (zoom - 1) / 20


def test_the_series_of_a_warned_pixel_falls_below_its_limit(served: Any) -> None:
    client = served.client()
    point = client.get(f"/api/warnings/{served.ids[0]}/evidence").json()["point"]
    found = client.get("/api/series", params=point).json()
    assert found["reason"] is None
    assert found["orbit"] in found["orbits"]
    points = found["points"]
    assert [p["time"] for p in points] == sorted(p["time"] for p in points)
    assert {p["period"] for p in points} <= {"learning", "detection"}
    below = [p for p in points if p["gamma0_db"] is not None and p["gamma0_db"] < p["limit_db"]]
    assert below
    assert client.get("/api/series", params={"lon": 0, "lat": 0}).status_code == 404


def test_low_zooms_get_cells(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from curupira.serve.routes import warning

    client = served.client()
    whole = client.get("/api/warnings.geojson?zoom=5").json()["features"]
    monkeypatch.setattr(warning, "CELLS_ABOVE", 0)
    cells = client.get("/api/warnings.geojson?zoom=5").json()["features"]
    assert all(c["properties"]["cluster"] for c in cells)
    assert sum(c["properties"]["count"] for c in cells) == len(whole) > 0
    assert len(client.get("/api/warnings.geojson?zoom=12").json()["features"]) == len(whole)


@pytest.mark.parametrize("name", ["chief", None])
def test_generated_requests_never_break_the_server(served: Any, name: str | None) -> None:
    with python_warnings.catch_warnings():
        # Of the tool itself, not of ours.
        python_warnings.simplefilter("ignore")
        import schemathesis
        from hypothesis import HealthCheck, Phase, given, settings

        schema = schemathesis.openapi.from_dict(served.client().get("/openapi.json").json())
        client = served.client(name)
        key = served.ids[0]
        broken = []
        for result in schema.get_all_operations():
            operation = result.ok()

            @settings(
                max_examples=12,
                deadline=None,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy())
            def ask(case: Any) -> None:
                if "warning_id" in (case.path_parameters or {}):
                    case.path_parameters["warning_id"] = key
                kwargs = case.as_transport_kwargs(base_url="http://testserver")
                kwargs.pop("cookies", None)
                headers = {k: v for k, v in dict(kwargs.pop("headers", {})).items() if v.isascii()}
                answer = client.request(headers=headers, **kwargs)
                if answer.status_code >= 500:
                    broken.append((kwargs, answer.status_code, answer.text[:300]))

            if operation.path not in ("/api/login", "/api/logout"):
                ask()
        assert broken == []
