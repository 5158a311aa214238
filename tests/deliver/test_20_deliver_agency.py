"""The agency's formats, taken in by the agency's tools: ogr2ogr and geopandas into PostGIS."""

from __future__ import annotations

import json
import subprocess
import zipfile
from datetime import date

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from delivering import warning_row
from sqlalchemy import create_engine

from curupira.codes import IntensityClass, Status
from curupira.deliver import export
from curupira.deliver.agency import deter_rt_frames, label, tile, write_deter_rt_tile
from curupira.deliver.frame import checked
from curupira.store.warning import to_geodataframe


def table() -> gpd.GeoDataFrame:
    """Clear cut, degradation and a mine; the last preliminary and over the equator."""
    rows = [
        warning_row(0, protected_area="FLONA do Jamanxim"),
        warning_row(1, intensity_class=IntensityClass.LOW, intensity=6.5, platform="sentinel-1c"),
        warning_row(
            2,
            mining_score=0.93,
            status=Status.PRELIMINARY,
            confirmed_at=None,
            geom=shapely.MultiPolygon([shapely.box(-60.01, 0.5, -60.0, 0.51)]),
        ),
    ]
    return to_geodataframe(rows)


def columns(server, database: str, name: str) -> dict[str, str]:
    schema, _, relation = name.rpartition(".")
    with server.connect(database) as connection:
        found = connection.execute(
            "SELECT column_name, udt_name FROM information_schema.columns "
            "WHERE table_name = %s AND table_schema = %s ORDER BY ordinal_position",
            (relation, schema or "public"),
        ).fetchall()
    return dict(found)


