"""Curupira: near-real-time forest-disturbance and illegal-mining warnings from Sentinel-1."""

from importlib.metadata import version
from types import ModuleType

__version__ = version("curupira")

__all__ = ["__version__", "detect", "presets", "vectorise"]


def __getattr__(name: str) -> ModuleType:
    # Loaded on first use: `curupira --help` must not pay for numba and geopandas.
    if name in ("detect", "presets", "vectorise"):
        from importlib import import_module

        return import_module(f"curupira.{name}")
    raise AttributeError(f"module 'curupira' has no attribute {name!r}")
