"""``curupira demo``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from curupira.cli.common import LogJsonOption, QuietOption, VerboseOption, progress, say

if TYPE_CHECKING:
    from curupira.pipelines.demo import Part, Shown
    from curupira.pipelines.findings import Issued, Met


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
        *_simulated(shown),
        "",
        f"Open {shown.index} in a browser: it leads to all reports. Warnings, for QGIS:",
        *(
            f"  {part.workspace.path('warnings.gpkg')}"
            for part in (shown.real, shown.planted, *shown.simulated.values())
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


def _simulated(shown: Shown) -> list[str]:
    from curupira.pipelines.demo import MEANING
    from curupira.report.accuracy import side_by_side

    part, *_ = shown.simulated.values()
    found, *_ = shown.scores.values()
    table = side_by_side([scores.document() for scores in shown.scores.values()])
    return [
        "",
        f"3. A simulated district: {part.workspace.monitor.area.name}, "
        f"{found.watch.monitored_km2:.1f} km2 of forest, {_watched(part)}",
        f"   {found.events} events of {found.min_area_ha:g} ha or more; two presets on one cube",
        *_table(table.columns, table.rows),
        *(f"   {line}" for text in (table.caption, *MEANING) for line in wrap(text, 97)),
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
