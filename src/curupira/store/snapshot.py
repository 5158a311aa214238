"""A consistent copy of the GeoPackage, whole or for others: never the live file and its WAL."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from shapely.geometry.base import BaseGeometry
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL

from curupira.cog import refuse_device
from curupira.errors import StoreError
from curupira.store.faults import explained
from curupira.store.geometry import decode_blob, register_functions
from curupira.store.geopackage import write_extents

#: What a copy for others is without: accounts, votes, names and notes of persons.
_PERSONS = (
    "DELETE FROM account",
    "DELETE FROM review",
    "UPDATE warning SET verdict_by = NULL",
    "UPDATE candidate SET verdict_by = NULL, votes = '{}'",
    "UPDATE edit SET editor = '', reason = ''",
    "UPDATE sample SET drawn_by = ''",
)
#: Tables whose rows belong to a warning.
_OF_WARNING = ("observation", "edit", "sample", "delivery", "warning")


@dataclass(frozen=True)
class Withheld:
    """Places that a copy for others is without, beside names of persons.

    ``touches`` says whether a geometry (EPSG:4674) meets a sensitive place: warnings, polygons and
    candidates there are left out. ``columns`` of warnings are emptied, ``overlays`` lose their
    keys in this JSON column.
    """

    touches: Callable[[BaseGeometry], bool]
    columns: tuple[str, ...] = ()
    overlays: tuple[str, ...] = ()


def write_snapshot(
    engine: Engine, live: Path | None, target: Path, where: str, withheld: Withheld | None
) -> Path:
    """Copy one consistent state of the database beside the target, then rename.

    Parameters
    ----------
    engine
        Engine of the live store; writers may be at work.
    live
        Its file; None where it is none.
    target
        File to write or replace.
    where
        The store's name in errors.
    withheld
        What the copy is without; None: it is whole.

    Raises
    ------
    StoreError
        On PostgreSQL (use ``pg_dump``), onto the live file, or if it cannot be written.
    """
    if live is None:
        raise StoreError("only an embedded store has snapshots", where=where, remedy="use pg_dump")
    if target.resolve() == live.resolve():
        raise StoreError(
            "the snapshot would replace the live store", where=target, remedy="name another file"
        )
    refuse_device(target)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with explained(str(target)):
            beside.unlink(missing_ok=True)
            # Whoever may not read the store may not read what the copy begins as.
            beside.touch(mode=0o600)
            shutil.copymode(live, beside)
            raw = engine.raw_connection()
            try:
                raw.cursor().execute("VACUUM INTO ?", (str(beside),))
            finally:
                raw.close()
            if withheld is not None:
                _clear(beside, withheld)
            _finish(beside)
        os.replace(beside, target)
    except OSError as error:
        raise StoreError(
            f"cannot be written ({error.strerror})", where=target, remedy="name another place"
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return target


def _clear(path: Path, withheld: Withheld) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        register_functions(copy)
        copy.execute("BEGIN")
        guards = copy.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'review'"
        ).fetchall()
        for name, _ in guards:
            copy.execute(f"DROP TRIGGER {name}")
        for statement in _PERSONS:
            copy.execute(statement)
        for _, guard in guards:
            copy.execute(guard)
        _leave_out(copy, withheld)
        copy.execute("COMMIT")
        # What was deleted still stands in free pages.
        copy.execute("VACUUM")


def _leave_out(copy: sqlite3.Connection, withheld: Withheld) -> None:
    def there(table: str, key: str) -> list[tuple[str]]:
        rows = copy.execute(f"SELECT {key}, geom FROM {table}").fetchall()  # noqa: S608 (ours)
        return [(name,) for name, blob in rows if withheld.touches(decode_blob(blob))]

    # An edited polygon stands for its warning.
    for name in {*there("warning", "warning_id"), *there("edit", "warning_id")}:
        for table in _OF_WARNING:
            copy.execute(f"DELETE FROM {table} WHERE warning_id = ?", name)  # noqa: S608 (ours)
    for table in ("observation", "candidate"):
        copy.executemany(f"DELETE FROM {table} WHERE id = ?", there(table, "id"))  # noqa: S608
    for column in withheld.columns:
        copy.execute(f"UPDATE warning SET {column} = NULL")  # noqa: S608 (names are ours)
    rows = copy.execute("SELECT id, overlays FROM warning WHERE overlays NOTNULL").fetchall()
    for number, text in rows if withheld.overlays else ():
        kept = {k: v for k, v in json.loads(text).items() if k not in withheld.overlays}
        told = json.dumps(kept, sort_keys=True, ensure_ascii=False)
        copy.execute("UPDATE warning SET overlays = ? WHERE id = ?", (told, number))


def _finish(path: Path) -> None:
    copy = create_engine(URL.create("sqlite", database=str(path)))
    try:
        with copy.begin() as connection:
            write_extents(connection)
    finally:
        copy.dispose()
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
