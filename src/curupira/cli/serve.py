"""``curupira serve`` and ``curupira user``."""

from __future__ import annotations

import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from curupira.cli.common import (
    LogJsonOption,
    QuietOption,
    VerboseOption,
    WorkspaceOption,
    say,
)
from curupira.errors import ConfigError

#: Takes the password where nobody can be asked.
PASSWORD_VARIABLE = "CURUPIRA_PASSWORD"  # noqa: S105 (a name, no secret)


def serve(
    workspace: WorkspaceOption = Path(),
    host: Annotated[str | None, typer.Option("--host", metavar="H", help="Address.")] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="P", help="Port.")] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Start the web application: map, validation, dashboards, OGC API - Features.

    Example: `curupira serve -w tapajos --port 8080`
    """
    try:
        import uvicorn

        from curupira.serve.app import create_app
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed",
            where="curupira serve",
            remedy='run: pip install "curupira[serve]"',
        ) from error
    from curupira.config import Workspace

    opened = Workspace.open(workspace)
    params = opened.monitor.serve
    address, number = host or params.host, params.port if port is None else port
    if not 1 <= number <= 65535:
        raise ConfigError(f"no port {number}", where="--port", remedy="give 1 to 65535")
    _check_free(address, number)
    app = create_app(opened)
    say(f"serving {opened.folder} at http://{address}:{number} (stop with Ctrl-C)")
    uvicorn.run(
        app, host=address, port=number, log_level="warning", access_log=False, server_header=False
    )


def _check_free(address: str, port: int) -> None:
    """Refuse an address that cannot be listened on, before anything is opened."""
    try:
        # A name may mean several addresses (localhost: ::1 and 127.0.0.1); all are listened on.
        for family, _, _, _, place in socket.getaddrinfo(address, port, type=socket.SOCK_STREAM):
            socket.create_server(place, family=family).close()
    except (OSError, UnicodeError) as error:  # UnicodeError: no name of a host.
        raise ConfigError(
            f"cannot listen there ({getattr(error, 'strerror', None) or error})",
            where=f"{address}:{port}",
            remedy="choose another --host or --port, or stop what uses it",
        ) from error


group = typer.Typer(help="Accounts of the web application.", no_args_is_help=True)


@group.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name to log in with.")],
    workspace: WorkspaceOption = Path(),
    role: Annotated[
        str, typer.Option("--role", metavar="R", help="viewer, interpreter or operator.")
    ] = "viewer",
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Add an account. The password is asked for, or read from CURUPIRA_PASSWORD or a pipe.

    Example: `curupira user add ana --role interpreter -w tapajos`
    """
    from curupira.codes import Role
    from curupira.config import Workspace
    from curupira.serve.sessions import hash_password
    from curupira.store import account as accounts
    from curupira.store.session import Store

    if role not in set(Role):
        raise ConfigError(f"no role {role!r}", where="--role", remedy=f"one of {', '.join(Role)}")
    if not 1 <= len(name) <= 160 or not name.isprintable() or name == "automatic":
        raise ConfigError(f"{name!r} is no name", where="NAME", remedy="1 to 160 characters")
    opened = Workspace.open(workspace)
    hashed = hash_password(_password())
    with (
        Store.open(opened.monitor.store.url, base=opened.folder, create=True) as store,
        store.transaction(durable=True) as session,
    ):
        accounts.add(
            session,
            name=name,
            role=Role(role),
            password_hash=hashed,
            created_at=datetime.now(UTC),
        )
    say(f"added {name} ({role})")


def _password() -> str:
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked


@group.command("list")
def listed(
    workspace: WorkspaceOption = Path(),
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """List the accounts.

    Example: `curupira user list -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.store import account as accounts
    from curupira.store.session import Store

    opened = Workspace.open(workspace)
    with (
        Store.open(opened.monitor.store.url, base=opened.folder, create=True) as store,
        store.reading() as session,
    ):
        for row in accounts.listed(session):
            say(f"{row.name}  {row.role.value}{'  disabled' if row.disabled else ''}")


@group.command()
def disable(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Account to lock out.")],
    workspace: WorkspaceOption = Path(),
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Lock an account out at once; its votes stay.

    Example: `curupira user disable ana -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.store import account as accounts
    from curupira.store.session import Store

    opened = Workspace.open(workspace)
    with (
        Store.open(opened.monitor.store.url, base=opened.folder, create=True) as store,
        store.transaction(durable=True) as session,
    ):
        accounts.disable(session, name)
    say(f"disabled {name}")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.add_typer(group, name="user")
