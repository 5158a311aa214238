"""Vector files that GDAL reads: areas and overlay layers."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pyogrio
from shapely.geometry.base import BaseGeometry

from curupira.errors import ConfigError, InputError
from curupira.grid import LONLAT


def read_vector(place: Path) -> gpd.GeoDataFrame:
    """Read a layer: ``file`` or ``file|layer``.

    Raises
    ------
    ConfigError
        If there is no such file.
    InputError
        If it is no vector file, or has no coordinate reference system.
    """
    name, _, layer = place.name.partition("|")
    path = place.with_name(name)
    if not path.exists():
        raise ConfigError(
            "no such file",
            where=path,
            remedy="check the path, in monitor.toml or on the command line",
        )
    try:
        frame = pyogrio.read_dataframe(path, layer=layer or None)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise InputError(
            f"not a readable vector file ({error})", where=place, remedy="export it as GeoPackage"
        ) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InputError("the layer has no geometry", where=place, remedy="name another layer")
    if frame.crs is None:
        raise InputError(
            "the layer has no coordinate reference system", where=place, remedy="assign it in QGIS"
        )
    return frame


def read_area(path: Path) -> list[BaseGeometry]:
    """Geometries of a file in lon/lat.

    Raises
    ------
    ConfigError, InputError
        As ``read_vector``; and if the file holds no geometry.
    """
    frame = read_vector(path)
    geometries = [g for g in frame.to_crs(LONLAT).geometry if g is not None and not g.is_empty]
    if not geometries:
        raise InputError("no geometry in it", where=path, remedy="draw at least one polygon")
    return geometries
