"""`curupira accuracy` on the simulated district, and on reference polygons of our own."""

import json
from datetime import date, timedelta

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from shapely.geometry import box
from typer.testing import CliRunner

from curupira.cli.main import app
from curupira.config import Workspace
from curupira.errors import ConfigError, InputError
from curupira.pipelines.accuracy import measure, page, read_store
from curupira.sources.reference import read_reference
from curupira.sources.truth_rasters import CauseRasters

KEYS = {
    *("preset", "min_area_ha", "ua_count", "ua_area", "ua_at_prevalence", "pa_all_count"),
    *("pa_all_area", "pa_count", "pa_area", "warned_by_days", "delay_days"),
    *("delay_from_event_days", "false_per_1000km2_month", "pa_at_ua98", "ua_at_pa90"),
    *("duplicates", "by_size", "events", "warnings"),
}
UTM = "EPSG:32721"


@pytest.fixture(scope="module")
def found(district):
    return measure(Workspace.open(district), district / "truth.gpkg")


def test_command_writes_the_contracts_keys(district, tmp_path):
    numbers, html = tmp_path / "new" / "a.json", tmp_path / "new" / "a.html"
    result = CliRunner().invoke(
        app,
        ["accuracy", "-w", str(district), "--truth", str(district / "truth.gpkg"),
         "--min-area-ha", "0.4", "--json", str(numbers), "-o", str(html)],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads(numbers.read_text())
    assert set(document) >= KEYS
    assert document["min_area_ha"] == 0.4
    assert list(document["warned_by_days"]) == ["6", "12", "24", "36", "60"]
    assert set(document["delay_days"]) == {"median", "p90"}
    assert set(document["ua_count"]) == {"value", "low", "high", "n"}
    assert isinstance(document["by_size"], list)
    text = html.read_text()
    assert text.count("data:image/png") == 7
    assert "simulated images" in text
    assert "Copernicus" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_events_are_those_of_the_truth_after_monitor_since(district, found):
    since = Workspace.open(district).monitor.algorithm.monitor_since
    truth = gpd.read_file(district / "truth.gpkg", layer="event")
    assert found.events == int((truth["start_date"] > since.isoformat()).sum())
    assert found.events > 0
    assert found.watch.revisit_days == 24


def test_truth_that_repeats_the_warnings_is_found_whole(district, tmp_path):
    """Events drawn where and before warnings were confirmed: all true, all found in time."""
    workspace = Workspace.open(district)
    crs = str(workspace.grid.crs)
    alerts = [a for a in read_store(workspace, crs).alerts if a.confirmed and a.judged]
    frame = gpd.GeoDataFrame(
        {"began": [(a.confirmed - timedelta(days=10)).isoformat() for a in alerts]},
        geometry=[a.geometry for a in alerts],
        crs=crs,
    )
    frame.to_file(tmp_path / "r.gpkg")
    found = measure(workspace, tmp_path / "r.gpkg", date_field="began")
    assert found.warnings == len(alerts) > 0
    assert found.estimates["ua_count"].value == 1
    assert found.estimates["pa_all_count"].value == 1
    assert found.estimates["iou"].value == pytest.approx(1)
    # Reference polygons do not say when radar could have seen them.
    assert found.estimates["pa_count"].value is None
    assert found.warned_by[12].value == 1
    assert found.warned_by[6].value == 0


def test_truth_elsewhere_makes_every_warning_false(district, tmp_path):
    workspace = Workspace.open(district)
    west, south, _, _ = workspace.area.bounds
    gpd.GeoDataFrame(
        {"start_date": ["2022-06-01"]},
        geometry=[box(west, south, west + 1e-4, south + 1e-4)],
        crs="EPSG:4326",
    ).to_file(tmp_path / "r.geojson")
    found = measure(workspace, tmp_path / "r.geojson")
    assert found.events == 1
    assert found.estimates["ua_count"].value == 0
    assert found.false["confirmed"].n == found.warnings


def test_page_says_what_was_measured(district, found):
    monitor = Workspace.open(district).monitor
    elsewhere = monitor.source.model_copy(update={"catalogue": "https://stac.example.org/v1"})
    opened = Workspace(district, monitor.model_copy(update={"source": elsewhere}))
    text = page(found, opened)
    assert f"{found.events} events" in text
    assert "contains modified Copernicus Sentinel data 2022" in text


def reference(folder, **columns):
    count = len(next(iter(columns.values())))
    shapes = [box(200 * k, 0, 200 * k + 100, 100) for k in range(count)]
    path = folder / "ref.gpkg"
    gpd.GeoDataFrame(columns, geometry=shapes, crs=UTM).to_file(path)
    return path


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ({"when": ["2022-01-01"]}, ConfigError, "--date-field"),
        ({"start_date": [2022]}, InputError, "a year alone"),
        ({"start_date": ["2022-01-01", "soon"]}, InputError, "soon"),
        ({"start_date": ["2022-01-01", None]}, InputError, "1 such"),
    ],
)
def test_truth_that_cannot_be_used(tmp_path, columns, error, words):
    with pytest.raises(error, match=words):
        read_reference(reference(tmp_path, **columns), UTM)


def test_truth_without_columns_or_polygons_says_so(tmp_path):
    bare = reference(tmp_path, other=[1])
    with pytest.raises(ConfigError, match=r"no column 'start_date' \(there are: other\)"):
        read_reference(bare, UTM)
    empty = tmp_path / "empty.geojson"
    empty.write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(InputError, match="holds no polygons"):
        read_reference(empty, UTM)
    point = '{"type": "Point", "coordinates": [-55, -5]}'
    empty.write_text(f'{{"type": "Feature", "properties": {{}}, "geometry": {point}}}')
    with pytest.raises(InputError, match="or other shapes"):
        read_reference(empty, UTM)


def test_missing_truth_file(district, tmp_path):
    with pytest.raises(ConfigError):
        measure(Workspace.open(district), tmp_path / "none.gpkg")


def write_raster(path, values, **tags):
    with rasterio.open(
        path, "w", driver="GTiff", height=10, width=10, count=1, dtype="uint8", crs=UTM,
        transform=rasterio.transform.from_origin(0, 1000, 100, 100),
    ) as target:  # fmt: skip
        target.write(values.astype(np.uint8), 1)
        target.update_tags(**tags)


def test_causes_by_day_and_by_cover(tmp_path):
    west = np.zeros((10, 10))
    west[:, :5] = 1
    write_raster(tmp_path / "rain_S1A_IW_GRDH_1SDV_20220601T094500_R112.tif", west)
    write_raster(tmp_path / "cover.tif", 1 - west, classes="0=forest,1=flooded_forest")
    rasters = CauseRasters(tmp_path)
    before, day, after = date(2022, 5, 1), date(2022, 6, 1), date(2022, 6, 20)
    left, right, both = box(0, 0, 300, 300), box(600, 0, 900, 300), box(450, 0, 650, 300)
    assert rasters.cause(left, before, after) == "rain"
    assert rasters.cause(left, before, before) is None
    assert rasters.cause(right, day, day) == "flood"
    # A quarter under rain is not enough; three quarters are flooded forest.
    assert rasters.cause(both, day, day) == "flood"
    assert rasters.cause(box(5000, 0, 5100, 100), day, day) is None
    assert CauseRasters(tmp_path / "none").cause(left, day, day) is None
