"""``curupira compare``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curupira.cli.common import (
    LogJsonOption,
    QuietOption,
    VerboseOption,
    WorkspaceOption,
    parse_span,
    say,
)
from curupira.errors import ConfigError

if TYPE_CHECKING:
    from curupira.pipelines.compare import Options


def compare(
    reference: Annotated[
        Path, typer.Option("--reference", metavar="FILE", help="Alerts: polygons, or a raster.")
    ],
    workspace: WorkspaceOption = Path(),
    day: Annotated[
        str, typer.Option("--day", help="Our day: issued, confirmed or first_flag.")
    ] = "issued",
    since: Annotated[str | None, typer.Option("--since", metavar="DAY", help="First day.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="DAY", help="Last day.")] = None,
    window_days: Annotated[
        int, typer.Option("--window-days", min=0, help="Days that matches may lie apart.")
    ] = 365,
    date_field: Annotated[
        str, typer.Option("--date-field", metavar="NAME", help="Column with the alert's day.")
    ] = "",
    code: Annotated[
        str, typer.Option("--code", help="Raster's day code: auto, radd, gfw or yydoy.")
    ] = "auto",
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Numbers for programs.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.html", help="Page with tables.")
    ] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Compare our warnings with the alerts of another system: matched, alone, who was first.

    Example: `curupira compare --reference deter_amz.zip -w tapajos --json beside.json`
    """
    from curupira.cog import write_atomic
    from curupira.config import Workspace
    from curupira.pipelines import compare as pipeline

    options = _options(day, code, window_days, date_field, since, until)
    opened = Workspace.open(workspace)
    found = pipeline.measure(opened, reference, options)
    for line in pipeline.in_words(found):
        say(line)
    if as_json is not None:
        text = json.dumps(pipeline.document(found), indent=2, allow_nan=False)
        write_atomic(as_json, text.encode())
    if output is not None:
        write_atomic(output, pipeline.page(found, reference.name, opened).encode())
        say(f"wrote {output}")


def _options(
    day: str, code: str, window_days: int, date_field: str, since: str | None, until: str | None
) -> Options:
    from curupira.pipelines.compare import CODES, Options, OurDay

    if day not in set(OurDay):
        raise ConfigError(f"no day {day!r}", where="--day", remedy=f"one of {', '.join(OurDay)}")
    if code not in CODES:
        raise ConfigError(f"no code {code!r}", where="--code", remedy=f"one of {', '.join(CODES)}")
    first, last = parse_span(since, until)
    return Options(
        day=OurDay(day),
        since=first,
        until=last,
        window_days=window_days,
        date_field=date_field,
        code=CODES[code],
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compare)
