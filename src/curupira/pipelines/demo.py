"""The demonstration: real images, the same with planted clearings, and a simulated district.

On the real images the published method runs: they are no forest (``configs/sample.toml``). On the
district it runs beside the default preset, and both are judged by the known truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import curupira
from curupira import presets
from curupira.codes import OrbitState
from curupira.cog import write_atomic
from curupira.config import FILE_NAME, Workspace
from curupira.errors import ConfigError
from curupira.pipelines import accuracy, daily, findings, masks, workspace
from curupira.pipelines.planting import plant_files, write_truth
from curupira.pipelines.publish import Period, publish
from curupira.progress import Report, silent
from curupira.report.accuracy import side_by_side
from curupira.report.sheet import SheetSection, render_sheet
from curupira.simulate.plant import Clearing, lot
from curupira.sources.files import open_raster, raster_grid
from curupira.sources.index import build_index
from curupira.sources.vector import read_vector
from curupira.units import attribution
from curupira.validate.accuracy import Accuracy

IMAGES, TRUTH, PAGE = "images", "truth.geojson", "reports/demo.html"
SIMULATED_TRUTH, ACCURACY, INDEX = "truth.gpkg", "reports/accuracy.html", "index.html"
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
#: The simulated district; nothing was tuned on its seed.
SIZE_KM, YEARS, REVISIT_DAYS, SEED = 5.0, 3.3, 12, 7
#: The published method, and the preset that is to beat it.
PRESETS = ("deter_r", presets.DEFAULT)
#: Events and warnings are judged from this size on, hectares.
JUDGED_HA = 0.4
#: How to read the table of the district.
MEANING = (
    "User's accuracy is the share of the confirmed warnings that meet a true disturbance; "
    "producer's accuracy is the share of the true disturbances confirmed within 60 days of their "
    "start, or, of those that the radar can see, of becoming visible. What is confirmed later "
    "counts as not found: a slow preset can find nothing and yet have true warnings.",
    "So few events in one invented district leave wide intervals: docs/accuracy.md has many "
    "districts, real series, and what neither can show.",
)


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
    """Everything that the demonstration shows; the simulated district by preset."""

    real: Part
    planted: Part
    clearings: list[Clearing]
    simulated: Mapping[str, Part]
    scores: Mapping[str, Accuracy]
    index: Path


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
    StoreError
        If the disk refuses.
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
    simulated = simulated_workspaces(out, report)
    for opened in simulated.values():
        daily.run(opened, daily.RunOptions(), now=now, report=report)
    shown = Shown(
        real=_part(real, [], now(), report),
        planted=_part(planted, planted_events(planted), now(), report),
        clearings=clearings,
        simulated={name: _part(opened, [], now(), report) for name, opened in simulated.items()},
        scores={name: score(opened) for name, opened in simulated.items()},
        index=out / INDEX,
    )
    write_atomic(shown.index, index_page(shown).encode())
    return shown


def real_workspace(folder: Path, samples: Samples, now: datetime) -> Workspace:
    """Make a workspace of the sample images as they are."""
    images = (path for path in samples.images.rglob("*") if path.suffix == ".tif")
    for path in images:
        write_atomic(folder / IMAGES / path.relative_to(samples.images), path.read_bytes())
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


def simulated_workspaces(out: Path, report: Report = silent) -> dict[str, Workspace]:
    """Make the simulated district for the first preset, and a workspace beside it for the other."""
    published, own = PRESETS
    made = workspace.simulate(
        out / "simulated",
        size_km=SIZE_KM,
        years=YEARS,
        revisit_days=REVISIT_DAYS,
        seed=SEED,
        scenario="default",
        preset=own,
        report=report,
    )
    beside = workspace.beside(made, out / f"simulated-{published}", published)
    return {published: beside, own: made}


def score(opened: Workspace) -> Accuracy:
    """Judge a simulated workspace by the district's truth, and write the page of it."""
    truth = opened.folder.parent / "simulated" / SIMULATED_TRUTH
    found = accuracy.measure(opened, truth, min_area_ha=JUDGED_HA)
    page = opened.path(ACCURACY)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(page, accuracy.page(found, opened).encode())
    return found


def planted_events(opened: Workspace) -> list[findings.Event]:
    """The planted clearings, as the truth file beside the images tells them."""
    frame = read_vector(opened.path(TRUTH))
    return findings.events_of(frame, str(opened.grid.crs), name="name", day="date")


def index_page(shown: Shown) -> str:
    """The page that leads to all reports, with the accuracies side by side."""
    root = shown.index.parent

    def link(path: Path, words: str) -> tuple[str, str]:
        return path.relative_to(root).as_posix(), words

    reports = [
        link(part.page, f"Warnings and maps, preset {name}")
        for name, part in shown.simulated.items()
    ]
    judged = [
        link(part.workspace.path(ACCURACY), f"Accuracy with figures, preset {name}")
        for name, part in shown.simulated.items()
    ]
    table = side_by_side([found.document() for found in shown.scores.values()])
    sections = [
        SheetSection("Simulated district", MEANING, (table,), links=(*judged, *reports)),
        SheetSection(
            "Real images",
            (
                "OPERA RTC-S1 of the Californian coast, as they are, and with planted clearings; "
                "preset deter_r.",
            ),
            links=(
                link(shown.real.page, "Warnings and maps, images as they are"),
                link(shown.planted.page, "Warnings and maps, with planted clearings"),
            ),
        ),
    ]
    return render_sheet(
        "Demonstration", "Real images and a simulated district", sections, attribution([2021, 2025])
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
    write_atomic(folder / "area.geojson", (samples.images / "area.geojson").read_bytes())
    write_atomic(folder / FILE_NAME, samples.monitor.read_bytes())
    opened = Workspace.open(folder)
    masks.build(opened, now)
    return opened
