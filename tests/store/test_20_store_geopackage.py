"""The embedded store as GDAL, and so QGIS, sees it."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from sqlalchemy import select

from curupira.codes import SceneState, Status, Verdict, VerdictSource
from curupira.errors import StoreError
from curupira.store import Store, WarningRow, observation, scene
from curupira.store import warning as warnings_of
from curupira.store.geometry import may_intersect

NOW = datetime(2024, 6, 3, tzinfo=UTC)


def path_of(store: Store) -> Path:
    assert store.path is not None
    return store.path


def fill(store: Store, make_warning, count: int = 50) -> None:
    rng = np.random.default_rng(1)
    with store.transaction() as session:
        for west, south in rng.uniform((-60, -15), (-45, 0), (count, 2)):
            session.add(make_warning(west, south))


@contextmanager
def complaints() -> Iterator[list[str]]:
    """GDAL's warnings. Recorded: raised within GDAL's handler, an error would be swallowed."""
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield heard
        heard += [str(one.message) for one in caught]


def test_complaints_are_heard(embedded: Store) -> None:
    connection = sqlite3.connect(path_of(embedded))
    connection.execute("ALTER TABLE meta ADD COLUMN bad VARCHAR(32)")
    connection.execute(
        "INSERT INTO run (run_id, state, command, version, started_at)"
        " VALUES ('a', 'done', 'c', 'v', '2024-06-01 10:00:00')"
    )
    connection.commit()
    connection.close()
    for table, words in (("meta", "VARCHAR"), ("run", "Non-conformant")):
        with complaints() as heard:
            pyogrio.read_dataframe(path_of(embedded), layer=table)
        assert any(words in one for one in heard)


def check_file(path: Path) -> None:
    """SQLite's own checks, and index rows = table rows with their bounds."""
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for table, column in connection.execute(
            "SELECT table_name, column_name FROM gpkg_geometry_columns"
        ).fetchall():
            index = f"rtree_{table}_{column}"
            assert connection.execute(f"SELECT rtreecheck('{index}')").fetchone() == ("ok",)
            rows = connection.execute(f"SELECT id FROM {table} WHERE {column} NOTNULL ORDER BY id")
            keys = connection.execute(f"SELECT id FROM {index} ORDER BY id")
            assert rows.fetchall() == keys.fetchall()
    finally:
        connection.close()


def test_identity_of_the_file(embedded: Store) -> None:
    header = path_of(embedded).read_bytes()[:100]
    assert header[68:72] == b"GPKG"
    assert int.from_bytes(header[60:64], "big") == 10300
    assert pyogrio.detect_write_driver(str(path_of(embedded))) == "GPKG"


def test_gdal_lists_the_layers(embedded: Store) -> None:
    layers = dict(pyogrio.list_layers(path_of(embedded)))
    assert layers["warning"] == layers["observation"] == layers["scene"] == "MultiPolygon"
    tables = {"run", "acquisition", "review", "delivery", "meta"}
    assert tables <= set(layers)
    assert {layers[name] for name in tables} == {None}
    assert "alembic_version" not in layers


def test_gdal_reads_every_column_without_a_complaint(
    embedded: Store, make_warning, make_scene, make_observation
) -> None:
    full = make_warning(
        status=Status.CONFIRMED,
        confirmed_at=NOW,
        verdict=Verdict.RECENT_DEFORESTATION,
        verdict_source=VerdictSource.DESK,
        verdict_at=NOW,
        overlays={"roads": "BR-163"},
        last_flag_date=date(2024, 6, 1),
    )
    with embedded.transaction() as session:
        session.add(full)
        row = scene.record(session, make_scene(), state=SceneState.INGESTED, recorded_at=NOW)
        observation.replace(session, row.acquisition_id, [make_observation()])
    for table in ("warning", "scene", "observation", "run", "acquisition", "review", "delivery"):
        with complaints() as heard:
            info = pyogrio.read_info(path_of(embedded), layer=table)
            pyogrio.read_dataframe(path_of(embedded), layer=table)
        assert heard == []
        connection = sqlite3.connect(path_of(embedded))
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        connection.close()
        geometry = {"geom", "footprint"}
        assert list(info["fields"]) == [n for n in names if n != "id" and n not in geometry]
    frame = pyogrio.read_dataframe(path_of(embedded), layer="warning")
    found = frame.iloc[0]
    assert frame.crs.to_epsg() == 4674
    assert found["issued_at"].isoformat() == "2024-06-01T09:45:12.345000+00:00"
    assert str(found["first_flag_date"])[:10] == "2024-05-20"
    assert (found["status"], found["area_ha"]) == ("confirmed", 1.25)
    assert found["overlays"] == '{"roads": "BR-163"}'
    assert found.geometry == shapely.MultiPolygon([full.geom])
    kinds = dict(zip(info["fields"], info["dtypes"], strict=True))
    assert kinds["sent_at"].startswith("datetime64")
    acquisitions = pyogrio.read_dataframe(path_of(embedded), layer="acquisition")
    assert bool(acquisitions["dirty"].iloc[0]) is True


