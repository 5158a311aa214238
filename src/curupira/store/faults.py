"""Database failures in the user's words: what happened, which store, what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from curupira.errors import BusyError, StoreError

#: Fragment of SQLite's message: what, remedy.
_SQLITE = {
    "file is not a database": ("is not a database", "name another file, or restore a back-up"),
    "malformed": ("the database is damaged", "restore it from a back-up"),
    "unable to open": ("cannot be opened", "check that the folder exists and can be written"),
    "readonly": ("cannot be written", "check the permissions of the file and of its folder"),
    "disk is full": ("the disk is full", "free some space and start again; nothing was lost"),
    "disk I/O error": (
        "the disk cannot be written",
        "check space and disk, then start again; nothing was lost",
    ),
}
#: SQLSTATE, whole or its class: what, remedy.
_POSTGRESQL = {
    "42501": ("the role lacks a right", "grant it as docs/operations.md says"),
    "25006": ("the server is read-only", "connect to the primary server"),
    "53100": ("the server's disk is full", "free some space; nothing was lost"),
    "53": ("the server has no resources left", "try again later; nothing was lost"),
    "57": ("the server was shut down", "start it, then start again; nothing was lost"),
    "08": ("the connection was lost", "check server and network; nothing was lost"),
}
_BUSY_SQLITE = ("is locked", "is busy")
_BUSY_POSTGRESQL = ("55P03", "40P01", "40001")


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn operational database errors into ``StoreError``; programming errors pass unchanged.

    Parameters
    ----------
    where
        The store's URL without password.

    Raises
    ------
    StoreError
        If the database is unreachable, damaged, read-only, full or refuses.
    BusyError
        If another process holds a lock for longer than the time-out.
    """
    try:
        yield
    except exc.DBAPIError as error:
        found = _explain(error.orig, where)
        if found is None:
            raise
        raise found from error
    except sqlite3.Error as error:
        found = _explain(error, where)
        if found is None:
            raise
        raise found from error


def _explain(cause: BaseException | None, where: str) -> StoreError | None:
    if isinstance(cause, sqlite3.Error):
        return _explain_sqlite(str(cause), where)
    state = getattr(cause, "sqlstate", None) or ""
    if state in _BUSY_POSTGRESQL:
        return _busy(where)
    found = _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2])
    if found is None and type(cause).__name__ in ("OperationalError", "ConnectionTimeout"):
        # psycopg fails to connect without an SQLSTATE; its message names host and reason.
        reason = (str(cause).strip().splitlines() or ["no reason given"])[0]
        found = f"the server cannot be reached ({reason})", "check host, port, user and PGPASSWORD"
    if found is None and "invalid connection option" in str(cause):
        # libpq's word for an option of the URL that it does not know, before it connects.
        found = str(cause).strip(), "correct [store] url"
    return None if found is None else StoreError(found[0], where=where, remedy=found[1])


def _explain_sqlite(message: str, where: str) -> StoreError | None:
    if any(words in message for words in _BUSY_SQLITE):
        return _busy(where)
    for words, (what, remedy) in _SQLITE.items():
        if words in message:
            return StoreError(what, where=where, remedy=remedy)
    return None


def _busy(where: str) -> BusyError:
    return BusyError("another program holds the database", where=where, remedy="try again")
