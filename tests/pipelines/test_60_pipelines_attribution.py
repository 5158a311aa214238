"""Whose images: what is made of simulated ones says so, and names nobody's satellite."""

from __future__ import annotations

import json
import shutil
import zipfile
from datetime import date, datetime
from pathlib import Path

import pytest
import rasterio
from mined import candidate_row
from typer.testing import CliRunner

from curupira.cli.main import app
from curupira.config import Workspace
from curupira.deliver.export import FORMATS
from curupira.stac import is_simulated
from curupira.store import Store
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


def whose(folder: Path, words: str, years: str) -> str:
    """The notice that a copy of the district has to carry; for real images its catalogue's name."""
    if words == "simulated":
        return NO_SATELLITE
    catalogue = folder / "catalog" / "catalog.json"
    document = json.loads(catalogue.read_text()) | {"id": "radar-of-a-provider"}
    catalogue.write_text(json.dumps(document))
    return f"contains modified Copernicus Sentinel data {years}"


@pytest.mark.parametrize("images", ["simulated", "real"])
def test_candidates(copy: Path, tmp_path: Path, images: str) -> None:
    folder = tmp_path / "w"
    shutil.copytree(copy, folder)
    with (folder / "monitor.toml").open("a") as stream:
        stream.write(
            f'\n[delivery.mines]\nkind = "folder"\nurl = "{tmp_path}/out"\n'
            'contents = "candidates"\nformats = ["geojson", "gpkg"]\n'
        )
    opened = Workspace.open(folder)
    row = candidate_row("c1", west=-55.0, south=-6.0, probability=0.95)
    row.first_seen, row.last_seen = date(2022, 12, 30), date(2023, 1, 11)
    url = opened.monitor.store.url
    with Store.open(url, base=folder, create=False) as store, store.transaction() as session:
        session.add(row)
    notice = whose(folder, images, "2022-2023")
    for name in ("mines.geojson", "mines.gpkg"):
        run("export", "-w", folder, "--candidates", "-o", tmp_path / name)
        assert notice.encode() in told(tmp_path / name)
    run("deliver", "-w", folder)
    sent = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.suffix for path in sent} == {".geojson", ".gpkg", ".json"}
    assert all(notice.encode() in told(path) for path in sent)
    (feature,) = json.loads((tmp_path / "mines.geojson").read_text())["features"]
    assert feature["properties"]["candidate_id"] == "c1"


@pytest.mark.parametrize("images", ["simulated", "real"])
def test_a_product_says_so_itself(copy: Path, tmp_path: Path, images: str) -> None:
    """It is sent and kept without the item beside it."""
    folder = tmp_path / "w"
    shutil.copytree(copy, folder)
    product = max((folder / "products").glob("*.tif"))
    day = datetime.strptime(product.stem.split("_")[-1], "%Y%m%dT%H%M%S").date()
    notice = whose(folder, images, str(day.year))
    run("run", "-w", folder, "--force", "--date", day)
    with rasterio.open(product) as dataset:
        assert dataset.tags()["TIFFTAG_COPYRIGHT"] == notice


@pytest.mark.parametrize("images", ["simulated", "real"])
def test_a_copy_without_the_images_is_what_it_was(copy: Path, tmp_path: Path, images: str) -> None:
    folder = tmp_path / "w"
    shutil.copytree(copy, folder)
    notice = whose(folder, images, "2022")
    if images == "real":
        run("run", "-w", folder, "--force")
    shutil.rmtree(folder / "catalog")
    assert Workspace.open(folder).attribution([2022]) == notice
    shutil.rmtree(folder / "products")
    assert not Workspace.open(folder).simulated


@pytest.mark.parametrize("text", [None, "", "[]", "{", "{}"])
def test_what_is_no_catalogue_is_not_simulated(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "catalog.json").write_text(text)
    assert not is_simulated(str(tmp_path / "catalog.json"))
    assert not is_simulated("https://stac.example.org/curupira-simulated-default-1/catalog.json")
