"""Candidates of the mining map: kept once, judged, told from an older sight."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from mined import candidate_row
from sqlalchemy import inspect, text

from curupira.codes import Verdict
from curupira.errors import StoreError
from curupira.store import Store, candidate, migrations

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


def test_a_candidate_is_kept_once_and_its_verdict_survives(store: Store) -> None:
    with store.transaction() as session:
        assert candidate.put(session, candidate_row("a"))
    with store.transaction() as session:
        found = candidate.get(session, "a")
        assert found is not None
        candidate.judge(found, Verdict.FALSE_POSITIVE, "ana", NOW, "a sandbar")
        candidate.judge(found, Verdict.RECENT_DEFORESTATION, "rui", NOW, None)
    with store.transaction() as session:
        newer = {"probability": 0.84, "acquisition_id": "two", "last_seen": date(2024, 6, 1)}
        assert not candidate.put(session, candidate_row("a", **newer))
        # An older image, looked at later, changes nothing.
        assert not candidate.put(
            session, candidate_row("a", probability=0.99, last_seen=date(2024, 1, 1))
        )
        assert candidate.put(session, candidate_row("b", probability=0.95))
    with store.reading() as session:
        rows = candidate.query(session)
        table = candidate.to_geodataframe(rows)
        votes = rows[1].votes["votes"]
    assert [r.candidate_id for r in rows] == ["b", "a"]
    kept = table.iloc[1]
    assert (kept.probability, kept.acquisition_id) == (0.84, "two")
    assert (kept.first_seen, kept.last_seen) == ("2024-05-20", "2024-06-01")
    assert (kept.verdict, kept.verdict_by) == ("recent_deforestation", "rui")
    assert [v["interpreter"] for v in votes] == ["ana", "rui"]
    assert table.crs == "EPSG:4674"
    assert list(candidate.to_geodataframe([]).columns) == [*candidate.COLUMNS, "geometry"]


def test_a_store_of_before_gets_the_table(store: Store, url: str, tmp_path: Path) -> None:
    with store.transaction() as session:
        session.execute(text("DROP TABLE candidate"))
        if store.engine.dialect.name == "sqlite":
            for name in ("gpkg_extensions", "gpkg_geometry_columns", "gpkg_contents"):
                session.execute(text(f"DELETE FROM {name} WHERE table_name = 'candidate'"))
            session.execute(text("DROP TABLE rtree_candidate_geom"))
        session.execute(text("UPDATE alembic_version SET version_num = '0004'"))
    with pytest.raises(StoreError, match="curupira db upgrade"):
        Store.open(url, base=tmp_path, create=False)
    assert Store.upgrade(url, base=tmp_path) == ("0004", migrations.HEAD)
    with Store.open(url, base=tmp_path, create=False) as opened:
        assert "candidate" in inspect(opened.engine).get_table_names()
        with opened.transaction() as session:
            assert candidate.put(session, candidate_row("a"))
