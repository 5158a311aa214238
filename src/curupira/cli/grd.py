"""``curupira grd``."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curupira.cli.common import LogJsonOption, QuietOption, VerboseOption, progress, say
from curupira.errors import ConfigError

if TYPE_CHECKING:
    from curupira.pipelines.grd import GrdResult
    from curupira.pipelines.grd_run import GrdParams


ProductArgument = Annotated[
    str, typer.Argument(metavar="PRODUCT", help="SAFE folder or zip; also https:// or s3://.")
]
DemOption = Annotated[
    str, typer.Option("--dem", metavar="DEM", help="Height model: a raster or a folder.")
]
OutputOption = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="Gets COGs and a catalogue.")
]
OrbitOption = Annotated[
    Path | None, typer.Option("--orbit", metavar="EOF", help="This orbit file.")
]
OrbitFolderOption = Annotated[
    Path | None,
    typer.Option("--orbit-folder", metavar="DIR", help="Folder of orbit files to choose from."),
]
OrbitUrlOption = Annotated[
    str | None,
    typer.Option("--orbit-url", metavar="URL", help="Listing to fetch orbit files from."),
]
RadiometryOption = Annotated[
    str,
    typer.Option(
        "--radiometry", help="sigma0, gamma0 (by LIA), gamma0_rtc, gamma0_volume or gamma0_surface."
    ),
]
FilterOption = Annotated[str, typer.Option("--filter", help="none, lee3, or lee3db.")]
KeepNoiseOption = Annotated[
    bool, typer.Option("--keep-noise", help="Do not take thermal noise off.")
]
ResolutionOption = Annotated[float, typer.Option("--resolution", help="Pixel, metres.")]
CrsOption = Annotated[
    str, typer.Option("--crs", help="System of the grid; default: UTM of the scene.")
]
WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", metavar="DIR", help="Use this workspace's grid instead."),
]
PolarisationOption = Annotated[
    list[str] | None, typer.Option("--polarisation", help="VV, VH...; repeat. Default: all.")
]
GeoidOption = Annotated[
    str, typer.Option("--geoid", help="Of the DEM's heights: auto, egm96, none, or a raster.")
]
DemGapsOption = Annotated[
    str, typer.Option("--dem-gaps", help="fill (sea level, flagged in the mask) or refuse.")
]
ThreadsOption = Annotated[int, typer.Option("--threads", min=0, help="0: one a core.")]
CompareOption = Annotated[
    Path | None,
    typer.Option("--compare", metavar="RTC", help="A provider's backscatter of the scene."),
]
ComparePolarisationOption = Annotated[
    str | None, typer.Option("--compare-polarisation", help="Of RTC, if its name does not tell.")
]


def grd(
    product: ProductArgument,
    dem: DemOption,
    output: OutputOption,
    orbit: OrbitOption = None,
    orbit_folder: OrbitFolderOption = None,
    orbit_url: OrbitUrlOption = None,
    radiometry: RadiometryOption = "gamma0_rtc",
    speckle: FilterOption = "none",
    keep_noise: KeepNoiseOption = False,
    resolution: ResolutionOption = 20.0,
    crs: CrsOption = "",
    workspace: WorkspaceOption = None,
    polarisation: PolarisationOption = None,
    geoid: GeoidOption = "auto",
    dem_gaps: DemGapsOption = "fill",
    threads: ThreadsOption = 0,
    compare: CompareOption = None,
    compare_polarisation: ComparePolarisationOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Sentinel-1 GRD to geocoded backscatter: COGs, masks, and a catalogue for `curupira run`.

    Example: `curupira grd S1A_IW_GRDH_...zip --dem srtm -o images`
    """
    from curupira.config import Workspace
    from curupira.pipelines.grd import GrdInput, process_grd
    from curupira.pipelines.grd_compare import check_reference
    from curupira.pipelines.grd_remote import with_keys

    # Where orbit files are fetched, the folder is made.
    kept = orbit_folder if orbit_url is None else None
    _must_exist(product, dem=dem, orbit=orbit, orbit_folder=kept, geoid=geoid, compare=compare)
    params = _params(
        radiometry=radiometry,
        speckle=speckle,
        resolution_m=resolution,
        crs=crs,
        polarisations=tuple(name.upper() for name in polarisation or ()),
        geoid=geoid,
        on_gap=dem_gaps,
        denoise=not keep_noise,
    )
    if compare is not None:
        check_reference(compare)
    grid = None if workspace is None else Workspace.open(workspace).grid
    source = with_keys(GrdInput(product, orbit, orbit_folder, orbit_url), os.environ)
    now = datetime.now(UTC)
    with progress() as report:
        result = process_grd(
            source, dem, output, params, now=now, grid=grid, threads=threads, report=report
        )
    say(f"{result.folder} (orbit: {result.orbit_source}; {sum(result.seconds.values()):.0f} s)")
    say(f"item {result.item}")
    if compare is not None:
        _compare(result, compare, compare_polarisation)


def _compare(result: GrdResult, reference: Path, polarisation: str | None) -> None:
    from curupira.pipelines.grd_compare import compare, in_words

    say(in_words(compare(result, reference, polarisation)))


#: Words that ``--geoid`` takes; anything else is a raster.
_GEOIDS = ("auto", "egm96", "none")
#: Which option sets a parameter of another name.
_OPTIONS = {
    "speckle": "--filter",
    "resolution_m": "--resolution",
    "on_gap": "--dem-gaps",
    "polarisations": "--polarisation",
}


def _must_exist(product: str, **options: str | Path | None) -> None:
    """Refuse a product, and files and folders of options, that are not there."""
    from curupira.stac import is_remote

    if not is_remote(product) and not Path(product).exists():
        raise ConfigError("there is no such product", where=product, remedy="check the path")
    for name, place in options.items():
        # What has a colon or begins so is opened by GDAL, from wherever it may be.
        text = "" if name == "geoid" and place in _GEOIDS else str(place or "")
        if text and ":" not in text and not text.startswith("/vsi") and not Path(text).exists():
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{text} does not exist", where=option, remedy="check the path")


def _params(**values: object) -> GrdParams:
    from pydantic import ValidationError

    from curupira.pipelines.grd_run import GrdParams

    try:
        return GrdParams.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise ConfigError(
            f"{first['input']!r}: {first['msg']}",
            where=_OPTIONS.get(name, f"--{name}"),
            remedy="see `curupira grd --help`",
        ) from error


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(grd)