def test_gdal_bbox_reads_agree_with_the_store(embedded: Store, make_warning) -> None:
    fill(embedded, make_warning)
    box = (-58.0, -12.0, -48.0, -3.0)
    frame = pyogrio.read_dataframe(path_of(embedded), layer="warning", bbox=box)
    with embedded.reading() as session:
        rows = warnings_of.query(session, bbox=box)
    assert 0 < len(rows) < 50
    assert sorted(frame["warning_id"]) == sorted(row.warning_id for row in rows)


def test_bbox_queries_use_the_index(embedded: Store, make_warning) -> None:
    fill(embedded, make_warning, 5)
    with embedded.reading() as session:
        condition = may_intersect(WarningRow.geom, (-55.0, -10.0, -50.0, -5.0), "sqlite")
        compiled = (
            select(WarningRow.id)
            .where(condition)
            .compile(embedded.engine, compile_kwargs={"literal_binds": True})
        )
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all()
    text = " ".join(str(row[-1]) for row in plan)
    assert "rtree_warning_geom VIRTUAL TABLE INDEX" in text
    assert "SCAN warning" not in text


def test_edits_by_gdal_keep_the_index_right(embedded: Store, make_warning) -> None:
    fill(embedded, make_warning, 3)
    frame = pyogrio.read_dataframe(path_of(embedded), layer="warning").iloc[:1].copy()
    frame["warning_id"] = "from-qgis"
    frame = frame.set_geometry([shapely.MultiPolygon([shapely.box(10, 10, 11, 11)])], crs=4674)
    with complaints() as heard:
        pyogrio.write_dataframe(frame, path_of(embedded), layer="warning", append=True)
    assert heard == []
    with embedded.reading() as session:
        (row,) = warnings_of.query(session, bbox=(10.5, 10.5, 12, 12))
        assert row.warning_id == "from-qgis"
        assert len(warnings_of.query(session)) == 4
    check_file(path_of(embedded))


def test_index_follows_update_delete_and_empty(embedded: Store, make_warning) -> None:
    fill(embedded, make_warning, 10)
    path = path_of(embedded)
    with embedded.transaction() as session:
        rows = list(session.scalars(select(WarningRow).order_by(WarningRow.id)))
        rows[0].geom = shapely.box(20, 20, 21, 21)
        session.delete(rows[1])
        session.flush()
        # Keys change only by other programs' hands; the triggers must follow all the same.
        session.connection().exec_driver_sql(f"UPDATE warning SET id = 999 WHERE id = {rows[2].id}")
        session.expunge(rows[2])
    with embedded.reading() as session:
        assert len(warnings_of.query(session, bbox=(20.5, 20.5, 20.6, 20.6))) == 1
        assert len(warnings_of.query(session, bbox=(-180, -90, 180, 90))) == 9
    check_file(path)
    with embedded.transaction() as session:
        session.get(WarningRow, 999).geom = shapely.MultiPolygon()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM rtree_warning_geom").fetchone() == (8,)
    connection.close()
    with embedded.transaction() as session:
        session.get(WarningRow, 999).geom = shapely.box(30, 30, 31, 31)
    check_file(path)


def test_snapshot_is_one_clean_file(embedded: Store, make_warning, tmp_path: Path) -> None:
    fill(embedded, make_warning, 20)
    target = tmp_path / "out" / "warnings_20240601.gpkg"
    target.parent.mkdir()
    target.write_text("an older one")
    with embedded.transaction() as session:
        session.add(make_warning(warning_id="uncommitted"))
        session.flush()
        embedded.snapshot(target)
    assert [p.name for p in target.parent.iterdir()] == [target.name], "no WAL beside it"
    check_file(target)
    frame = gpd.read_file(target, layer="warning", engine="pyogrio")
    assert len(frame) == 20, "an open transaction is not in it"
    connection = sqlite3.connect(target)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    extent = connection.execute(
        "SELECT min_x, min_y, max_x, max_y FROM gpkg_contents WHERE table_name = 'warning'"
    ).fetchone()
    connection.close()
    np.testing.assert_allclose(extent, frame.total_bounds, rtol=1e-6)


def test_snapshot_onto_the_live_file_or_nowhere_is_refused(embedded: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="replace the live store"):
        embedded.snapshot(path_of(embedded))
    with pytest.raises(StoreError, match="cannot be written"):
        embedded.snapshot(tmp_path / "no folder" / "w.gpkg")
