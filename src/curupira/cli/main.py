"""Entry point: puts the commands together and turns errors into exit codes."""

from __future__ import annotations

import errno
import signal
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from typer.exceptions import TyperException

from curupira import __version__, logs
from curupira.cli import (
    accuracy,
    calibrate,
    compare,
    deliver,
    demo,
    export,
    grd,
    init,
    masks,
    mining,
    report,
    review,
    serve,
    source,
)
from curupira.cli import run as run_commands
from curupira.cli.common import err, out
from curupira.errors import ConfigError, CurupiraError

app = typer.Typer(
    name="curupira",
    help="Forest-disturbance and illegal-mining warnings from Sentinel-1.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for module in (
    demo,
    init,
    masks,
    calibrate,
    source,
    run_commands,
    accuracy,
    export,
    deliver,
    compare,
    report,
    review,
    serve,
    mining,
    grd,
):
    module.register(app)


def _version(value: bool) -> None:
    if value:
        out.print(f"curupira {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


#: Exit codes of shells for Ctrl-C and SIGTERM.
INTERRUPTED, TERMINATED = 130, 143


class _Terminated(BaseException):
    """SIGTERM arrived."""


def _on_sigterm(signum: int, frame: FrameType | None) -> None:
    raise _Terminated


def run() -> None:
    """Run the command line and exit with the contract's codes (product.md 2)."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    logs.configure()
    sys.exit(_guarded())


def _guarded() -> int:
    try:
        code = int(app(standalone_mode=False) or 0)
        # Typer turns Ctrl-C into an exit code without a word.
        return _stopped(code) if code == INTERRUPTED else code
    except CurupiraError as error:
        logs.get("curupira.cli").debug("failed", exc_info=error)
        err.print(f"error: {error}", markup=False)
        return error.exit_code
    except typer.Exit as stop:
        return stop.exit_code
    except TyperException as error:
        show = getattr(error, "show", None)
        if show is not None:
            show()
        else:
            err.print(f"error: {error}", markup=False)
        return getattr(error, "exit_code", 2)
    except (KeyboardInterrupt, typer.Abort, _Terminated) as stop:
        return _stopped(TERMINATED if isinstance(stop, _Terminated) else INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last resort: a log file instead of a traceback
        return _unforeseen(error)


def _unforeseen(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        # A path of the user's: even the question whether it exists is refused.
        message = f"error: {error.filename}: the name is too long. give a shorter one"
        err.print(message, markup=False)
        return ConfigError.exit_code
    path = _crash_log()
    err.print(
        f"error: unforeseen {type(error).__name__}: {error}. The details are in {path}; "
        "please send it to the developers.",
        markup=False,
    )
    return 1


def _stopped(code: int) -> int:
    word = "stopped" if code == INTERRUPTED else "terminated"
    err.print(f"{word}; what was finished is kept")
    return code


def _crash_log() -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = Path(tempfile.gettempdir()) / f"curupira-{stamp}.log"
    path.write_text(f"{' '.join(sys.argv)}\n{traceback.format_exc()}", encoding="utf-8")
    return path
