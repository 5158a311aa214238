"""Places that only people who are logged in see: ``[serve] sensitive_places``."""

from __future__ import annotations

from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from curupira.config import Workspace
from curupira.errors import ConfigError
from curupira.grid import SIRGAS_2000
from curupira.pipelines.outlines import NAMING, layer_files
from curupira.sources.vector import read_vector
from curupira.store import edit as edits
from curupira.store import search as searches
from curupira.store.search import Search


class SensitivePlaces:
    """What lies in the sensitive places of a workspace, by geometry and not by name.

    A warning that touches such a place with a corner, as it was found or as an operator drew it,
    belongs to it. Without sensitive places
    nothing does.

    Raises
    ------
    ConfigError, InputError
        If a place is in no layer of [area], or a layer cannot be read.
    """

    def __init__(self, workspace: Workspace) -> None:
        names = workspace.monitor.serve.sensitive_places
        self.area = _area(workspace, names) if names else shapely.MultiPolygon()
        shapely.prepare(self.area)
        self._seen: tuple[tuple[Any, ...], tuple[int, ...]] | None = None

    def __bool__(self) -> bool:
        return not self.area.is_empty

    def touch(self, geometry: BaseGeometry) -> bool:
        """Whether a geometry (EPSG:4674) meets a sensitive place."""
        return bool(self.area.intersects(geometry))

    def warnings(self, session: Session) -> tuple[int, ...]:
        """Row numbers of the warnings that touch a sensitive place."""
        if not self:
            return ()
        state = searches.version(session)
        if self._seen is None or self._seen[0] != state:
            near = searches.columns(session, Search(bbox=self.area.bounds), ("id", "geom"))
            found = {number for number, shape in near if self.touch(shape)}
            drawn = [key for key, shape in edits.current(session).items() if self.touch(shape)]
            found |= {row.id for row in searches.rows(session, drawn)}
            self._seen = state, tuple(sorted(found))
        return self._seen[1]


def _area(workspace: Workspace, names: tuple[str, ...]) -> BaseGeometry:
    found: list[BaseGeometry] = []
    missing = set(names)
    for layer, path in layer_files(workspace).items():
        if layer == "area":
            continue
        frame = read_vector(workspace.path(path)).to_crs(SIRGAS_2000)
        for column in NAMING:
            if column in frame.columns:
                hit = frame[frame[column].isin(names)]
                found += list(hit.geometry)
                missing -= set(hit[column])
    if missing:
        raise ConfigError(
            f"no layer of [area] has a place named {', '.join(sorted(missing))}",
            where="[serve] sensitive_places",
            remedy="write the names as the layers do, or name the layer under [area]",
        )
    return shapely.union_all(found)
