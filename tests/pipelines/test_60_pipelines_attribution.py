"""Whose images: what is made of simulated ones says so, and names nobody's satellite."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curupira.cli.main import app
from curupira.config import Workspace
from curupira.deliver.export import FORMATS
from curupira.stac import is_simulated
from curupira.units import NO_SATELLITE


def told(path: Path) -> bytes:
    """Everything a file says, in archives too."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"\n".join(archive.read(name) for name in archive.namelist())


@pytest.fixture(scope="module")
def copy(district: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attribution") / "w"
    shutil.copytree(district, folder)
    return folder


def run(*words: object) -> None:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_exports_of_a_simulated_workspace(copy: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / f"warnings{FORMATS[name].suffixes[0]}"
    run("export", "-w", copy, "--format", name, "-o", file)
    said = told(file)
    assert b"Copernicus" not in said
    # The Shapefiles of this format have no place for a notice.
    assert (NO_SATELLITE.encode() in said) == (name != "deter_rt")


def test_an_empty_export_says_so_as_well(copy: Path, tmp_path: Path) -> None:
    run("export", "-w", copy, "--since", "2026-01-01", "-o", tmp_path / "none.geojson")
    document = json.loads((tmp_path / "none.geojson").read_text())
    assert document["features"] == []
    assert document["attribution"] == NO_SATELLITE


def test_pages_of_a_simulated_workspace(copy: Path, tmp_path: Path) -> None:
    truth, pages = copy / "truth.gpkg", [tmp_path / f"{n}.html" for n in range(2)]
    run("report", "-w", copy, "--period", "day", "-o", pages[0])
    run("compare", "-w", copy, "--reference", truth, "--date-field", "start_date", "-o", pages[1])
    for page in pages:
        assert "Copernicus" not in page.read_text()
        assert NO_SATELLITE in page.read_text().lower()


def test_products_and_packages_of_a_simulated_workspace(copy: Path, tmp_path: Path) -> None:
    items = sorted((copy / "products").glob("*.json"))
    assert items
    for item in items:
        assert json.loads(item.read_text())["properties"]["curupira:attribution"] == NO_SATELLITE
    shutil.copytree(copy, tmp_path / "w")
    with (tmp_path / "w" / "monitor.toml").open("a") as stream:
        for kind in ("folder", "feed"):
            stream.write(f'\n[delivery.{kind}]\nkind = "{kind}"\nurl = "{tmp_path}/{kind}"\n')
    run("deliver", "-w", tmp_path / "w")
    for kind in ("folder", "feed"):
        sent = [told(path) for path in (tmp_path / kind).rglob("*") if path.is_file()]
        assert any(NO_SATELLITE.encode() in said for said in sent)
        assert not any(b"Copernicus" in said for said in sent)


def test_the_catalogue_tells_not_a_folder_beside_the_area(copy: Path, tmp_path: Path) -> None:
    assert Workspace.open(copy).simulated
    shutil.copytree(copy, tmp_path / "w", ignore=shutil.ignore_patterns("cube", "products"))
    assert (tmp_path / "w" / "truth").is_dir()
    catalogue = tmp_path / "w" / "catalog" / "catalog.json"
    document = json.loads(catalogue.read_text()) | {"id": "radar-of-a-provider"}
    catalogue.write_text(json.dumps(document))
    opened = Workspace.open(tmp_path / "w")
    assert not opened.simulated
    assert (
        opened.attribution([2021, 2023]) == "contains modified Copernicus Sentinel data 2021-2023"
    )


@pytest.mark.parametrize("text", [None, "", "[]", "{", "{}"])
def test_what_is_no_catalogue_is_not_simulated(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "catalog.json").write_text(text)
    assert not is_simulated(str(tmp_path / "catalog.json"))
    assert not is_simulated("https://stac.example.org/curupira-simulated-default-1/catalog.json")
