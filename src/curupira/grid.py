"""The monitoring grid: one GeoBox, snapped to whole multiples of its resolution. Pure."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import shapely
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from curupira.errors import ConfigError, InputError

#: South America Albers Equal Area Conic, for areas wider than one UTM zone.
WIDE_CRS = "ESRI:102033"
#: Wider than this, one UTM zone distorts too much (product.md 1).
MAX_UTM_WIDTH_DEG = 6.0
LONLAT = "EPSG:4326"
SIRGAS_2000 = "EPSG:4674"


def check_area(area: BaseGeometry, *, where: object = None) -> BaseGeometry:
    """Return the area if it is a non-empty, valid lon/lat (multi)polygon.

    Raises
    ------
    InputError
        If it is empty, invalid, no polygon, or outside lon/lat bounds.
    """
    if area.is_empty or area.geom_type not in ("Polygon", "MultiPolygon"):
        raise InputError(
            f"the area is {'empty' if area.is_empty else 'a ' + area.geom_type}",
            where=where,
            remedy="give a file with at least one polygon",
        )
    if not area.is_valid:
        raise InputError(
            f"the area's geometry is invalid ({shapely.is_valid_reason(area)})",
            where=where,
            remedy="repair it, for example with QGIS 'Fix geometries'",
        )
    west, south, east, north = area.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise InputError(
            f"the area's bounds {area.bounds} are no longitudes and latitudes",
            where=where,
            remedy="give the file its coordinate reference system",
        )
    return area


def default_crs(area: BaseGeometry) -> str:
    """UTM zone of the area's centroid, or South America Albers if wider than 6 degrees."""
    west, _, east, _ = area.bounds
    if east - west > MAX_UTM_WIDTH_DEG:
        return WIDE_CRS
    centroid = area.centroid
    zone = int((centroid.x + 180) // 6) % 60 + 1
    return f"EPSG:{(32600 if centroid.y >= 0 else 32700) + zone}"


def project(geometry: BaseGeometry, source: str, target: str) -> BaseGeometry:
    """Reproject a geometry, always in (x, y) = (lon, lat) order."""
    transform = transformer(source, target)
    return shapely.transform(
        geometry, lambda xy: np.column_stack(transform.transform(xy[:, 0], xy[:, 1]))
    )


@lru_cache(maxsize=64)
def transformer(source: str, target: str) -> Transformer:
    """Transformation in (x, y) = (lon, lat) order; kept, as one costs tens of milliseconds to make.

    It may be shared by threads.
    """
    return Transformer.from_crs(source, target, always_xy=True)


def make_grid(area: BaseGeometry, resolution_m: float, crs: str | None = None) -> GeoBox:
    """Smallest grid over a lon/lat area whose edges are multiples of the resolution.

    Raises
    ------
    ConfigError
        If the CRS is unknown or its unit is not the metre.
    """
    name = crs or default_crs(area)
    try:
        target = CRS(name)
    except (CRSError, ValueError) as error:
        raise ConfigError(
            f"unknown coordinate reference system {name!r}",
            where="[grid] crs",
            remedy='use a code such as "EPSG:32721", or "" for the default',
        ) from error
    if not target.projected or any(axis.unit_name != "metre" for axis in target.proj.axis_info):
        raise ConfigError(
            f"{name} is not in metres",
            where="[grid] crs",
            remedy='use a projected system, or "" for the UTM zone of the area',
        )
    # Densify: a straight lon/lat edge bends in the target system.
    west, south, east, north = project(shapely.segmentize(area, 0.1), LONLAT, name).bounds
    r = resolution_m
    bbox = (
        np.floor(west / r) * r,
        np.floor(south / r) * r,
        np.ceil(east / r) * r,
        np.ceil(north / r) * r,
    )
    return GeoBox.from_bbox(bbox, crs=target, resolution=r, tight=True)
