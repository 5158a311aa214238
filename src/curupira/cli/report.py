"""``curupira report``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from curupira.cli.common import (
    LogJsonOption,
    QuietOption,
    VerboseOption,
    WorkspaceOption,
    parse_date,
    progress,
    say,
)
from curupira.errors import ConfigError


def report(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="HTML file to write.")
    ],
    workspace: WorkspaceOption = Path(),
    period: Annotated[
        str, typer.Option("--period", metavar="P", help="day, month, year or all.")
    ] = "month",
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="DAY", help="Last UTC day; default: of the newest scene."),
    ] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Write figures and tables of a period as one HTML file.

    A period ends with the day on which the newest scene was published, or with --on: `month` is
    the month up to that day. Warnings count by the day on which they were issued.

    Example: `curupira report --period month -o reports/june.html -w tapajos`
    """
    from curupira.cog import write_atomic
    from curupira.config import Workspace
    from curupira.pipelines.publish import Period, publish

    if period not in set(Period):
        raise ConfigError(
            f"no period {period!r}", where="--period", remedy=f"choose one of {', '.join(Period)}"
        )
    if output.is_dir():
        raise ConfigError("this is a folder", where=output, remedy="name an .html file")
    last = parse_date(on, "--on")
    opened = Workspace.open(workspace)
    with progress() as show:
        text = publish(opened, period=Period(period), on=last, now=datetime.now(UTC), report=show)
    write_atomic(output, text.encode("utf-8"))
    say(f"wrote {output}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)
