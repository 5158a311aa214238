"""Every export format is read back by another program's reader and compared with the table."""

from __future__ import annotations

import csv
import json
import resource
import zipfile
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as Xml

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from shapely.geometry import MultiPolygon, Polygon, box

from curupira.deliver import FORMATS, export, format_of
from curupira.deliver.gis import SHAPEFILE_NAMES, shapefile_names
from curupira.errors import ConfigError, InputError, StoreError
from curupira.store.warning import COLUMNS, to_geodataframe

NOTICE = "contains modified Copernicus Sentinel data 2023-2024"
#: Text that breaks careless writers of CSV, XML, HTML and ASCII; \x0b is no XML character.
HOSTILE = 'São Félix, "do" <Xingu> & ]]> \x0b\nçã'
#: Formats that hold longitude and latitude of WGS 84; the others stay in SIRGAS 2000.
WGS_84 = ("geojson", "kml", "gpx", "deter_r")
IDS = ["5f0c2a4e-0000-4000-8000-000000000001", "9b1d7c33-0000-4000-8000-000000000002"]


def times(*texts: str | None) -> pd.Series:
    return pd.Series(pd.to_datetime(pd.Series(texts), utc=True)).astype("datetime64[ms, UTC]")


def table() -> gpd.GeoDataFrame:
    """Two warnings: one with a hole and hostile text, one of two parts with much missing."""
    holed = Polygon(
        [(-52.1, -7.2), (-52.1, -7.1), (-52.0, -7.1), (-52.0, -7.2)],  # clockwise on purpose
        [[(-52.07, -7.17), (-52.03, -7.17), (-52.03, -7.13), (-52.07, -7.13)]],
    )
    parts = MultiPolygon([box(-51.9, -7.0, -51.8, -6.9), box(-51.7, -7.0, -51.6, -6.9)])
    frame = to_geodataframe([])
    rows = pd.DataFrame({name: pd.Series([None, None], dtype=object) for name in frame.columns})
    made = gpd.GeoDataFrame(
        rows.drop(columns="geometry"),
        geometry=[MultiPolygon([holed]), parts],
        crs="EPSG:4674",
    )
    made["warning_id"] = IDS
    made["status"] = ["confirmed", "preliminary"]
    made["intensity_class"] = ["high_intensity", "low_intensity"]
    made["first_flag_date"] = pd.to_datetime(["2023-12-30", "2024-01-11"]).astype("datetime64[ms]")
    made["first_flag_days"] = pd.array([1459, 1471], dtype="Int64")
    made["issued_at"] = times("2024-01-02T09:20:00Z", "2024-01-14T09:20:00Z")
    made["confirmed_at"] = times("2024-01-14T09:20:00Z", None)
    made["verdict_at"] = times(None, None)
    made["delay_from_flag_days"] = pd.array([15, None], dtype="Int64")
    made["area_ha"] = [12.48, 1.04]
    made["excess_db"] = [2.25, np.nan]
    made["municipality"] = [HOSTILE, None]
    made["distance_to_main_road"] = pd.Series([140.0, None], dtype=object)
    made["distance_to_main_river"] = pd.Series(["Iriri", 12.0], dtype=object)
    return made


def read(path: Path, name: str) -> gpd.GeoDataFrame:
    if name == "parquet":
        return gpd.read_parquet(path)
    if name == "deter_rt":  # a layer a tile
        layers = pyogrio.list_layers(f"/vsizip/{path}")[:, 0]
        parts = [pyogrio.read_dataframe(f"/vsizip/{path}", layer=layer) for layer in layers]
        return pd.concat(parts).sort_values("warning_id").reset_index(drop=True)
    if name in ("shp", "deter"):
        return pyogrio.read_dataframe(f"/vsizip/{path}")
    return pyogrio.read_dataframe(path, layer="waypoints" if name == "gpx" else None)


def written(tmp_path: Path, name: str, frame: gpd.GeoDataFrame) -> Path:
    path = tmp_path / f"warnings{FORMATS[name].suffixes[0]}"
    export(frame, path, name)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_warnings_back(tmp_path, name):
    frame = table()
    found = read(written(tmp_path, name, frame), name)
    assert len(found) == 2
    if name == "gpx":
        inside = shapely.contains(frame.geometry.to_numpy(), found.geometry.to_numpy())
        assert inside.all()
    else:
        # To a centimetre or better; Shapefiles and others may order rings as they like.
        gone = shapely.symmetric_difference(frame.geometry.to_numpy(), found.geometry.to_numpy())
        assert shapely.area(gone).max() < 1e-7
        assert found.geometry.is_valid.all()
    if name != "csv":
        assert found.crs.to_epsg() == (4326 if name in WGS_84 else 4674)
    assert list(tmp_path.iterdir()) == [tmp_path / f"warnings{FORMATS[name].suffixes[0]}"]


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_selected_is_a_valid_empty_file(tmp_path, name):
    for empty in (table().iloc[:0], to_geodataframe([])):
        assert len(read(written(tmp_path, name, empty), name)) == 0


