"""What a killed run leaves behind."""

from __future__ import annotations

from curupira.config import Workspace
from curupira.pipelines import backlog, frozen, masks
from curupira.pipelines.products import PART, PRODUCTS, RAW


def sweep(workspace: Workspace) -> None:
    """Remove half-written files; the caller holds the workspace's lock.

    In the workspace's own folder only those of the run: an export may be writing there.
    """
    folder = workspace.folder
    built = workspace.path(workspace.monitor.masks.output)
    halves = [
        *((folder / PRODUCTS, pattern) for pattern in (f"*{RAW}", f"*{PART}", ".*.part")),
        *((built, f".{name}.*.part") for name in (masks.ZONES, masks.DISTANCE, masks.RECORD)),
        (folder / frozen.FOLDER, "*.partial"),
        (folder, f".{backlog.FILE}.*.part"),
    ]
    for place, pattern in halves:
        for half in place.glob(pattern):
            half.unlink(missing_ok=True)
