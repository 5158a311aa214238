"""The daily routine on PostGIS gives what it gives on a GeoPackage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from delivering import sshd
from postgis import DAILY, OWNER, READER, PostGis, manual, with_roles

from curupira.config import StoreParams, Workspace
from curupira.errors import BusyError
from curupira.pipelines.delivery import Options, deliver
from curupira.pipelines.replay import replay
from curupira.pipelines.retract import retract
from curupira.pipelines.workspace import write
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


def told(root: Path) -> list[list[tuple[str, str]]]:
    """What arrived, package by package in the order of their names: warning and kind."""
    return [
        [
            (feature["id"], feature["properties"]["delivery"])
            for path in package.glob("*.geojson")
            for feature in json.loads(path.read_text(encoding="utf-8"))["features"]
        ]
        for package in sorted(p.parent for p in root.glob("*/manifest.json"))
    ]


def test_run_delivery_and_retraction_with_the_least_rights(
    builder: ModuleType, postgis: PostGis, tmp_path: Path
) -> None:
    b = builder
    squares = [b.Square(10, 10, b.day(7)), b.Square(45, 40, b.day(9))]
    world = b.World(tmp_path / "images", squares)
    (tmp_path / "images").mkdir()
    with with_roles(postgis) as name, sshd(tmp_path / "ssh") as server:
        target = {
            "kind": "sftp",
            "url": f"sftp://{server.user}@127.0.0.1:{server.port}{server.root}",
            "host_key": server.host_key,
            "key_file_env": "AGENCY_KEY",
            "formats": ("geojson",),
        }
        first = world.workspace(
            tmp_path / "w",
            b.series(9),
            store={"url": postgis.url(name, OWNER)},
            delivery={"agency": target},
        )
        b.play(first, dry_run=True)
        with postgis.connect(name) as connection:
            connection.execute(manual()[1])
        monitor = first.monitor.model_copy(
            update={"store": StoreParams(url=postgis.url(name, DAILY))}
        )
        workspace: Workspace = write(first.folder, monitor)
        options = Options(environment={"AGENCY_KEY": str(server.key_file)})
        for n in (9, 13):
            world.publish(workspace, b.series(n))
            run_id = b.play(workspace).run_id
            (outcome,) = deliver(workspace, None, options)
            assert outcome.error is None
        assert replay(workspace, run_id).same
        (second,) = deliver(workspace, None, options)
        assert (second.chosen, second.sent) == ({}, [])
        with postgis.connect(name, READER) as connection:
            published = connection.execute(
                "SELECT warning_id FROM published_warning "
                "WHERE status = 'confirmed' AND intensity_class = 'high_intensity'"
            ).fetchall()
        early, late = told(server.root)
        assert [kind for _, kind in early] == ["new"]
        assert {one for one, _ in (*early, *late)} == {row[0] for row in published}
        assert "new" in {kind for _, kind in late}
        assert len(published) == 2
        done = retract(workspace, run_id, "a test", options=options)
        assert done.told == ["agency"]
        *_, corrections = told(server.root)
        assert {kind for _, kind in corrections} == {"correction"}
        assert {one for one, _ in corrections} == {one for one, kind in late if kind == "new"}
