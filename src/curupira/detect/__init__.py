"""Detection: from a stack of gamma0 images to warning layers. Pure."""

from typing import Any

# A function named as its module must be bound here and now: a later import of the module would
# put the module in its place. The module itself loads nothing heavy.
from curupira.detect.explain import explain
from curupira.detect.params import DetectParams

__all__ = ["DetectParams", "Layers", "StackBlock", "block_layers", "explain", "warning_layers"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: reading a configuration must not pay for numba and xarray.
    if name in __all__:
        from curupira.detect import layers

        return getattr(layers, name)
    raise AttributeError(f"module 'curupira.detect' has no attribute {name!r}")
