"""``curupira demo``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from curupira.cli.common import LogJsonOption, QuietOption, VerboseOption, progress, say

if TYPE_CHECKING:
    from curupira.pipelines.demo import Part, Shown
    from curupira.pipelines.findings import Issued, Met

#: Upper limits of the size classes of simulated events, hectares.
CLASSES_HA = (1.0, 2.0, 5.0, float("inf"))


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="New or empty folder for everything.")
    ] = Path("demo"),
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Show the main job on the bundled real images and on a simulated district.

    Example: `curupira demo --out demo`
    """
    from curupira.pipelines.demo import demo as run_demo

    with progress() as report:
        shown = run_demo(out, report=report)
    for line in in_words(shown):
        say(line)


def in_words(shown: Shown) -> list[str]:
    """Summarise the demonstration."""
    return [
        *_real(shown.real),
        *_planted(shown),
        *_simulated(shown.simulated),
        "",
        "reports (open in a browser), and warnings (open in QGIS):",
        *(
            f"  {path}"
            for part in (shown.real, shown.planted, shown.simulated)
            for path in (part.page, part.workspace.path("warnings.gpkg"))
        ),
        "Contains modified Copernicus Sentinel data 2021-2025 (OPERA RTC-S1, Apache-2.0).",
    ]


def _real(part: Part) -> list[str]:
    return [
        "",
        f"1. Real images as they are: {part.workspace.monitor.area.name}",
        f"   22 dates, {_watched(part)}",
        f"   warned: {_sum(part.found.warned)}",
    ]


def _planted(shown: Shown) -> list[str]:
    found = shown.planted.found
    drops = sorted({c.drop_vh_db for c in shown.clearings})
    sizes = sorted({round(c.area_ha, 1) for c in shown.clearings})
    by_name = {met.event.name: met for met in found.met}
    cell = {(round(c.area_ha, 1), c.drop_vh_db): _answer(by_name[c.name]) for c in shown.clearings}
    rows = [[f"{size:g} ha", *(cell.get((size, drop), "") for drop in drops)] for size in sizes]
    confirmed = [m for m in found.met if m.warning is not None and m.warning.confirmed]
    days = [m.days for m in confirmed if m.days is not None]
    days_text = (
        f"; clearing to confirming image: median {median(days):g} days ({min(days)} to {max(days)})"
        if days
        else ""
    )
    first, last = (f(c.day for c in shown.clearings) for f in (min, max))
    return [
        "",
        f"2. The same images with {len(shown.clearings)} planted clearings "
        f"(VH lowered from {first} or {last} on, speckle kept)",
        *_table(["", *(f"{drop:g} dB" for drop in drops)], rows),
        f"   confirmed {len(confirmed)} of {len(found.met)}{days_text}",
        f"   warnings elsewhere: {_sum(found.other)}",
        "   Days are between acquisitions: the files were made anew by their provider, some years",
        "   later, so their publication dates say nothing about delays.",
    ]


def _answer(met: Met) -> str:
    if met.warning is None:
        return "not found"
    return f"confirmed, {met.days} days" if met.warning.confirmed else "preliminary"


def _simulated(part: Part) -> list[str]:
    rows = []
    low = 0.0
    for high in CLASSES_HA:
        here = [m for m in part.found.met if low < m.event.area_ha <= high]
        best = [m.warning for m in here if m.warning is not None]
        name = f"over {low:g} ha" if high == float("inf") else f"{low:g} to {high:g} ha"
        confirmed = sum(w.confirmed for w in best)
        rows.append([name, str(len(here)), str(confirmed), str(len(best) - confirmed)])
        low = high
    return [
        "",
        f"3. A simulated district: {part.workspace.monitor.area.name}, {_watched(part)}",
        *_table(["true events", "number", "confirmed", "preliminary"], rows),
        f"   warnings that meet no event: {_sum(part.found.other)}",
        "   Events of the last weeks cannot be confirmed yet; polygons of 1 ha or less are never "
        "warned.",
    ]


def _watched(part: Part) -> str:
    since = part.workspace.monitor.algorithm.monitor_since
    return f"watched since {since}: {part.found.evaluated} acquisitions"


def _sum(warned: Sequence[Issued]) -> str:
    confirmed = [w for w in warned if w.confirmed]
    area = sum(w.area_ha for w in confirmed)
    return f"{len(confirmed)} confirmed ({area:.1f} ha), {len(warned) - len(confirmed)} preliminary"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return [
        "   " + "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
        for line in lines
    ]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)
