"""One run at a time on a workspace. Both locks die with the process that holds them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy import text as sql

from curupira.errors import BusyError, StoreError
from curupira.store.faults import explained

#: Advisory locks are per database, and a database holds one store.
_RUN_LOCK = 0x43555255
_REMEDY = "wait until it has ended"


@contextmanager
def file_lock(database: Path) -> Iterator[None]:
    """Hold ``flock`` on a file beside the database.

    Not on the database itself: closing a second descriptor of it would drop SQLite's own locks. The
    file stays, empty of meaning; it holds the process id of the last holder, as a hint.

    Raises
    ------
    BusyError
        If it is held already.
    StoreError
        If the file cannot be written.
    """
    path = database.with_name(database.name + ".lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(
            f"cannot be written ({error.strerror})", where=path, remedy="check the permissions"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
            raise BusyError(
                f"another run holds this workspace (process {holder})",
                where=database.parent,
                remedy=_REMEDY,
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)


@contextmanager
def server_lock(engine: Engine, where: str) -> Iterator[None]:
    """Hold a PostgreSQL advisory lock on a connection of its own.

    Raises
    ------
    BusyError
        If it is held already.
    """
    with explained(where), engine.connect() as plain:
        # Outside a transaction: an idle one for the length of a run would hold back vacuum.
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        key = {"key": _RUN_LOCK}
        if not connection.execute(sql("SELECT pg_try_advisory_lock(:key)"), key).scalar():
            holder = connection.execute(
                sql("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = :key"), key
            ).scalar()
            raise BusyError(
                f"another run holds this workspace (server process {holder})",
                where=where,
                remedy=_REMEDY,
            )
        try:
            yield
        finally:
            connection.execute(sql("SELECT pg_advisory_unlock(:key)"), key)
