"""``curupira accuracy``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from curupira.cli.common import (
    LogJsonOption,
    QuietOption,
    VerboseOption,
    WorkspaceOption,
    say,
)


def accuracy(
    truth: Annotated[
        Path, typer.Option("--truth", metavar="FILE", help="truth.gpkg, or polygons with dates.")
    ],
    workspace: WorkspaceOption = Path(),
    min_area_ha: Annotated[
        float,
        typer.Option("--min-area-ha", metavar="A", min=0, help="Smallest event and warning, ha."),
    ] = 0.0,
    date_field: Annotated[
        str, typer.Option("--date-field", metavar="NAME", help="Column with the day of change.")
    ] = "",
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Numbers for programs.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.html", help="Page with figures.")
    ] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Measure the warnings against known truth: user's and producer's accuracy, delays, causes.

    Example: `curupira accuracy -w district --truth district/truth.gpkg --min-area-ha 0.4`
    """
    from curupira.cog import write_atomic
    from curupira.config import Workspace
    from curupira.pipelines import accuracy as pipeline

    opened = Workspace.open(workspace)
    found = pipeline.measure(opened, truth, min_area_ha=min_area_ha, date_field=date_field)
    for line in pipeline.in_words(found):
        say(line)
    if as_json is not None:
        write_atomic(as_json, json.dumps(found.document(), indent=2).encode())
    if output is not None:
        write_atomic(output, pipeline.page(found, opened).encode())
        say(f"wrote {output}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(accuracy)
