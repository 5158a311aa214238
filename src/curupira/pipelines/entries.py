"""Between the fold's entries and the store's rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from curupira.codes import ClosedReason
from curupira.grid import SIRGAS_2000, project
from curupira.records import Acquisition, Observation
from curupira.store.tables import ObservationRow, WarningRow
from curupira.units import flag_days, geodesic_area_ha
from curupira.vectorise.match import Entry, Mark, as_multipolygon, snap

#: Keys of a warning's history: when it was rejected; the preset's score under a verdict's.
REJECTED_AT, SCORE = "rejected", "score"


@dataclass(frozen=True)
class Frame:
    """Where geometries live: lon/lat (SIRGAS 2000) in the store, the pixel lattice in the fold."""

    grid: GeoBox

    def to_store(self, geometry: BaseGeometry) -> BaseGeometry:
        """Grid CRS to EPSG:4674, as a MultiPolygon."""
        return as_multipolygon(project(geometry, str(self.grid.crs), SIRGAS_2000))

    def to_grid(self, geometry: BaseGeometry) -> BaseGeometry:
        """EPSG:4674 to the exact pixel corners of the grid."""
        on_grid = project(geometry, SIRGAS_2000, str(self.grid.crs))
        return snap(on_grid, float(self.grid.resolution.x))


def observation_row(o: Observation, warning_id: str, frame: Frame) -> ObservationRow:
    """Row of an observation that belongs to a warning."""
    return ObservationRow(
        geom=frame.to_store(o.geometry),
        acquisition_id=o.acquisition_id,
        seq=o.seq,
        warning_id=warning_id,
        confirmed=o.confirmed,
        intensity_class=o.intensity_class,
        n_alerts=o.n_alerts,
        n_alerts_mean=o.n_alerts_mean,
        intensity=o.intensity,
        excess_db=o.excess_db,
        confidence=o.confidence,
        first_flag_date=o.first_flag,
        last_flag_date=o.last_flag,
        area_ha=o.area_ha,
        area_geodesic_ha=o.area_geodesic_ha,
        threshold_db=o.threshold_db,
        distance_to_deforestation_m=_number(o.distance_m),
        first_scene=o.scene_id,
        n_pixels=o.n_pixels,
    )


def observation(row: ObservationRow, day: date, frame: Frame) -> Observation:
    """Observation from its row."""
    return Observation(
        acquisition_id=row.acquisition_id,
        seq=row.seq,
        day=day,
        scene_id=row.first_scene or "",
        geometry=frame.to_grid(row.geom),
        confirmed=row.confirmed,
        intensity_class=row.intensity_class,
        n_alerts=_nan(row.n_alerts),
        n_alerts_mean=_nan(row.n_alerts_mean),
        intensity=_nan(row.intensity),
        excess_db=_nan(row.excess_db),
        confidence=_nan(row.confidence),
        first_flag=row.first_flag_date,
        last_flag=row.last_flag_date or row.first_flag_date,
        threshold_db=_nan(row.threshold_db),
        distance_m=_nan(row.distance_to_deforestation_m),
        n_pixels=row.n_pixels,
        area_ha=row.area_ha,
        area_geodesic_ha=row.area_geodesic_ha,
    )


def entry(row: WarningRow, key: int, frame: Frame) -> Entry:
    """Entry of the fold from the warning's row."""
    history = [(date.fromisoformat(day), area) for day, area in row.history["area_ha"]]
    return Entry(
        key=key,
        geometry=frame.to_grid(row.geom),
        status=row.status,
        founding=mark(row.history["founding"]),
        last=mark(row.history["last"]),
        issued_at=row.issued_at,
        first_flag=row.first_flag_date,
        last_flag=row.last_flag_date or row.first_flag_date,
        intensity_class=row.intensity_class,
        n_alerts=_nan(row.n_alerts),
        n_alerts_mean=_nan(row.n_alerts_mean),
        intensity=_nan(row.intensity),
        excess_db=_nan(row.excess_db),
        confidence=_nan(row.history.get(SCORE, row.confidence)),
        threshold_db=_nan(row.threshold_db),
        distance_m=_nan(row.distance_to_deforestation_m),
        history=history,
        warning_id=row.warning_id,
        closed_reason=row.closed_reason,
        confirmed_at=row.confirmed_at,
        confirming=mark(row.history["confirming"]) if row.history["confirming"] else None,
        rejected_at=_moment(row.history.get(REJECTED_AT)),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def mark(values: list[Any]) -> Mark:
    """Mark from a warning's history."""
    acquisition_id, day, scene_id, seq = values
    return Mark(acquisition_id, date.fromisoformat(day), scene_id, seq)


def _plain(mark: Mark) -> list[Any]:
    return [mark.acquisition_id, mark.day.isoformat(), mark.scene_id, mark.seq]


def fill_row(
    row: WarningRow,
    e: Entry,
    frame: Frame,
    acquisitions: Mapping[str, Acquisition],
    merged_into: str | None,
) -> None:
    """Bring a warning's row up to its entry: everything but identity, overlays and verdicts."""
    founding = acquisitions[e.founding.acquisition_id]
    geometry = frame.to_store(e.geometry)
    row.geom = geometry
    row.status = e.status
    row.closed_reason = e.closed_reason
    row.merged_into = merged_into
    row.confidence = _number(e.confidence)
    row.intensity_class = e.intensity_class
    row.n_alerts = _number(e.n_alerts)
    row.n_alerts_mean = _number(e.n_alerts_mean)
    row.intensity = _number(e.intensity)
    row.excess_db = _number(e.excess_db)
    row.first_flag_date = e.first_flag
    row.first_flag_days = flag_days(e.first_flag)
    row.last_flag_date = e.last_flag
    row.first_scene = e.founding.scene_id
    row.first_acquisition = e.founding.acquisition_id
    row.last_seen = e.last.day
    row.relative_orbit = founding.relative_orbit
    row.platform = founding.platform
    row.issued_at = e.issued_at
    row.confirmed_at = e.confirmed_at
    row.confirming_scene = None if e.confirming is None else e.confirming.scene_id
    row.delay_from_flag_days = (
        None if e.confirmed_at is None else (e.confirmed_at.date() - e.first_flag).days
    )
    row.area_ha = e.history[-1][1]
    row.area_geodesic_ha = geodesic_area_ha(geometry)
    row.growth_30d_ha = e.growth_ha
    row.threshold_db = _number(e.threshold_db)
    row.distance_to_deforestation_m = _number(e.distance_m)
    row.history = {
        "area_ha": [[day.isoformat(), area] for day, area in e.history],
        "founding": _plain(e.founding),
        "last": _plain(e.last),
        "confirming": None if e.confirming is None else _plain(e.confirming),
    }
    if e.rejected_at is not None:
        row.history[REJECTED_AT] = e.rejected_at.isoformat()


def withdraw(row: WarningRow, moment: datetime) -> None:
    """Close a warning that is no longer supported; it is never deleted."""
    row.status = row.status.CLOSED
    row.closed_reason = ClosedReason.WITHDRAWN
    row.merged_into = None
    row.priority = None
    row.updated_at = moment


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
