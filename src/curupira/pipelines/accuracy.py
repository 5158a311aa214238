"""A workspace's warnings against known truth: `curupira accuracy`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import geopandas as gpd
import shapely
from sqlalchemy.orm import Session

from curupira.codes import ClosedReason, IntensityClass
from curupira.config import Workspace
from curupira.errors import ConfigError
from curupira.grid import LONLAT, SIRGAS_2000, project
from curupira.pipelines.status import coverage
from curupira.report.accuracy import SHARES, AccuracyView, accuracy_sections, words
from curupira.report.accuracy_figures import DelayView
from curupira.report.sheet import render_sheet
from curupira.sources.reference import read_reference
from curupira.sources.truth_rasters import CauseRasters
from curupira.store import acquisition as acquisitions
from curupira.store import observation as observations
from curupira.store import warning as warnings
from curupira.store.session import Store
from curupira.store.tables import AcquisitionRow, WarningRow
from curupira.validate.accuracy import Accuracy, assess
from curupira.validate.found import FOUND_DAYS, Watch
from curupira.validate.matching import Alert, Event, Sighting

#: Pause between acquisitions where there are too few to measure it.
USUAL_REVISIT_DAYS = 12.0
#: A false warning on a disturbance older than the monitored time, or on one that it hardly meets.
OLD_EVENT, PARTIAL = "slash", "partial"


@dataclass(frozen=True)
class Judged:
    """What the store knows: warnings, the days they were flagged on, and what was watched."""

    alerts: list[Alert]
    first_flag: Mapping[str, date]
    watch: Watch


def measure(
    workspace: Workspace, truth: Path, *, min_area_ha: float = 0.0, date_field: str = ""
) -> Accuracy:
    """Compare the store's warnings with a truth file; nothing is changed.

    Parameters
    ----------
    truth
        ``truth.gpkg`` of a simulated workspace, or any polygons with dates. Beside the former,
        the folder ``truth/`` tells the causes of false warnings.
    min_area_ha
        Smallest event of the producer's accuracies and smallest warning judged.
    date_field
        Column with the day on which each polygon's change began; empty: ``start_date``.

    Raises
    ------
    ConfigError
        If nothing was evaluated yet, or the file or column does not exist.
    InputError
        If the truth cannot be used.
    """
    crs = str(workspace.grid.crs)
    events = read_truth(workspace, truth, date_field=date_field)
    judged = read_store(workspace, crs)
    causes = false_causes(judged, events, CauseRasters(truth.parent / "truth"))
    return assess(judged.alerts, events, judged.watch, min_area_ha=min_area_ha, false_causes=causes)


def read_truth(workspace: Workspace, truth: Path, *, date_field: str = "") -> list[Event]:
    """Events of a truth file that touch the workspace's area, in the grid's system."""
    crs = str(workspace.grid.crs)
    frame = read_reference(truth, crs, date_field=date_field)
    inside = project(shapely.segmentize(workspace.area, 0.02), LONLAT, crs)
    return to_events(frame[frame.geometry.intersects(inside)])


def to_events(frame: gpd.GeoDataFrame) -> list[Event]:
    """Rows of ``read_reference`` as records; columns that are absent are unknown."""
    columns = set(frame.columns)
    found = []
    for position, (_, row) in enumerate(frame.iterrows()):
        distance = row["distance_m"] if "distance_m" in columns else None
        found.append(
            Event(
                event_id=str(row["event_id"] if "event_id" in columns else position),
                geometry=row.geometry,
                start=row["start"],
                area_ha=float(row["area_ha"])
                if "area_ha" in columns
                else row.geometry.area / 10_000,
                visible=row["visible"],
                causes=_labels(row["causes"]) if "causes" in columns else (),
                low=row["kind"] == "degradation" if "kind" in columns else None,
                distance_m=float("nan") if distance is None else float(distance),
            )
        )
    return found


def _labels(text: Any) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if isinstance(text, str) else ()


def read_store(workspace: Workspace, crs: str) -> Judged:
    """Warnings that are judged, and the time and area watched.

    Withdrawn warnings are left out (a late scene has taken them back); of merged ones only what
    they told when they were open remains.

    Raises
    ------
    ConfigError
        If nothing was evaluated yet.
    """
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        passes = [row for row in acquisitions.in_order(session) if row.evaluated_at is not None]
        if not passes:
            raise ConfigError(
                "nothing was evaluated yet", where=workspace.folder, remedy="use `curupira run`"
            )
        rows = warnings.supported(session)
        seen = _sightings(session, passes, crs)
        alerts = [_alert(row, seen.get(row.warning_id, ()), crs) for row in rows]
        first_flag = {row.warning_id: row.first_flag_date for row in rows}
        watch = Watch(
            preset=workspace.preset.name,
            since=workspace.monitor.algorithm.monitor_since,
            end=max(row.day for row in passes),
            known=max(row.created.date() for row in passes),
            revisit_days=_revisit(passes),
            monitored_km2=_monitored_km2(workspace),
        )
    return Judged(alerts, first_flag, watch)


def _sightings(
    session: Session, passes: Sequence[AcquisitionRow], crs: str
) -> dict[str, tuple[Sighting, ...]]:
    day = {row.acquisition_id: row.created.date() for row in passes}
    found: dict[str, tuple[Sighting, ...]] = {}
    for row in observations.load(session):
        if row.confirmed and row.warning_id is not None and row.acquisition_id in day:
            sighting = Sighting(day[row.acquisition_id], project(row.geom, SIRGAS_2000, crs))
            found[row.warning_id] = (*found.get(row.warning_id, ()), sighting)
    return found


def _alert(row: WarningRow, seen: tuple[Sighting, ...], crs: str) -> Alert:
    geometry = project(row.geom, SIRGAS_2000, crs)
    nan = float("nan")
    return Alert(
        warning_id=row.warning_id,
        geometry=geometry,
        area_ha=geometry.area / 10_000,
        issued=row.issued_at.date(),
        confirmed=None if row.confirmed_at is None else row.confirmed_at.date(),
        last_flag=row.last_flag_date or row.first_flag_date,
        confidence=nan if row.confidence is None else row.confidence,
        low=row.intensity_class is IntensityClass.LOW,
        judged=row.closed_reason is not ClosedReason.MERGED,
        distance_m=nan
        if row.distance_to_deforestation_m is None
        else row.distance_to_deforestation_m,
        sightings=seen,
    )


def _revisit(passes: Sequence[AcquisitionRow]) -> float:
    """Median pause between the acquisitions of one relative orbit, days."""
    by_orbit: dict[int, list[date]] = {}
    for row in passes:
        by_orbit.setdefault(row.relative_orbit, []).append(row.day)
    pauses = [(b - a).days for days in by_orbit.values() for a, b in pairwise(days) if b > a]
    return float(median(pauses)) if pauses else USUAL_REVISIT_DAYS


def _monitored_km2(workspace: Workspace) -> float:
    areas = coverage(workspace)
    if areas is None:
        raise ConfigError(
            "no masks yet", where=workspace.folder, remedy="use `curupira masks build`"
        )
    return areas["monitored"]


def false_causes(judged: Judged, events: Sequence[Event], rasters: CauseRasters) -> dict[str, str]:
    """Cause by ``warning_id``, of those that a truth tells; used for the false ones alone.

    A disturbance that began before the monitored time leaves surfaces that go on changing
    (``slash``); touching a younger one without meeting it is ``partial``.
    """
    tree = shapely.STRtree([e.geometry for e in events])
    found = {}
    for alert in judged.alerts:
        cause = rasters.cause(alert.geometry, judged.first_flag[alert.warning_id], alert.last_flag)
        if cause is None:
            near = tree.query(alert.geometry, predicate="intersects").tolist()
            old = any(events[k].start <= judged.watch.since for k in near)
            cause = OLD_EVENT if old else PARTIAL if near else None
        if cause is not None:
            found[alert.warning_id] = cause
    return found


def in_words(found: Accuracy) -> list[str]:
    """The headline scores as lines of text."""
    document = found.document()
    false = document["false_per_1000km2_month"]
    lines = [
        f"events {found.events}, confirmed warnings {found.warnings}, each of "
        f"{found.min_area_ha:g} ha or more; preset {found.watch.preset}",
    ]
    lines += [f"  {label}: {words(document[key], unit='%')}" for key, label in SHARES.items()]
    lines += [
        f"  Delay from {what}, median: {words(document[key]['median'], unit='days', digits=0)}"
        for key, what in (("delay_days", "visible"), ("delay_from_event_days", "start"))
    ]
    lines += [
        f"  False {name} per 1000 km2 and month: {words(false[name], digits=2)}"
        for name in ("confirmed", "preliminary")
    ]
    missed = [f"{name} {e.value:.0%}" for name, e in found.missed_by_cause.items() if e.value]
    return [*lines, f"  Not found within {FOUND_DAYS} days: {', '.join(missed) or 'none'}"]


def page(found: Accuracy, opened: Workspace) -> str:
    """All scores and figures of a workspace as one HTML document."""
    labels = {"delay_days": "From becoming visible", "delay_from_event_days": "From the start"}
    view = AccuracyView(
        document=found.document(),
        frontier=[(p.confidence, p.ua, p.pa_all) for p in found.frontier],
        delays=[
            DelayView(
                f"{labels[name]} ({curve.n} events)",
                curve.days,
                1 - curve.waiting,
                1 - curve.high,
                1 - curve.low,
            )
            for name, curve in found.delays.items()
        ],
        overlaps={SHARES[name].removesuffix(", median"): v for name, v in found.overlaps.items()},
    )
    years = range(found.watch.since.year, found.watch.end.year + 1)
    return render_sheet(
        "Accuracy against known truth",
        f"Preset {found.watch.preset}",
        accuracy_sections(view),
        opened.attribution(years),
    )
