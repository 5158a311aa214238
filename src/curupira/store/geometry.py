"""Geometry columns: GeoPackage blobs on SQLite, PostGIS geometries on PostgreSQL.

Blob layout: OGC GeoPackage 1.3, section 2.1.3. This module and ``geopackage`` are the only ones
that know how a database keeps a geometry.
"""

from __future__ import annotations

import sqlite3
import struct
from importlib import import_module
from typing import Any

import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Dialect,
    Double,
    LargeBinary,
    Table,
    TableClause,
    and_,
    func,
    not_,
    or_,
    select,
    table,
    true,
)
from sqlalchemy import column as sql_column
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from curupira.errors import InputError
from curupira.store.columns import name_of

Bounds = tuple[float, float, float, float]

_MAGIC = b"GP"
_LITTLE_ENDIAN, _ENVELOPE_XY, _EMPTY = 0x01, 0x02, 0x10
#: Bytes of the envelope by its code: none, xy, xyz, xym, xyzm.
_ENVELOPE_BYTES = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}
_HEADER_BYTES = 8


def encode_blob(geometry: BaseGeometry, srid: int) -> bytes:
    """Geometry to a standard GeoPackage blob: header, xy envelope, little-endian 2-D WKB."""
    flags, envelope = _LITTLE_ENDIAN, b""
    if geometry.is_empty:
        flags |= _EMPTY
    else:
        west, south, east, north = geometry.bounds
        flags |= _ENVELOPE_XY
        envelope = struct.pack("<4d", west, east, south, north)
    wkb = shapely.to_wkb(geometry, output_dimension=2, byte_order=1)
    return _MAGIC + struct.pack("<BBi", 0, flags, srid) + envelope + bytes(wkb)


def decode_blob(blob: bytes) -> BaseGeometry:
    """Geometry of a GeoPackage blob, whoever wrote it.

    Raises
    ------
    InputError
        If it is no GeoPackage blob, or its WKB is broken.
    """
    try:
        return shapely.from_wkb(blob[_wkb_start(blob) :])
    except shapely.GEOSException as error:
        raise InputError(
            f"a geometry is broken ({error})", where="store", remedy="restore it from a back-up"
        ) from error


def _wkb_start(blob: bytes) -> int:
    envelope = _ENVELOPE_BYTES.get((blob[3] >> 1) & 0x07) if len(blob) >= _HEADER_BYTES else None
    if blob[:2] != _MAGIC or envelope is None or len(blob) < _HEADER_BYTES + envelope:
        raise InputError(
            "a geometry is no GeoPackage blob", where="store", remedy="restore it from a back-up"
        )
    return _HEADER_BYTES + envelope


def blob_is_empty(blob: bytes | None) -> bool:
    """Whether a blob's geometry is empty (``ST_IsEmpty``); NULL is not."""
    return blob is not None and bool(blob[3] & _EMPTY)


def blob_bounds(blob: bytes) -> Bounds | None:
    """(west, south, east, north) of a blob, from its envelope where it has one; None if empty."""
    if blob_is_empty(blob):
        return None
    if _wkb_start(blob) == _HEADER_BYTES:
        bounds = decode_blob(blob).bounds
        return (bounds[0], bounds[1], bounds[2], bounds[3])
    order = "<" if blob[3] & _LITTLE_ENDIAN else ">"
    west, east, south, north = struct.unpack_from(f"{order}4d", blob, _HEADER_BYTES)
    return west, south, east, north


def register_functions(connection: sqlite3.Connection) -> None:
    """Give a SQLite connection the five functions that the R-tree triggers call."""

    def bound(index: int) -> Any:
        def pick(blob: bytes | None) -> float | None:
            bounds = None if blob is None else blob_bounds(blob)
            return None if bounds is None else bounds[index]

        return pick

    for name, index in (("ST_MinX", 0), ("ST_MinY", 1), ("ST_MaxX", 2), ("ST_MaxY", 3)):
        connection.create_function(name, 1, bound(index), deterministic=True)
    connection.create_function(
        "ST_IsEmpty",
        1,
        lambda blob: None if blob is None else int(blob_is_empty(blob)),
        deterministic=True,
    )


def load_postgis() -> None:
    """Load geoalchemy2 before any table is made: half of its listeners would run otherwise.

    Raises
    ------
    ModuleNotFoundError
        If the extra ``postgis`` is not installed.
    """
    import_module("geoalchemy2")


class _Blob(UserDefinedType[bytes]):
    """A GeoPackage geometry column, declared by its geometry type's name."""

    cache_ok = True

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def get_col_spec(self, **_: Any) -> str:
        return self.kind


