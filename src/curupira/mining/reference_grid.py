"""The reference grid: known mines cut into the squares that detections are judged by. Pure."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from odc.geo import CRS
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from curupira.errors import ConfigError, InputError
from curupira.grid import LONLAT, default_crs, project
from curupira.mining.params import GridParams

_POLYGONS = ("Polygon", "MultiPolygon")


def polygons_of(layer: gpd.GeoDataFrame, *, where: str) -> gpd.GeoDataFrame:
    """The layer's valid polygons: invalid ones mended, empty ones left out.

    Raises
    ------
    InputError
        If a geometry is no polygon.
    """
    frame = layer[~(layer.geometry.isna() | layer.geometry.is_empty)]
    strange = sorted(set(frame.geom_type) - {*_POLYGONS, "GeometryCollection"})
    if strange:
        raise InputError(
            f"a geometry is a {strange[0]}, not a polygon", where=where, remedy="give polygons"
        )
    return frame.set_geometry(_surface(shapely.make_valid(frame.geometry.to_numpy())))


def _surface(shapes: Any) -> Any:
    # Mending or cutting may leave lines and points beside the polygons.
    parts = [
        shapely.union_all([p for p in shapely.get_parts(s) if p.geom_type in _POLYGONS])
        if s.geom_type == "GeometryCollection"
        else s
        for s in shapes
    ]
    return np.array(parts, dtype=object)


def metric_crs(name: str, bounds: BaseGeometry) -> str:
    """``name``, or the UTM zone of a lon/lat shape.

    Raises
    ------
    ConfigError
        If it is unknown or not in metres.
    """
    if not name:
        return default_crs(bounds)
    try:
        crs = CRS(name)
    except (CRSError, ValueError) as error:
        raise ConfigError(f"unknown system {name!r}", where="--crs", remedy="EPSG:32721") from error
    if not crs.projected or any(axis.unit_name != "metre" for axis in crs.proj.axis_info):
        raise ConfigError(f"{name} is not in metres", where="--crs", remedy="take EPSG:32721")
    return name


def dissolved(
    layer: gpd.GeoDataFrame, params: GridParams, *, where: str, area: BaseGeometry | None
) -> tuple[BaseGeometry, str]:
    """The union of a layer's polygons in a metric CRS, clipped to a lon/lat area, and that CRS.

    Raises
    ------
    InputError
        If nothing remains.
    """
    frame = polygons_of(layer, where=where)
    if frame.empty:
        raise InputError("the reference is empty", where=where, remedy="give at least one polygon")
    outline = shapely.box(*frame.to_crs(LONLAT).total_bounds)
    crs = metric_crs(params.crs, outline)
    union = shapely.union_all(frame.to_crs(crs).geometry.to_numpy())
    if area is not None:
        union = shapely.intersection(union, shapely.make_valid(project(area, LONLAT, crs)))
    union = _surface([union])[0]
    if union.is_empty:
        raise InputError("no reference lies in the area", where=where, remedy="check --aoi")
    return union, crs


def reference_grid(
    layer: gpd.GeoDataFrame,
    params: GridParams,
    *,
    where: str = "reference",
    area: BaseGeometry | None = None,
) -> gpd.GeoDataFrame:
    """Cut mines into cells (paper, section 2.7): dissolve, project, grid, clip, drop fragments.

    Parameters
    ----------
    layer
        Polygons in any CRS.
    params
        Side of a cell, smallest fragment kept (smaller is dropped, equal stays), CRS.
    where
        The file, for messages.
    area
        Lon/lat; the reference is clipped to it before fragments are dropped.

    Returns
    -------
    GeoDataFrame
        In metres, one row a cell, its part of the reference as geometry: ``cell`` (column and row,
        counted from the CRS's origin) and ``area_m2``. Cells lie at whole multiples of their side,
        so that grids of neighbouring areas fit.

    Raises
    ------
    InputError
        If the reference is empty, no polygon, or nothing remains.
    ConfigError
        If the CRS is unknown or not in metres.
    """
    union, crs = dissolved(layer, params, where=where, area=area)
    side = params.cell_m
    column, row, cut = _cut(union, side)
    area_m2 = shapely.area(cut)
    kept = (area_m2 >= params.min_fragment_m2) & (area_m2 > 0)
    if not kept.any():
        raise InputError(
            f"no fragment reaches {params.min_fragment_m2:g} m2",
            where=where,
            remedy="lower --min-fragment-m2",
        )
    names = [f"{c}_{r}" for c, r in zip(column[kept], row[kept], strict=True)]
    columns = {"cell": names, "area_m2": area_m2[kept]}
    return gpd.GeoDataFrame(columns, geometry=cut[kept], crs=crs)


def _cut(union: BaseGeometry, side: float) -> tuple[Any, Any, Any]:
    """Column, row and part of the union of every cell that it meets."""
    # By part: a union of thousands of parts is slow to cut as a whole.
    parts = shapely.get_parts(union)
    shapely.prepare(parts)
    column, row = _touched(parts, side)
    boxes = shapely.box(column * side, row * side, (column + 1) * side, (row + 1) * side)
    cell, part = shapely.STRtree(parts).query(boxes, predicate="intersects")
    inside = shapely.contains(parts[part], boxes[cell])
    pieces = boxes[cell]
    pieces[~inside] = shapely.intersection(parts[part[~inside]], boxes[cell[~inside]])
    order = np.argsort(cell, kind="stable")
    found, first = np.unique(cell[order], return_index=True)
    cut = [
        p[0] if len(p) == 1 else shapely.union_all(p) for p in np.split(pieces[order], first[1:])
    ]
    return column[found], row[found], _surface(cut)


def _touched(parts: Any, side: float) -> tuple[Any, Any]:
    """Columns and rows of the cells that the parts' boxes meet, each once, row by row."""
    found: set[tuple[int, int]] = set()
    for part in parts:
        west, south, east, north = (int(np.floor(v / side)) for v in part.bounds)
        found.update((r, c) for r in range(south, north + 1) for c in range(west, east + 1))
    cells = np.array(sorted(found))
    return cells[:, 1], cells[:, 0]