@pytest.mark.parametrize("name", ["geojson", "gpkg", "parquet", "csv"])
def test_fields_survive_with_their_types(tmp_path, name):
    found = read(written(tmp_path, name, table()), name)
    assert [c for c in found.columns if c in COLUMNS] == list(COLUMNS)
    assert list(found["warning_id"]) == IDS
    assert found["municipality"][0].replace("\r\n", "\n") == HOSTILE
    assert float(found["area_ha"][0]) == 12.48
    assert float(found["delay_from_flag_days"][0]) == 15
    assert float(found["distance_to_main_road"][0]) == 140
    assert list(found["distance_to_main_river"]) == ["Iriri", "12.0"]
    assert pd.Timestamp(found["first_flag_date"][0]).date() == date(2023, 12, 30)
    assert pd.Timestamp(found["issued_at"][0]) == pd.Timestamp("2024-01-02T09:20Z")
    if name != "csv":  # CSV knows no missing values but empty text
        assert pd.isna(found["confirmed_at"][1])
        assert pd.isna(found["municipality"][1])
        assert pd.isna(found["excess_db"][1])


def test_days_and_times_are_typed_in_a_geopackage(tmp_path):
    info = pyogrio.read_info(written(tmp_path, "gpkg", table()))
    types = dict(zip(info["fields"], info["dtypes"], strict=True))
    assert types["first_flag_date"] == "datetime64[D]"
    assert types["issued_at"] == types["verdict_at"] == "datetime64[ms]"
    assert types["delay_from_flag_days"] == "int64"
    assert info["geometry_type"] == "MultiPolygon"
    assert info["layer_name"] == "warning"
    assert info["layer_metadata"]["DESCRIPTION"] == NOTICE


def test_geojson_is_rfc_7946(tmp_path):
    text = written(tmp_path, "geojson", table()).read_text(encoding="utf-8")
    document = json.loads(text)
    assert document["type"] == "FeatureCollection"
    assert "crs" not in document
    assert document["attribution"] == NOTICE
    first = document["features"][0]
    assert first["id"] == IDS[0]
    assert first["bbox"] == [-52.1, -7.2, -52.0, -7.1]
    assert first["properties"]["issued_at"] == "2024-01-02T09:20:00Z"
    assert first["properties"]["first_flag_date"] == "2023-12-30"
    outer, hole = first["geometry"]["coordinates"][0]
    assert shapely.LinearRing(outer).is_ccw
    assert not shapely.LinearRing(hole).is_ccw
    assert all(round(number, 7) == number for point in outer for number in point)


