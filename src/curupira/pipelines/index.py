"""Make a catalogue of a folder of GeoTIFFs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from curupira.codes import OrbitState
from curupira.errors import ConfigError, InputError
from curupira.sources.index import build_index


def index_folder(
    folder: Path,
    *,
    now: datetime,
    relative_orbit: int | None = None,
    orbit_state: str | None = None,
    platform: str | None = None,
    radiometry: str = "gamma0",
    scale: str = "linear",
) -> tuple[Path, list[tuple[str, str]]]:
    """Index a folder; return the catalogue and what was left out, with reasons.

    Raises
    ------
    ConfigError
        If the folder does not exist or the orbit state is unknown.
    InputError
        If no file can be used.
    """
    if orbit_state is not None and orbit_state not in list(OrbitState):
        raise ConfigError(
            f"unknown orbit state {orbit_state!r}",
            where="--orbit-state",
            remedy="write ascending or descending",
        )
    left_out: list[tuple[str, str]] = []

    def on_bad(name: str, error: InputError) -> None:
        left_out.append((name, str(error)))

    path = build_index(
        folder,
        now=now,
        platform=platform,
        relative_orbit=relative_orbit,
        orbit_state=None if orbit_state is None else OrbitState(orbit_state),
        radiometry=radiometry,
        scale=scale,
        on_bad=on_bad,
    )
    return path, left_out
