"""A PostgreSQL server with PostGIS that the test session starts for itself, and stops."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
#: Every new database is a copy of this one, which has the extension already.
TEMPLATE = "with_postgis"


@dataclass(frozen=True)
class PostGis:
    """A running server; anyone on this machine may connect as ``postgres``."""

    port: int

    def url(self, database: str, user: str = "postgres") -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://{user}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres", user: str = "postgres") -> psycopg.Connection:
        """Open a plain connection that commits every statement."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=user, dbname=database, autocommit=True
        )

    @contextmanager
    def database(self, *, bare: bool = False) -> Iterator[str]:
        """Name of a new database, dropped afterwards; ``bare``: without the extension."""
        name = f"t_{uuid.uuid4().hex}"
        with self.connect() as connection:
            # Copying the few files is quicker than writing the copy to the log.
            source = "template1" if bare else TEMPLATE
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY FILE_COPY")
        try:
            yield name
        finally:
            with self.connect() as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


#: The operator's manual, and the roles that it makes.
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
OWNER, DAILY, READER = ROLES = ("curupira_owner", "curupira_run", "curupira_reader")


def manual() -> list[str]:
    """SQL blocks of the operator's manual, in order."""
    return re.findall(r"```sql\n(.*?)```", OPERATIONS.read_text(encoding="utf-8"), re.S)


@contextmanager
def with_roles(server: PostGis) -> Iterator[str]:
    """Name of a database prepared as the manual says, before the first start."""
    before, _ = manual()
    with server.database(bare=True) as name:
        try:
            with server.connect(name) as connection:
                connection.execute(before)
            yield name
        finally:
            with server.connect(name) as connection:
                for role in ROLES:
                    connection.execute(f"DROP OWNED BY {role} CASCADE")
                    connection.execute(f"DROP ROLE {role}")


def free_port() -> int:
    """A loopback port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(program: str, *arguments: str) -> None:
    # initdb and postgres refuse root.
    prefix = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
    command = [*prefix, str(PROGRAMS / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")


@contextmanager
def running(folder: Path) -> Iterator[PostGis]:
    """Start a server with its data in a folder that it may enter; stop it at the end."""
    port = free_port()
    data = str(folder / "data")
    _run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
    options = (
        f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c synchronous_commit=off "
        "-c full_page_writes=off -c shared_buffers=32MB -c max_connections=60 -c timezone=UTC"
    )
    _run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        server = PostGis(port)
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        with server.connect(TEMPLATE) as connection:
            connection.execute("CREATE EXTENSION postgis")
        yield server
    finally:
        _run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


@pytest.fixture(scope="session")
def postgis() -> Iterator[PostGis]:
    """The session's own PostGIS server (one for each xdist worker)."""
    if not (PROGRAMS / "initdb").exists():
        pytest.fail("PostgreSQL 15 with PostGIS is missing: `make test` installs it", pytrace=False)
    # Not below pytest's folder: that is closed to the user postgres.
    folder = Path(tempfile.mkdtemp(prefix="curupira-pg-"))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    try:
        with running(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
