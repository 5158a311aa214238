"""Observations: the polygons of each acquisition, before they become warnings."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from curupira.store.tables import AcquisitionRow, ObservationRow


def replace(
    session: Session, acquisition_id: str, observations: Iterable[ObservationRow]
) -> list[ObservationRow]:
    """Replace all observations of an acquisition; ``seq`` follows the order given."""
    session.execute(delete(ObservationRow).where(ObservationRow.acquisition_id == acquisition_id))
    rows = list(observations)
    for seq, row in enumerate(rows):
        row.acquisition_id, row.seq = acquisition_id, seq
    session.add_all(rows)
    session.flush()
    return rows


def load(
    session: Session,
    *,
    since: datetime | None = None,
    before: tuple[datetime, str] | None = None,
    acquisition_ids: Collection[str] | None = None,
) -> list[ObservationRow]:
    """Observations by (acquired, acquisition_id, seq).

    Parameters
    ----------
    since
        Only of acquisitions acquired at this time or later.
    before
        Only of acquisitions before this one, given as (acquired, acquisition_id).
    acquisition_ids
        Only of these acquisitions.
    """
    acquired, name = AcquisitionRow.acquired, AcquisitionRow.acquisition_id
    query = (
        select(ObservationRow)
        .join(AcquisitionRow, ObservationRow.acquisition_id == name)
        .order_by(acquired, name, ObservationRow.seq)
    )
    if since is not None:
        query = query.where(acquired >= since)
    if before is not None:
        query = query.where(or_(acquired < before[0], (acquired == before[0]) & (name < before[1])))
    if acquisition_ids is not None:
        query = query.where(name.in_(sorted(acquisition_ids)))
    return list(session.scalars(query))


def of_warning(session: Session, warning_id: str) -> list[ObservationRow]:
    """Observations matched to a warning, by (acquired, acquisition_id, seq)."""
    return list(
        session.scalars(
            select(ObservationRow)
            .join(AcquisitionRow, ObservationRow.acquisition_id == AcquisitionRow.acquisition_id)
            .where(ObservationRow.warning_id == warning_id)
            .order_by(AcquisitionRow.acquired, AcquisitionRow.acquisition_id, ObservationRow.seq)
        )
    )
