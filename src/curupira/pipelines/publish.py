"""The report of a period: from store, cube, masks and products to one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

import geopandas as gpd
import pandas as pd

from curupira.codes import ClosedReason, Status
from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.errors import ConfigError, InputError
from curupira.pipelines import compare, masks, tallies
from curupira.pipelines.corrections import as_known
from curupira.pipelines.entries import Frame
from curupira.pipelines.images import Detector
from curupira.pipelines.pictures import Gallery
from curupira.progress import Report, silent
from curupira.records import Acquisition, group_acquisitions
from curupira.report import Chip, Coverage, ReportData, Series, render
from curupira.report.data import SCENE_COLUMNS
from curupira.store import Store
from curupira.store import edit as edits
from curupira.store import scene as scenes
from curupira.store import warning as warnings
from curupira.store.quality import held
from curupira.store.search import Search
from curupira.store.tables import SceneRow, WarningRow
from curupira.units import add_months

#: Warnings shown closely, and explained.
CHIPS, SERIES = 6, 4
#: Images are listed at least this far back, so that gaps can be seen.
_CADENCE_MONTHS = 12


class Period(StrEnum):
    """What a report covers: calendar units that end on its last day, or everything monitored."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    ALL = "all"


TITLES = {
    Period.DAY: "Warnings of the day",
    Period.MONTH: "Warnings of the month",
    Period.YEAR: "Warnings of the year",
    Period.ALL: "All warnings",
}


@dataclass(frozen=True)
class Found:
    """What the store holds up to a day of the product clock."""

    until: date
    known: list[Acquisition]
    scenes: list[SceneRow]
    warnings: list[WarningRow]


def first_day(period: Period, until: date, monitor_since: date) -> date:
    """First day of a period that ends with ``until``, both included."""
    if period is Period.ALL:
        return min(monitor_since, until)
    months = {Period.DAY: 0, Period.MONTH: 1, Period.YEAR: 12}[period]
    return add_months(until, -months) + timedelta(days=1) if months else until


def publish(
    workspace: Workspace,
    *,
    period: Period = Period.MONTH,
    on: date | None = None,
    now: datetime,
    report: Report = silent,
) -> str:
    """HTML of the report: see ``collect``."""
    return render(collect(workspace, period=period, on=on, now=now, report=report))


def collect(
    workspace: Workspace,
    *,
    period: Period = Period.MONTH,
    on: date | None = None,
    now: datetime,
    report: Report = silent,
) -> ReportData:
    """Gather everything that a report shows.

    Parameters
    ----------
    period, on
        Days of the product clock (when scenes were published: ``issued_at``), ending with ``on``;
        None takes the day on which the newest scene was published, today where there is none.
    now
        Wall clock (aware), for the heading.

    Raises
    ------
    StoreError
        If database or cube cannot be read.
    ConfigError
        If the masks were built on another grid.
    """
    found = read_store(workspace, on, now)
    monitor_since = workspace.monitor.algorithm.monitor_since
    since = first_day(period, found.until, monitor_since)
    shown = [row for row in found.warnings if _is_shown(row, since)]
    gallery = open_gallery(workspace, found.known, now) if found.known else None
    strongest = _strongest(shown, since)
    pictures = _pictures(gallery, strongest, max(since, monitor_since), report) if gallery else {}
    report(3, 4, "areas")
    data = ReportData(
        title=TITLES[period],
        area_name=workspace.name,
        since=since,
        until=found.until,
        generated_at=now,
        preset=workspace.preset.name,
        preset_hash=workspace.preset.hash,
        warnings=_frame(shown),
        scenes=_scene_frame(found, since),
        coverage=_coverage(gallery) if gallery else None,
        area=workspace.area,
        data_years=tuple(sorted({a.acquired.year for a in found.known})),
        simulated=workspace.simulated,
        **pictures,
        summary=_summary(workspace, since, found.until),
        optical=_optical(workspace, since, found.until),
    )
    report(4, 4, "collected")
    return data


def _pictures(
    gallery: Gallery, strongest: Sequence[WarningRow], since: date, report: Report
) -> dict[str, Any]:
    """What the report shows of the images, by the names that its data have for it."""
    report(0, 4, "images")
    before, after = gallery.composite(since), gallery.composite()
    report(1, 4, "warnings")
    chips = _chips(gallery, strongest[:CHIPS])
    report(2, 4, "series")
    return {
        "composite_before": before,
        "composite_after": after,
        "chips": chips,
        "series": _series(gallery, strongest),
        "threshold_map": gallery.threshold(),
    }


def _summary(workspace: Workspace, since: date, until: date) -> dict[str, Any]:
    with Store.open(workspace.monitor.store.url, base=workspace.folder, create=False) as store:
        search = Search(since=since, until=until)
        return tallies.dashboard(workspace, store, search, people=False)


def _optical(workspace: Workspace, since: date, until: date) -> dict[str, Any] | str | None:
    """Beside the optical alerts; where they cannot be compared, the reason."""
    alerts = workspace.monitor.serve.optical_alerts
    if not alerts:
        return None
    try:
        found = compare.measure(
            workspace, workspace.path(alerts), compare.Options(since=since, until=until)
        )
    except (ConfigError, InputError) as error:
        return error.what
    return compare.document(found)


