"""The demonstration: real images, the same with planted clearings, and a simulated district."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import curupira
from curupira.codes import OrbitState
from curupira.cog import write_atomic
from curupira.config import FILE_NAME, Workspace
from curupira.errors import ConfigError, InputError
from curupira.pipelines import daily, findings, masks, workspace
from curupira.pipelines.planting import plant_files, write_truth
from curupira.pipelines.publish import Period, publish
from curupira.progress import Report, silent
from curupira.simulate.plant import Clearing, lot
from curupira.sources.files import open_raster, raster_grid
from curupira.sources.index import build_index
from curupira.sources.vector import read_vector

IMAGES, TRUTH, PAGE = "images", "truth.geojson", "reports/demo.html"
#: Relative orbit 137 rises over California at 02:00 UTC; the files do not say it.
ORBIT_STATE = OrbitState.ASCENDING
#: Sizes that every burst gets, hectares, each at its own place; a burst has one drop and one day.
SIZES_HA = (1.5, 3.0, 6.0, 12.0)
PLACES_M = ((700, 700), (2200, 800), (800, 2150), (2200, 2200))
ANGLES_DEG = (0, 20, 45, 70)
DROPS_DB = (3.0, 4.0, 5.0, 6.0)
DAYS = (date(2023, 10, 20), date(2023, 11, 15))
#: VV drops less than VH when forest goes.
VV_SHARE = 0.6
#: The simulated district.
SIZE_KM, YEARS, REVISIT_DAYS, SEED = 5.0, 3.3, 12, 7


@dataclass(frozen=True, slots=True)
class Samples:
    """The real images of a source checkout and their monitor file."""

    images: Path
    monitor: Path


@dataclass(frozen=True, slots=True)
class Part:
    """One workspace of the demonstration, what was warned there, and its report."""

    workspace: Workspace
    found: findings.Findings
    page: Path


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that the demonstration shows."""

    real: Part
    planted: Part
    clearings: list[Clearing]
    simulated: Part


def find_samples() -> Samples:
    """Samples of the source checkout that this program runs from.

    Raises
    ------
    ConfigError
        If there are none: an installed package does not carry them.
    """
    root = Path(curupira.__file__).resolve().parents[2]
    found = Samples(root / "samples" / "rtc-10SGD", root / "configs" / "sample.toml")
    for path in (found.images, found.monitor):
        if not path.exists():
            raise ConfigError(
                "the sample images are not here",
                where=path,
                remedy="run the demo from a source checkout, with `make demo`",
            )
    return found


def demo(
    out: Path,
    *,
    now: Callable[[], datetime] = daily.utc_now,
    report: Report = silent,
    samples: Samples | None = None,
) -> Shown:
    """Run everything into a new or empty folder.

    Raises
    ------
    ConfigError
        If the folder is not empty, or the samples are missing.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(
            "exists and is not an empty folder", where=out, remedy="empty it, or give another --out"
        )
    samples = samples or find_samples()
    real = real_workspace(out / "real", samples, now())
    run_with_history(real, now=now, report=report)
    planted, clearings = planted_workspace(out / "planted", real, samples, now())
    run_with_history(planted, now=now, report=report)
    simulated = simulated_workspace(out / "simulated", report)
    daily.run(simulated, daily.RunOptions(), now=now, report=report)
    return Shown(
        real=_part(real, [], now(), report),
        planted=_part(planted, planted_events(planted), now(), report),
        clearings=clearings,
        simulated=_part(simulated, simulated_events(simulated), now(), report),
    )


def real_workspace(folder: Path, samples: Samples, now: datetime) -> Workspace:
    """Make a workspace of the sample images as they are."""
    shutil.copytree(samples.images, folder / IMAGES, ignore=shutil.ignore_patterns("*.geojson"))
    return _workspace(folder, samples, now)


def planted_workspace(
    folder: Path, real: Workspace, samples: Samples, now: datetime
) -> tuple[Workspace, list[Clearing]]:
    """Make a workspace of the same images with clearings planted into them."""
    clearings = planned_clearings(real.path(IMAGES))
    plant_files(real.path(IMAGES) / "catalog.json", folder / IMAGES, clearings, now=now)
    write_truth(folder / TRUTH, clearings, str(real.grid.crs))
    return _workspace(folder, samples, now), clearings


def planned_clearings(images: Path) -> list[Clearing]:
    """Four sizes in every burst; from burst to burst the drop rises and the day alternates."""
    clearings = []
    for n, path in enumerate(sorted(images.glob("*/VH.tif"))):
        with open_raster(str(path)) as source:
            extent = raster_grid(source).boundingbox
        drop = DROPS_DB[n % len(DROPS_DB)]
        for size, (x, y), angle in zip(SIZES_HA, PLACES_M, ANGLES_DEG, strict=True):
            clearings.append(
                Clearing(
                    name=f"{path.parent.name} {size:g} ha {drop:g} dB",
                    geometry=lot(extent.left + x, extent.bottom + y, size, angle_deg=angle),
                    day=DAYS[n % len(DAYS)],
                    drop_vh_db=drop,
                    drop_vv_db=VV_SHARE * drop,
                )
            )
    return clearings


def run_with_history(
    opened: Workspace,
    *,
    now: Callable[[], datetime] = daily.utc_now,
    report: Report = silent,
) -> None:
    """Take the history first, then the rest as if run nightly.

    The provider made the files of the first two winters anew in 2025, after those of the third.
    Played by the day of publication alone, the third winter would have had no history at first.
    """
    history = opened.monitor.algorithm.monitor_since - timedelta(days=1)
    daily.run(opened, daily.RunOptions(until=history), now=now, report=report)
    daily.run(opened, daily.RunOptions(), now=now, report=report)


def simulated_workspace(folder: Path, report: Report = silent) -> Workspace:
    """Make the simulated district."""
    return workspace.simulate(
        folder,
        size_km=SIZE_KM,
        years=YEARS,
        revisit_days=REVISIT_DAYS,
        seed=SEED,
        scenario="default",
        preset="deter_r",
        report=report,
    )


def planted_events(opened: Workspace) -> list[findings.Event]:
    """The planted clearings, as the truth file beside the images tells them."""
    frame = read_vector(opened.path(TRUTH))
    return findings.events_of(frame, str(opened.grid.crs), name="name", day="date")


def simulated_events(opened: Workspace) -> list[findings.Event]:
    """True events; judged are those begun while the district was watched, on watched land."""
    frame = read_vector(opened.path("truth.gpkg|event"))
    since = opened.monitor.algorithm.monitor_since.isoformat()
    fresh = (frame["start_date"] >= since) & ~frame["outside_mask"].astype(bool)
    return findings.events_of(
        frame, str(opened.grid.crs), name="event_id", day="start_date", judged=fresh
    )


def _part(
    opened: Workspace, truth: Sequence[findings.Event], now: datetime, report: Report
) -> Part:
    page = opened.path(PAGE)
    text = publish(opened, period=Period.ALL, now=now, report=report)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(page, text.encode())
    return Part(opened, findings.collect(opened, truth), page)


def _workspace(folder: Path, samples: Samples, now: datetime) -> Workspace:
    build_index(folder / IMAGES, now=now, orbit_state=ORBIT_STATE)
    try:
        shutil.copyfile(samples.images / "area.geojson", folder / "area.geojson")
        shutil.copyfile(samples.monitor, folder / FILE_NAME)
    except OSError as error:
        raise InputError(
            f"cannot write the workspace ({error.strerror})", where=folder, remedy="free the disk"
        ) from error
    opened = Workspace.open(folder)
    masks.build(opened, now)
    return opened
