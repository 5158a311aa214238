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
        If there is no such file or layer, or there are several layers and none is named.
    InputError
        If it is no vector file, or has no coordinate reference system.
    """
    path, layer = split_layer(place)
    if not path.exists():
        raise ConfigError(
            "no such file",
            where=path,
            remedy="check the path, in monitor.toml or on the command line",
        )
    try:
        frame = pyogrio.read_dataframe(path, layer=_chosen(path, layer))
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


def split_layer(place: Path) -> tuple[Path, str]:
    """File and layer of ``file|layer``; without a layer: empty."""
    name, _, layer = place.name.partition("|")
    return place.with_name(name), layer


def _chosen(path: Path, layer: str) -> str | None:
    """The layer named, or the only one that has geometries; None: whatever is there."""
    found = pyogrio.list_layers(path)
    names = [str(name) for name, _ in found] if layer else [str(n) for n, kind in found if kind]
    if layer in names or (not layer and len(names) <= 1):
        return layer or (names[0] if names else None)
    what = f"has no layer {layer!r}" if layer else "holds several layers"
    raise ConfigError(
        f"{what} (there are: {', '.join(names)})",
        where=path,
        remedy=f'write "{path.name}|LAYER"',
    )


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
