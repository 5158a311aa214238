"""Options that every command has, progress, and output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from curupira import logs
from curupira.errors import ConfigError
from curupira.progress import Report

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Verbosity:
    """Set by ``--quiet`` and ``--verbose``, read by ``progress`` and ``say``."""

    quiet = False


def _quiet(value: bool) -> bool:
    Verbosity.quiet = value
    if value:
        logs.configure(level="ERROR")
    return value


def _verbose(value: bool) -> bool:
    if value:
        logs.configure(level="INFO")
    return value


def _log_json(value: Path | None) -> Path | None:
    if value is not None:
        logs.add_json_file(value)
    return value


QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", callback=_quiet, help="Print errors only.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", callback=_verbose, help="Print every step.")
]
LogJsonOption = Annotated[
    Path | None,
    typer.Option("--log-json", metavar="FILE", callback=_log_json, help="Also log JSON lines."),
]
WorkspaceOption = Annotated[
    Path, typer.Option("--workspace", "-w", metavar="DIR", help="Workspace folder.")
]


def say(text: str) -> None:
    """Print a line of a command's summary."""
    if not Verbosity.quiet:
        out.print(text, markup=False)


def counted(number: int, word: str) -> str:
    """A number with its word: ``1 warning``, ``2 warnings``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def parse_date(text: str | None, option: str) -> date | None:
    """Read ``YYYY-MM-DD``, a UTC day.

    Raises
    ------
    ConfigError
        If the text is no date, or lies in the future.
    """
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no date", where=option, remedy="write YYYY-MM-DD (UTC)"
        ) from error
    today = datetime.now(UTC).date()
    if day > today:
        raise ConfigError(f"{day} lies in the future", where=option, remedy=f"today is {today} UTC")
    return day


def parse_span(since: str | None, until: str | None) -> tuple[date | None, date | None]:
    """Read ``--since`` and ``--until``; refused as by ``parse_date``, and in the wrong order."""
    first, last = parse_date(since, "--since"), parse_date(until, "--until")
    if first is not None and last is not None and first > last:
        raise ConfigError(f"{first} is after {last}", where="--since", remedy="exchange them")
    return first, last


@contextmanager
def progress() -> Iterator[Report]:
    """Yield ``report(done, total, text)``: a bar on a terminal, plain lines otherwise."""
    if Verbosity.quiet:
        yield lambda done, total, text: None
        return
    if not sys.stderr.isatty():
        last = {"percent": -10.0}

        def line(done: int, total: int, text: str) -> None:
            percent = 100 * done / max(total, 1)
            if percent - last["percent"] >= 10 or done == total or percent < last["percent"]:
                last["percent"] = percent
                err.print(f"{done}/{total} {text}", markup=False)

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, text: bar.update(
            task, completed=done, total=total, description=text
        )
