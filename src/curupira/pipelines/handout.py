"""The embedded database for others: without persons and without sensitive places."""

from __future__ import annotations

from curupira.config import Workspace
from curupira.pipelines.overlay import OF_LAYER
from curupira.pipelines.sensitive import SensitivePlaces
from curupira.store.snapshot import Withheld


def withheld(workspace: Workspace) -> Withheld:
    """What ``[serve] sensitive_places`` and ``sensitive_layers`` keep from others.

    Raises
    ------
    ConfigError, InputError
        As ``SensitivePlaces``.
    """
    layers = workspace.monitor.serve.sensitive_layers
    columns = tuple(name for layer in layers for name in OF_LAYER.get(layer, ()))
    return Withheld(SensitivePlaces(workspace).touch, columns, layers)