class Geom(TypeDecorator[BaseGeometry]):
    """A shapely geometry in and out.

    Parameters
    ----------
    kind
        Geometry type, for example ``MULTIPOLYGON``; a Polygon is stored in it as one part, a third
        coordinate is dropped.
    srid
        EPSG code of the column.

    Raises
    ------
    InputError
        On writing another geometry type than ``kind``.
    """

    impl = LargeBinary
    cache_ok = True
    #: Read by geoalchemy2's table listeners: the migration makes the index, under our name.
    spatial_index = False

    def __init__(self, kind: str, srid: int) -> None:
        super().__init__()
        self.kind = kind
        self.srid = srid

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """GeoPackage blob on SQLite, ``geometry(kind, srid)`` on PostgreSQL."""
        if name_of(dialect) == "postgresql":
            from geoalchemy2 import Geometry

            geometry: TypeEngine[Any] = Geometry(self.kind, self.srid, spatial_index=False)
            return geometry
        return _Blob(self.kind)

    def process_bind_param(self, value: BaseGeometry | None, dialect: Dialect) -> Any:
        """GeoPackage blob, or EWKB as hexadecimal text (exact, unlike WKT)."""
        if value is None:
            return None
        geometry = MultiPolygon([value]) if isinstance(value, Polygon) else value
        if geometry.geom_type.upper() != self.kind:
            raise InputError(
                f"a {value.geom_type} does not fit a {self.kind} column",
                where="store",
                remedy="store polygons only",
            )
        if dialect.name == "postgresql":
            flat = shapely.set_srid(shapely.force_2d(geometry), self.srid)
            return shapely.to_wkb(flat, hex=True, include_srid=True)
        return encode_blob(geometry, self.srid)

    def process_result_value(self, value: Any, dialect: Dialect) -> BaseGeometry | None:
        """Back to shapely, without an SRID of its own."""
        if value is None:
            return None
        if dialect.name == "postgresql":
            return shapely.set_srid(shapely.from_wkb(bytes(value.data)), 0)
        return decode_blob(bytes(value))


def parts(bounds: Bounds) -> tuple[Bounds, ...]:
    """The box itself; two boxes where it crosses the 180th meridian (``west > east``)."""
    west, south, east, north = bounds
    if west <= east:
        return (bounds,)
    return (west, south, 180.0, north), (-180.0, south, east, north)


def may_intersect(
    column: InstrumentedAttribute[BaseGeometry], bounds: Bounds, dialect: str
) -> ColumnElement[bool]:
    """SQL condition: the geometry's bounds meet a box; uses the database's spatial index.

    It never misses a geometry, but lets through some just outside: test the hits with shapely.

    Parameters
    ----------
    column
        Geometry column of a table whose key is ``id``.
    bounds
        (west, south, east, north) in the column's reference system, as ``parts`` reads it.
    dialect
        ``sqlite`` or ``postgresql``.
    """
    return or_(*(_meets(column, part, dialect) for part in parts(bounds)))


def _meets(
    column: InstrumentedAttribute[BaseGeometry], bounds: Bounds, dialect: str
) -> ColumnElement[bool]:
    west, south, east, north = bounds
    source: Table = column.class_.__table__
    if dialect == "postgresql":
        return column.op("&&", is_comparison=True, return_type=Boolean())(_box(column, bounds))
    index = _rtree(column)
    hits = select(index.c.id).where(
        index.c.maxx >= west, index.c.minx <= east, index.c.maxy >= south, index.c.miny <= north
    )
    return source.c.id.in_(hits)


def crosses_edge(
    column: InstrumentedAttribute[BaseGeometry], bounds: Bounds, dialect: str
) -> ColumnElement[bool]:
    """SQL condition: the geometry's bounds meet a box but do not lie within it.

    Only of these need the geometry be compared with the box; parameters as ``may_intersect``.
    """
    return or_(*(_crosses(column, part, dialect) for part in parts(bounds)))


def _crosses(
    column: InstrumentedAttribute[BaseGeometry], bounds: Bounds, dialect: str
) -> ColumnElement[bool]:
    west, south, east, north = bounds
    source: Table = column.class_.__table__
    meets = _meets(column, bounds, dialect)
    if dialect == "postgresql":
        within = column.op("@", is_comparison=True, return_type=Boolean())(_box(column, bounds))
        return and_(meets, not_(within))
    index = _rtree(column)
    hits = select(index.c.id).where(
        index.c.maxx >= west,
        index.c.minx <= east,
        index.c.maxy >= south,
        index.c.miny <= north,
        or_(index.c.minx < west, index.c.maxx > east, index.c.miny < south, index.c.maxy > north),
    )
    return source.c.id.in_(hits)


def centre_of(
    column: InstrumentedAttribute[BaseGeometry], dialect: str
) -> tuple[ColumnElement[Any], ColumnElement[Any], ColumnElement[bool]]:
    """Centre of a geometry's bounds as SQL, without reading the geometry, on SQLite.

    Returns
    -------
    x, y
        Expressions, in the column's reference system (SQLite: to 1e-6 of its value).
    together
        Condition that joins what the expressions need.
    """
    source: Table = column.class_.__table__
    if dialect == "postgresql":
        x, y = ((low(column) + high(column)) / 2 for low, high in _POSTGIS_RANGES)
        return x, y, true()
    index = _rtree(column)
    together = source.c.id == index.c.id
    return (index.c.minx + index.c.maxx) / 2, (index.c.miny + index.c.maxy) / 2, together


_POSTGIS_RANGES = ((func.ST_XMin, func.ST_XMax), (func.ST_YMin, func.ST_YMax))


def _rtree(column: InstrumentedAttribute[BaseGeometry]) -> TableClause:
    """The GeoPackage's index of a geometry column."""
    return table(
        f"rtree_{column.class_.__table__.name}_{column.key}",
        *(sql_column(name, Double) for name in ("id", "minx", "maxx", "miny", "maxy")),
    )


def _box(column: InstrumentedAttribute[BaseGeometry], bounds: Bounds) -> ColumnElement[Any]:
    return func.ST_MakeEnvelope(*bounds, column.type.srid)
