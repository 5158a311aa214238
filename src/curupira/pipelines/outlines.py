"""Outlines of the layers that ``[area]`` names, for maps."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import shapely

from curupira.config import Workspace
from curupira.grid import LONLAT
from curupira.sources.vector import read_vector

#: Columns of a layer that name its places.
NAMING = ("name", "uf", "municipality")
#: Outlines are simplified to this, degrees: some 20 m.
_TOLERANCE = 0.0002


def layer_files(workspace: Workspace) -> dict[str, str]:
    """Layers by name, with the files that the monitor file gives them."""
    area = workspace.monitor.area
    named = {
        "area": area.file,
        "municipalities": area.municipalities,
        "protected_areas": area.protected_areas,
        "indigenous_territories": area.indigenous_territories,
    }
    return {name: path for name, path in (named | area.overlays).items() if path}


def outlines(workspace: Workspace, path: str, without: tuple[str, ...] = ()) -> bytes:
    """A layer as GeoJSON, lon/lat, with the names of its parts where it has them.

    ``without``: names of places that are left out.

    Raises
    ------
    ConfigError, InputError
        If the file is missing or no vector layer.
    """
    place = workspace.path(path)
    file = place.with_name(place.name.partition("|")[0])
    return _read(place, without, file.stat().st_mtime_ns if file.exists() else 0)


@lru_cache(maxsize=32)
def _read(place: Path, without: tuple[str, ...], _: int) -> bytes:
    frame = read_vector(place).to_crs(LONLAT)
    for column in set(NAMING) & set(frame.columns):
        frame = frame[~frame[column].isin(without)]
    names = list(frame["name"]) if "name" in frame.columns else [None] * len(frame)
    features = []
    for geometry, name in zip(frame.geometry, names, strict=True):
        if geometry is None or geometry.is_empty:
            continue
        simple = shapely.transform(geometry.simplify(_TOLERANCE), lambda xy: np.round(xy, 6))
        features.append(
            {
                "type": "Feature",
                "geometry": dict(shapely.geometry.mapping(simple)),
                "properties": {"name": None if name is None else str(name)},
            }
        )
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()