def ogr2ogr(server, database: str, source: str, name: str, *options: str) -> None:
    target = f"PG:host=127.0.0.1 port={server.port} user=postgres dbname={database}"
    command = ["/usr/bin/ogr2ogr", "-f", "PostgreSQL", target, source, "-nln", name, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr


def test_deter_r_is_taken_by_ogr2ogr_as_their_importer_calls_it(tmp_path, postgis):
    path = tmp_path / "DETER-R_CR2_2024-05-20_2024-05-20.geojson"
    export(table(), path, "deter_r")
    with postgis.database() as database:
        options = (
            "-t_srs",
            "EPSG:4674",
            "-nlt",
            "MULTIPOLYGON",
            "-lco",
            "GEOMETRY_NAME=geometries",
        )
        ogr2ogr(postgis, database, str(path), "deter_sar_amz", *options)
        found = columns(postgis, database, "deter_sar_amz")
        assert {n: found[n] for n in found if n != "ogc_fid"} == {
            "area_ha": "float8",
            "n_alerts": "float8",
            "intensity": "float8",
            "label": "int4",
            "daydetec": "int4",
            "class": "varchar",
            "geometries": "geometry",
        }
        with postgis.connect(database) as connection:
            rows = connection.execute(
                "SELECT class, (date '2020-01-01' + daydetec), ST_SRID(geometries), "
                "ST_IsValid(geometries) FROM deter_sar_amz ORDER BY ogc_fid"
            ).fetchall()
    day = date(2024, 5, 20)
    assert rows == [
        ("CLEAR_CUT", day, 4674, True),
        ("DEGRADATION", day, 4674, True),
        ("CLEAR_CUT", day, 4674, True),
    ]


def test_deter_r_is_taken_by_geopandas(tmp_path, postgis):
    path = tmp_path / "DETER-R_CR2.geojson"
    export(table(), path, "deter_r")
    frame = gpd.read_file(path).to_crs("EPSG:4674")
    with postgis.database() as database:
        engine = create_engine(postgis.url(database))
        frame.to_postgis("deter_sar_amz", engine)
        back = gpd.read_postgis("SELECT * FROM deter_sar_amz", engine, geom_col="geometry")
        engine.dispose()
    assert list(back.columns) == [
        *("area_ha", "n_alerts", "intensity", "label", "daydetec", "class", "geometry")
    ]
    assert back.crs.to_epsg() == 4674
    gone = shapely.symmetric_difference(table().geometry.to_numpy(), back.geometry.to_numpy())
    assert shapely.area(gone).max() < 1e-9


def test_deter_rt_is_taken_tile_by_tile_into_their_columns(tmp_path, postgis):
    """Their loader splits the file's name by _ and reads the column Date_dt."""
    frames = deter_rt_frames(checked(table()), "curupira")
    loaded = []
    for name, frame in frames.items():
        path = tmp_path / f"{name}_20240603T040000Z.zip"
        write_deter_rt_tile(frame, path)
        read = gpd.read_file(path)
        _, day, tile_id, *_ = path.stem.split("_")
        assert read.crs is not None
        loaded.append(
            gpd.GeoDataFrame(
                {
                    "class_name": "alerta",
                    "view_date": pd.to_datetime(day).date(),
                    "detection_date": pd.to_datetime(read["Date_dt"]).dt.date,
                    "tile_id": tile_id,
                },
                geometry=read.geometry,
                crs=read.crs,
            ).to_crs("EPSG:4674")
        )
    with postgis.database() as database:
        engine = create_engine(postgis.url(database))
        for frame in loaded:
            frame.to_postgis("deter_rt", engine, if_exists="append")
        back = pd.read_sql("SELECT * FROM deter_rt ORDER BY tile_id", engine)
        engine.dispose()
    assert list(back["tile_id"]) == ["N00W061", "S07W052", "S07W052"]
    assert list(back["view_date"]) == [date(2024, 6, 1), date(2024, 6, 2), date(2024, 6, 2)]
    assert set(back["detection_date"]) == {date(2024, 5, 20)}


def test_deter_is_taken_by_ogr2ogr_with_their_words(tmp_path, postgis):
    path = tmp_path / "deter.zip"
    export(table(), path, "deter")
    with zipfile.ZipFile(path) as archive:
        assert {n.split(".")[1] for n in archive.namelist()} == {
            *("cpg", "dbf", "prj", "shp", "shx", "txt")
        }
        assert "not cut at municipal borders" in archive.read("fields.txt").decode()
    with postgis.database() as database:
        ogr2ogr(postgis, database, f"/vsizip/{path}", "deter", "-nlt", "PROMOTE_TO_MULTI")
        found = columns(postgis, database, "deter")
        wanted = (
            *("classname", "quadrant", "path_row", "view_date", "sensor", "satellite"),
            *("areauckm", "uc", "areamunkm", "municipali", "geocodibge", "uf"),
        )
        assert set(wanted) <= set(found)
        assert found["view_date"] == "date"
        with postgis.connect(database) as connection:
            rows = connection.execute(
                "SELECT classname, satellite, sensor, municipali, cr, areamunkm, "
                "ST_Area(wkb_geometry::geography) / 1e6 FROM deter ORDER BY ogc_fid"
            ).fetchall()
    assert [row[0] for row in rows] == ["DESMATAMENTO_CR", "DEGRADACAO", "MINERACAO"]
    assert [row[1] for row in rows] == ["SENTINEL-1A", "SENTINEL-1C", "SENTINEL-1A"]
    assert {row[2] for row in rows} == {"C-SAR"}
    assert {row[3] for row in rows} == {"São Félix do Xingu"}
    assert [row[4] for row in rows] == ["CR2", "CR2", "CR1"]
    for row in rows:  # km2 on the ellipsoid, as PostGIS measures it
        assert float(row[5]) == pytest.approx(row[6], rel=1e-6)


def test_tiles_are_named_by_their_south_west_corner():
    assert tile(-52.0, -7.0) == "S07W052"
    assert tile(-52.000001, -7.000001) == "S08W053"
    assert tile(0.5, 0.5) == "N00E000"


def test_labels_stay_and_fit_an_integer_column(tmp_path):
    assert label("ffffffff-ffff-4fff-8fff-ffffffffffff") == 2**31 - 1
    assert label("5f0c2a4e-0000-4000-8000-000000000001") == 0x5F0C2A4E >> 1
    path = tmp_path / "a.geojson"
    export(table(), path, "deter_r")
    features = json.loads(path.read_text())["features"]
    assert all(set(f["properties"]) == set(features[0]["properties"]) for f in features)
