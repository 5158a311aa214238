"""Geometry blobs and column types."""

from __future__ import annotations

import math
import sqlite3
import struct
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from curupira.errors import InputError
from curupira.store import Store, WarningRow
from curupira.store.geometry import Geom, blob_bounds, blob_is_empty, decode_blob, encode_blob
from curupira.store.tables import Base

coordinate = st.floats(-180, 180, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(x=coordinate, y=coordinate, w=st.floats(1e-9, 10), h=st.floats(1e-9, 10))
def test_blob_round_trip_is_exact_and_header_is_the_standards(
    x: float, y: float, w: float, h: float
) -> None:
    polygon = shapely.MultiPolygon([shapely.box(x, y, x + w, y + h)])
    blob = encode_blob(polygon, 4674)
    # GeoPackage 1.3, 2.1.3.1.1: 'GP', version 0, flags, srs_id, envelope minx maxx miny maxy.
    magic, version, flags, srid, *envelope = struct.unpack("<2sBBi4d", blob[:40])
    assert (magic, version, flags, srid) == (b"GP", 0, 0b00000011, 4674)
    west, south, east, north = polygon.bounds
    assert envelope == [west, east, south, north]
    assert blob[40] == 1, "the WKB is little-endian"
    assert decode_blob(blob) == polygon
    assert blob_bounds(blob) == polygon.bounds


def test_blobs_of_other_programs_are_read() -> None:
    point = shapely.Point(-52.5, -7.25)
    wkb = shapely.to_wkb(point)
    bare = b"GP" + struct.pack("<BBi", 0, 0b00000001, 4674) + wkb
    assert decode_blob(bare) == point
    assert blob_bounds(bare) == (-52.5, -7.25, -52.5, -7.25)
    big_endian_xyz = (
        b"GP" + struct.pack(">BBi6d", 0, 0b00000100, 4674, -53, -52, -8, -7, 0, 100) + wkb
    )
    assert blob_bounds(big_endian_xyz) == (-53, -8, -52, -7)
    assert decode_blob(big_endian_xyz) == point


def test_empty_geometry_is_marked_empty() -> None:
    blob = encode_blob(shapely.MultiPolygon(), 4674)
    assert blob_is_empty(blob)
    assert blob_bounds(blob) is None
    assert decode_blob(blob).is_empty
    assert not blob_is_empty(encode_blob(shapely.box(0, 0, 1, 1), 4674))


@pytest.mark.parametrize("blob", [b"", b"GP", b"<html>not a blob</html>", b"GP\0\x03" + b"\0" * 9])
def test_what_is_no_blob_is_refused(blob: bytes) -> None:
    with pytest.raises(InputError, match="no GeoPackage blob"):
        decode_blob(blob)


def test_broken_wkb_is_refused() -> None:
    blob = encode_blob(shapely.box(0, 0, 1, 1), 4674)
    with pytest.raises(InputError, match="broken"):
        decode_blob(blob[:-5])


def test_geometry_round_trips_exactly_through_the_database(store: Store, make_warning) -> None:
    polygon = shapely.Polygon([(-52 - 1 / 3, -7.1), (-51.9, -7 - 1 / 7), (-51.95, -6.9)])
    solid = shapely.force_3d(polygon, 12.0)
    with store.transaction() as session:
        session.add_all([make_warning(geom=polygon), make_warning(geom=solid)])
    with store.reading() as session:
        for row in session.scalars(select(WarningRow)):
            assert row.geom == shapely.MultiPolygon([polygon])
            assert shapely.get_srid(row.geom) == 0
            assert not row.geom.has_z


def test_a_line_is_no_warning(store: Store, make_warning) -> None:
    with pytest.raises(Exception, match="LineString does not fit"), store.transaction() as session:
        session.add(make_warning(geom=shapely.LineString([(0, 0), (1, 1)])))
    with store.reading() as session:
        assert session.scalars(select(WarningRow)).all() == []


def test_times_are_utc_milliseconds(store: Store, make_warning) -> None:
    brasilia = timezone(timedelta(hours=-3))
    with store.transaction() as session:
        session.add(make_warning(issued_at=datetime(2024, 6, 1, 21, 0, 0, 999_999, brasilia)))
    with store.reading() as session:
        found = session.scalars(select(WarningRow)).one().issued_at
    assert found == datetime(2024, 6, 2, 0, 0, 0, 999_000, UTC)
    assert found.utcoffset() == timedelta(0)


def test_naive_times_are_refused(store: Store, make_warning) -> None:
    with pytest.raises(Exception, match="no time zone"), store.transaction() as session:
        session.add(make_warning(issued_at=datetime(2024, 6, 1)))


def test_time_text_is_the_standards(embedded: Store, make_warning) -> None:
    with embedded.transaction() as session:
        session.add(make_warning(issued_at=datetime(2024, 6, 1, 9, 5, 7, 40_000, UTC)))
        stored = session.execute(text("SELECT issued_at FROM warning")).scalar()
    assert stored == "2024-06-01T09:05:07.040Z"


def test_numpy_scalars_and_nan(store: Store, make_warning) -> None:
    with store.transaction() as session:
        session.add(
            make_warning(
                area_ha=np.float32(1.5),
                first_flag_days=np.int64(1601),
                confidence=np.float64("nan"),
                excess_db=math.nan,
                overlays={"estrada": "BR-163", "distância_m": 12.5},
            )
        )
    with store.reading() as session:
        row = session.scalars(select(WarningRow)).one()
        assert (row.area_ha, row.first_flag_days) == (1.5, 1601)
        assert row.confidence is None
        assert row.excess_db is None
        assert row.overlays == {"estrada": "BR-163", "distância_m": 12.5}
        nulls = text("SELECT count(*) FROM warning WHERE confidence IS NULL")
        assert session.execute(nulls).scalar() == 1


def test_words_outside_the_vocabulary_are_refused(store: Store, make_warning) -> None:
    with pytest.raises(Exception, match="'maybe' is not a valid Status"), store.transaction() as s:
        s.add(make_warning(status="maybe"))


def test_sql_functions_pass_null_through(embedded: Store) -> None:
    assert embedded.path is not None
    raw = embedded.engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("SELECT ST_MinX(NULL), ST_MaxY(NULL), ST_IsEmpty(NULL)")
        assert cursor.fetchone() == (None, None, None)
    finally:
        raw.close()
    columns = [c for t in Base.metadata.tables.values() for c in t.columns]
    spatial = sum(isinstance(column.type, Geom) for column in columns)
    with sqlite3.connect(embedded.path) as plain:
        assert plain.execute("SELECT count(*) FROM gpkg_geometry_columns").fetchone() == (spatial,)
    plain.close()
