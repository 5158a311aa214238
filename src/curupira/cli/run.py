"""``curupira run``, ``status``, ``runs``, ``replay`` and ``db``."""

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
    counted,
    err,
    out,
    parse_date,
    parse_span,
    progress,
    say,
)
from curupira.errors import ConfigError, InputError, StoreError

if TYPE_CHECKING:
    import datetime

    from curupira.config import Workspace
    from curupira.pipelines import daily


def run(
    workspace: WorkspaceOption = Path(),
    date: Annotated[
        str | None, typer.Option("--date", metavar="DAY", help="Acquisitions of one UTC day.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="First UTC acquisition day.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Last UTC acquisition day.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="S", help="local:N or tcp://host:8786, for this run."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what is pending and change nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Try quarantined scenes again, and evaluate anew.")
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Take new images, detect, and bring the warnings up to date.

    Without dates, everything pending is played as if run nightly.

    Example: `curupira run -w tapajos --since 2024-06-01`
    """
    from curupira.config import Workspace
    from curupira.pipelines import daily

    first, last = _days(date, since, until)
    options = daily.RunOptions(
        since=first, until=last, scheduler=scheduler, dry_run=dry_run, force=force
    )
    opened = Workspace.open(workspace)
    try:
        with progress() as report:
            summary = daily.run(opened, options, report=report)
    finally:
        if not dry_run:
            _alarm(opened)
    if dry_run:
        for scene in summary.pending:
            say(f"  {scene.scene_id}  {scene.acquired:%Y-%m-%d %H:%M} UTC")
        say(f"{counted(len(summary.pending), 'scene')} pending; nothing was changed")
        return
    _say_outcome(opened, summary)
    raise typer.Exit(summary.exit_code)


def _days(
    date: str | None, since: str | None, until: str | None
) -> tuple[datetime.date | None, datetime.date | None]:
    """First and last day asked for."""
    if date is not None and (since is not None or until is not None):
        raise ConfigError(
            "--date excludes --since and --until",
            where="curupira run",
            remedy="give one or the other",
        )
    if date is not None:
        day = parse_date(date, "--date")
        return day, day
    return parse_span(since, until)


def _say_outcome(opened: Workspace, summary: daily.RunSummary) -> None:
    from curupira.pipelines.status import collect

    counts = summary.counts
    if counts["restored"]:
        scenes = counted(counts["restored"], "scene")
        say(f"{scenes} that the cube had lost, read again")
    say(
        f"run {summary.run_id}: {counted(counts['scenes'], 'scene')} in, "
        f"{counted(counts['evaluated'], 'acquisition')} evaluated, {counts['reused']} unchanged"
    )
    say(
        f"warnings: {counts['issued']} new, {counts['confirmed']} confirmed, "
        f"{counts['expired']} expired, {counts['withdrawn']} withdrawn"
    )
    if not counts["evaluated"] + counts["reused"]:
        notice = collect(opened)["notice"]
        if notice:
            say(notice)
    for scene_id, reason in summary.quarantined:
        err.print(f"quarantined {scene_id}: {reason}", markup=False)
    for acquisition_id, error in summary.refused.items():
        err.print(f"error: not evaluated: {acquisition_id}: {error}", markup=False)


def _alarm(opened: Workspace) -> None:
    """Tell that nothing new came, whether or not the run went well."""
    from curupira.pipelines import daily, watch

    try:
        message = watch.alarm(opened, daily.utc_now())
    except StoreError as error:
        # The run has failed of the same, and says so.
        message = f"the store cannot be read: {error}"
    if message is not None:
        err.print(f"alarm: {message}", markup=False)


def status(
    workspace: WorkspaceOption = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    as_metrics: Annotated[
        bool, typer.Option("--metrics", help="Text for Prometheus (node_exporter's textfile).")
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Tell how fresh the workspace is: images, gaps, runs, quarantined scenes, warnings.

    Example: `curupira status -w tapajos --json`
    """
    from curupira.config import Workspace
    from curupira.pipelines.status import collect, in_words
    from curupira.pipelines.watch import metrics

    found = collect(Workspace.open(workspace))
    if as_metrics:
        typer.echo(metrics(found), nl=False)
    elif as_json:
        out.print_json(json.dumps(found, default=str))
    else:
        for line in in_words(found):
            say(line)


def runs(
    workspace: WorkspaceOption = Path(),
    last: Annotated[
        int, typer.Option("--last", "-n", min=1, metavar="N", help="So many, newest first.")
    ] = 20,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """List past runs: what `replay` and `retract` ask for.

    Example: `curupira runs -n 5 -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.store import run as ledger
    from curupira.store.session import Store

    opened = Workspace.open(workspace)
    with (
        Store.open(opened.monitor.store.url, base=opened.folder, create=False) as store,
        store.reading() as session,
    ):
        rows = ledger.history(session, limit=last)
        if not rows:
            say("no run yet: start `curupira run`")
        for row in rows:
            counts = row.counts or {}
            told = ", ".join(f"{n} {word}" for word, n in sorted(counts.items()) if n)
            note = f": {row.message}" if row.message else ""
            say(f"{row.run_id}  {row.started_at:%Y-%m-%d %H:%M} UTC  {row.state}  {told}{note}")


def replay(
    run_id: Annotated[
        str | None,
        typer.Argument(metavar="[RUN_ID]", help="From `runs`; without it, the last to evaluate."),
    ] = None,
    workspace: WorkspaceOption = Path(),
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Detect again what a past run evaluated, and compare with its polygons; changes nothing.

    Example: `curupira replay -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.pipelines import replay as pipeline

    opened = Workspace.open(workspace)
    with progress() as report:
        done = pipeline.replay(opened, run_id, report=report)
    polygons = counted(sum(one.polygons for one in done.found), "polygon")
    images = counted(len(done.found), "acquisition")
    say(f"run {done.run_id}: {images}, {polygons} detected again")
    if done.expired:
        say("its snapshot of the cube has expired: the newest state was read")
    for one in done.found:
        if not one.same:
            why = "" if one.same_inputs else "; its inputs are not those of the run"
            err.print(
                f"{one.acquisition_id}: {one.missing} of {one.polygons} polygons not found again, "
                f"{one.new} found that were not there{why}",
                markup=False,
            )
    if not done.same:
        raise typer.Exit(InputError.exit_code)
    say("all the same")


group = typer.Typer(help="The warning database.", no_args_is_help=True)


@group.command()
def upgrade(
    workspace: WorkspaceOption = Path(),
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Bring the database to this program's schema.

    Example: `curupira db upgrade -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.store.session import Store

    opened = Workspace.open(workspace)
    before, after = Store.upgrade(opened.monitor.store.url, base=opened.folder)
    say(f"schema {before} -> {after}" if before != after else f"schema {after}, nothing to do")


@group.command()
def snapshot(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="GeoPackage to write.")],
    workspace: WorkspaceOption = Path(),
    whole: Annotated[
        bool,
        typer.Option("--whole", help="A back-up: with accounts, votes, names, sensitive places."),
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Write a consistent copy of the embedded database, for hand-out or (--whole) as a back-up.

    Example: `curupira db snapshot warnings_20240601.gpkg -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.pipelines.handout import withheld
    from curupira.store.session import Store

    opened = Workspace.open(workspace)
    without = None if whole else withheld(opened)
    with Store.open(opened.monitor.store.url, base=opened.folder, create=False) as store:
        say(f"wrote {store.snapshot(target, without)}")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(run)
    app.command()(status)
    app.command()(runs)
    app.command()(replay)
    app.add_typer(group, name="db")
