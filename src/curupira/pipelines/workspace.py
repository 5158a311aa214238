"""Make workspaces: from a user's area, or simulated."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any, get_args

import shapely
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from curupira import presets
from curupira.cog import write_atomic
from curupira.config import FILE_NAME, AlarmParams, Monitor, StoreParams, Workspace, render
from curupira.errors import ConfigError
from curupira.grid import check_area, make_grid
from curupira.pipelines.simulate import Radiometry, simulate_workspace
from curupira.progress import Report, silent
from curupira.sources.profiles import Profile
from curupira.sources.vector import read_area, split_layer
from curupira.stac_read import is_remote

#: Keys of a monitor file that hold paths of what another workspace may share, or URLs.
PATHS = {
    "area": ("file", "municipalities", "protected_areas", "indigenous_territories", "overlays"),
    "source": ("catalogue", "dem", "orbit_folder", "downloads"),
    "masks": ("forest", "non_forest", "deforestation", "water"),
    "rain": ("folder",),
    "cube": ("path",),
    "serve": ("optical_alerts", "optical_stac"),
    "mining": ("model", "streams", "dem"),
}


def create(
    folder: Path,
    *,
    area_file: Path,
    today: date,
    preset: str = presets.DEFAULT,
    source: dict[str, Any] | None = None,
) -> Workspace:
    """Make a workspace for the polygons of a vector file.

    They are copied to ``area.geojson``, unless that is the file itself.

    Raises
    ------
    ConfigError
        If the folder is a workspace already or has another ``area.geojson``, the file is missing,
        preset or source are unknown, or the source's catalogue is not given relative to the folder.
    InputError
        If the file has no usable polygon.
    StoreError
        If the disk refuses.
    """
    refuse_existing(folder)
    presets.load(preset)
    _check_profile(source or {})
    _check_catalogue(folder, (source or {}).get("catalogue", ""))
    file, _ = split_layer(area_file)
    if not file.is_file():
        raise ConfigError("no such file", where=area_file, remedy="give --area a vector file")
    copy = folder / "area.geojson"
    own = copy.exists() and copy.samefile(file)
    if copy.exists() and not own:
        raise ConfigError(
            "there is another area file here already",
            where=copy,
            remedy="move it away, or give it as --area",
        )
    geometries = read_area(area_file)
    for geometry in geometries:
        check_area(geometry, where=area_file)
    area = check_area(shapely.union_all(geometries), where=area_file)
    make_grid(area, 20.0)
    monitor = Monitor.model_validate(
        {
            "area": {"name": area_file.stem, "file": "area.geojson"},
            "source": source or {},
            "algorithm": {"preset": preset, "monitor_since": today},
        }
    )
    if not own:
        write_area(copy, area)
    return write(folder, monitor)


def simulate(
    folder: Path,
    *,
    size_km: float,
    years: float,
    revisit_days: int,
    seed: int,
    scenario: str,
    preset: str,
    radiometry: Radiometry = "gamma0",
    report: Report = silent,
) -> Workspace:
    """Make a workspace with simulated images, masks and truth.

    Raises
    ------
    ConfigError
        If the folder is in use, or an option is out of range.
    """
    refuse_existing(folder)
    made = simulate_workspace(
        folder,
        size_km=size_km,
        years=years,
        revisit_days=revisit_days,
        seed=seed,
        scenario=scenario,
        preset=preset,
        radiometry=radiometry,
        progress=lambda done, total: report(done, total, "simulate images"),
    )
    images = {"catalogue": str(made.catalogue)}
    if radiometry == "sigma0":
        images |= {"radiometry": radiometry, "asset_lia": "lia"}
    monitor = Monitor.model_validate(
        {
            "area": {"name": f"simulated {scenario} {seed}", "file": str(made.area)},
            "grid": {"crs": made.crs},
            "source": images,
            "masks": {role: [str(path)] for role, path in made.masks.items()}
            | ({"deforestation_date_field": "date"} if "deforestation" in made.masks else {}),
            "algorithm": {"preset": preset, "monitor_since": made.monitor_since},
            # Simulated images lie where they should, and are as bright: nothing for a gate.
            "quality": {"gate": False},
        }
    )
    return write(folder, monitor)


def beside(opened: Workspace, folder: Path, preset: str) -> Workspace:
    """Make a workspace on the images, masks and cube of another one, with another preset.

    Warnings, products and reports are its own; it delivers nothing, and calls nobody. Both may be
    moved, but only together.
    """
    refuse_existing(folder)
    there = Path(os.path.relpath(opened.folder, folder))
    old = opened.monitor

    def moved(value: Any) -> Any:
        """The same place as seen from the new folder; empty means none, and stays."""
        if isinstance(value, dict):
            return {name: moved(text) for name, text in value.items()}
        if isinstance(value, tuple):
            return tuple(map(moved, value))
        return value if not value or "://" in value else str(there / value)

    changed: dict[str, Any] = {}
    for name, keys in PATHS.items():
        section = getattr(old, name)
        update = {key: moved(getattr(section, key)) for key in keys}
        changed[name] = section.model_copy(update=update)
    changed |= {
        "algorithm": old.algorithm.model_copy(update={"preset": preset}),
        # Another's database, targets or alarm would get the warnings of both.
        "store": StoreParams(),
        "delivery": {},
        "alarm": AlarmParams(),
    }
    return write(folder, old.model_copy(update=changed))


def _check_profile(source: dict[str, Any]) -> None:
    profile, known = source.get("profile", "static"), get_args(Profile)
    if profile not in known:
        raise ConfigError(
            f"no source {profile!r}", where="--source", remedy=f"use one of {', '.join(known)}"
        )


def lacks_catalogue(workspace: Workspace) -> bool:
    """Whether the images' catalogue is a file of this machine that is not there (yet)."""
    href = workspace.href(workspace.monitor.source.catalogue)
    return "://" not in href and not is_remote(href) and not Path(href).is_file()


def _check_catalogue(folder: Path, href: str) -> None:
    """Refuse a path that was given relative to the current folder instead of the workspace's."""
    if href and Path(href).is_file() and not (folder / href).is_file():
        raise ConfigError(
            "there is no such catalogue",
            where=f"--catalogue {href}",
            remedy=f"it is relative to {folder}: write {os.path.relpath(href, folder)}",
        )


def refuse_existing(folder: Path) -> None:
    """Raise ``ConfigError`` if the folder holds a workspace, or cannot be one."""
    if (folder / FILE_NAME).exists():
        raise ConfigError(
            "there is a workspace here already", where=folder, remedy="choose another folder"
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError("this is a file", where=folder, remedy="choose another folder")


def write(folder: Path, monitor: Monitor) -> Workspace:
    """Write the monitor file; the workspace exists from then on.

    Raises
    ------
    StoreError
        If the disk refuses.
    """
    write_atomic(folder / FILE_NAME, render(monitor).encode())
    return Workspace.open(folder)


def write_area(path: Path, area: BaseGeometry) -> None:
    """Write the area's polygons as GeoJSON.

    Raises
    ------
    StoreError
        If the disk refuses.
    """
    feature = {"type": "Feature", "properties": {}, "geometry": mapping(area)}
    document = {"type": "FeatureCollection", "features": [feature]}
    write_atomic(path, json.dumps(document).encode())
