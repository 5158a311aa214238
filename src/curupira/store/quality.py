"""What the quality gate found of the scenes in the cube."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from curupira.codes import SceneState
from curupira.errors import StoreError
from curupira.records import Scene
from curupira.store.acquisition import get
from curupira.store.scene import regroup, to_record
from curupira.store.tables import SceneRow


class Held(NamedTuple):
    """A scene whose image is in the cube, and what the gate said of it before, if anything."""

    scene: Scene
    accepted: bool
    quality: dict[str, Any] | None
    reason: str | None


def held(
    session: Session,
    *,
    relative_orbits: Collection[int] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Held]:
    """Scenes with ``since <= acquired < until`` that are in the cube, in time order.

    They are ingested, or were and have been refused by the gate.
    """
    refused = (SceneRow.state == SceneState.QUARANTINED) & SceneRow.quality.is_not(None)
    query = (
        select(SceneRow)
        .where((SceneRow.state == SceneState.INGESTED) | refused)
        .order_by(SceneRow.acquired, SceneRow.scene_id)
    )
    if relative_orbits is not None:
        query = query.where(SceneRow.relative_orbit.in_(sorted(relative_orbits)))
    if since is not None:
        query = query.where(SceneRow.acquired >= since)
    if until is not None:
        query = query.where(SceneRow.acquired < until)
    return [
        Held(to_record(row), row.state is SceneState.INGESTED, row.quality, row.reason)
        for row in session.scalars(query)
    ]


def settle(
    session: Session,
    scene_id: str,
    *,
    quality: Mapping[str, Any],
    reason: str | None,
    changed: bool,
    recorded_at: datetime,
) -> None:
    """Store the gate's word on a scene, which joins or leaves its acquisition accordingly.

    Parameters
    ----------
    reason
        Why it is quarantined; None: accepted.
    changed
        Whether an accepted scene is now read otherwise: its acquisition becomes dirty.

    Raises
    ------
    StoreError
        If the scene is unknown.
    """
    row = session.scalar(select(SceneRow).where(SceneRow.scene_id == scene_id))
    if row is None:
        raise StoreError("no such scene", where=scene_id, remedy="see: curupira status")
    state = SceneState.INGESTED if reason is None else SceneState.QUARANTINED
    row.quality = dict(quality)
    if row.state is not state:
        row.state, row.reason, row.recorded_at = state, reason, recorded_at
        regroup(session, row)
    elif row.reason != reason:
        row.reason = reason
    if changed and row.acquisition_id is not None:
        session.flush()
        get(session, row.acquisition_id).dirty = True