def read_store(workspace: Workspace, on: date | None, now: datetime) -> Found:
    """Read what was known at the end of a day of the product clock; None takes the newest."""
    with (
        Store.open(workspace.monitor.store.url, base=workspace.folder, create=True) as store,
        store.reading() as session,
    ):
        ingested = scenes.ingested(session)
        newest = max((s.created for s in ingested), default=now)
        until = on or newest.astimezone(UTC).date()
        end = datetime.combine(until + timedelta(days=1), time(), UTC)
        return Found(
            until,
            group_acquisitions([s for s in ingested if s.created < end]),
            scenes.listed(session),
            edits.as_drawn(session, warnings.query(session, until=until)),
        )


def _is_shown(row: WarningRow, since: date) -> bool:
    """Whether a warning is open, or was issued or confirmed in the period."""
    moments = (row.issued_at, row.confirmed_at)
    recent = any(m is not None and m.astimezone(UTC).date() >= since for m in moments)
    return recent or row.status is not Status.CLOSED


def _may_lead(row: WarningRow, since: date) -> bool:
    """Whether a warning may stand among the strongest: of this period, and not given up."""
    gone = (ClosedReason.MERGED, ClosedReason.WITHDRAWN)
    moments = (row.issued_at, row.confirmed_at)
    recent = any(m is not None and m.astimezone(UTC).date() >= since for m in moments)
    return recent and row.closed_reason not in gone


def _strongest(shown: Sequence[WarningRow], since: date) -> list[WarningRow]:
    return sorted((r for r in shown if _may_lead(r, since)), key=_strength, reverse=True)


def _strength(row: WarningRow) -> tuple[float, str]:
    return (row.excess_db or 0.0) * row.area_ha, row.warning_id


def _frame(rows: Sequence[WarningRow]) -> gpd.GeoDataFrame:
    table = warnings.to_geodataframe(rows)
    delay = table["delay_from_flag_days"].astype("float64")
    return table.assign(delay_from_flag_days=delay)


def _scene_frame(found: Found, since: date) -> pd.DataFrame:
    start = min(since, add_months(found.until, -_CADENCE_MONTHS))
    rows = [
        {name: getattr(row, name) for name in sorted(SCENE_COLUMNS)}
        for row in found.scenes
        if row.acquired is None or start <= row.acquired.date() <= found.until
    ]
    table = pd.DataFrame(rows, columns=sorted(SCENE_COLUMNS))
    for name in ("acquired", "created"):
        table[name] = pd.to_datetime(table[name], utc=True)
    return table


def open_gallery(workspace: Workspace, known: Sequence[Acquisition], now: datetime) -> Gallery:
    """Pictures of a workspace; ``StoreError`` where it has no cube."""
    monitor, grid = workspace.monitor, workspace.grid
    reader = Cube.open(workspace.cube_path, grid, create=False).reader()
    with (
        Store.open(monitor.store.url, base=workspace.folder, create=False) as store,
        store.reading() as session,
    ):
        rows = [(row.scene, row.quality) for row in held(session) if row.accepted]
    reader = as_known(reader, rows, monitor.quality, grid)
    detector = Detector.of(workspace, reader, masks.load(workspace, now))
    return Gallery(workspace.folder, detector, known)


def _chips(gallery: Gallery, rows: Sequence[WarningRow]) -> tuple[Chip, ...]:
    frame = Frame(gallery.detector.grid)
    chips = []
    for row in rows:
        if row.relative_orbit is None:
            continue
        pair = gallery.chip(frame.to_grid(row.geom), row.relative_orbit, row.first_flag_date)
        if pair:
            chips.append(Chip(row.warning_id, *pair))
    return tuple(chips)


def _series(gallery: Gallery, rows: Sequence[WarningRow]) -> tuple[Series, ...]:
    """Explain the strongest pixels of the first warnings for which that can be done."""
    frame = Frame(gallery.detector.grid)
    by_id = {a.acquisition_id: a for a in gallery.known}
    found: list[Series] = []
    for row in rows:
        mark = row.history["confirming"] or row.history["last"]
        acquisition = by_id.get(mark[0])
        if acquisition is None or len(found) == SERIES:
            continue
        pixel = gallery.strongest_pixel(acquisition, frame.to_grid(row.geom))
        try:
            dataset = gallery.series(acquisition, pixel)
        except InputError:  # a pixel without images, or too few for the seasonal fit
            continue
        if dataset.sizes["time"]:
            label = f"Warning {row.warning_id[:8]}, strongest pixel, orbit {row.relative_orbit}"
            found.append(Series(label, dataset))
    return tuple(found)


def _coverage(gallery: Gallery) -> Coverage:
    km2 = gallery.detector.masks.record["km2"]
    unobserved = round(gallery.unobserved_km2(), 6)
    return Coverage(float(km2["monitored"]), float(km2["masked"]), unobserved)
