"""The consumers' views of a PostGIS store, and the roles that docs/operations.md describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest
import shapely
from alembic import command
from alembic.config import Config
from postgis import ROLES, PostGis, manual, with_roles
from pyproj import Geod
from sqlalchemy import create_engine, text

from curupira.codes import ClosedReason, IntensityClass, Status, Verdict, VerdictSource
from curupira.errors import StoreError
from curupira.store import Store, WarningRow, migrations

Make = Callable[..., WarningRow]
#: inpe.md, "From radar warning to DETER table".
DETER = """uuid classname geom satellite sensor source view_date areatotalkm areamunkm created_at
    auditar date_audit""".split()  # noqa: SIM905 (as the list stands in inpe.md)
REVIEWED = datetime(2024, 6, 3, 23, 30, tzinfo=UTC)


@pytest.fixture
def server_store(postgis: PostGis, tmp_path: Path) -> Iterator[Store]:
    with (
        postgis.database() as name,
        Store.open(postgis.url(name), base=tmp_path, create=True) as store,
    ):
        yield store


def add(store: Store, make_warning: Make) -> dict[str, WarningRow]:
    rows = {
        "fresh": make_warning(),
        "clear": make_warning(-53, status=Status.CONFIRMED, intensity_class=IntensityClass.HIGH),
        "degraded": make_warning(
            -54,
            status=Status.CONFIRMED,
            intensity_class=IntensityClass.LOW,
            verdict=Verdict.RECENT_DEGRADATION,
            verdict_by="maria",
            verdict_at=REVIEWED,
            verdict_source=VerdictSource.DESK,
        ),
        "gone": make_warning(-55, status=Status.CLOSED, closed_reason=ClosedReason.EXPIRED),
    }
    with store.transaction() as session:
        session.add_all(rows.values())
    return rows


def test_published_warnings_are_the_open_ones_without_persons(
    server_store: Store, make_warning: Make
) -> None:
    rows = add(server_store, make_warning)
    with server_store.reading() as session:
        found = session.execute(text("SELECT * FROM published_warning")).mappings().all()
    open_ones = {rows[name].warning_id for name in ("fresh", "clear", "degraded")}
    assert {row["warning_id"] for row in found} == open_ones
    assert not {"verdict_by", "run_id", "history", "recorded_at"} & set(found[0])


def test_deter_has_the_agencys_columns_words_and_areas(
    server_store: Store, make_warning: Make
) -> None:
    rows = add(server_store, make_warning)
    with server_store.reading() as session:
        found = session.execute(text("SELECT * FROM deter")).mappings().all()
    assert list(found[0]) == DETER
    by_id = {str(row["uuid"]): row for row in found}
    assert set(by_id) == {rows["clear"].warning_id, rows["degraded"].warning_id}
    clear, degraded = by_id[rows["clear"].warning_id], by_id[rows["degraded"].warning_id]
    assert (clear["classname"], degraded["classname"]) == ("DESMATAMENTO_CR", "DEGRADACAO")
    assert (clear["satellite"], clear["sensor"], clear["source"]) == ("Sentinel-1", "C-SAR", "S")
    assert clear["view_date"] == date(2024, 5, 20)
    # 0.01 degrees at 7 S on GRS 80: near 1.22 km2.
    square = shapely.box(-53, -7, -52.99, -6.99)
    expected = abs(Geod(ellps="GRS80").geometry_area_perimeter(square)[0]) / 1e6
    assert expected == pytest.approx(1.22, abs=0.01)
    assert clear["areatotalkm"] == pytest.approx(expected, rel=1e-6)
    assert clear["areamunkm"] == clear["areatotalkm"]
    assert (clear["auditar"], clear["date_audit"]) == (True, None)
    assert (degraded["auditar"], degraded["date_audit"]) == (False, date(2024, 6, 3))


def test_the_views_are_layers_with_type_and_system(
    postgis: PostGis, server_store: Store, make_warning: Make
) -> None:
    add(server_store, make_warning)
    name = server_store.url.database
    with postgis.connect(str(name)) as connection:
        layers = connection.execute(
            "SELECT f_table_name, type, srid FROM geometry_columns "
            "WHERE f_table_name IN ('deter', 'published_warning') ORDER BY 1"
        ).fetchall()
    assert layers == [
        ("deter", "MULTIPOLYGON", 4674),
        ("published_warning", "MULTIPOLYGON", 4674),
    ]


@pytest.fixture
def prepared(postgis: PostGis) -> Iterator[str]:
    with with_roles(postgis) as name:
        yield name


def test_the_manuals_roles_have_the_rights_they_need_and_no_more(
    postgis: PostGis, prepared: str, make_warning: Make, tmp_path: Path
) -> None:
    owner, daily, reader = ROLES
    with pytest.raises(StoreError, match="lacks a right"):
        Store.open(postgis.url(prepared, daily), base=tmp_path, create=True)
    Store.open(postgis.url(prepared, owner), base=tmp_path, create=True).close()
    with postgis.connect(prepared) as connection:
        connection.execute(manual()[1])

    with Store.open(postgis.url(prepared, daily), base=tmp_path, create=True) as store:
        with store.lock():
            add(store, make_warning)
        with pytest.raises(StoreError, match="lacks a right"), store.transaction() as session:
            session.execute(text("CREATE TABLE extra (id int)"))
        with pytest.raises(StoreError, match="lacks a right"), store.transaction() as session:
            session.execute(text("DROP TABLE warning CASCADE"))

    with postgis.connect(prepared, reader) as connection:
        assert connection.execute("SELECT count(*) FROM published_warning").fetchone() == (3,)
        assert connection.execute("SELECT count(*) FROM deter").fetchone() == (2,)
        for refused in (
            "SELECT * FROM warning",
            "SELECT * FROM review",
            "SELECT * FROM run",
            "DELETE FROM published_warning",
            "UPDATE deter SET auditar = false",
            "CREATE TABLE mine (id int)",
        ):
            with pytest.raises(psycopg.Error):
                connection.execute(refused)


def test_an_upgrade_adds_the_views(postgis: PostGis, tmp_path: Path) -> None:
    with postgis.database() as name:
        url = postgis.url(name)
        engine = create_engine(url)
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
        engine.dispose()
        assert Store.upgrade(url, base=tmp_path) == ("0001", migrations.HEAD)
        with Store.open(url, base=tmp_path, create=False) as store, store.reading() as session:
            assert session.execute(text("SELECT count(*) FROM deter")).scalar() == 0
