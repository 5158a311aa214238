"""Bad input through the command line: a clear error, the contract's exit code, nothing lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import time as clock
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import rasterio

from curupira.codes import RunState
from curupira.config import Workspace
from curupira.store import run as runs
from curupira.store.session import Store

Curupira = Callable[..., Any]


@pytest.fixture
def world(builder: ModuleType, tmp_path: Path) -> Any:
    return builder.World(tmp_path / "images", [builder.Square(4, 4, builder.day(7))])


@pytest.fixture
def workspace(builder: ModuleType, world: Any, tmp_path: Path) -> Workspace:
    """Nine images, not run yet; the clearing shows on the last two."""
    made: Workspace = world.workspace(tmp_path / "ws", builder.series(9))
    return made


def edit(workspace: Workspace, old: str, new: str) -> Path:
    """Change the monitor file as a user would."""
    path = workspace.folder / "monitor.toml"
    text = path.read_text(encoding="utf-8")
    assert len(re.findall(old, text, re.MULTILINE)) == 1, old
    path.write_text(re.sub(old, lambda _: new, text, flags=re.MULTILINE), encoding="utf-8")
    return path


def told(answer: Any, code: int, *words: str) -> None:
    """Assert the exit code, and that one line says what, where and what to do."""
    assert answer.code == code, answer
    flat = " ".join(answer.err.split())
    assert "Traceback" not in flat
    for word in words:
        assert word in flat, flat


# --- images ---


def asset(world: Any, shot: Any) -> Path:
    return Path(world.scene(shot).assets["vh"].href)


def rewrite(path: Path, values: np.ndarray[Any, Any] | None = None, **profile: Any) -> None:
    """Write an image anew with other values or another header."""
    with rasterio.open(path) as source:
        old, was = source.read(1), source.profile
    path.unlink()
    kept = {k: was[k] for k in ("width", "height", "dtype", "crs", "transform", "nodata")}
    with rasterio.open(path, "w", driver="GTiff", count=1, **(kept | profile)) as target:
        target.write(old if values is None else values, 1)


def spoil(world: Any, builder: ModuleType, kind: str, shot: Any) -> None:
    path = asset(world, shot)
    with rasterio.open(path) as source:
        power = source.read(1)
    if kind == "missing":
        path.unlink()
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    elif kind == "web page":
        path.write_bytes(b"<!DOCTYPE html><html><body>Please log in</body></html>")
    elif kind == "no system":
        rewrite(path, crs=None)
    elif kind == "wrong system":
        rewrite(path, crs="EPSG:32621")
    elif kind == "all NaN":
        rewrite(path, np.full_like(power, np.nan))
    elif kind == "dB":
        rewrite(path, (10 * np.log10(power)).astype(np.float32))
    elif kind == "elsewhere":
        far = builder.GRID.affine.translation(10_000, 0) * builder.GRID.affine
        rewrite(path, transform=far)


BAD_IMAGES = {
    "missing": ("missing", "fetch the file again"),
    "truncated": ("truncated", "fetch the file again"),
    "web page": ("web page", "login"),
    "no system": ("no coordinate reference system", "geocode"),
    "wrong system": ("coordinate system EPSG:32621 is wrong", "correct its system"),
    "all NaN": ("no valid VH pixel", "leave it out"),
    "dB": ("dB but declared linear", 'scale = "db"'),
    "elsewhere": ("catalogue says", "fetch the file again"),
}


def test_every_bad_image_is_quarantined_and_the_others_are_used(
    builder: ModuleType, world: Any, tmp_path: Path, curupira: Curupira
) -> None:
    b = builder
    bad = {
        kind: b.Shot(b.day(k) + timedelta(days=2), orbit=20 + k)
        for k, kind in enumerate(BAD_IMAGES)
    }
    workspace = world.workspace(tmp_path / "ws", [*b.series(9), *bad.values()])
    for kind, shot in bad.items():
        spoil(world, b, kind, shot)
    answer = curupira("run", "-w", workspace.folder)
    lines = {line.split(": ", 1)[0]: line for line in answer.err.splitlines() if ": " in line}
    for kind, shot in bad.items():
        line = lines[f"quarantined {shot.scene_id}"]
        for word in (*BAD_IMAGES[kind], asset(world, shot).name):
            assert word in line, (kind, line)
    assert answer.code == 4
    assert "9 scenes in" in answer.out
    assert len(b.at(workspace, world.squares[0])) == 1, "the good ones did their work"

    assert curupira("run", "-w", workspace.folder).code == 0, "told once"
    status = json.loads(curupira("status", "-w", workspace.folder, "--json").out)
    assert {q["scene"] for q in status["quarantined"]} == {s.scene_id for s in bad.values()}
    assert all(q["reason"] for q in status["quarantined"])


def test_linear_declared_as_db(workspace: Workspace, curupira: Curupira) -> None:
    edit(workspace, '^scale = "linear"', 'scale = "db"')
    told(curupira("run", "-w", workspace.folder), 4, "linear power but declared dB", "scale =")
    # The user mends the line; the images were not lost.
    edit(workspace, '^scale = "db"', 'scale = "linear"')
    answer = curupira("run", "-w", workspace.folder, "--force")
    assert answer.code == 0, answer
    assert "9 scenes in" in answer.out


def item_file(workspace: Workspace, shot: Any) -> Path:
    return workspace.folder / "catalog" / "items" / f"{shot.scene_id}.json"


def change_item(workspace: Workspace, shot: Any, change: Callable[[dict[str, Any]], Any]) -> None:
    path = item_file(workspace, shot)
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["properties"].update(datetime="2022-03-28T09:30:00"), ("datetime", "zone")),
        (lambda d: d["properties"].update(datetime="2999-01-01T00:00:00Z"), ("future",)),
        (lambda d: d["properties"].update(created="2022-03-29T09:30:00"), ("created", "zone")),
        (lambda d: d["properties"].pop("sat:relative_orbit"), ("sat:relative_orbit",)),
        (lambda d: d["assets"].pop("vh"), ("vh",)),
    ],
    ids=["naive", "future", "naive created", "no orbit", "no polarisation"],
)
def test_a_bad_item_is_quarantined(
    builder: ModuleType,
    workspace: Workspace,
    curupira: Curupira,
    change: Callable[[dict[str, Any]], Any],
    words: tuple[str, ...],
) -> None:
    shot = builder.Shot(builder.day(8))
    whole = item_file(workspace, shot).read_text()
    change_item(workspace, shot, change)
    answer = curupira("run", "-w", workspace.folder)
    told(answer, 4, shot.scene_id, *words)
    assert "8 scenes in" in answer.out
    assert curupira("run", "-w", workspace.folder).code == 0
    item_file(workspace, shot).write_text(whole)
    mended = curupira("run", "-w", workspace.folder)
    assert mended.code == 0
    assert "1 scene in" in mended.out


def test_an_item_that_is_no_json(
    builder: ModuleType, workspace: Workspace, curupira: Curupira
) -> None:
    item_file(workspace, builder.Shot(builder.day(8))).write_text('{"type": "Feat')
    told(curupira("run", "-w", workspace.folder), 4, "no JSON")


def test_a_scene_outside_the_area_is_left_alone(
    builder: ModuleType, workspace: Workspace, curupira: Curupira
) -> None:
    def move(document: dict[str, Any]) -> None:
        ring = document["geometry"]["coordinates"][0]
        document["geometry"]["coordinates"][0] = [[x + 5, y] for x, y in ring]
        document["bbox"] = [document["bbox"][k] + (5 if k % 2 == 0 else 0) for k in range(4)]

    change_item(workspace, builder.Shot(builder.day(8)), move)
    answer = curupira("run", "-w", workspace.folder)
    assert answer.code == 0
    assert "8 scenes in" in answer.out


def test_two_scenes_with_one_timestamp(
    builder: ModuleType, world: Any, workspace: Workspace, curupira: Curupira
) -> None:
    twin = builder.Shot(builder.day(8), name="twin")
    world.publish(workspace, [twin])
    told(curupira("run", "-w", workspace.folder), 4, "twin", "two scenes with one timestamp")


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", "<html>", '{"type": "Unknown"}'])
def test_a_catalogue_that_is_none(workspace: Workspace, curupira: Curupira, content: str) -> None:
    (workspace.folder / "catalog" / "catalog.json").write_text(content)
    told(curupira("run", "-w", workspace.folder), 7, "catalog.json")


def test_no_catalogue(workspace: Workspace, curupira: Curupira) -> None:
    (workspace.folder / "catalog" / "catalog.json").unlink()
    told(curupira("run", "-w", workspace.folder), 2, "catalogue does not exist", "source index")


# --- history ---


def test_too_few_learning_images_is_no_error(
    builder: ModuleType, world: Any, tmp_path: Path, curupira: Curupira
) -> None:
    workspace = world.workspace(
        tmp_path / "ws", builder.series(9), override={"minimum_learning_images": 30}
    )
    assert curupira("run", "-w", workspace.folder).code == 0
    with rasterio.open(sorted((workspace.folder / "products").glob("*.tif"))[-1]) as dataset:
        assert (dataset.read(1) == dataset.nodata).all(), "the pixels are not observed"
    assert builder.warning_rows(workspace) == []


def test_a_season_without_enough_of_the_year(
    builder: ModuleType, world: Any, tmp_path: Path, curupira: Curupira
) -> None:
    """The backlog goes on, the reason is told once, and the remedy works."""
    b = builder
    workspace = world.workspace(tmp_path / "ws", b.series(11), override={"season": "harmonic"})
    answer = curupira("run", "-w", workspace.folder)
    told(answer, 7, "the season cannot be fitted", 'season = "none"', "sentinel-1a_083_")
    assert "11 scenes in" in answer.out
    refused = answer.err.count("not evaluated: ")
    assert refused == 4, "of the monitored ones, the first has too few learning images at all"
    assert b.warning_rows(workspace) == []
    with rasterio.open(sorted((workspace.folder / "products").glob("*.tif"))[0]) as dataset:
        assert (dataset.read(1) == dataset.nodata).all()
    assert curupira("run", "-w", workspace.folder).code == 0, "told once"
    edit(workspace, 'season = "harmonic"', 'season = "none"')
    mended = curupira("run", "-w", workspace.folder)
    assert mended.code == 0, mended
    assert f"{refused} acquisitions evaluated" in mended.out
    (row,) = b.at(workspace, world.squares[0])
    assert str(row.status) == "confirmed"


# --- configuration ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--date", "2024-13-01"), ("--date", "2024-13-01", "YYYY-MM-DD")),
        (("--date", "yesterday"), ("--date", "YYYY-MM-DD")),
        (("--since", "2024-06-01T10:00"), ("--since", "YYYY-MM-DD")),
        (("--until", "2999-01-01"), ("--until", "future", "UTC")),
        (("--since", "2999-01-01"), ("--since", "future")),
        (("--since", "2023-02-01", "--until", "2023-01-01"), ("after", "exchange")),
        (("--date", "2023-02-01", "--until", "2023-02-01"), ("--date excludes",)),
        (("--scheduler", "slurm"), ("slurm", "local:4")),
        (("--no-such-option",), ("No such option",)),
    ],
)
def test_wrong_options(
    workspace: Workspace, curupira: Curupira, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    told(curupira("run", "-w", workspace.folder, *options), 2, *words)
    assert curupira("run", "-w", workspace.folder).code == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("^threads = 1", "thread = 1", ("[compute] thread", "known here", "threads")),
        ("^\\[compute\\]", "[computing]", ("computing", "known here", "[compute]")),
        ("^resolution_m = 20.0", 'resolution_m = "20 m"', ("[grid] resolution_m", "20 m")),
        ("^resolution_m = 20.0", "resolution_m = 2000", ("[grid] resolution_m", "2000", "100")),
        ('^memory = "3GB"', 'memory = "3 bananas"', ("memory", "3 bananas", "3GB")),
        ("^tile_px = 512", "tile_px = -1", ("[grid] tile_px", "-1", "64")),
        ('^scale = "linear"', 'scale = "dB"', ("[source] scale", "dB", "'linear' or 'db'")),
        ('^preset = "deter_r"', 'preset = "deter_s"', ("deter_s", "sensitive")),
        ('^crs = "EPSG:32721"', 'crs = "EPSG:4326"', ("[grid] crs", "not in metres")),
        ('^crs = "EPSG:32721"', 'crs = "UTM 21"', ("[grid] crs", "UTM 21", "EPSG:32721")),
        ('season = "none",', 'saison = "none",', ("saison", "season")),
        ('season = "none",', 'season = "winter",', ("season", "winter")),
        ("^format = 1", "format = 99", ("format 99", "update curupira")),
        ("^format = 1", "format = one", ("not valid TOML", "line")),
        ('^url = "sqlite:///warnings.gpkg"', 'url = "mysql://x"', ("[store] url", "sqlite:///")),
        ("^monitor_since = .*", 'monitor_since = "last May"', ("monitor_since", "last May")),
    ],
)
def test_a_wrong_monitor_file(
    workspace: Workspace, curupira: Curupira, old: str, new: str, words: tuple[str, ...]
) -> None:
    edit(workspace, old, new)
    told(curupira("run", "-w", workspace.folder), 2, *words)


def test_a_monitor_file_that_is_no_text(workspace: Workspace, curupira: Curupira) -> None:
    (workspace.folder / "monitor.toml").write_bytes(b"\xff\xfe\x00broken")
    told(curupira("run", "-w", workspace.folder), 2, "monitor.toml", "UTF-8")


def test_no_workspace(tmp_path: Path, curupira: Curupira) -> None:
    told(curupira("run", "-w", tmp_path), 2, "no monitor.toml", "curupira init")
    told(curupira("status", "-w", tmp_path / "nowhere"), 2, "nowhere")


BOW_TIE = [[[-57.0, -4.5], [-56.9, -4.4], [-56.9, -4.5], [-57.0, -4.4], [-57.0, -4.5]]]


def area(path: Path, *geometries: dict[str, Any]) -> Path:
    features = [{"type": "Feature", "properties": {}, "geometry": g} for g in geometries]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.mark.parametrize(
    ("geometries", "code", "words"),
    [
        ([{"type": "Polygon", "coordinates": BOW_TIE}], 7, ("invalid", "repair")),
        ([], 7, ("area.geojson", "polygon")),
        ([{"type": "Point", "coordinates": [-57, -4]}], 7, ("Point", "polygon")),
        ([{"type": "Polygon", "coordinates": []}], 7, ("area.geojson", "polygon")),
        (None, 2, ("no such file", "area.geojson")),
    ],
    ids=["bow tie", "no feature", "a point", "empty", "missing"],
)
def test_an_area_that_is_none(
    tmp_path: Path,
    workspace: Workspace,
    curupira: Curupira,
    geometries: list[dict[str, Any]] | None,
    code: int,
    words: tuple[str, ...],
) -> None:
    for path in (tmp_path / "area.geojson", workspace.folder / "area.geojson"):
        path.unlink(missing_ok=True)
        if geometries is not None:
            area(path, *geometries)
    told(curupira("init", tmp_path / "new", "--area", tmp_path / "area.geojson"), code, *words)
    assert not (tmp_path / "new").exists(), "nothing half-made stays"
    told(curupira("run", "-w", workspace.folder), code, *words)


def test_a_place_that_refuses_a_new_workspace(
    tmp_path: Path, workspace: Workspace, curupira: Curupira
) -> None:
    """Below a file nothing can be made: a stand-in for a read-only place, as root may test."""
    outline = workspace.folder / "area.geojson"
    (tmp_path / "file").write_text("mine")
    new = tmp_path / "file" / "new"
    told(curupira("init", new, "--area", outline), 5, "file", "folder writable")
    told(curupira("demo", "--out", new), 5, "file", "folder writable")
    told(curupira("simulate", new, "--size-km", "2", "--years", "2.5"), 5, "folder writable")


def test_an_unknown_source(tmp_path: Path, workspace: Workspace, curupira: Curupira) -> None:
    outline, new = workspace.folder / "area.geojson", tmp_path / "new"
    answer = curupira("init", new, "--area", outline, "--source", "geocatalog")
    told(answer, 2, "--source", "geocatalog", "static, pc-rtc")
    assert not new.exists()


def test_a_catalogue_that_ends_before_the_history_begins(
    workspace: Workspace, curupira: Curupira
) -> None:
    """What ``init`` leaves of an archive: monitoring since today."""
    edit(workspace, "^monitor_since = .*", 'monitor_since = "2026-01-01"')
    answer = curupira("source", "check", "-w", workspace.folder)
    told(answer, 7, "newest image is of 2022-", "earlier monitor_since")


def test_an_area_that_is_no_vector_file(tmp_path: Path, curupira: Curupira) -> None:
    path = tmp_path / "area.gpkg"
    path.write_bytes(b"not a database")
    told(curupira("init", tmp_path / "new", "--area", path), 7, "area.gpkg", "GeoPackage")


def test_an_area_file_of_the_users_own_stays(
    tmp_path: Path, workspace: Workspace, curupira: Curupira
) -> None:
    outline, new = workspace.folder / "area.geojson", tmp_path / "new"
    new.mkdir()
    mine = outline.read_text(encoding="utf-8").replace("{", "{ ", 1)
    (new / "area.geojson").write_text(mine, encoding="utf-8")
    answer = curupira("init", new, "--area", outline)
    told(answer, 2, "area.geojson", "another area file", "--area")
    assert not (new / "monitor.toml").exists()
    answer = curupira("init", new, "--area", new / "area.geojson")
    assert answer.code == 0, answer
    assert (new / "area.geojson").read_text(encoding="utf-8") == mine
    assert 'file = "area.geojson"' in (new / "monitor.toml").read_text(encoding="utf-8")


def test_where_a_workspace_may_not_be_made(
    tmp_path: Path, workspace: Workspace, curupira: Curupira
) -> None:
    outline = workspace.folder / "area.geojson"
    (tmp_path / "file").write_text("mine")
    told(curupira("init", workspace.folder, "--area", outline), 2, "already", "another folder")
    told(curupira("init", tmp_path / "file", "--area", outline), 2, "file", "another folder")
    told(curupira("simulate", workspace.folder), 2, "already", "another folder")
    told(curupira("simulate", tmp_path / "images", "--size-km", "2"), 2, "images", "folder")
    new = tmp_path / "new"
    told(curupira("init", new, "--area", outline, "--preset", "deter_s"), 2, "deter_s", "deter_r")
    told(curupira("simulate", new, "--scenario", "moon"), 2, "moon", "default")
    told(curupira("simulate", new, "--size-km", "1"), 2, "size-km")
    told(curupira("init", new), 2, "--area")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("features", [[], "everywhere"])
def test_empty_masks(
    builder: ModuleType, workspace: Workspace, curupira: Curupira, features: Any
) -> None:
    layer = workspace.folder / "layer.geojson"
    ring = [[-58, -6], [-56, -6], [-56, -3], [-58, -3], [-58, -6]]
    area(layer, *([{"type": "Polygon", "coordinates": [ring]}] if features else []))
    edit(workspace, "^non_forest = .*", 'non_forest = ["layer.geojson"]')
    words = (
        ("forest mask is empty", "[masks]", "check which layers")
        if features
        else ("layer.geojson",)
    )
    told(curupira("run", "-w", workspace.folder), 7, *words)
    told(curupira("masks", "build", "-w", workspace.folder), 7, *words)
    edit(workspace, "^non_forest = .*", "non_forest = []")
    assert curupira("run", "-w", workspace.folder).code == 0


def test_a_mask_layer_that_is_missing(workspace: Workspace, curupira: Curupira) -> None:
    edit(workspace, "^water = .*", 'water = ["rivers.gpkg"]')
    told(
        curupira("run", "-w", workspace.folder), 2, "[masks] water", "rivers.gpkg", "does not exist"
    )


# --- store and disk ---


def set_revision(workspace: Workspace, revision: str) -> None:
    with closing(sqlite3.connect(workspace.folder / "warnings.gpkg")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()


def test_a_store_of_another_version(workspace: Workspace, curupira: Curupira) -> None:
    assert curupira("run", "-w", workspace.folder).code == 0
    set_revision(workspace, "9999")
    told(curupira("run", "-w", workspace.folder), 5, "newer", "9999")
    told(curupira("status", "-w", workspace.folder), 5, "newer")
    set_revision(workspace, "0000")
    told(curupira("run", "-w", workspace.folder), 5, "older", "curupira db upgrade")


def test_a_store_that_is_none(workspace: Workspace, curupira: Curupira) -> None:
    path = workspace.folder / "warnings.gpkg"
    path.write_bytes(b"this is no database, it is a letter to a friend" * 40)
    before = path.read_bytes()
    told(curupira("run", "-w", workspace.folder), 5, "warnings.gpkg", "not a database")
    assert path.read_bytes() == before, "what was there stays"


@pytest.mark.parametrize("name", ["cube", "products", "masks", "warnings.gpkg"])
def test_something_else_lies_in_the_way(
    builder: ModuleType, workspace: Workspace, curupira: Curupira, name: str
) -> None:
    """A stand-in for a read-only place: these tests may run as root."""
    path = workspace.folder / name
    if name == "warnings.gpkg":
        path.mkdir()
    else:
        path.write_text("in the way")
    told(curupira("run", "-w", workspace.folder), 5, name)
    if name == "warnings.gpkg":
        path.rmdir()
    else:
        assert path.read_text() == "in the way"
        path.unlink()
    assert curupira("run", "-w", workspace.folder).code == 0
    assert len(builder.warning_rows(workspace)) == 1


def test_a_cube_that_was_lost_is_read_again(
    builder: ModuleType, world: Any, workspace: Workspace, curupira: Curupira
) -> None:
    b = builder
    assert curupira("run", "-w", workspace.folder).code == 0
    ((warning_id, issued),) = [(r.warning_id, r.issued_at) for r in b.warning_rows(workspace)]
    shutil.rmtree(workspace.folder / "cube")
    world.publish(workspace, [b.Shot(b.day(9))])
    answer = curupira("run", "-w", workspace.folder)
    assert answer.code == 0, answer
    assert "9 scenes that the cube had lost, read again" in answer.out
    assert "1 scene in, 1 acquisition evaluated" in answer.out
    (row,) = b.warning_rows(workspace)
    assert (row.warning_id, row.issued_at) == (warning_id, issued)
    undisturbed = world.workspace(workspace.folder.parent / "ws2", b.series(10))
    b.play(undisturbed)
    assert b.state(workspace) == b.state(undisturbed)


def test_a_cube_and_images_that_were_lost(
    builder: ModuleType, world: Any, workspace: Workspace, curupira: Curupira
) -> None:
    """Nothing is evaluated without its history; with the image back it goes on."""
    assert curupira("run", "-w", workspace.folder).code == 0
    before = builder.state(workspace)
    shutil.rmtree(workspace.folder / "cube")
    image = asset(world, builder.Shot(builder.day(3)))
    image.rename(image.with_suffix(".away"))
    answer = curupira("run", "-w", workspace.folder)
    told(answer, 5, "lost 9 scenes", builder.Shot(builder.day(3)).scene_id, "from a backup")
    assert builder.state(workspace) == before
    image.with_suffix(".away").rename(image)
    answer = curupira("run", "-w", workspace.folder)
    assert answer.code == 0, answer
    assert "6 scenes that the cube had lost" in answer.out
    assert builder.state(workspace) == before


#: A busy machine starts a process in a minute; only one that hangs takes longer than this.
_PATIENCE_S = 600


def command(*arguments: object, limit_kb: int | None = None) -> list[str]:
    """The real command in a process of its own, with a limit on the size of files."""
    # Whoever runs the tests in the background has Ctrl-C ignored, and programs inherit that.
    heard = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"import signal; {heard}; from curupira.cli.main import run; run()"
    start = [sys.executable, "-c", code]
    line = [*start, *map(str, arguments)]
    if limit_kb is None:
        return line
    return ["bash", "-c", f'ulimit -f {limit_kb}; exec "$@"', "bash", *line]


@pytest.mark.parametrize("limit_kb", [8, 100, 600])
def test_a_full_disk(
    builder: ModuleType, workspace: Workspace, curupira: Curupira, limit_kb: int
) -> None:
    """The limit strikes the database, or a file of the run; afterwards it goes on."""
    full = subprocess.run(
        command("run", "-w", workspace.folder, limit_kb=limit_kb),
        capture_output=True,
        text=True,
        check=False,
    )
    assert full.returncode == 5, full
    assert "error: " in full.stderr
    assert "Traceback" not in full.stderr
    assert curupira("run", "-w", workspace.folder).code == 0
    (row,) = builder.warning_rows(workspace)
    assert str(row.status) == "confirmed"
    assert not list((workspace.folder / "products").glob("*.raw.tif"))


def test_two_runs_at_once(workspace: Workspace, curupira: Curupira) -> None:
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=True)
    with store, store.lock():
        answer = curupira("run", "-w", workspace.folder)
        told(answer, 5, "another run holds this workspace", str(os.getpid()), "wait")
        assert curupira("status", "-w", workspace.folder).code == 0, "looking is allowed"
    assert curupira("run", "-w", workspace.folder).code == 0


@pytest.mark.parametrize(
    ("sign", "code", "word"),
    [(signal.SIGINT, 130, "stopped"), (signal.SIGTERM, 143, "terminated")],
)
def test_ctrl_c_and_sigterm_stop_cleanly(
    builder: ModuleType,
    world: Any,
    tmp_path: Path,
    curupira: Curupira,
    sign: signal.Signals,
    code: int,
    word: str,
) -> None:
    b = builder
    shots = [*b.series(12), *b.series(12, orbit=10, at=clock(21, 0))]
    workspace = world.workspace(tmp_path / "ws", shots)
    url = workspace.monitor.store.url
    Store.open(url, base=workspace.folder, create=True).close()
    process = subprocess.Popen(
        command("run", "-w", workspace.folder), stderr=subprocess.PIPE, text=True
    )
    cube = workspace.folder / "cube" / "snapshots"
    with Store.open(url, base=workspace.folder, create=False) as store:
        until = time.monotonic() + _PATIENCE_S
        while not (cube.exists() and len(list(cube.iterdir())) > 4):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        # However late this process gets to it: while it may write alone, the run cannot end.
        with store.transaction() as session:
            row = runs.latest(session)
            assert row is not None
            assert row.state is RunState.RUNNING
            process.send_signal(sign)
    _, said = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == code, said
    assert f"{word}; what was finished is kept" in said
    assert "Traceback" not in said
    status = json.loads(curupira("status", "-w", workspace.folder, "--json").out)
    assert status["last_run"]["state"] == "failed"
    assert status["scenes"]["ingested"] >= 1
    assert curupira("run", "-w", workspace.folder).code == 0
    status = json.loads(curupira("status", "-w", workspace.folder, "--json").out)
    assert status["scenes"]["ingested"] == len(shots)
    assert status["last_run"]["state"] == "done"


def test_the_unforeseen_names_a_log_file(
    workspace: Workspace, curupira: Curupira, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr("curupira.pipelines.daily.discover", fail)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    answer = curupira("run", "-w", workspace.folder)
    assert answer.code == 1
    found = re.search(r"\S+\.log", answer.err)
    assert found is not None
    assert "ZeroDivisionError: nobody thought of this" in Path(found[0]).read_text()


def test_the_monitor_hash_leaves_out_where_things_are(workspace: Workspace) -> None:
    before = workspace.monitor.hash
    for old, new in (
        ('^catalogue = "catalog/catalog.json"', 'catalogue = "/elsewhere/catalog.json"'),
        ("^non_forest = .*", 'non_forest = ["layer.gpkg"]'),
        ('^output = "masks"', 'output = "other"'),
        ('^path = "cube"', 'path = "s3://bucket/cube"'),
        ('^url = "sqlite:///warnings.gpkg"', 'url = "postgresql+psycopg://u:secret@h/d"'),
        ('^file = "area.geojson"', 'file = "/other/area.geojson"'),
        ("^threads = 1", "threads = 7"),
        ("^tile_px = 512", "tile_px = 64"),
    ):
        edit(workspace, old, new)
        assert Workspace.open(workspace.folder).monitor.hash == before, old
    edit(workspace, '^scale = "linear"', 'scale = "db"')
    assert Workspace.open(workspace.folder).monitor.hash != before
