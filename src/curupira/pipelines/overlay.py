"""Where a warning lies: municipality, territories, further layers; and its rank of the day."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import geopandas as gpd
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.config import Workspace
from curupira.errors import InputError
from curupira.grid import SIRGAS_2000
from curupira.sources.vector import read_vector
from curupira.store.tables import WarningRow

#: A warning inside a protected area or an indigenous territory counts this much more.
PROTECTED_WEIGHT = 1.5
#: Columns of a warning that tell of a layer's places; other layers are keys of ``overlays``.
OF_LAYER = {
    "municipalities": ("uf", "municipality", "geocode"),
    "protected_areas": ("protected_area",),
    "indigenous_territories": ("indigenous_territory",),
}


@dataclass(frozen=True)
class Layer:
    """A vector layer in EPSG:4674 with a spatial index."""

    name: str
    frame: gpd.GeoDataFrame

    @cached_property
    def tree(self) -> shapely.STRtree:
        """Spatial index of the layer's geometries."""
        return shapely.STRtree(self.frame.geometry.to_numpy())

    def largest(self, geometry: BaseGeometry) -> dict[str, Any] | None:
        """Attributes of the polygon that covers most of a geometry; None where none touches."""
        hits = sorted(int(i) for i in self.tree.query(geometry, predicate="intersects"))
        if not hits:
            return None
        areas = [self.frame.geometry.iloc[i].intersection(geometry).area for i in hits]
        best = hits[max(range(len(hits)), key=areas.__getitem__)]
        return dict(self.frame.drop(columns="geometry").iloc[best])

    def describe(self, geometry: BaseGeometry) -> str | float | None:
        """Name of the polygon that covers most, or metres to the nearest point or line."""
        if set(self.frame.geom_type) <= {"Polygon", "MultiPolygon"}:
            found = self.largest(geometry)
            return None if found is None else str(found.get("name", self.name))
        nearest = self.frame.geometry.iloc[int(self.tree.nearest(geometry))]
        return round(_metres(geometry, nearest), 0)


class Overlays:
    """The layers that ``[area]`` names, read once."""

    def __init__(self, workspace: Workspace) -> None:
        area = workspace.monitor.area
        self.municipalities = _layer(workspace, "municipalities", area.municipalities)
        self.protected = _layer(workspace, "protected_areas", area.protected_areas)
        self.indigenous = _layer(workspace, "indigenous_territories", area.indigenous_territories)
        self.further = [
            layer
            for name, path in area.overlays.items()
            if (layer := _layer(workspace, name, path)) is not None
        ]

    def fill(self, row: WarningRow) -> None:
        """Set the overlay fields of a warning."""
        if self.municipalities is not None:
            found = self.municipalities.largest(row.geom) or {}
            row.uf = _text(found.get("uf"))
            row.municipality = _text(found.get("municipality"))
            row.geocode = _text(found.get("geocode"))
        if self.protected is not None:
            row.protected_area = _name(self.protected.largest(row.geom))
        if self.indigenous is not None:
            row.indigenous_territory = _name(self.indigenous.largest(row.geom))
        if self.further:
            row.overlays = {layer.name: layer.describe(row.geom) for layer in self.further}


def rank(rows: Iterable[WarningRow]) -> None:
    """Number the warnings of a day for field teams, the most urgent first.

    The score is confidence x log(1 + ha) x (1 + share of the area grown in 30 days, 1 for a new
    front) x 1.5 inside a protected area or indigenous territory x (1 + mining score).
    """
    ordered = sorted(rows, key=lambda r: (-score(r), r.geom.centroid.x, r.geom.centroid.y))
    for place, row in enumerate(ordered, start=1):
        row.priority = place


def score(row: WarningRow) -> float:
    """How urgent a warning is; comparable within a day only."""
    grown = (row.growth_30d_ha or 0.0) / row.area_ha
    new_front = len(row.history["area_ha"]) == 1
    protected = row.protected_area is not None or row.indigenous_territory is not None
    return (
        (row.confidence or 0.0)
        * math.log1p(row.area_ha)
        * (2.0 if new_front else 1.0 + min(grown, 1.0))
        * (PROTECTED_WEIGHT if protected else 1.0)
        * (1.0 + (row.mining_score or 0.0))
    )


def _layer(workspace: Workspace, name: str, path: str) -> Layer | None:
    if not path:
        return None
    frame = read_vector(workspace.path(path)).to_crs(SIRGAS_2000)
    if frame.empty:
        raise InputError("the layer is empty", where=path, remedy=f"mend [area] {name}")
    return Layer(name, frame.reset_index(drop=True))


def _metres(a: BaseGeometry, b: BaseGeometry) -> float:
    p, q = shapely.ops.nearest_points(a, b)
    mean_lat = math.radians((p.y + q.y) / 2)
    # An equirectangular step is exact enough for a distance that is rounded to metres.
    return math.hypot((p.x - q.x) * math.cos(mean_lat), p.y - q.y) * 111_320.0


def _name(found: dict[str, Any] | None) -> str | None:
    return None if found is None else _text(found.get("name"))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
