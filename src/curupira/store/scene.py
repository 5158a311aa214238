"""Scenes of the catalogue and what became of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from shapely.geometry.base import BaseGeometry
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from curupira.codes import SceneState
from curupira.errors import StoreError
from curupira.records import Asset, Scene
from curupira.store import acquisition
from curupira.store.columns import milliseconds
from curupira.store.tables import SceneRow


class Known(NamedTuple):
    """What the store knows of a scene.

    ``created`` is None for an item that could not be read; until ``retry_until`` a quarantined one
    is tried again.
    """

    state: SceneState
    created: datetime | None
    retry_until: datetime | None


def record(
    session: Session,
    scene: Scene,
    *,
    state: SceneState,
    recorded_at: datetime,
    reason: str | None = None,
    cube_snapshot: str | None = None,
    run_id: str | None = None,
    retry_until: datetime | None = None,
) -> SceneRow:
    """Insert or replace a scene's row, and keep the acquisitions of its orbit in step.

    An ingested scene makes its acquisition dirty; one that was ingested and no longer is, as well.
    ``retry_until``: until then a quarantined scene is pending all the same.
    """
    row = _row(session, scene.scene_id)
    if row.state is SceneState.INGESTED:
        # A newer version may state another time, and so belong to another pass.
        row.state = SceneState.SUPERSEDED
        regroup(session, row)
    row.platform = scene.platform
    row.acquired = milliseconds(scene.acquired)
    row.created = milliseconds(scene.created)
    row.relative_orbit = scene.relative_orbit
    row.orbit_state = scene.orbit_state
    row.slice_number = scene.slice_number
    row.footprint = scene.footprint
    row.assets = {
        name: {"href": asset.href, "band": asset.band} for name, asset in scene.assets.items()
    }
    row.state = state
    row.reason = reason
    row.cube_snapshot = cube_snapshot
    row.recorded_at = recorded_at
    row.run_id = run_id
    # Another version or another try: the gate looks at it anew.
    row.quality = None
    row.retry_until = retry_until
    session.add(row)
    if state is SceneState.INGESTED:
        regroup(session, row)
    return row


def quarantine_item(
    session: Session,
    item_id: str,
    *,
    reason: str,
    recorded_at: datetime,
    run_id: str | None = None,
) -> SceneRow:
    """Record a catalogue item that could not even be read as a scene."""
    row = _row(session, item_id)
    if row.state is not SceneState.INGESTED:
        row.state = SceneState.QUARANTINED
        row.reason = reason
        row.recorded_at = recorded_at
        row.run_id = run_id
        session.add(row)
    return row


def supersede(session: Session, scene_id: str, *, reason: str, recorded_at: datetime) -> None:
    """Take an ingested scene out of its acquisition, which becomes dirty.

    Raises
    ------
    StoreError
        If the scene is unknown.
    """
    row = session.scalar(select(SceneRow).where(SceneRow.scene_id == scene_id))
    if row is None:
        raise StoreError("no such scene", where=scene_id, remedy="see: curupira status")
    was_ingested = row.state is SceneState.INGESTED
    row.state = SceneState.SUPERSEDED
    row.reason = reason
    row.recorded_at = recorded_at
    if was_ingested:
        regroup(session, row)


def known(session: Session) -> dict[str, Known]:
    """State and ``created`` of every scene, by id."""
    query = select(SceneRow.scene_id, SceneRow.state, SceneRow.created, SceneRow.retry_until)
    return {
        name: Known(state, created, retry_until)
        for name, state, created, retry_until in session.execute(query)
    }


def pending(
    session: Session, scenes: Iterable[Scene], *, now: datetime | None = None
) -> list[Scene]:
    """Scenes that the store does not know, or of which it knows an earlier ``created`` only.

    With ``now``, also those quarantined for a passing reason of which the time has not run out.

    Stored times have milliseconds: compare with this function, never ``created`` by hand.
    """
    seen = known(session)

    def is_new(scene: Scene) -> bool:
        before = seen.get(scene.scene_id)
        if before is None or before.created is None:
            return True
        if now is not None and before.retry_until is not None and now <= before.retry_until:
            return True
        return before.created < milliseconds(scene.created)

    return [scene for scene in scenes if is_new(scene)]


def ingested(
    session: Session,
    *,
    relative_orbits: Collection[int] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Scene]:
    """Ingested scenes of some orbits with ``since <= acquired < until``, in time order."""
    query = (
        select(SceneRow)
        .where(SceneRow.state == SceneState.INGESTED)
        .order_by(SceneRow.acquired, SceneRow.scene_id)
    )
    if relative_orbits is not None:
        query = query.where(SceneRow.relative_orbit.in_(sorted(relative_orbits)))
    if since is not None:
        query = query.where(SceneRow.acquired >= since)
    if until is not None:
        query = query.where(SceneRow.acquired < until)
    return [to_record(row) for row in session.scalars(query)]


def of_acquisition(session: Session, acquisition_id: str) -> list[Scene]:
    """Ingested scenes of one acquisition, in time order; may be empty (``acquisition.remove``)."""
    query = (
        select(SceneRow)
        .where(SceneRow.acquisition_id == acquisition_id, SceneRow.state == SceneState.INGESTED)
        .order_by(SceneRow.acquired, SceneRow.scene_id)
    )
    return [to_record(row) for row in session.scalars(query)]


def quarantined(session: Session, *, run_id: str | None = None) -> list[SceneRow]:
    """Quarantined scenes (of one run), by id; ``reason`` says why."""
    query = (
        select(SceneRow).where(SceneRow.state == SceneState.QUARANTINED).order_by(SceneRow.scene_id)
    )
    return list(
        session.scalars(query if run_id is None else query.where(SceneRow.run_id == run_id))
    )


def listed(session: Session) -> list[SceneRow]:
    """All scenes, whatever became of them, by time and id; those without a time first."""
    known = SceneRow.acquired.is_not(None)
    return list(
        session.scalars(select(SceneRow).order_by(known, SceneRow.acquired, SceneRow.scene_id))
    )


def counts(session: Session) -> dict[SceneState, int]:
    """Number of scenes by state, always all states."""
    query = select(SceneRow.state, func.count()).group_by(SceneRow.state)
    found = {row[0]: row[1] for row in session.execute(query)}
    return {state: found.get(state, 0) for state in SceneState}


def latest(session: Session) -> SceneRow | None:
    """The ingested scene acquired last."""
    return session.scalar(
        select(SceneRow)
        .where(SceneRow.state == SceneState.INGESTED)
        .order_by(SceneRow.acquired.desc(), SceneRow.scene_id.desc())
        .limit(1)
    )


def to_record(row: SceneRow) -> Scene:
    """The scene as a record; a footprint of one part is a Polygon again.

    Raises
    ------
    StoreError
        If the row is that of an item which could not be read.
    """
    if (
        row.platform is None
        or row.acquired is None
        or row.created is None
        or row.relative_orbit is None
        or row.orbit_state is None
        or row.footprint is None
    ):
        raise StoreError("the scene is incomplete", where=row.scene_id, remedy="ingest it again")
    assets: dict[str, Any] = row.assets or {}
    return Scene(
        scene_id=row.scene_id,
        platform=row.platform,
        acquired=row.acquired,
        created=row.created,
        relative_orbit=row.relative_orbit,
        orbit_state=row.orbit_state,
        footprint=_single(row.footprint),
        assets={name: Asset(a["href"], a["band"]) for name, a in assets.items()},
        slice_number=row.slice_number,
    )


def _single(footprint: BaseGeometry) -> BaseGeometry:
    parts = list(getattr(footprint, "geoms", [footprint]))
    return parts[0] if len(parts) == 1 else footprint


def _row(session: Session, scene_id: str) -> SceneRow:
    found = session.scalar(select(SceneRow).where(SceneRow.scene_id == scene_id))
    return SceneRow(scene_id=scene_id) if found is None else found


def regroup(session: Session, row: SceneRow) -> None:
    """Let a scene whose state changed join or leave its acquisition, which becomes dirty."""
    session.flush()
    if row.platform is None or row.relative_orbit is None or row.acquired is None:
        return
    if row.state is not SceneState.INGESTED:
        acquisition.leave(session, row)
    since, until = acquisition.around(row.acquired)
    neighbours = session.scalars(
        select(SceneRow).where(
            SceneRow.state == SceneState.INGESTED,
            SceneRow.platform == row.platform,
            SceneRow.relative_orbit == row.relative_orbit,
            SceneRow.acquired >= since,
            SceneRow.acquired < until,
        )
    ).all()
    acquisition.group(session, {o.scene_id: (to_record(o), o) for o in neighbours}, changed=row)
