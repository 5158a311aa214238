"""All targets of a workspace, or some of them, brought up to date."""

from __future__ import annotations

from collections.abc import Sequence

from curupira.config import Workspace
from curupira.errors import ConfigError
from curupira.pipelines.delivery_candidates import CandidateTarget
from curupira.pipelines.delivery_target import Options, Outcome, Target
from curupira.store.session import Store

__all__ = ["Options", "Outcome", "deliver"]


def deliver(
    workspace: Workspace, targets: Sequence[str] | None = None, options: Options | None = None
) -> list[Outcome]:
    """Bring every target, or those named, up to date. One that fails does not stop the others.

    Raises
    ------
    ConfigError
        If there is no such target, or none at all.
    StoreError
        If the store cannot be read or written.
    """
    sections = workspace.monitor.delivery
    wanted = list(sections) if targets is None else list(targets)
    unknown = [name for name in wanted if name not in sections]
    if unknown or not sections:
        raise ConfigError(
            f"no target {unknown[0]!r}" if unknown else "there is no target",
            where="monitor.toml",
            remedy=f"known: {', '.join(sections)}"
            if sections
            else "write a section [delivery.NAME], see docs/operations.md",
        )
    kinds = {"warnings": Target, "candidates": CandidateTarget}
    with Store.open(workspace.monitor.store.url, base=workspace.folder, create=True) as store:
        return [
            kinds[sections[name].contents](workspace, store, name, options or Options()).deliver()
            for name in wanted
        ]
