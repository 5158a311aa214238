"""Sources of GRD products in the daily routine: profiles, archives, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import rasterio
import shapely
from grd_dem import hills, write_dem
from grd_samples import scene
from stac_api import Api, FileServer

from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.grd import fields
from curupira.grd.product import open_product
from curupira.pipelines.grd import outline

Curupira = Callable[..., Any]

NAME = "S1A_IW_GRDH_1SDV_20210119T031653_20210119T031718_036201_043ED0_8255"
SIGMA0 = {"VV": 0.12, "VH": 0.03}


class Given(NamedTuple):
    safe: Path
    dem: Path
    area: Path


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    folder = tmp_path_factory.mktemp("grd-source")
    safe = scene(
        folder / f"{NAME}.SAFE", sigma0={name: fields.flat(v) for name, v in SIGMA0.items()}
    )
    outlined = outline(open_product(safe).first)
    west, south, east, north = outlined.bounds
    dem = write_dem(
        folder / "dem.tif", (west - 0.03, south - 0.03, east + 0.03, north + 0.03), hills
    )
    area = folder / "area.json"
    inner = shapely.geometry.mapping(outlined.buffer(-0.01))
    feature = {"type": "Feature", "properties": {}, "geometry": inner}
    area.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return Given(safe, dem, area)


def item(given: Given, hrefs: dict[str, str], **properties: Any) -> dict[str, Any]:
    footprint = outline(open_product(given.safe).first)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": NAME,
        "geometry": shapely.geometry.mapping(footprint),
        "bbox": list(footprint.bounds),
        "properties": {
            "datetime": "2021-01-19T03:16:53.5Z",
            "created": "2021-01-19T09:00:00Z",
            "platform": "sentinel-1a",
            "sat:orbit_state": "descending",
            "sat:relative_orbit": 79,
            **properties,
        },
        "assets": {key: {"href": href} for key, href in hrefs.items()},
        "links": [],
    }


def workspace(
    given: Given, curupira: Curupira, folder: Path, profile: str, **source: object
) -> Path:
    """A workspace of the scene's middle; ``source`` are keys of ``[source]``."""
    made = curupira("init", folder, "--area", given.area, "--source", profile)
    assert made.code == 0, made.err
    place = folder / "monitor.toml"
    keys = {"polarisations": ["vh", "vv"], "requests_per_second": 1000, "attempts": 2, **source}
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    text = re.sub(
        r"\[source\].*?(?=\n\[)",
        "\n".join(["[source]", f'profile = "{profile}"', *lines, ""]),
        place.read_text(),
        flags=re.DOTALL,
    )
    place.write_text(re.sub(r"monitor_since = .*", "monitor_since = 2021-01-01", text))
    return folder


def listed(folder: Path, document: dict[str, Any]) -> str:
    """A copy of a provider's catalogue: one feature."""
    folder.mkdir(exist_ok=True)
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [document]}))
    return str(path)


def renamed(safe: Path, target: Path) -> Path:
    """The SAFE folder under the short names of the AWS and Azure copies."""
    shutil.copytree(safe, target)
    for path in target.rglob("*-grd-*"):
        kind = path.name.split("-")[0]
        prefix = f"{kind}-" if kind in ("noise", "calibration") else ""
        polarisation = "vv" if "-vv-" in path.name else "vh"
        path.rename(path.with_name(f"{prefix}iw-{polarisation}{path.suffix}"))
    return target


def check_cube(folder: Path) -> None:
    """The cube holds flattened gamma0 of both polarisations, and the local incidence angle."""
    opened = Workspace.open(folder)
    reader = Cube.open(opened.cube_path, opened.grid).reader()
    assert reader.scene_ids(79) == [NAME]
    grid = opened.grid
    window = _middle(grid.shape)
    lia = reader.read(79, NAME, "lia", window)
    assert 25 < np.nanmin(lia) < np.nanmax(lia) < 60
    # The part lies at the edge of the first sub-swath: 36 degrees on level ground.
    for band, sigma0 in (("vv", SIGMA0["VV"]), ("vh", SIGMA0["VH"])):
        power = reader.read(79, NAME, band, window)
        assert np.isfinite(power).all()
        level = sigma0 / np.cos(np.radians(36.5))
        assert abs(10 * np.log10(np.median(power) / level)) < 0.2


