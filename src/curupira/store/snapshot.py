"""A consistent copy of the GeoPackage, for handing out: never the live file and its WAL."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL

from curupira.errors import StoreError
from curupira.store.faults import explained
from curupira.store.geopackage import write_extents


def write_snapshot(engine: Engine, live: Path | None, target: Path, where: str) -> Path:
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
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with explained(str(target)):
            beside.unlink(missing_ok=True)
            raw = engine.raw_connection()
            try:
                raw.cursor().execute("VACUUM INTO ?", (str(beside),))
            finally:
                raw.close()
            _finish(beside)
        os.replace(beside, target)
    except OSError as error:
        raise StoreError(
            f"cannot be written ({error.strerror})", where=target, remedy="name another place"
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return target


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
