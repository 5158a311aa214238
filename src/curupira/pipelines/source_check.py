"""``curupira source check``: what a source offers, what a start would cost, what does not work."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from odc.geo.geobox import GeoBox
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window
from curupira.config import Workspace
from curupira.errors import CurupiraError, InputError
from curupira.grid import LONLAT, project
from curupira.pipelines import sourcing
from curupira.records import Scene
from curupira.sources import catalogue
from curupira.sources.checks import check_scene
from curupira.sources.images import Provider
from curupira.sources.raster import read_band
from curupira.stac import is_remote

#: Bytes of a grid pixel and band in the cube: 1.26 measured for speckle without any structure.
_CUBE_BYTES = 1.3
#: Bytes of a pixel of a provider's COG, float32 deflated: 4.3 measured with overviews, which are a
#: third of it and are not read.
_COG_BYTES = 3.3
#: Native pixel of the images, metres, where they are read by windows.
_NATIVE_M = {"rtc-opera": 30.0}
#: Pixels along a side of the part that is read to measure the speed.
_TRIAL_PX = 512
#: Resampling and writing to the cube, megapixels of grid and band a second, beside the transfer:
#: 5.6 measured on one core, from 10 m files.
_INGEST_MPX_S = 5.0


@dataclass(frozen=True)
class Cost:
    """What it takes until the first warning."""

    images: int
    download_gb: float
    disk_gb: float
    hours: float


@dataclass
class SourceReport:
    """What was tried; ``problems`` in order, with remedies."""

    provider: str
    since: date
    found: int = 0
    used: int = 0
    newest: datetime | None = None
    first: datetime | None = None
    last: datetime | None = None
    by_year: Counter[int] = field(default_factory=Counter)
    by_orbit: Counter[str] = field(default_factory=Counter)
    by_platform: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, str]] = field(default_factory=list)
    tried: str = ""
    cost: Cost | None = None
    problems: list[CurupiraError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """That of the first problem, or 0."""
        return self.problems[0].exit_code if self.problems else 0


def check_source(
    workspace: Workspace,
    now: datetime,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> SourceReport:
    """Try the configured source: search it, open its newest image, read a part of it.

    Nothing is kept. What goes wrong is in the report, not raised.
    """
    params = workspace.monitor.source
    report = SourceReport(params.provider, sourcing.history_start(workspace))
    try:
        scenes = _search(workspace, now, report)
        if not scenes:
            raise _nothing(report, params.provider)
        _try(workspace, scenes[-1], len(scenes), report, clock)
    except CurupiraError as error:
        report.problems.append(error)
    if params.fallback:
        _try_second(workspace, now, report)
    return report


def _nothing(report: SourceReport, provider: str) -> InputError:
    """Why there is nothing to start from: no image at all, or none since the history begins."""
    what = f"offers no image over the area since {report.since}"
    if report.newest is None:
        remedy = "check [area], [source] catalogue, collection, orbit_state and platforms"
        return InputError(what, where=provider, remedy=remedy)
    return InputError(
        f"{what}, when the history of [algorithm] monitor_since begins; its newest image is of "
        f"{report.newest:%Y-%m-%d}",
        where=provider,
        remedy="to monitor the past, set an earlier monitor_since",
    )


def _search(workspace: Workspace, now: datetime, report: SourceReport) -> list[Scene]:
    params = workspace.monitor.source

    def on_bad(scene_id: str, error: InputError) -> None:
        report.refused.append((scene_id, str(error)))

    if params.is_api:
        found = sourcing.search(workspace, report.since, now, on_bad)
    else:
        found = sourcing.read(workspace, now, on_bad)
    ever = catalogue.select(found, params, area=workspace.area, since=None, until=None)
    report.newest = max((s.acquired for s in ever), default=None)
    chosen = [s for s in ever if s.acquired.date() >= report.since]
    scenes, _ = catalogue.drop_duplicates(chosen)
    report.found, report.used = len(found) + len(report.refused), len(scenes)
    if scenes:
        report.first, report.last = scenes[0].acquired, scenes[-1].acquired
        report.by_year.update(s.acquired.year for s in scenes)
        report.by_orbit.update(f"{s.relative_orbit:03d} {s.orbit_state}" for s in scenes)
        report.by_platform.update(s.platform for s in scenes)
        silence = now - scenes[-1].acquired
        if silence > timedelta(days=30):
            report.notes.append(f"the newest image is {silence.days} days old")
            first_day = workspace.monitor.algorithm.monitor_since
            if scenes[-1].acquired.date() < first_day:
                report.notes.append(
                    f"all are from before {first_day} and serve as history only: to monitor the "
                    "past, set an earlier day in [algorithm] monitor_since"
                )
    return scenes


def _try(
    workspace: Workspace,
    scene: Scene,
    count: int,
    report: SourceReport,
    clock: Callable[[], float],
) -> None:
    """Open and read the newest scene; estimate what all of them would take."""
    params, grid = workspace.monitor.source, workspace.grid
    both = sourcing.images(workspace)
    remote = {band: a.href for band, a in scene.assets.items() if is_remote(a.href)}
    sizes = {
        href: both.first.size(href, f"scene {scene.scene_id}, {band}") if params.is_api else None
        for band, href in remote.items()
    }
    if params.product == "grd":
        sourcing.check_dem(workspace)

    def trial(ready: Scene) -> tuple[Window, float, int]:
        window = check_scene(ready, grid, params)
        part = _middle(window)
        started = clock()
        read_band(ready, params.polarisations[0], grid, part, params)
        return window, clock() - started, part.shape[0] * part.shape[1]

    started = clock()
    window, seconds, pixels = both.use(scene, trial)
    whole = clock() - started
    report.tried = scene.scene_id
    bands = len(scene.assets)
    area_px = window.shape[0] * window.shape[1]
    if params.product == "grd" or (params.read == "download" and remote):
        volume = float(sum(s or 0 for s in sizes.values()))
        each = whole
    else:
        native = _NATIVE_M.get(params.product, 10.0)
        volume = _covered_m2(grid, window, scene.footprint) / native**2 * _COG_BYTES * bands
        each = seconds / pixels * area_px * bands
    each += area_px * bands / 1e6 / _INGEST_MPX_S
    report.cost = Cost(
        images=count,
        download_gb=count * volume / 1e9 if remote else 0.0,
        disk_gb=count * area_px * bands * _CUBE_BYTES / 1e9,
        hours=count * each / 3600,
    )


def _try_second(workspace: Workspace, now: datetime, report: SourceReport) -> None:
    """Whether the second provider answers and opens an image."""
    second = sourcing.images(workspace).second
    if second is None:
        return
    try:
        found = _newest(second, workspace, now)
    except CurupiraError as error:
        report.problems.append(error)
    else:
        report.notes.append(f"second provider {second.params.provider}: {found}")


def _newest(provider: Provider, workspace: Workspace, now: datetime) -> str:
    since = now.date() - timedelta(days=60)
    scenes = sourcing.ask(provider, workspace, since, now, lambda _, __: None)
    if not scenes:
        return "no image in the last 60 days"
    for band, asset in scenes[-1].assets.items():
        provider.size(asset.href, f"scene {scenes[-1].scene_id}, {band}")
    return f"{len(scenes)} images in the last 60 days, the newest can be opened"


def _middle(window: Window) -> Window:
    """A part in the middle of a window."""
    height, width = (min(n, _TRIAL_PX) for n in window.shape)
    y = window.y0 + (window.shape[0] - height) // 2
    x = window.x0 + (window.shape[1] - width) // 2
    return Window(y, y + height, x, x + width)


def _covered_m2(grid: GeoBox, window: Window, footprint: BaseGeometry) -> float:
    outline = box(*grid[window.slices].extent.boundingbox.bbox)
    return float(outline.intersection(project(footprint, LONLAT, str(grid.crs))).area)


def in_words(report: SourceReport) -> list[str]:
    """The report as lines."""
    lines = [f"source {report.provider}: {report.found} images found, {report.used} usable"]
    if report.first and report.last:
        lines.append(
            f"  from {report.first:%Y-%m-%d} to {report.last:%Y-%m-%d} (asked from {report.since})"
        )
        for title, counts in (
            ("by year", report.by_year),
            ("by orbit", report.by_orbit),
            ("by satellite", report.by_platform),
        ):
            parts = ", ".join(f"{k}: {n}" for k, n in sorted(counts.items()))
            lines.append(f"  {title}: {parts}")
    if report.tried:
        lines.append(f"  opened and checked: {report.tried}")
    if report.cost is not None:
        cost = report.cost
        lines.append(
            f"start: {cost.images} images, {cost.download_gb:.1f} GB to transfer, "
            f"{cost.disk_gb:.1f} GB of disk"
        )
        if cost.hours == cost.hours:
            lines.append(f"first warning: after about {cost.hours:.1f} hours")
    lines += [f"note: {note}" for note in report.notes]
    lines += [f"left out {name}: {reason}" for name, reason in report.refused[:10]]
    if len(report.refused) > 10:
        lines.append(f"left out: {len(report.refused) - 10} more")
    lines += [f"does not work: {problem}" for problem in report.problems]
    return lines
