"""``curupira calibrate``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from curupira.cli.common import (
    LogJsonOption,
    QuietOption,
    VerboseOption,
    WorkspaceOption,
    progress,
    say,
)


def calibrate(
    workspace: WorkspaceOption = Path(),
    images: Annotated[
        int, typer.Option("--images", min=0, help="Images in a run of mean - minimum; 0 = all.")
    ] = 0,
    sample: Annotated[
        int, typer.Option("--sample", min=10, help="Forest pixels to measure, at most.")
    ] = 2000,
    far_m: Annotated[
        float, typer.Option("--far-m", min=0, help="Metres of forest from deforestation.")
    ] = 1000.0,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Numbers for programs.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Figure: FILE.png or FILE.html."),
    ] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Measure clutter, false rate and distance law on your own images; changes nothing.

    Example: `curupira calibrate -w tapajos --far-m 2000 -o calibration.html`
    """
    from curupira.cog import write_atomic
    from curupira.config import Workspace
    from curupira.pipelines import calibrate as pipeline

    if output is not None:
        pipeline.check_picture(output)
    options = pipeline.CalibrateOptions(images=images or None, sample=sample, far_m=far_m)
    with progress() as report:
        found = pipeline.calibrate(
            Workspace.open(workspace), options, now=datetime.now(UTC), report=report
        )
    for line in pipeline.in_words(found):
        say(line)
    if as_json is not None:
        write_atomic(as_json, json.dumps(found.document(), indent=2).encode())
    if output is not None:
        pipeline.write_picture(found, output)
        say(f"wrote {output}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(calibrate)