def _middle(shape: Any) -> Any:
    from curupira.blocks import Window

    y, x = (int(size) // 2 for size in shape)
    return Window(y - 30, y + 30, x - 30, x + 30)


def check_run(curupira: Curupira, folder: Path) -> None:
    run = curupira("run", "-w", folder)
    assert run.code == 0, run.err
    assert "1 scene in" in run.out, run.out
    check_cube(folder)
    assert not list((folder / "downloads").glob("*"))


def test_planetary_computers_products_by_its_api(
    given: Given, curupira: Curupira, stac_api: Api, files: FileServer, tmp_path: Path
) -> None:
    """A real STAC API; a SAFE folder under short names; signed links."""
    renamed(given.safe, files.folder / "s1-grd" / NAME)
    files.faults.append(_signing)
    place = f"{files.url}/s1-grd/{NAME}/measurement/iw-"
    document = item(given, {"vh": f"{place}vh.tiff", "vv": f"{place}vv.tiff"})
    ws = workspace(
        given,
        curupira,
        tmp_path / "ws",
        "pc-grd",
        catalogue=stac_api.url,
        collection=stac_api.collection([document]),
        token_url=f"{files.url}/token",
        token_hosts=["127.0.0.1"],
        dem=str(given.dem),
    )
    check = curupira("source", "check", "-w", ws)
    assert check.code == 0, check.out + check.err
    assert "first warning: after about" in check.out
    check_run(curupira, ws)
    asked = [path for path, _ in files.seen if "/measurement/" in path or "/annotation/" in path]
    assert len(asked) >= 8
    assert all("sig=secret" in path for path in asked)


def _signing(handler: Any) -> bool:
    if not handler.path.startswith("/token/"):
        return False
    body = {"token": "sig=secret", "msft:expiry": "2099-01-01T00:00:00Z"}
    handler.answer(200, json.dumps(body).encode(), "application/json")
    return True


@pytest.mark.parametrize(
    ("profile", "short", "read"),
    [
        ("cdse-grd", False, "download"),
        ("earthsearch-grd", True, "download"),
        ("earthsearch-grd", True, "window"),
    ],
)
def test_products_in_buckets(
    given: Given,
    curupira: Curupira,
    files: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile: str,
    short: bool,
    read: str,
) -> None:
    """S3 with signed requests, of the pixels and of the metadata beside them.

    Whole files, or by GDAL (``/vsis3/``) only the area's lines: from a file with as much behind
    them that nobody asked for.
    """
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    target = files.folder / "bucket" / "S1" / f"{NAME}.SAFE"
    (renamed if short else shutil.copytree)(given.safe, target)
    place = f"s3://bucket/S1/{NAME}.SAFE/measurement"
    names = [p.name for p in target.glob("measurement/*")]
    for path in target.glob("measurement/*"):
        with path.open("ab") as file:
            file.write(bytes(8_000_000))
    hrefs = {k: f"{place}/{next(n for n in names if f'-{k}' in n)}" for k in ("vh", "vv")}
    ws = workspace(
        given,
        curupira,
        tmp_path / "ws",
        profile,
        catalogue=listed(tmp_path / "catalogue", item(given, hrefs)),
        s3_endpoint=files.url,
        token_hosts=["127.0.0.1"],
        dem=str(given.dem),
        read=read,
    )
    check_run(curupira, ws)
    sizes = [_bytes_of(h) for path, h in files.seen if "/measurement/" in path]
    assert (sum(sizes) < 4_000_000) == (read == "window")
    signed = [h for path, h in files.seen if path.startswith("/bucket/")]
    assert len(signed) >= 8
    assert all(h["authorization"].startswith("AWS4-HMAC-SHA256") for h in signed)
    if profile == "earthsearch-grd":
        assert all(h["x-amz-request-payer"] == "requester" for h in signed)


def _bytes_of(headers: dict[str, str]) -> int:
    """Bytes that a request asks for, as many as the whole file has at most."""
    if headers["method"] == "HEAD":
        return 0
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
    return int(asked[2]) + 1 - int(asked[1]) if asked else 8_400_000


def zipped(given: Given, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(given.safe.rglob("*")):
            archive.write(file, f"{given.safe.name}/{file.relative_to(given.safe)}")
    return path


def test_archives_on_a_server(
    given: Given, curupira: Curupira, files: FileServer, tmp_path: Path
) -> None:
    """One zip archive for both polarisations, read by ranges, one of which breaks off."""
    name = zipped(given, files.folder / f"{NAME}.zip").name
    files.times(1, name, lambda handler: handler.answer(503, b""))
    catalogue = listed(tmp_path / "c", item(given, {"product": f"{files.url}/{name}"}))
    keys = {"asset_vh": "product", "asset_vv": "product", "access": "none"}
    ws = workspace(
        given, curupira, tmp_path / "ws", "pc-grd", catalogue=catalogue, dem=str(given.dem), **keys
    )
    check_run(curupira, ws)
    ranges = [h for path, h in files.seen if path.endswith(name)]
    assert all("range" in h for h in ranges)


def test_products_on_disk(given: Given, curupira: Curupira, tmp_path: Path) -> None:
    """A static catalogue of SAFE folders; heights by the angle alone, as DETER-R."""
    catalogue = listed(tmp_path / "c", item(given, {"vh": str(given.safe), "vv": str(given.safe)}))
    keys = {"product": "grd", "grd_radiometry": "gamma0"}
    ws = workspace(
        given, curupira, tmp_path / "ws", "static", catalogue=catalogue, dem=str(given.dem), **keys
    )
    run = curupira("run", "-w", ws)
    assert run.code == 0, run.err
    assert "1 scene in" in run.out
    opened = Workspace.open(ws)
    reader = Cube.open(opened.cube_path, opened.grid).reader()
    window = _middle(opened.grid.shape)
    lia = reader.read(79, NAME, "lia", window)
    power = reader.read(79, NAME, "vh", window)
    # gamma0 cos(LIA) is what was put in.
    np.testing.assert_allclose(
        10 * np.log10(power * np.cos(np.radians(lia)) / SIGMA0["VH"]), 0, atol=0.15
    )


def test_what_is_wrong_is_said(given: Given, curupira: Curupira, tmp_path: Path) -> None:
    cut = shutil.copytree(given.safe, tmp_path / f"{NAME}.SAFE")
    (gone,) = cut.glob("measurement/*-vh-*.tiff")
    gone.unlink()
    hrefs = {"vh": str(cut), "vv": str(cut)}
    for number, (document, words, code, keys) in enumerate(
        [
            (item(given, hrefs), "needs a height model", 2, {"dem": ""}),
            (item(given, hrefs), "is no height model that GDAL reads", 2, {"dem": "absent.tif"}),
            (item(given, hrefs), f"missing: measurement/{gone.name}", 4, {}),
            (
                item(given, {k: str(given.safe) for k in hrefs}, **{"sat:relative_orbit": 80}),
                "relative orbit 79, the catalogue says 80",
                4,
                {},
            ),
        ]
    ):
        catalogue = listed(tmp_path / f"c{number}", document)
        given_keys = {"product": "grd", "catalogue": catalogue, "dem": str(given.dem), **keys}
        ws = workspace(given, curupira, tmp_path / f"ws{number}", "static", **given_keys)
        run = curupira("run", "-w", ws)
        assert run.code == code, run.err
        said = run.out + run.err
        if code == 4:
            assert "quarantined" in said
        assert words in " ".join(said.split()), said


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_one_product_from_a_bucket(
    given: Given,
    curupira: Curupira,
    files: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    packed: bool,
) -> None:
    """`curupira grd s3://...` by the environment's keys; a geographic grid."""
    bucket = files.folder / "bucket"
    if packed:
        bucket.mkdir(parents=True)
        name = zipped(given, bucket / f"{NAME}.zip").name
    else:
        name = shutil.copytree(given.safe, bucket / f"{NAME}.SAFE").name
    monkeypatch.setenv("AWS_ENDPOINT_URL", files.url)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    command = ["grd", f"s3://bucket/{name}", "--dem", given.dem, "-o", tmp_path / "out"]
    command += ["--geoid", "none", "--radiometry", "sigma0", "--crs", "EPSG:4326"]
    refused = curupira(*command)
    assert refused.code == 3
    assert "AWS_ACCESS_KEY_ID" in refused.err
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    answer = curupira(*command)
    assert answer.code == 0, answer.err
    assert all(h["authorization"].startswith("AWS4-HMAC-SHA256") for _, h in files.seen)
    with rasterio.open(tmp_path / "out" / NAME / "vh.tif") as source:
        assert source.crs.to_epsg() == 4326
        assert source.transform.a == pytest.approx(20 / 111_320)
        power = source.read(1)
    assert abs(10 * np.log10(np.nanmedian(power) / SIGMA0["VH"])) < 0.1
