"""Mining candidates: squares of the mining map that touch no warning."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import geopandas as gpd
from sqlalchemy import select
from sqlalchemy.orm import Session

from curupira.codes import Verdict
from curupira.grid import SIRGAS_2000
from curupira.store.tables import CandidateRow

#: Of exports, in this order.
COLUMNS = (
    "candidate_id",
    "probability",
    "n_windows",
    "threshold",
    "model",
    "acquisition_id",
    "first_seen",
    "last_seen",
    "area_ha",
    "verdict",
    "verdict_by",
    "verdict_at",
)


def put(session: Session, row: CandidateRow) -> bool:
    """Keep a candidate; one with the same id gets its newer sight. True where it is new.

    First sight, verdict and votes stay; an older sight changes nothing.
    """
    there = get(session, row.candidate_id)
    if there is None:
        session.add(row)
        return True
    if row.last_seen >= there.last_seen:
        for name in ("probability", "n_windows", "threshold", "model", "acquisition_id"):
            setattr(there, name, getattr(row, name))
        there.last_seen = row.last_seen
    return False


def get(session: Session, candidate_id: str) -> CandidateRow | None:
    """One candidate, or None."""
    return session.scalar(select(CandidateRow).where(CandidateRow.candidate_id == candidate_id))


def held(session: Session, candidate_id: str) -> CandidateRow | None:
    """One candidate that nobody else judges until the transaction ends, or None."""
    query = select(CandidateRow).where(CandidateRow.candidate_id == candidate_id)
    return session.scalar(query.with_for_update(key_share=True))


def query(session: Session) -> list[CandidateRow]:
    """All candidates, the most probable first."""
    order = (CandidateRow.probability.desc(), CandidateRow.candidate_id)
    return list(session.scalars(select(CandidateRow).order_by(*order)))


def judge(
    row: CandidateRow, verdict: Verdict, interpreter: str, at: datetime, comment: str | None
) -> None:
    """Give a candidate a verdict; earlier ones stay among its votes (so: a ``held`` one)."""
    vote: dict[str, Any] = {
        "verdict": verdict.value,
        "interpreter": interpreter,
        "voted_at": at.isoformat(),
        "comment": comment,
    }
    row.votes = {"votes": [*(row.votes or {}).get("votes", []), vote]}
    row.verdict, row.verdict_by, row.verdict_at = verdict, interpreter, at


def to_geodataframe(rows: Sequence[CandidateRow]) -> gpd.GeoDataFrame:
    """Candidates as a table in EPSG:4674; days and times as ISO text, whatever reads it."""
    table = {name: [_plain(getattr(row, name)) for row in rows] for name in COLUMNS}
    return gpd.GeoDataFrame(table, geometry=[row.geom for row in rows], crs=SIRGAS_2000)


def years(rows: Sequence[CandidateRow]) -> set[int]:
    """Years of the images that show the candidates."""
    return {day.year for row in rows for day in (row.first_seen, row.last_seen)}


def _plain(value: Any) -> Any:
    if isinstance(value, Verdict):
        return value.value
    return value.isoformat() if hasattr(value, "isoformat") else value
