"""The run ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from curupira.codes import RunState
from curupira.errors import ConfigError
from curupira.store.delivery import SENT
from curupira.store.tables import DeliveryRow, RunRow


def start(
    session: Session,
    *,
    run_id: str,
    command: str,
    version: str,
    started_at: datetime,
    since: date | None = None,
    until: date | None = None,
    versions: Mapping[str, Any] | None = None,
    preset: str | None = None,
    preset_hash: str | None = None,
    masks: Mapping[str, Any] | None = None,
) -> RunRow:
    """Open a ledger entry. Entries still running are of killed processes and become failed.

    The caller holds ``Store.lock``, so no other run can be alive.
    """
    session.execute(
        update(RunRow)
        .where(RunRow.state == RunState.RUNNING)
        .values(state=RunState.FAILED, finished_at=started_at, message="interrupted")
    )
    row = RunRow(
        run_id=run_id,
        state=RunState.RUNNING,
        started_at=started_at,
        command=command,
        since=since,
        until=until,
        version=version,
        versions=None if versions is None else dict(versions),
        preset=preset,
        preset_hash=preset_hash,
        masks=None if masks is None else dict(masks),
    )
    session.add(row)
    session.flush()
    return row


def finish(
    session: Session,
    run_id: str,
    *,
    state: RunState,
    finished_at: datetime,
    cube_snapshot: str | None = None,
    counts: Mapping[str, Any] | None = None,
    timings: Mapping[str, Any] | None = None,
    message: str | None = None,
) -> RunRow:
    """Close a ledger entry.

    Raises
    ------
    ConfigError
        If there is no such run.
    """
    row = get(session, run_id)
    row.state = state
    row.finished_at = finished_at
    row.cube_snapshot = cube_snapshot
    row.counts = None if counts is None else dict(counts)
    row.timings = None if timings is None else dict(timings)
    row.message = message
    return row


def get(session: Session, run_id: str) -> RunRow:
    """One run.

    Raises
    ------
    ConfigError
        If there is no such run.
    """
    row = session.scalar(select(RunRow).where(RunRow.run_id == run_id))
    if row is None:
        raise ConfigError("no such run", where=run_id, remedy="see: curupira runs")
    return row


def latest(session: Session, *, state: RunState | None = None) -> RunRow | None:
    """The run started last, of a state if one is given."""
    query = select(RunRow).order_by(RunRow.started_at.desc(), RunRow.id.desc()).limit(1)
    return session.scalar(query if state is None else query.where(RunRow.state == state))


def delivered_snapshots(session: Session) -> set[str]:
    """Cube snapshots of the runs that issued what was delivered."""
    delivered = select(DeliveryRow.run_id).where(DeliveryRow.state == SENT)
    query = select(RunRow.cube_snapshot).where(RunRow.run_id.in_(delivered))
    return {snapshot for snapshot in session.scalars(query) if snapshot}


def history(session: Session, *, limit: int = 20) -> list[RunRow]:
    """The last runs, newest first."""
    query = select(RunRow).order_by(RunRow.started_at.desc(), RunRow.id.desc()).limit(limit)
    return list(session.scalars(query))
