"""``curupira masks build`` and ``curupira calibrate``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import typer

from curupira.cli.common import (
    LogJsonOption,
    QuietOption,
    VerboseOption,
    WorkspaceOption,
    say,
)

group = typer.Typer(help="Forest mask and deforestation history.", no_args_is_help=True)


@group.command()
def build(
    workspace: WorkspaceOption = Path(),
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Build the masks from the layers in [masks]; again when a layer was updated.

    Example: `curupira masks build -w tapajos`
    """
    from curupira.config import Workspace
    from curupira.pipelines import masks

    found = masks.rebuild(Workspace.open(workspace), datetime.now(UTC))
    for layer in found.record["layers"]:
        say(
            f"  {layer['kind']}: {layer['name']} ({layer['newest'] or 'undated'}, "
            f"{layer['pixels']} pixels, sha256 {layer['sha256'][:12]})"
        )
    km2 = found.record["km2"]
    say(f"area {km2['area']:.1f} km2: monitored {km2['monitored']:.1f}, masked {km2['masked']:.1f}")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="masks")