def test_geoparquet_has_a_covering_box(tmp_path):
    path = written(tmp_path, "parquet", table())
    told = pq.read_schema(path).metadata
    geo = json.loads(told[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert told[b"attribution"].decode() == NOTICE
    # The box serves: a reader that asks for the west gets the western warning.
    assert list(gpd.read_parquet(path, bbox=(-53, -8, -51.95, -6))["warning_id"]) == IDS[:1]


def test_shapefile_is_one_zip_with_documented_short_names(tmp_path):
    path = written(tmp_path, "shp", table())
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        assert names == {f"warnings.{s}" for s in ("shp", "shx", "dbf", "prj", "cpg")} | {
            "fields.txt"
        }
        assert archive.read("warnings.cpg").strip() == b"UTF-8"
        told = archive.read("fields.txt").decode()
    assert NOTICE in told
    info = pyogrio.read_info(f"/vsizip/{path}")
    assert [SHAPEFILE_NAMES[name] for name in COLUMNS] == [
        field for field in info["fields"] if field in SHAPEFILE_NAMES.values()
    ]
    for field in info["fields"]:
        assert f"\n{field:<12}" in told
    row = pyogrio.read_dataframe(f"/vsizip/{path}").iloc[0]
    assert row["municipal"].startswith("São Félix")
    assert row["issued_at"] == "2024-01-02T09:20:00Z"
    assert row["warning_id"] == IDS[0]
    assert (row["distance_t"], row["distance_2"]) == (140, "Iriri")


def test_shapefile_names_are_short_and_differ():
    assert set(SHAPEFILE_NAMES) == set(COLUMNS)
    long = [f"distance_to_thing_{n}" for n in range(120)] + ["Distance_T"]
    names = shapefile_names([*COLUMNS, *long])
    assert len({short.lower() for short in names.values()}) == len(names)
    assert max(map(len, names.values())) <= 10


def test_csv_has_a_point_within_and_the_notice(tmp_path):
    path = written(tmp_path, "csv", table())
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        point = shapely.Point(float(row["longitude"]), float(row["latitude"]))
        assert shapely.from_wkt(row["WKT"]).contains(point)
        assert row["attribution"] == NOTICE
    assert rows[0]["municipality"] == HOSTILE


def test_kml_styles_every_placemark_and_escapes_text(tmp_path):
    root = Xml.parse(written(tmp_path, "kml", table())).getroot()
    ns = {"k": "http://www.opengis.net/kml/2.2"}
    styles = {f"#{style.get('id')}" for style in root.iterfind(".//k:Style", ns)}
    marks = root.findall(".//k:Placemark", ns)
    assert [m.findtext("k:name", namespaces=ns) for m in marks] == [
        "5f0c2a4e 12.5 ha",
        "9b1d7c33 1.0 ha",
    ]
    assert {m.findtext("k:styleUrl", namespaces=ns) for m in marks} <= styles
    balloon = marks[0].findtext("k:description", namespaces=ns)
    assert "&lt;Xingu&gt; &amp; ]]&gt;" in balloon
    assert "\x0b" not in balloon
    assert marks[0].findtext(".//k:when", namespaces=ns) == "2024-01-02T09:20:00Z"
    assert len(marks[0].findall(".//k:innerBoundaryIs", ns)) == 1
    assert len(marks[1].findall(".//k:Polygon", ns)) == 2
    assert root.findtext("k:Document/k:description", namespaces=ns) == NOTICE


def test_gpx_waypoints_say_what_to_look_for(tmp_path):
    path = written(tmp_path, "gpx", table())
    found = read(path, "gpx")
    assert list(found["name"]) == ["5f0c2a4e 12.5 ha", "9b1d7c33 1.0 ha"]
    assert "confirmed, high intensity, 12.5 ha" in found["desc"][0]
    assert "first flag 2023-12-30" in found["desc"][0]
    assert found["sym"][0] != found["sym"][1]
    assert NOTICE in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "name", "words"),
    [
        ("a.tif", None, "geojson, gpkg, parquet, shp, csv, kml, gpx"),
        ("a", None, "--format"),
        ("a.kml", "kmz", "geojson, gpkg, parquet, shp, csv, kml, gpx"),
        ("a.shp", "shp", "a.zip"),
        ("a.shp", None, "a.zip"),
    ],
)
def test_unknown_formats_are_refused_with_the_known_ones(file, name, words):
    with pytest.raises(ConfigError, match=words):
        format_of(Path(file), name)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a.GeoJSON", "geojson"),
        ("a.json", "geojson"),
        ("a.zip", "shp"),
        ("x.geoparquet", "parquet"),
    ],
)
def test_the_suffix_tells_the_format(file, name):
    assert format_of(Path(file)) == name
    assert format_of(Path("any.txt"), "csv") == "csv"


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "old.geojson"
    path.write_text("old")
    with pytest.raises(InputError, match="coordinate reference system"):
        export(table().set_crs(None, allow_override=True), path)
    with pytest.raises(InputError, match="area_ha"):
        export(table().drop(columns="area_ha"), path)
    assert path.read_text() == "old"
    with pytest.raises(ConfigError, match="folder"):
        export(table(), tmp_path, "csv")
    with pytest.raises(StoreError, match="cannot write"):
        export(table(), path / "below.csv")
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_in_few_words(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(StoreError) as caught:
            export(table(), tmp_path / "w.gpkg")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # And not the tables that could not be made.
    assert f"{tmp_path}/w.gpkg: cannot write (disk I/O error). free space" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_same_table_gives_the_same_text(tmp_path):
    for name in ("geojson", "csv", "kml", "gpx"):
        once = written(tmp_path, name, table()).read_bytes()
        assert written(tmp_path, name, table()).read_bytes() == once


def test_another_coordinate_system_is_taken_along(tmp_path):
    there = table().to_crs("EPSG:32722")
    found = read(written(tmp_path, "geojson", there), "geojson")
    west, south, east, north = found.total_bounds
    assert (west, south, east, north) == pytest.approx((-52.1, -7.2, -51.6, -6.9), abs=1e-6)
