"""``curupira source``: the images' side."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from curupira.cli.common import (
    LogJsonOption,
    QuietOption,
    VerboseOption,
    WorkspaceOption,
    err,
    say,
)

group = typer.Typer(help="Image sources.", no_args_is_help=True)


@group.command()
def index(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of GeoTIFFs.")],
    relative_orbit: Annotated[
        int | None, typer.Option(min=1, max=175, help="For files that do not name it.")
    ] = None,
    orbit_state: Annotated[
        str | None, typer.Option(help="ascending or descending, for files that do not name it.")
    ] = None,
    platform: Annotated[
        str | None, typer.Option(help="Such as S1A, for files that do not name it.")
    ] = None,
    radiometry: Annotated[
        Literal["gamma0", "sigma0"],
        typer.Option(help="What the images hold, for the catalogue to say; [source] decides."),
    ] = "gamma0",
    scale: Annotated[
        Literal["linear", "db"],
        typer.Option(help="Linear power or decibel, for the catalogue to say; [source] decides."),
    ] = "linear",
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Make a static STAC catalogue of a folder of GeoTIFFs.

    Example: `curupira source index images --relative-orbit 137 --orbit-state ascending`
    """
    from curupira.pipelines.index import index_folder

    path, left_out = index_folder(
        folder,
        now=datetime.now(UTC),
        relative_orbit=relative_orbit,
        orbit_state=orbit_state,
        platform=platform,
        radiometry=radiometry,
        scale=scale,
    )
    for name, reason in left_out:
        err.print(f"left out {name}: {reason}", markup=False)
    say(f"catalogue {path}")


@group.command()
def check(
    workspace: WorkspaceOption = Path(),
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Try the configured source: what it offers, and what a start would cost.

    Nothing is kept. What does not work is explained with its remedy.

    Example: `curupira source check -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.pipelines.source_check import check_source, in_words

    report = check_source(Workspace.open(workspace), datetime.now(UTC))
    for line in in_words(report):
        if line.startswith("does not work"):
            err.print(line, markup=False)
        else:
            say(line)
    raise typer.Exit(report.exit_code)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="source")
