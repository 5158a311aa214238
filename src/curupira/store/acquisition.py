"""Acquisitions: the passes that runs evaluate, in time order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from curupira.errors import StoreError
from curupira.records import Scene, group_acquisitions
from curupira.store.tables import AcquisitionRow, ObservationRow, SceneRow

#: A pass of one relative orbit lasts under an hour, and comes back after days.
_PASS = timedelta(hours=12)


def in_order(
    session: Session,
    *,
    relative_orbits: Collection[int] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    dirty: bool | None = None,
) -> list[AcquisitionRow]:
    """Acquisitions with ``since <= acquired < until``, by (acquired, acquisition_id)."""
    query = select(AcquisitionRow).order_by(AcquisitionRow.acquired, AcquisitionRow.acquisition_id)
    if relative_orbits is not None:
        query = query.where(AcquisitionRow.relative_orbit.in_(sorted(relative_orbits)))
    if since is not None:
        query = query.where(AcquisitionRow.acquired >= since)
    if until is not None:
        query = query.where(AcquisitionRow.acquired < until)
    if dirty is not None:
        query = query.where(AcquisitionRow.dirty == dirty)
    return list(session.scalars(query))


def dirty(session: Session) -> list[AcquisitionRow]:
    """Acquisitions to be (re-)evaluated, in time order.

    One with ``n_scenes == 0`` lost its scenes: ``remove`` it and evaluate what followed it, which
    may have learned from it.
    """
    return in_order(session, dirty=True)


def get(session: Session, acquisition_id: str) -> AcquisitionRow:
    """One acquisition.

    Raises
    ------
    StoreError
        If there is no such acquisition.
    """
    row = session.scalar(
        select(AcquisitionRow).where(AcquisitionRow.acquisition_id == acquisition_id)
    )
    if row is None:
        raise StoreError("no such acquisition", where=acquisition_id, remedy="see: curupira status")
    return row


def mark_dirty(
    session: Session,
    *,
    relative_orbits: Collection[int] | None = None,
    since: datetime | None = None,
) -> int:
    """Mark acquisitions from a time onward for evaluation; returns how many."""
    change = update(AcquisitionRow).values(dirty=True).returning(AcquisitionRow.id)
    if relative_orbits is not None:
        change = change.where(AcquisitionRow.relative_orbit.in_(sorted(relative_orbits)))
    if since is not None:
        change = change.where(AcquisitionRow.acquired >= since)
    return len(session.scalars(change).all())


def set_evaluated(
    session: Session,
    acquisition_id: str,
    *,
    input_hash: str,
    evaluated_at: datetime,
    run_id: str,
    observed_km2: float,
    masked_km2: float,
    unobserved_km2: float,
) -> AcquisitionRow:
    """Note the result of an evaluation; the acquisition is no longer dirty.

    The number of observations is counted in the store. Areas are in km2.

    Raises
    ------
    StoreError
        If there is no such acquisition.
    """
    row = get(session, acquisition_id)
    row.dirty = False
    row.input_hash = input_hash
    row.evaluated_at = evaluated_at
    row.run_id = run_id
    row.observed_km2 = observed_km2
    row.masked_km2 = masked_km2
    row.unobserved_km2 = unobserved_km2
    row.n_observations = session.scalar(
        select(func.count()).where(ObservationRow.acquisition_id == acquisition_id)
    )
    return row


def remove(session: Session, acquisition_id: str) -> None:
    """Delete an acquisition that has no scenes left, and its observations.

    Raises
    ------
    StoreError
        If it still has scenes.
    """
    row = get(session, acquisition_id)
    if row.n_scenes:
        raise StoreError("the acquisition has scenes", where=acquisition_id, remedy="keep it")
    session.execute(delete(ObservationRow).where(ObservationRow.acquisition_id == acquisition_id))
    session.delete(row)
    session.flush()


def around(moment: datetime) -> tuple[datetime, datetime]:
    """Span that holds the whole pass of a scene and no other pass of its orbit."""
    return moment - _PASS, moment + _PASS


def leave(session: Session, scene: SceneRow) -> None:
    """Take a scene out of its acquisition, which becomes dirty."""
    name, scene.acquisition_id = scene.acquisition_id, None
    if name is not None:
        session.flush()
        _recount(session, name)


def group(
    session: Session, scenes: Mapping[str, tuple[Scene, SceneRow]], *, changed: SceneRow
) -> None:
    """Group a pass's scenes anew; acquisitions whose scenes changed become dirty.

    Parameters
    ----------
    scenes
        All ingested scenes of one platform and orbit around one pass, with their rows, by id.
    changed
        The scene that was recorded just now: its acquisition is dirty in any case.
    """
    left: set[str] = set()
    for found in group_acquisitions([scene for scene, _ in scenes.values()]):
        rows = [scenes[scene.scene_id][1] for scene in found.scenes]
        key = found.acquisition_id
        moved = {row.acquisition_id for row in rows} - {key}
        row = session.scalar(select(AcquisitionRow).where(AcquisitionRow.acquisition_id == key))
        if row is None:
            row = AcquisitionRow(
                acquisition_id=key,
                platform=found.platform,
                relative_orbit=found.relative_orbit,
                dirty=True,
            )
            session.add(row)
        row.acquired, row.day, row.created = found.acquired, found.day, found.created
        row.n_scenes = len(rows)
        row.dirty = row.dirty or bool(moved) or changed in rows
        left |= {name for name in moved if name is not None}
        for member in rows:
            member.acquisition_id = key
    session.flush()
    for name in sorted(left):
        _recount(session, name)


def _recount(session: Session, acquisition_id: str) -> None:
    row = get(session, acquisition_id)
    row.n_scenes = (
        session.scalar(select(func.count()).where(SceneRow.acquisition_id == acquisition_id)) or 0
    )
    # Also without scenes: observations and warnings may name it, others have learned from it.
    row.dirty = True
    session.flush()


def forget_evaluation(session: Session, run_id: str) -> int:
    """Let the acquisitions that a run evaluated count as not evaluated; returns how many.

    They are not dirty: only a forced run looks at them again.
    """
    change = (
        update(AcquisitionRow)
        .where(AcquisitionRow.run_id == run_id, AcquisitionRow.evaluated_at.is_not(None))
        .values(evaluated_at=None, input_hash=None)
        .returning(AcquisitionRow.id)
    )
    return len(session.scalars(change).all())
