"""The daily routine on PostGIS gives what it gives on a GeoPackage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from postgis import PostGis

from curupira.errors import BusyError
from curupira.store.session import Store


@pytest.fixture
def database(postgis: PostGis) -> Iterator[str]:
    with postgis.database() as name:
        yield postgis.url(name)


def test_both_databases_hold_the_same_warnings(
    builder: ModuleType, database: str, postgis: PostGis, tmp_path: Path
) -> None:
    squares = [builder.Square(10, 10, builder.day(7)), builder.Square(45, 40, builder.day(9))]
    world = builder.World(tmp_path / "images", squares)
    (tmp_path / "images").mkdir()
    shots = builder.series(13)
    late = shots.pop(10)
    embedded = world.workspace(tmp_path / "embedded", shots)
    server = world.workspace(tmp_path / "server", shots, store={"url": database})
    for workspace in (embedded, server):
        builder.play(workspace)
        # A scene that arrives afterwards re-evaluates what came after it.
        world.publish(workspace, [*shots, late])
        assert builder.play(workspace).counts["scenes"] == 1
    assert builder.state(server) == builder.state(embedded)
    assert builder.observation_places(server) == builder.observation_places(embedded)
    assert len(builder.warning_rows(server)) >= len(squares)

    again = builder.play(server)
    assert (again.counts["scenes"], again.counts["evaluated"]) == (0, 0)

    with postgis.connect(database.rsplit("/", 1)[1]) as connection:
        seen = connection.execute("SELECT classname, areatotalkm FROM deter").fetchall()
    confirmed = [r for r in builder.warning_rows(server) if r.status == "confirmed"]
    assert len(seen) == len(confirmed) > 0
    hectares = sorted(r.area_geodesic_ha for r in confirmed)
    assert sorted(100 * km2 for _, km2 in seen) == pytest.approx(hectares, rel=1e-3)


def test_a_second_run_is_refused_while_the_first_holds_the_lock(
    builder: ModuleType, database: str, tmp_path: Path
) -> None:
    world = builder.World(tmp_path, [])
    workspace = world.workspace(tmp_path / "w", builder.series(2), store={"url": database})
    with (
        Store.open(database, base=workspace.folder, create=True) as store,
        store.lock(),
        pytest.raises(BusyError, match="another run"),
    ):
        builder.play(workspace)
    assert builder.play(workspace).counts["scenes"] == 2
