"""What makes a SQLite file a GeoPackage: metadata tables, spatial index, triggers.

OGC GeoPackage 1.3: sections 1.1.2 to 1.1.3, 2.1, and annex F.3 (R-tree index). The triggers are the
corrected set of version 1.4, which GDAL writes as well: those of 1.3 miss UPSERT.
"""

from __future__ import annotations

from pyproj import CRS
from sqlalchemy import Connection
from sqlalchemy import text as sql

APPLICATION_ID = 0x47504B47
USER_VERSION = 10300

_TABLES = (
    """CREATE TABLE gpkg_spatial_ref_sys (
      srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
      organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT)""",
    """CREATE TABLE gpkg_contents (
      table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
      description TEXT DEFAULT '',
      last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
      min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
      CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id))""",
    """CREATE TABLE gpkg_geometry_columns (
      table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
      srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
      CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
      CONSTRAINT uk_gc_table_name UNIQUE (table_name),
      CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
      CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id))""",
    """CREATE TABLE gpkg_extensions (
      table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL,
      scope TEXT NOT NULL,
      CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name))""",
)
_UNDEFINED = (
    ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined"),
    ("Undefined geographic SRS", 0, "NONE", 0, "undefined"),
)
_FULL = "NEW.{c} NOTNULL AND NOT ST_IsEmpty(NEW.{c})"
_VOID = "NEW.{c} ISNULL OR ST_IsEmpty(NEW.{c})"
_WAS_FULL = "OLD.{c} NOTNULL AND NOT ST_IsEmpty(OLD.{c})"
_WAS_VOID = "OLD.{c} ISNULL OR ST_IsEmpty(OLD.{c})"
_ADD = (
    "INSERT OR REPLACE INTO {r} VALUES (NEW.id, ST_MinX(NEW.{c}), ST_MaxX(NEW.{c}),"
    " ST_MinY(NEW.{c}), ST_MaxY(NEW.{c}));"
)
_CHANGE = (
    "UPDATE {r} SET minx = ST_MinX(NEW.{c}), maxx = ST_MaxX(NEW.{c}),"
    " miny = ST_MinY(NEW.{c}), maxy = ST_MaxY(NEW.{c}) WHERE id = NEW.id;"
)
#: suffix, event, condition, action
_TRIGGERS = (
    ("insert", "INSERT", _FULL, _ADD),
    ("update6", "UPDATE OF {c}", f"OLD.id = NEW.id AND ({_FULL}) AND ({_WAS_FULL})", _CHANGE),
    ("update7", "UPDATE OF {c}", f"OLD.id = NEW.id AND ({_FULL}) AND ({_WAS_VOID})", _ADD),
    (
        "update2",
        "UPDATE OF {c}",
        f"OLD.id = NEW.id AND ({_VOID})",
        "DELETE FROM {r} WHERE id = OLD.id;",
    ),
    (
        "update5",
        "UPDATE",
        f"OLD.id != NEW.id AND ({_FULL})",
        "DELETE FROM {r} WHERE id = OLD.id; " + _ADD,  # noqa: S608 (names are ours)
    ),
    (
        "update4",
        "UPDATE",
        f"OLD.id != NEW.id AND ({_VOID})",
        "DELETE FROM {r} WHERE id IN (OLD.id, NEW.id);",
    ),
    ("delete", "DELETE", "OLD.{c} NOTNULL", "DELETE FROM {r} WHERE id = OLD.id;"),
)


def create_metadata(connection: Connection, srids: tuple[int, ...]) -> None:
    """Write the GeoPackage's identity, its metadata tables and its reference systems."""
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {USER_VERSION}")
    for statement in _TABLES:
        connection.exec_driver_sql(statement)
    systems = [*_UNDEFINED]
    for srid in srids:
        crs = CRS.from_epsg(srid)
        systems.append((crs.name, srid, "EPSG", srid, crs.to_wkt("WKT1_GDAL")))
    for name, srs_id, organization, code, definition in systems:
        connection.execute(
            sql(
                "INSERT INTO gpkg_spatial_ref_sys (srs_name, srs_id, organization,"
                " organization_coordsys_id, definition) VALUES (:name, :id, :org, :code, :wkt)"
            ),
            {"name": name, "id": srs_id, "org": organization, "code": code, "wkt": definition},
        )


def register_attributes(connection: Connection, table: str, description: str) -> None:
    """List a table without geometry."""
    connection.execute(
        sql(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description)"
            " VALUES (:table, 'attributes', :table, :description)"
        ),
        {"table": table, "description": description},
    )


def register_features(
    connection: Connection, table: str, column: str, kind: str, srid: int, description: str
) -> None:
    """List a table with geometry, and give it an R-tree that triggers keep."""
    values = {"t": table, "c": column, "kind": kind, "srid": srid, "text": description}
    for statement in (
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id)"
        " VALUES (:t, 'features', :t, :text, :srid)",
        "INSERT INTO gpkg_geometry_columns VALUES (:t, :c, :kind, :srid, 0, 0)",
        "INSERT INTO gpkg_extensions VALUES (:t, :c, 'gpkg_rtree_index',"
        " 'http://www.geopackage.org/spec120/#extension_rtree', 'write-only')",
    ):
        connection.execute(sql(statement), values)
    index = f"rtree_{table}_{column}"
    connection.exec_driver_sql(
        f"CREATE VIRTUAL TABLE {index} USING rtree(id, minx, maxx, miny, maxy)"
    )
    for suffix, event, condition, action in _TRIGGERS:
        body = f"WHEN ({condition}) BEGIN {action} END".format(c=column, r=index)
        connection.exec_driver_sql(
            f"CREATE TRIGGER {index}_{suffix} AFTER {event.format(c=column)} ON {table} {body}"
        )


def write_extents(connection: Connection) -> None:
    """Set each layer's extent and date of change, as a file handed out should have them."""
    layers = connection.execute(sql("SELECT table_name, column_name FROM gpkg_geometry_columns"))
    for table, column in layers.all():
        bounds = connection.exec_driver_sql(
            f"SELECT min(minx), min(miny), max(maxx), max(maxy)"  # noqa: S608 (names are ours)
            f" FROM rtree_{table}_{column}"
        ).one()
        connection.execute(
            sql(
                "UPDATE gpkg_contents SET min_x = :a, min_y = :b, max_x = :c, max_y = :d,"
                " last_change = strftime('%Y-%m-%dT%H:%M:%fZ','now') WHERE table_name = :t"
            ),
            dict(zip("abcd", bounds, strict=True)) | {"t": table},
        )
