"""Warnings: queries, status changes, and the table that leaves the store."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from curupira.codes import TRANSITIONS, ClosedReason, Status, Verdict
from curupira.errors import ConfigError, StoreError
from curupira.grid import SIRGAS_2000
from curupira.store.geometry import Bounds, may_intersect
from curupira.store.tables import WarningRow

#: Databases limit the number of bound values; above this, ids are compared here.
_MAX_BOUND_IDS = 10_000
#: Columns of product.md section 5, in its order; further overlays stand before ``mining_score``.
COLUMNS = (
    *("warning_id", "status", "closed_reason", "merged_into", "confidence", "intensity_class"),
    *("n_alerts", "n_alerts_mean", "intensity", "excess_db", "first_flag_date", "first_flag_days"),
    *("first_scene", "confirming_scene", "relative_orbit", "platform"),
    *("issued_at", "confirmed_at", "recorded_at", "delay_from_flag_days"),
    *("area_ha", "area_geodesic_ha", "growth_30d_ha", "distance_to_deforestation_m"),
    *("threshold_db", "uf", "municipality", "geocode", "protected_area", "indigenous_territory"),
    *("mining_score", "priority", "verdict", "verdict_by", "verdict_at", "verdict_source"),
    *("preset", "preset_hash", "run_id"),
)
_WHOLE = ("first_flag_days", "relative_orbit", "delay_from_flag_days", "priority")
_FLOAT = (
    *("confidence", "n_alerts", "n_alerts_mean", "intensity", "excess_db", "area_ha"),
    *("area_geodesic_ha", "growth_30d_ha", "distance_to_deforestation_m", "threshold_db"),
    "mining_score",
)
_TIME = ("issued_at", "confirmed_at", "recorded_at", "verdict_at")


def query(
    session: Session,
    *,
    status: Status | Collection[Status] | None = None,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
    bbox: Bounds | None = None,
    ids: Collection[str] | None = None,
) -> list[WarningRow]:
    """Warnings, by ``issued_at`` and then in order of entry.

    Parameters
    ----------
    status
        One status or several; None for all.
    since, until
        Range of ``issued_at``: aware times as ``since <= issued_at < until``, or UTC days, both
        included.
    bbox
        (west, south, east, north) in degrees; warnings that touch it.
    ids
        Only these ``warning_id``.

    Raises
    ------
    ConfigError
        If the box is none, or a time is naive.
    """
    selection = select(WarningRow).order_by(WarningRow.issued_at, WarningRow.id)
    if status is not None:
        wanted = [status] if isinstance(status, str) else sorted(status)
        selection = selection.where(WarningRow.status.in_([Status(word) for word in wanted]))
    if since is not None:
        selection = selection.where(WarningRow.issued_at >= _moment(since))
    if until is not None:
        selection = selection.where(WarningRow.issued_at < _moment(until, end=True))
    if bbox is not None:
        dialect = session.get_bind().dialect.name
        selection = selection.where(may_intersect(WarningRow.geom, check_bbox(bbox), dialect))
    if ids is not None and len(ids) <= _MAX_BOUND_IDS:
        selection = selection.where(WarningRow.warning_id.in_(sorted(ids)))
    rows = list(session.scalars(selection))
    if ids is not None and len(ids) > _MAX_BOUND_IDS:
        kept = set(ids)
        rows = [row for row in rows if row.warning_id in kept]
    if bbox is not None:
        box = shapely.box(*bbox)
        rows = [row for row in rows if row.geom.intersects(box)]
    return rows


def check_bbox(bbox: Sequence[float], *, across: bool = False) -> Bounds:
    """Return the box if it is (west, south, east, north) in degrees.

    ``across``: it may cross the 180th meridian, with ``west > east`` (OGC 17-069r4, 7.15.3).

    Raises
    ------
    ConfigError
        If it is not.
    """
    if len(bbox) == 4 and all(math.isfinite(bound) for bound in bbox):
        west, south, east, north = bbox
        inside = all(-180 <= lon <= 180 for lon in (west, east))
        if inside and (west <= east or across) and -90 <= south <= north <= 90:
            return west, south, east, north
    raise ConfigError(
        f"{','.join(str(bound) for bound in bbox)} is no box",
        where="bbox",
        remedy="write west,south,east,north in degrees, for example -52.1,-7.2,-51.9,-7.0",
    )


def _moment(limit: date | datetime, *, end: bool = False) -> datetime:
    if isinstance(limit, datetime):
        if limit.tzinfo is None:
            raise ConfigError(
                f"time {limit.isoformat()} has no time zone", where="since/until", remedy="add Z"
            )
        return limit
    return datetime.combine(limit + timedelta(days=end), time(), UTC)


def get(session: Session, warning_id: str) -> WarningRow:
    """One warning.

    Raises
    ------
    StoreError
        If there is no such warning.
    """
    row = session.scalar(select(WarningRow).where(WarningRow.warning_id == warning_id))
    if row is None:
        raise StoreError("no such warning", where=warning_id, remedy="see: curupira export")
    return row


def lock(session: Session, rows: Collection[WarningRow]) -> None:
    """Hold warnings until the transaction ends, and read them again.

    For what reads votes and writes what they say together: on PostgreSQL two transactions would
    otherwise not see each other's vote. On SQLite writers exclude each other anyway.
    """
    # In one order for all, or two would wait for each other.
    keys = sorted(row.id for row in rows)
    for start in range(0, len(keys), _MAX_BOUND_IDS):
        chosen = select(WarningRow).where(WarningRow.id.in_(keys[start : start + _MAX_BOUND_IDS]))
        held = chosen.order_by(WarningRow.id).with_for_update(key_share=True)
        session.execute(held, execution_options={"populate_existing": True}).all()


def of_run(session: Session, run_id: str) -> list[WarningRow]:
    """Warnings that a run issued, in order of entry."""
    chosen = select(WarningRow).where(WarningRow.run_id == run_id)
    return list(session.scalars(chosen.order_by(WarningRow.id)))


def open_ones(session: Session) -> list[WarningRow]:
    """Preliminary and confirmed warnings, oldest first: those that new polygons may match."""
    return query(session, status=(Status.PRELIMINARY, Status.CONFIRMED))


def for_matching(session: Session) -> list[WarningRow]:
    """Warnings that the next acquisition depends on: the open ones, and the rejected (masks)."""
    known = select(WarningRow).where(
        (WarningRow.status != Status.CLOSED) | (WarningRow.closed_reason == ClosedReason.REJECTED)
    )
    return list(session.scalars(known.order_by(WarningRow.id)))


def rejected(session: Session, verdicts: Collection[Verdict]) -> list[WarningRow]:
    """Warnings closed as rejected, and open ones of these verdicts."""
    judged = (WarningRow.status != Status.CLOSED) & WarningRow.verdict.in_(sorted(verdicts))
    closed = WarningRow.closed_reason == ClosedReason.REJECTED
    return list(session.scalars(select(WarningRow).where(judged | closed).order_by(WarningRow.id)))


def supported(session: Session) -> list[WarningRow]:
    """Warnings that a repeated evaluation may find again: all but the withdrawn."""
    gone = WarningRow.closed_reason == ClosedReason.WITHDRAWN
    query = select(WarningRow).where(~gone | WarningRow.closed_reason.is_(None))
    return list(session.scalars(query.order_by(WarningRow.id)))


def last_seen_on(session: Session, day: date) -> list[WarningRow]:
    """Open warnings whose latest observation was acquired on a UTC day."""
    query = select(WarningRow).where(
        WarningRow.last_seen == day, WarningRow.status != Status.CLOSED
    )
    return list(session.scalars(query.order_by(WarningRow.id)))


def counts(session: Session) -> dict[Status, int]:
    """Number of warnings by status, always all three."""
    grouped = select(WarningRow.status, func.count()).group_by(WarningRow.status)
    found = {row[0]: row[1] for row in session.execute(grouped)}
    return {status: found.get(status, 0) for status in Status}


def confirm(row: WarningRow, *, confirmed_at: datetime) -> None:
    """Preliminary to confirmed (CR2); a confirmed one keeps its first time.

    Raises
    ------
    ValueError
        If the warning is closed.
    """
    if row.status is not Status.CONFIRMED:
        _change(row, Status.CONFIRMED)
        row.confirmed_at = confirmed_at


def close(row: WarningRow, reason: ClosedReason, *, merged_into: str | None = None) -> None:
    """Close a warning, for good.

    Raises
    ------
    ValueError
        If it is closed already, or ``merged_into`` and the reason do not agree.
    """
    if (reason is ClosedReason.MERGED) != (merged_into is not None):
        raise ValueError(f"{reason} with merged_into={merged_into}")
    _change(row, Status.CLOSED)
    row.closed_reason, row.merged_into = reason, merged_into


def _change(row: WarningRow, status: Status) -> None:
    if status not in TRANSITIONS[row.status]:
        raise ValueError(f"warning {row.warning_id} cannot go from {row.status} to {status}")
    row.status = status


def to_geodataframe(rows: Sequence[WarningRow]) -> gpd.GeoDataFrame:
    """Warnings as a table in EPSG:4674 with the columns of product.md section 5, in its order.

    Further overlays become columns of their own before ``mining_score``. Codes are plain text, days
    are naive ``datetime64``, times are UTC; missing numbers are NaN (whole ones ``<NA>``).

    Raises
    ------
    ConfigError
        If an overlay bears the name of a column.
    """
    further = sorted({name for row in rows for name in row.overlays or {}})
    clash = [name for name in further if name in (*COLUMNS, "geometry")]
    if clash:
        raise ConfigError(
            "an overlay bears the name of a column", where=clash[0], remedy="rename it in [area]"
        )
    table: dict[str, Any] = {}
    for name in COLUMNS:
        if name == "mining_score":
            for overlay in further:
                values = [(row.overlays or {}).get(overlay) for row in rows]
                table[overlay] = pd.Series(values, dtype=object)
        table[name] = _series(name, [getattr(row, name) for row in rows])
    return gpd.GeoDataFrame(table, geometry=[row.geom for row in rows], crs=SIRGAS_2000)


def _series(name: str, values: list[Any]) -> pd.Series[Any]:
    if name in _WHOLE:
        return pd.Series(values, dtype="Int64")
    if name in _FLOAT:
        return pd.Series(values, dtype="float64")
    if name == "first_flag_date":
        return pd.Series(pd.to_datetime(pd.Series(values, dtype=object))).astype("datetime64[ms]")
    if name in _TIME:
        moments = pd.to_datetime(pd.Series(values, dtype=object), utc=True)
        return pd.Series(moments).astype("datetime64[ms, UTC]")
    texts = [None if value is None else str(value) for value in values]
    return pd.Series(texts, dtype=object)
