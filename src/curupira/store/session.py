"""The store: opening, schema version, transactions, the workspace lock, snapshots."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy import text as sql
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session, sessionmaker

from curupira.errors import ConfigError, StoreError
from curupira.store.faults import explained
from curupira.store.geometry import load_postgis, register_functions
from curupira.store.lock import file_lock, server_lock
from curupira.store.migrations import HEAD, REVISIONS
from curupira.store.snapshot import Withheld, write_snapshot

#: How long a writer waits for another one, in milliseconds.
BUSY_TIMEOUT_MS = 30_000
_URL_REMEDY = 'write "sqlite:///warnings.gpkg" or "postgresql+psycopg://user@host/database"'
#: Options of a URL that are told; any other, also a mistyped one, may hold a password.
_TOLD = frozenset(
    ("host", "hostaddr", "port", "dbname", "user", "connect_timeout", "sslmode", "service")
)
#: Advisory lock of those who create or upgrade the schema at the same moment.
_SCHEMA_LOCK = 0x43555250


class Store:
    """The warning database: a GeoPackage file or a PostGIS database.

    Use ``Store.open``. A store is shared by threads, never across a fork.
    """

    def __init__(self, engine: Engine, url: URL) -> None:
        self.engine = engine
        self.url = url
        self.where = _shown(url)
        self._sessions = sessionmaker(engine, expire_on_commit=False)
        # SQLite has one writer and makes the others poll, some for seconds: threads queue instead.
        embedded = engine.dialect.name == "sqlite"
        self._writing: AbstractContextManager[Any] = Lock() if embedded else nullcontext()

    @classmethod
    def open(cls, url: str, *, base: Path, create: bool) -> Store:
        """Connect and check the schema's version.

        Parameters
        ----------
        url
            ``[store] url``.
        base
            Folder that a relative SQLite path starts from: the workspace.
        create
            Create the schema where the database is empty.

        Raises
        ------
        ConfigError
            If the URL is of no known kind.
        StoreError
            If the database is missing, unreachable, no store, or of another schema version.
        """
        store = cls._connect(url, base)
        try:
            with explained(store.where):
                if not create:
                    store._must_exist()
                store._check_or_create(create)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def upgrade(cls, url: str, *, base: Path) -> tuple[str, str]:
        """Bring an older schema to this program's; returns (revision before, revision now).

        Raises
        ------
        StoreError
            As for ``open``; and if the store is newer than this program.
        """
        store = cls._connect(url, base)
        try:
            with explained(store.where):
                store._must_exist()
                with store._schema_change() as connection:
                    before = store._revision(connection)
                    if before is None:
                        raise store._no_store()
                    if before > HEAD:
                        raise store._newer(before)
                    if before not in REVISIONS:
                        raise StoreError(
                            f"the schema is of no known version ({before or 'none'})",
                            where=store.where,
                            remedy="restore it from a back-up",
                        )
                    _migrate(connection)
                return before, HEAD
        finally:
            store.close()

    @classmethod
    def _connect(cls, url: str, base: Path) -> Store:
        parsed = _parse(url, base)
        try:
            if parsed.get_backend_name() == "postgresql":
                load_postgis()
            # As many connections as threads ask for: one that waits for a second while others
            # hold the rest would wait for ever.
            engine = create_engine(
                parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite", max_overflow=-1
            )
        except ModuleNotFoundError as error:
            raise StoreError(
                "the PostgreSQL driver is not installed",
                where="[store] url",
                remedy='run: pip install "curupira[postgis]"',
            ) from error
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        return cls(engine, parsed)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @property
    def path(self) -> Path | None:
        """The GeoPackage file; None on PostgreSQL."""
        embedded = self.engine.dialect.name == "sqlite"
        return Path(self.url.database or "") if embedded else None

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[Session]:
        """Session whose work is committed as a whole, or rolled back on any error.

        Parameters
        ----------
        durable
            Survive a power cut as well (for votes); without it, the last commits before a power
            cut may be missing on SQLite, never half of one.
        """
        engine = self.engine.execution_options(write=True, durable=durable)
        with (
            self._writing,
            explained(self.where),
            self._sessions(bind=engine) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Session on one consistent state; it does not wait for writers. Changes are discarded."""
        engine = self.engine
        if self.path is None:
            # PostgreSQL's default would show what others commit between two queries.
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with explained(self.where), self._sessions(bind=engine) as session:
            yield session

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the workspace for one run; the lock dies with the process.

        Raises
        ------
        BusyError
            If another process (or this one) holds it.
        """
        held = server_lock(self.engine, self.where) if self.path is None else file_lock(self.path)
        with held:
            yield

    def snapshot(self, target: Path, withheld: Withheld | None = None) -> Path:
        """Write a consistent copy of the GeoPackage, without WAL.

        Parameters
        ----------
        withheld
            For handing out: without accounts, votes, names of persons, and these places. None: a
            whole copy, for back-ups.

        Raises
        ------
        StoreError
            On PostgreSQL (use ``pg_dump``), onto the live file, or if it cannot be written.
        """
        return write_snapshot(self.engine, self.path, target, self.where, withheld)

    def _must_exist(self) -> None:
        if self.path is not None and not self.path.exists():
            raise StoreError("does not exist", where=self.path, remedy="start curupira run first")

    def _check_or_create(self, create: bool) -> None:
        with self.engine.connect() as connection:
            revision = self._revision(connection)
        if revision is None and create:
            with self._schema_change() as connection:
                # Another process may have been quicker.
                revision = self._revision(connection)
                if revision is None:
                    self._refuse_foreign(connection)
                    _migrate(connection)
                    revision = HEAD
        if revision is None:
            raise self._no_store()
        if revision > HEAD:
            raise self._newer(revision)
        if revision < HEAD:
            raise StoreError(
                f"the schema is of an older version ({revision or 'none'}; this is {HEAD})",
                where=self.where,
                remedy="run: curupira db upgrade",
            )
        if self.path is not None:
            self._use_wal()

    def _use_wal(self) -> None:
        # Only now that the file is known as ours: the mode is kept in the file.
        raw = self.engine.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute("PRAGMA journal_mode")
            if cursor.fetchone() != ("wal",):
                cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # Another process has it open just now: the next one to open it alone will switch.
            if "locked" not in str(error):
                raise
        finally:
            raw.close()

    def _revision(self, connection: Connection) -> str | None:
        """Schema revision; empty if its row is missing; None if no schema was ever created."""
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(sql("SELECT version_num FROM alembic_version")).scalar()
        return str(found or "")

    def _refuse_foreign(self, connection: Connection) -> None:
        tables = set(inspect(connection).get_table_names()) - {"spatial_ref_sys"}
        if tables:
            raise self._no_store()
        if connection.dialect.name == "postgresql":
            connection.execute(sql("CREATE EXTENSION IF NOT EXISTS postgis"))

    def _no_store(self) -> StoreError:
        return StoreError(
            "is no store of Curupira's",
            where=self.where,
            remedy="name an empty database in [store] url and start curupira run",
        )

    def _newer(self, revision: str) -> StoreError:
        return StoreError(
            f"the schema is of a newer version ({revision}; this program knows {HEAD})",
            where=self.where,
            remedy="install a newer Curupira",
        )

    @contextmanager
    def _schema_change(self) -> Iterator[Connection]:
        with self.engine.execution_options(write=True).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sql("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
            yield connection


def _parse(url: str, base: Path) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Not repeated, nor the cause, which repeats it: there may be a password in it.
        raise ConfigError("this is no URL", where="[store] url", remedy=_URL_REMEDY) from None
    if parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed.set(database=str(base.absolute() / str(parsed.database)))
    if parsed.drivername == "postgresql+psycopg":
        return parsed
    raise ConfigError(
        f"{_shown(parsed)!r} is of no kind that can be a store",
        where="[store] url",
        remedy=_URL_REMEDY,
    )


def _shown(url: URL) -> str:
    """The URL without what must not be told, beside the user or among the options."""
    secret = url.query.keys() - _TOLD
    return url.update_query_dict(dict.fromkeys(secret, "***")).render_as_string(hide_password=True)


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        # The driver must not open transactions by itself: it would leave DDL outside of them.
        connection.isolation_level = None
        register_functions(connection)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        level = "FULL" if options.get("durable") else "NORMAL"
        connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
        # A writer takes its lock at once: a reader that turns writer could not wait for it.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("write") else "BEGIN")


def _migrate(connection: Connection) -> None:
    # Imported here: alembic costs 0.4 s, and only creation and upgrade need it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
