"""``curupira review``: validation by files and on the command line."""

from __future__ import annotations

import csv
import io
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
    counted,
    err,
    out,
    parse_date,
    say,
)
from curupira.codes import Verdict
from curupira.errors import ConfigError, InputError

group = typer.Typer(help="Validation of warnings by people.", no_args_is_help=True)


@group.command()
def sample(
    workspace: WorkspaceOption = Path(),
    date: Annotated[
        str | None,
        typer.Option("--date", metavar="DAY", help="UTC day of issue; default: of the newest."),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="P", help="deter_r, deter_rt or stratified."),
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", metavar="N", help="Random ones; default: the plan's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Default: follows from the day.")
    ] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Draw the day's validation sample, and record how likely each warning was to be drawn.

    Example: `curupira review sample --date 2024-06-01 --plan stratified -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.pipelines import drawing
    from curupira.store import warning as warnings
    from curupira.store.session import Store
    from curupira.validate.sampling import AUTOMATIC, Plan

    if plan is not None and plan not in set(Plan):
        raise ConfigError(f"no plan {plan!r}", where="--plan", remedy=f"one of {', '.join(Plan)}")
    if seed is not None and not 0 <= seed < 2**31:
        raise ConfigError(f"seed {seed}", where="--seed", remedy="give 0 to 2147483647")
    opened = Workspace.open(workspace)
    day = parse_date(date, "--date")
    with Store.open(opened.monitor.store.url, base=opened.folder, create=True) as store:
        if day is None:
            with store.reading() as session:
                rows = warnings.query(session)
            day = rows[-1].issued_at.date() if rows else datetime.now(UTC).date()
        drawn = drawing.draw(
            opened,
            store,
            day,
            by="command line",
            now=datetime.now(UTC),
            plan=None if plan is None else Plan(plan),
            size=size,
            seed=seed,
        )
    automatic = sum(row.stratum == AUTOMATIC for row in drawn)
    say(
        f"{day}: {sum(row.drawn for row in drawn)} of {len(drawn)} warnings drawn, "
        f"{automatic} validated automatically"
    )


@group.command("import")
def take_in(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or GPX of verdicts.")],
    interpreter: Annotated[str, typer.Option("--interpreter", metavar="NAME", help="Who decided.")],
    workspace: WorkspaceOption = Path(),
    field: Annotated[
        bool, typer.Option("--field", help="Verdicts from the field: they outrank the others.")
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Take in verdicts: a row names warning_id (or lon, lat), verdict, and reason or comment.

    With --field also visited_on and method (visited, overflown); GPX is always from the field.
    Exit code 7 if a row is refused; the others are kept.

    Example: `curupira review import votes.csv --interpreter ana -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.pipelines import fieldwork
    from curupira.store.session import Store

    if not file.is_file():
        raise ConfigError("no such file", where=file, remedy="give a CSV or GPX file")
    opened = Workspace.open(workspace)
    with Store.open(opened.monitor.store.url, base=opened.folder, create=False) as store:
        seen = field or file.suffix.lower() == ".gpx"
        content, now = file.read_bytes(), datetime.now(UTC)
        try:
            found = fieldwork.take_in(store, content, file.name, interpreter, now, field=seen)
        except InputError as error:
            # It knows the content alone.
            raise InputError(error.what, where=file, remedy=error.remedy) from error
    for row in found.refused:
        err.print(f"row {row['row']}: {row['why']}", markup=False)
    say(f"{counted(found.accepted, 'verdict')} taken in, {len(found.refused)} refused")
    if found.refused:
        raise typer.Exit(InputError.exit_code)


@group.command("export")
def hand_out(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="CSV file to write.")
    ],
    workspace: WorkspaceOption = Path(),
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Write the whole vote log as CSV, one entry a row, with the draw of each warning.

    Example: `curupira review export -o votes.csv -w tapajos`
    """
    from curupira.cog import write_atomic
    from curupira.config import Workspace
    from curupira.pipelines import vote_log
    from curupira.store.session import Store

    if output.is_dir():
        raise ConfigError("this is a folder", where=output, remedy="name a .csv file")
    opened = Workspace.open(workspace)
    with (
        Store.open(opened.monitor.store.url, base=opened.folder, create=False) as store,
        store.reading() as session,
    ):
        rows = vote_log.entries(session)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=vote_log.LOG_COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(output, text.getvalue().encode("utf-8"))
    say(f"wrote {len(rows)} entries to {output}")


@group.command()
def table(
    workspace: WorkspaceOption = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Print the agreement table and the user's accuracy that the drawn sample gives.

    Example: `curupira review table -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.pipelines import assessed
    from curupira.store.session import Store

    opened = Workspace.open(workspace)
    with (
        Store.open(opened.monitor.store.url, base=opened.folder, create=False) as store,
        store.reading() as session,
    ):
        judged = [one.judged for one in assessed.assessed(session)]
        progress = assessed.progress_json(session)
    found = assessed.agreement_json(judged)
    found["accuracy"] = progress | assessed.accuracy_json(judged)
    if as_json:
        out.print_json(json.dumps(found))
        return
    for row in found["rows"]:
        name = row["verdict"] or f"all {row['category']}"
        kind = row["intensity_class"] or ""
        say(
            f"{row['category']:<11}{name:<22}{kind:<16}{row['n']:>7}"
            f"{100 * row['share_n']:>7.1f} %{row['area_ha']:>12.2f} ha"
            f"{100 * row['share_area']:>7.1f} %"
        )
    say(
        f"{progress['judged']} of {progress['drawn']} drawn warnings have a verdict, "
        f"{progress['assessed']} of them one that assesses"
    )
    if progress["silent"]:
        say(f"no such verdict yet in: {', '.join(progress['silent'])}")
    for name, estimate in found["accuracy"]["ua_area"].items():
        say(f"user's accuracy by area, {name}: {_words(estimate)}")


@group.command()
def candidate(
    candidate_id: Annotated[str, typer.Argument(metavar="ID", help="Of a mining candidate.")],
    verdict: Annotated[
        Verdict,
        typer.Option(
            metavar="V", help="A verdict of warnings; a mine that is new: recent_deforestation."
        ),
    ],
    interpreter: Annotated[str, typer.Option("--interpreter", metavar="NAME", help="Who decided.")],
    workspace: WorkspaceOption = Path(),
    comment: Annotated[str | None, typer.Option("--comment", help="Why.")] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Give a mining candidate a verdict; earlier ones are kept.

    Example: `curupira review candidate 0b6e... --verdict false_positive --interpreter ana
    --comment sandbar -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.pipelines.mine_candidates import judge_candidate

    judge_candidate(
        Workspace.open(workspace), candidate_id, verdict, interpreter, datetime.now(UTC), comment
    )
    say(f"{candidate_id}: {verdict}")


def _words(estimate: dict[str, float | int | None]) -> str:
    value, low, high = (estimate[k] for k in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "nothing to say yet"
    return f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f}; {estimate['n']} warnings)"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="review")
