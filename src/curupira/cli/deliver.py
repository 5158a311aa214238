"""``curupira deliver`` and ``curupira retract``."""

from __future__ import annotations

from collections.abc import Sequence
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
    say,
)
from curupira.errors import DeliveryError

if TYPE_CHECKING:
    from curupira.pipelines.delivery import Outcome


def deliver(
    workspace: WorkspaceOption = Path(),
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="NAME", help="Only this target; may be repeated."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, write and send nothing.")
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Package and send what the delivery rules select: each warning once, changes as updates.

    Stopped or cut off, it goes on where it was when called again; exit code 6 until all is there.

    Example: `curupira deliver --to ibama -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.pipelines import delivery

    options = delivery.Options(dry_run=dry_run)
    outcomes = delivery.deliver(Workspace.open(workspace), to or None, options)
    _tell(outcomes, dry_run=dry_run)


def retract(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="Run, as `status` shows it.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Reason, for the ledger.")],
    workspace: WorkspaceOption = Path(),
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Withdraw what a bad run issued; corrections go to every target that had got it.

    Example: `curupira retract 0b1c... --why "scene of 3 June was shifted by 40 m" -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.pipelines import retract as pipeline

    done = pipeline.retract(Workspace.open(workspace), run_id, why)
    withdrawn, left = counted(done.withdrawn, "warning"), counted(done.acquisitions, "acquisition")
    say(f"{withdrawn} withdrawn; {left} without an evaluation until `curupira run --force`")
    _tell(done.outcomes, dry_run=False)
    gone = sorted(set(done.told) - {outcome.target for outcome in done.outcomes})
    if gone:
        err.print(f"{', '.join(gone)} had got some, but stand no longer in monitor.toml")
        raise typer.Exit(DeliveryError.exit_code)


def _tell(outcomes: Sequence[Outcome], *, dry_run: bool) -> None:
    for outcome in outcomes:
        told = ", ".join(f"{n} {word}" for word, n in outcome.chosen.items()) or "nothing new"
        if dry_run:
            wait = "waits" if len(outcome.left) == 1 else "wait"
            waiting = f"; {counted(len(outcome.left), 'package')} {wait}" if outcome.left else ""
            say(f"{outcome.target}: would send {told}{waiting}")
            continue
        left = f", {len(outcome.left)} left" if outcome.left else ""
        say(f"{outcome.target}: {told}; {counted(len(outcome.sent), 'package')} sent{left}")
        if outcome.error is not None:
            err.print(f"{outcome.target}: {outcome.error}", markup=False)
    if any(outcome.error is not None or (outcome.left and not dry_run) for outcome in outcomes):
        raise typer.Exit(DeliveryError.exit_code)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(deliver)
    app.command()(retract)
