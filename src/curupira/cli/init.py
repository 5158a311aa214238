"""``curupira init`` and ``curupira simulate``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from curupira import presets
from curupira.cli.common import LogJsonOption, QuietOption, VerboseOption, progress, say

Radiometry = Literal["gamma0", "sigma0"]
PresetOption = Annotated[
    str,
    typer.Option(
        "--preset", metavar="NAME", help="Algorithm preset; deter_r is the published method."
    ),
]


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new workspace.")],
    area: Annotated[
        Path, typer.Option("--area", metavar="FILE", help="Vector file with the area's polygons.")
    ],
    source: Annotated[
        str,
        typer.Option(
            "--source",
            metavar="PROFILE",
            help="Image source: pc-rtc, opera-rtc, static, ... "
            "Without it pc-rtc, or static where --catalogue is given.",
        ),
    ] = "",
    catalogue: Annotated[
        str,
        typer.Option(
            "--catalogue", metavar="HREF", help="STAC catalogue, relative to DIR or absolute."
        ),
    ] = "",
    preset: PresetOption = presets.DEFAULT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Make a workspace for an area.

    Example: `curupira init tapajos --area tapajos.gpkg --catalogue ../images/catalog.json`
    """
    from curupira.pipelines.workspace import create, lacks_catalogue

    profile = source or ("static" if catalogue else "pc-rtc")
    settings = {"profile": profile} | ({"catalogue": catalogue} if catalogue else {})
    workspace = create(
        folder,
        area_file=area,
        today=datetime.now(UTC).date(),
        preset=preset,
        source=settings,
    )
    grid = workspace.grid
    say(
        f"workspace {folder}: {grid.shape.x} x {grid.shape.y} pixels of "
        f"{grid.resolution.x:g} m in {grid.crs}"
    )
    if lacks_catalogue(workspace):
        say(
            f"there is no catalogue {workspace.monitor.source.catalogue} in {folder} yet: "
            "`curupira source index` or `curupira grd` make one"
        )
    say(
        f"next: look through {folder / 'monitor.toml'}, then `curupira source check -w {folder}` "
        f"and `curupira run -w {folder}`"
    )


def simulate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new workspace.")],
    size_km: Annotated[
        float, typer.Option("--size-km", min=2, max=200, help="Side of the district, km.")
    ] = 10.0,
    years: Annotated[float, typer.Option("--years", min=1, max=20, help="Years of images.")] = 4.0,
    revisit_days: Annotated[
        int, typer.Option("--revisit-days", min=1, max=60, help="Days between acquisitions.")
    ] = 12,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed; the same gives the same.")] = 1,
    scenario: Annotated[
        str,
        typer.Option(
            "--scenario",
            metavar="NAME",
            help="World: default, clean, rain, wet, hilly, late, border, shifted, dual.",
        ),
    ] = "default",
    preset: PresetOption = presets.DEFAULT,
    radiometry: Annotated[
        Radiometry, typer.Option("--radiometry", help="What the images hold.")
    ] = "gamma0",
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Make a workspace with simulated images, masks and the truth (`DIR/truth.gpkg`).

    Example: `curupira simulate district --size-km 10 --years 4 --seed 7`
    """
    from curupira.pipelines.workspace import simulate as run_simulation

    with progress() as report:
        workspace = run_simulation(
            folder,
            size_km=size_km,
            years=years,
            revisit_days=revisit_days,
            seed=seed,
            scenario=scenario,
            preset=preset,
            radiometry=radiometry,
            report=report,
        )
    say(f"simulated district in {folder}; next: `curupira run -w {folder}`")
    say(
        f"monitored since {workspace.monitor.algorithm.monitor_since}; afterwards "
        f"`curupira accuracy -w {folder} --truth {folder / 'truth.gpkg'}`"
    )


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(simulate)
