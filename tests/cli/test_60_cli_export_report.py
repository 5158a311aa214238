"""``curupira export`` and ``curupira report`` as a user types them, with their exit codes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import shapely

from curupira.cli import main
from curupira.cli.export import join_box

Command = Callable[..., int]


@pytest.fixture
def curupira(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line in this process; returns its exit code."""

    def run(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["curupira", *map(str, words)])
        return main._guarded()

    return run


@pytest.fixture(scope="module")
def issued(district: Path) -> gpd.GeoDataFrame:
    return pyogrio.read_dataframe(district / "warnings.gpkg", layer="warning")


@pytest.mark.parametrize("file", ["w.geojson", "w.gpkg", "w.parquet", "w.zip", "w.csv", "w.kml"])
def test_export_guesses_the_format(curupira, district, issued, tmp_path, capsys, file):
    path = tmp_path / "new" / file
    assert curupira("export", "-o", path, "-w", district) == 0
    assert f"{len(issued)} warnings" in capsys.readouterr().out
    found = (
        gpd.read_parquet(path)
        if file.endswith("parquet")
        else pyogrio.read_dataframe(f"/vsizip/{path}" if file.endswith("zip") else path)
    )
    assert len(found) == len(issued)


def test_export_selects_by_status_time_and_box(curupira, district, issued, tmp_path):
    path = tmp_path / "w.geojson"

    def ids(*options: object) -> set[str]:
        assert curupira("export", *options, "-o", path, "-w", district) == 0
        # A GeoJSON without features has no fields either.
        return set(pyogrio.read_dataframe(path).get("warning_id", []))

    for status in ("confirmed", "preliminary", "closed"):
        assert ids("--status", status) == set(issued["warning_id"][issued["status"] == status])
    both = issued["status"].isin(["confirmed", "preliminary"])
    assert ids("--status", "confirmed,preliminary") == set(issued["warning_id"][both])
    day = issued["issued_at"].min().date()
    first = issued["warning_id"][issued["issued_at"].dt.date == day]
    assert ids("--until", day) == set(first)
    assert ids("--since", day) == set(issued["warning_id"])
    west, south, east, north = issued.geometry.iloc[0].bounds
    box = shapely.box(west, south, east, north)
    near = set(issued["warning_id"][issued.intersects(box)])
    assert ids("--bbox", f"{west},{south},{east},{north}") == near
    assert ids("--bbox", west, south, east, north) == near
    assert ids("--bbox", 10, 10, 11, 11) == set()


def test_four_numbers_after_bbox_are_one_box():
    assert join_box(["--bbox", "-1", "-2.5", "3e0", ".5", "-o", "x"]) == [
        *("--bbox", "-1,-2.5,3e0,.5", "-o", "x")
    ]
    for words in (["--bbox", "1,2,3,4", "-o", "x", "y"], ["-o", "1"], ["--bbox", "1", "2", "3"]):
        assert join_box(words) == words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "w.tif"], "geojson, gpkg, parquet, shp, csv, kml, gpx"),
        (["-o", "w.csv", "--format", "dxf"], "geojson, gpkg, parquet, shp, csv, kml, gpx"),
        (["-o", "w.shp"], "w.zip"),
        (["-o", "w.csv", "--status", "open"], "preliminary, confirmed, closed"),
        (["-o", "w.csv", "--since", "yesterday"], "YYYY-MM-DD"),
        (["-o", "w.csv", "--since", "2022-02-01", "--until", "2022-01-01"], "exchange"),
        (["-o", "w.csv", "--bbox", "1,2,3"], "west,south,east,north"),
        (["-o", "w.csv", "--bbox", "a,b,c,d"], "west,south,east,north"),
        (["-o", "w.csv", "--bbox", "4,2,3,4"], "west,south,east,north"),
    ],
)
def test_wrong_export_options_are_refused(curupira, district, tmp_path, capsys, options, words):
    options = [tmp_path / o if o.startswith("w.") else o for o in options]
    assert curupira("export", *options, "-w", district) == 2
    assert words in re.sub(r"\s+", " ", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_report_writes_one_self_contained_page(curupira, district, issued, tmp_path):
    path = tmp_path / "reports" / "day.html"
    day = issued["issued_at"].min().date()
    assert curupira("report", "--on", day, "--period", "day", "-o", path, "-w", district) == 0
    html = path.read_text(encoding="utf-8")
    assert issued["warning_id"][0][:8] in html
    # A simulated district: nobody's satellite data.
    assert "Simulated images, no satellite data" in html
    assert "Copernicus" not in html
    assert html.count("data:image/png;base64,") >= 6
    assert not re.search(r"(src|href)=.(https?:)?//", html)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--period", "week"], "day, month, year, all"),
        (["--on", "2022-13-01"], "YYYY-MM-DD"),
    ],
)
def test_wrong_report_options_are_refused(curupira, district, tmp_path, capsys, options, words):
    path = tmp_path / "r.html"
    assert curupira("report", *options, "-o", path, "-w", district) == 2
    assert words in re.sub(r"\s+", " ", capsys.readouterr().err)
    assert not path.exists()


def test_no_workspace_and_no_folder_to_write(curupira, tmp_path, capsys):
    assert curupira("report", "-o", tmp_path / "r.html", "-w", tmp_path / "none") == 2
    assert curupira("export", "-o", tmp_path / "w.csv", "-w", tmp_path / "none") == 2
    assert curupira("report", "-o", tmp_path, "-w", tmp_path) == 2
    assert "this is a folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["export", "report"])
def test_help_has_an_example(curupira, capsys, command):
    assert curupira(command, "--help") == 0
    assert f"curupira {command} --" in re.sub(r"\s+", " ", capsys.readouterr().out)
