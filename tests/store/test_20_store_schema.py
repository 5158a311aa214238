"""Opening: creation, versions, and everything that can be wrong with a database."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import format_exception

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from geoalchemy2 import Geometry
from sqlalchemy import inspect, text
from sqlalchemy.dialects.sqlite.base import SQLiteDialect, ischema_names

from curupira.errors import ConfigError, StoreError
from curupira.store import Store, WarningRow, meta, migrations
from curupira.store.tables import Base

URL = "sqlite:///warnings.gpkg"


def refusal(url: str, base: Path, *, create: bool = True) -> StoreError:
    with pytest.raises(StoreError) as caught:
        Store.open(url, base=base, create=create).close()
    assert caught.value.exit_code == 5
    assert caught.value.remedy
    return caught.value


def set_revision(store: Store, revision: str) -> None:
    with store.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def test_relative_urls_start_at_the_workspace(tmp_path: Path) -> None:
    with Store.open(URL, base=tmp_path, create=True) as store:
        assert store.path == tmp_path / "warnings.gpkg"
    with Store.open(f"sqlite:///{tmp_path}/other.gpkg", base=Path("/"), create=True) as store:
        assert store.path == tmp_path / "other.gpkg"


def test_opens_again_and_keeps_what_was_written(url: str, tmp_path: Path) -> None:
    with Store.open(url, base=tmp_path, create=True) as store, store.transaction() as session:
        meta.put(session, "grid", "1")
        meta.put(session, "grid", "2")
    for create in (True, False):
        with Store.open(url, base=tmp_path, create=create) as store, store.reading() as session:
            assert meta.get(session, "grid") == "2"
            assert meta.get(session, "none") is None


def test_migrations_make_what_the_tables_declare(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once a PostGIS test has loaded geoalchemy2, SQLAlchemy would take ours for SpatiaLite's.
    plain = {k: v for k, v in ischema_names.items() if not issubclass(v, Geometry)}
    monkeypatch.setattr(SQLiteDialect, "ischema_names", plain)

    def ours(_: object, name: str | None, kind: str, *__: object) -> bool:
        return kind != "table" or name in Base.metadata.tables

    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": ours}
        )
        changes = compare_metadata(context, Base.metadata)
        tables = set(inspect(connection).get_table_names())
    # SQLite reflects a geometry's declared type as a number; the spatial index is the migration's.
    spatial = {f"ix_{table}_geom" for table in ("warning", "observation", "edit", "candidate")}
    spatial.add("ix_scene_footprint")
    left = [
        change
        for change in changes
        if not (
            isinstance(change, list)
            and change[0][0] == "modify_type"
            and change[0][3] in ("geom", "footprint")
        )
        and not (isinstance(change, tuple) and getattr(change[1], "name", "") in spatial)
    ]
    assert left == []
    assert set(Base.metadata.tables) <= tables


def test_revisions_are_listed_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    script = ScriptDirectory.from_config(config)
    walked = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(walked)) == migrations.REVISIONS
    assert list(migrations.REVISIONS) == sorted(migrations.REVISIONS)


def test_an_older_schema_names_the_upgrade(store: Store, url: str, tmp_path: Path) -> None:
    set_revision(store, "0000")
    for create in (True, False):
        assert "curupira db upgrade" in str(refusal(url, tmp_path, create=create))


def test_a_newer_schema_is_refused(store: Store, url: str, tmp_path: Path) -> None:
    set_revision(store, "9999")
    assert "newer" in str(refusal(url, tmp_path))
    with pytest.raises(StoreError, match="newer"):
        Store.upgrade(url, base=tmp_path)


def test_upgrade_of_a_current_schema_changes_nothing(
    store: Store, url: str, tmp_path: Path
) -> None:
    assert Store.upgrade(url, base=tmp_path) == (migrations.HEAD, migrations.HEAD)


def test_upgrade_from_an_unknown_revision_is_refused(
    store: Store, url: str, tmp_path: Path
) -> None:
    set_revision(store, "0000")
    with pytest.raises(StoreError, match="0000"):
        Store.upgrade(url, base=tmp_path)


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "warnings.gpkg"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE farm (id INTEGER PRIMARY KEY)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    assert "no store of Curupira's" in str(refusal(URL, tmp_path))
    assert path.read_bytes() == before
    with pytest.raises(StoreError, match="no store"):
        Store.upgrade(URL, base=tmp_path)


def test_a_missing_store_is_not_made_by_readers(tmp_path: Path) -> None:
    assert "does not exist" in str(refusal(URL, tmp_path, create=False))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "warnings.gpkg"
    path.write_bytes(b"<html>please log in</html>" * 100)
    assert "is not a database" in str(refusal(URL, tmp_path))
    assert path.read_bytes().startswith(b"<html>")


def test_a_truncated_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "warnings.gpkg"
    Store.open(URL, base=tmp_path, create=True).close()
    path.write_bytes(path.read_bytes()[:5000])
    assert "damaged" in str(refusal(URL, tmp_path))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    error = refusal(URL, tmp_path / "nowhere")
    assert "cannot be opened" in str(error)
    assert "nowhere/warnings.gpkg" in str(error)


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "warnings.gpkg").touch()
    Store.open(URL, base=tmp_path, create=True).close()
    Store.open(URL, base=tmp_path, create=False).close()


@pytest.mark.parametrize(
    "url",
    [
        *("warnings.gpkg", "sqlite://", "sqlite:///:memory:", "mysql://u@h/d", "postgresql://h/d"),
        "mysql://u@h/d?password=s3cret",
    ],
)
def test_unknown_kinds_of_url(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[store\] url") as caught:
        Store.open(url, base=tmp_path, create=True)
    assert caught.value.exit_code == 2
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg:/u:s3cret@h/d", "postgresql+psycopg://u:s3cret@h:54x2/d"]
)
def test_a_mistyped_url_is_refused_without_the_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[store\] url") as caught:
        Store.open(url, base=tmp_path, create=True)
    assert "s3cret" not in "".join(format_exception(caught.value))


@pytest.mark.parametrize(
    "url", ["u:s3cret@127.0.0.1:1/d?", "u@127.0.0.1:1/d?password=s3cret&sslpassword=s3cret&"]
)
def test_an_unreachable_server_is_named_without_the_password(url: str, tmp_path: Path) -> None:
    error = refusal(f"postgresql+psycopg://{url}connect_timeout=2", tmp_path)
    assert "cannot be reached" in str(error)
    assert "127.0.0.1:1" in str(error)
    assert "s3cret" not in str(error)


def test_a_mistyped_option_of_the_url_is_named(tmp_path: Path) -> None:
    error = refusal("postgresql+psycopg://u@127.0.0.1:1/d?pasword=s3cret", tmp_path)
    assert 'invalid connection option "pasword"' in str(error)
    assert "s3cret" not in str(error)
    assert "[store] url" in str(error)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, whom no permission stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_store(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Store.open(URL, base=folder, create=True).close()
        (folder / "warnings.gpkg").chmod(0o444)
        folder.chmod(0o555)
        try:
            with as_nobody():
                error = refusal(URL, folder)
        finally:
            folder.chmod(0o755)
    assert "cannot be" in str(error)
    assert "permission" in str(error) or "can be written" in str(error)


def test_a_full_disk_loses_nothing(embedded: Store, make_warning) -> None:
    with embedded.transaction() as session:
        session.add(make_warning())
        pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar()

    def write() -> None:
        with embedded.transaction() as session:
            # SQLite's own limit gives the error of a full disk.
            session.connection().exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            session.add_all([make_warning(preset="x" * 200) for _ in range(500)])

    with pytest.raises(StoreError, match="disk is full"):
        write()
    embedded.close()
    with embedded.transaction() as session:
        assert session.query(WarningRow).count() == 1
        session.add(make_warning())


def test_a_disk_that_refuses_writes(tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from curupira.errors import StoreError
from curupira.store import Store, meta
store = Store.open("sqlite:///warnings.gpkg", base=Path(sys.argv[1]), create=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    with store.transaction() as session:
        for number in range(2000):
            meta.put(session, f"key {number}", "x" * 1000)
except StoreError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    assert "nothing was lost" in done.stdout
    with Store.open(URL, base=tmp_path, create=False) as store, store.reading() as session:
        assert meta.get(session, "key 0") is None


def test_two_creators_at_once(url: str, tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from curupira.store import Store
sys.stdin.readline()
Store.open(sys.argv[2], base=Path(sys.argv[1]), create=True).close()
"""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path, url], stdin=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.close()
    assert [racer.wait(60) for racer in racers] == [0, 0, 0]
    Store.open(url, base=tmp_path, create=False).close()


def test_a_failed_creation_leaves_nothing(url: str, tmp_path: Path, monkeypatch) -> None:
    # The last step of the first migration fails: all before it must be undone.
    from curupira.store import session as module

    real = module._migrate

    def fail(connection) -> None:
        real(connection)
        connection.execute(text("SELECT no_such_function()"))

    monkeypatch.setattr(module, "_migrate", fail)
    with pytest.raises(Exception, match="no_such_function"):
        Store.open(url, base=tmp_path, create=True)
    monkeypatch.undo()
    with Store.open(url, base=tmp_path, create=True) as store, store.reading() as session:
        assert session.query(WarningRow).count() == 0
