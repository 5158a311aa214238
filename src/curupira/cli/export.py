"""``curupira export``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from curupira.cli.common import (
    LogJsonOption,
    QuietOption,
    VerboseOption,
    WorkspaceOption,
    counted,
    parse_span,
    say,
)
from curupira.codes import Status
from curupira.errors import ConfigError

if TYPE_CHECKING:
    import geopandas as gpd

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


class BoxCommand(TyperCommand):
    """A command whose ``--bbox`` takes four numbers as one text or as four."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join four numbers after ``--bbox`` before the options are read."""
        return super().parse_args(ctx, join_box(args))


def join_box(args: list[str]) -> list[str]:
    """Write ``--bbox W S E N`` as ``--bbox W,S,E,N``; anything else stays as it is."""
    for n, word in enumerate(args):
        box = args[n + 1 : n + 5]
        if word == "--bbox" and len(box) == 4 and all(map(_NUMBER.fullmatch, box)):
            return [*args[: n + 1], ",".join(box), *args[n + 5 :]]
    return args


def parse_box(text: str | None) -> tuple[float, float, float, float] | None:
    """Read ``W,S,E,N``.

    Raises
    ------
    ConfigError
        If the text is no box in degrees.
    """
    from curupira.store.warning import check_bbox

    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no box",
            where="--bbox",
            remedy="write west,south,east,north in degrees, for example -52.1,-7.2,-51.9,-7.0",
        ) from error
    return check_bbox(numbers)


def parse_status(text: str | None) -> list[Status] | None:
    """Read one status, or several with commas between.

    Raises
    ------
    ConfigError
        If a word is no status.
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    unknown = [word for word in words if word not in set(Status)]
    if unknown:
        raise ConfigError(
            f"no status {unknown[0]!r}",
            where="--status",
            remedy=f"choose from {', '.join(Status)}",
        )
    return [Status(word) for word in words]


def export(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.")],
    workspace: WorkspaceOption = Path(),
    name: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="F",
            help="geojson, gpkg, parquet, shp, csv, kml, gpx, deter, deter_r or deter_rt; "
            "default: by the suffix.",
        ),
    ] = None,
    status: Annotated[
        str | None,
        typer.Option("--status", metavar="S", help="preliminary, confirmed, closed; default: all."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="Issued on this UTC day or later.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Issued on this UTC day at latest.")
    ] = None,
    bbox: Annotated[
        str | None,
        typer.Option("--bbox", metavar="W,S,E,N", help="Only what touches this box, degrees."),
    ] = None,
    candidates: Annotated[
        bool, typer.Option("--candidates", help="Mining candidates instead of warnings.")
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Write warnings, or mining candidates, to a file.

    Examples: `curupira export --status confirmed --since 2024-06-01 -o june.geojson -w tapajos`;
    `curupira export --candidates -o candidates.gpkg -w tapajos`
    """
    if candidates:
        _export_candidates(workspace, output, name, status, since, until, bbox)
        return
    from curupira import deliver

    chosen = deliver.format_of(output, name)
    table = _warnings(workspace, status, since, until, bbox)
    deliver.export(table, output, chosen)
    say(f"{counted(len(table), 'warning')} in {output}")


def _warnings(
    workspace: Path, status: str | None, since: str | None, until: str | None, bbox: str | None
) -> gpd.GeoDataFrame:
    from curupira.config import Workspace
    from curupira.deliver.frame import marked
    from curupira.store import Store
    from curupira.store import edit as edits
    from curupira.store import warning as warnings

    first, last = parse_span(since, until)
    wanted, box = parse_status(status), parse_box(bbox)
    opened = Workspace.open(workspace)
    with (
        Store.open(opened.monitor.store.url, base=opened.folder, create=True) as store,
        store.reading() as session,
    ):
        rows = warnings.query(session, status=wanted, since=first, until=last, bbox=box)
        table = warnings.to_geodataframe(edits.as_drawn(session, rows))
    return marked(table, simulated=opened.simulated)


def _export_candidates(workspace: Path, output: Path, *others: str | None) -> None:
    if any(option is not None for option in others):
        raise ConfigError(
            "candidates are exported whole, as GeoJSON or GeoPackage by the suffix",
            where="--candidates",
            remedy="leave the other options out",
        )
    from curupira.config import Workspace
    from curupira.pipelines.mine_candidates import write_candidates

    number = write_candidates(Workspace.open(workspace), output)
    say(f"{counted(number, 'candidate')} in {output}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=BoxCommand)(export)
