"""``curupira db snapshot``: a copy for others, and a whole one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from delivering import make_workspace, open_store, warning_row

from curupira.codes import Role, Verdict, VerdictSource
from curupira.config import Workspace
from curupira.store import (
    AccountRow,
    CandidateRow,
    DeliveryRow,
    EditRow,
    ReviewRow,
    SampleRow,
    Store,
)

NOW = datetime(2024, 6, 3, tzinfo=UTC)
#: Each stands in one place of the store; none may be in any byte of a copy for others.
PERSONS = ("Iracema", "Jurandir", "Cauby", "Ubirajara", "Moacir", "saw-them", "argon2id")
PLACES = ("TI Secreta", "Flona Oculta", "Aldeia Velha")
SERVE = """
[serve]
sensitive_places = ["TI Secreta"]
sensitive_layers = ["protected_areas", "villages"]
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three warnings, the second half drawn into a sensitive place, and persons everywhere."""
    layers = 'indigenous_territories = "ti.geojson"\noverlays = {villages = "ti.geojson"}'
    opened = make_workspace(tmp_path / "w", layers, SERVE)
    inside, drawn, outside = (
        warning_row(
            n,
            verdict=Verdict.RECENT_DEFORESTATION,
            verdict_by="Iracema",
            protected_area="Flona Oculta",
            overlays={"villages": "Aldeia Velha", "roads": 120.0},
        )
        for n in range(3)
    )
    inside.indigenous_territory = "TI Secreta"
    secret = shapely.box(*inside.geom.bounds)
    frame = gpd.GeoDataFrame({"name": ["TI Secreta"]}, geometry=[secret], crs=4674)
    frame.to_file(opened.folder / "ti.geojson")
    with open_store(opened) as store, store.transaction() as session:
        session.add_all([inside, drawn, outside])
        session.add(account())
        for row in (inside, drawn, outside):
            session.add_all(of_warning(row.warning_id))
        session.add(edit(drawn.warning_id, secret.union(shapely.box(*drawn.geom.bounds))))
        session.add(edit(outside.warning_id, outside.geom))
        session.add_all(candidate(n, shape) for n, shape in enumerate((secret, outside.geom)))
    return opened


def account() -> AccountRow:
    return AccountRow(
        name="Moacir",
        role=Role.OPERATOR,
        password_hash="$argon2id$v=19$m=65536",
        disabled=False,
        created_at=NOW,
    )


def of_warning(name: str) -> list[Any]:
    return [
        ReviewRow(
            vote_id=f"v-{name}",
            warning_id=name,
            interpreter="Jurandir",
            comment="saw-them",
            source=VerdictSource.DESK,
            verdict=Verdict.RECENT_DEFORESTATION,
            voted_at=NOW,
        ),
        SampleRow(
            day=NOW.date(),
            warning_id=name,
            plan="all",
            seed=1,
            stratum="a",
            area_ha=1.0,
            drawn=True,
            blind=False,
            drawn_at=NOW,
            drawn_by="Cauby",
        ),
        DeliveryRow(target="t", warning_id=name, kind="new", state="sent", attempts=1),
    ]


def edit(name: str, shape: Any) -> EditRow:
    return EditRow(
        geom=shapely.MultiPolygon([shape]) if shape.geom_type == "Polygon" else shape,
        edit_id=f"e-{name}",
        warning_id=name,
        editor="Ubirajara",
        reason="saw-them",
        area_ha=1.0,
        original={},
        edited_at=NOW,
    )


def candidate(n: int, shape: Any) -> CandidateRow:
    return CandidateRow(
        geom=shapely.MultiPolygon([shape]) if shape.geom_type == "Polygon" else shape,
        candidate_id=f"c-{n}",
        probability=0.9,
        n_windows=3,
        threshold=0.5,
        model="m",
        acquisition_id="a",
        first_seen=date(2024, 5, 1),
        last_seen=date(2024, 6, 1),
        area_ha=1.0,
        verdict=Verdict.RESIDUE,
        verdict_by="Iracema",
        votes={"Jurandir": "residue"},
        recorded_at=NOW,
    )


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_a_copy_for_others_has_no_persons_and_no_sensitive_places(
    workspace: Workspace, curupira: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "handed-out.gpkg"
    answer = curupira("db", "snapshot", path, "-w", workspace.folder)
    assert answer.code == 0, answer.err
    content = path.read_bytes()
    assert [word for word in (*PERSONS, *PLACES) if word.encode() in content] == []
    outside = warning_row(2).warning_id
    kept = rows(path, "SELECT warning_id, verdict, municipality, overlays FROM warning")
    assert kept == [(outside, "recent_deforestation", "São Félix do Xingu", '{"roads": 120.0}')]
    for table in ("edit", "sample", "delivery"):
        assert rows(path, f"SELECT warning_id FROM {table}") == [(outside,)]
    assert rows(path, "SELECT candidate_id, verdict FROM candidate") == [("c-1", "residue")]
    assert rows(path, "PRAGMA foreign_key_check") == []
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "SELECT count(*) FROM rtree_warning_geom") == [(1,)]
    assert [p.name for p in tmp_path.glob(".handed*")] == []
    # It still is a store, whose log of votes cannot be changed.
    with Store.open(f"sqlite:///{path}", base=tmp_path, create=False) as store:
        assert store.path == path
    guards = "SELECT name FROM sqlite_master WHERE tbl_name = 'review' AND type = 'trigger'"
    live = workspace.folder / "warnings.gpkg"
    assert sorted(rows(path, guards)) == sorted(rows(live, guards)) != []


def test_a_back_up_is_whole(
    workspace: Workspace, curupira: Callable[..., Any], tmp_path: Path
) -> None:
    live, path = workspace.folder / "warnings.gpkg", tmp_path / "back-up.gpkg"
    live.chmod(0o640)
    assert curupira("db", "snapshot", path, "-w", workspace.folder, "--whole").code == 0
    content = path.read_bytes()
    assert [word for word in (*PERSONS, *PLACES) if word.encode() not in content] == []
    for table in ("account", "review", "warning", "edit", "sample", "candidate"):
        query = f"SELECT * FROM {table} ORDER BY id"
        assert rows(path, query) == rows(live, query) != []
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_sensitive_place_that_no_layer_has_stops_the_copy(
    workspace: Workspace, curupira: Callable[..., Any], tmp_path: Path
) -> None:
    config = workspace.folder / "monitor.toml"
    config.write_text(config.read_text().replace('["TI Secreta"]', '["TI Scereta"]'))
    answer = curupira("db", "snapshot", tmp_path / "a.gpkg", "-w", workspace.folder)
    assert (answer.code, "TI Scereta" in answer.err) == (2, True), answer.err
    assert not (tmp_path / "a.gpkg").exists()
