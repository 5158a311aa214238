"""Vector and raster layers as boolean masks on a grid, with where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyogrio
import shapely
from odc.geo.geobox import GeoBox
from pyogrio.errors import DataSourceError
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.warp import reproject
from shapely.geometry import box

from curupira.blocks import Window, split
from curupira.errors import ConfigError, InputError
from curupira.sources.checks import outline
from curupira.sources.files import check_complete, open_raster, raster_grid
from curupira.sources.resample import file_window, is_finer, read_values

Mask = npt.NDArray[np.bool_]
Kind = Literal["forest", "non_forest", "deforestation", "water"]
_RASTERS = (".tif", ".tiff", ".vrt", ".img")
#: A shapefile is several files.
_SIDECARS = (".shx", ".dbf", ".prj", ".cpg")
_POLYGONS = ("Polygon", "MultiPolygon")
#: A straight edge in degrees bends on the grid: points at least this close keep it in place.
_EDGE_DEG = 0.02
_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """Provenance of one mask layer, as stored with each run.

    ``features`` counts the polygons that touch the grid or its margin (None for a raster),
    ``repaired`` those of invalid geometry that were made valid, ``pixels`` the grid pixels that
    the layer covers, ``newest`` is the latest date of its date field.
    """

    kind: Kind
    name: str
    sha256: str
    features: int | None
    repaired: int
    pixels: int
    newest: date | None


def rasterise_layers(
    texts: Sequence[str],
    kind: Kind,
    grid: GeoBox,
    *,
    base: Path,
    date_field: str = "",
    margin: int = 0,
) -> tuple[Mask, tuple[LayerRecord, ...]]:
    """Union of layers as a mask on the grid.

    Parameters
    ----------
    texts
        Files, relative to ``base`` or absolute; ``file.gpkg|layer`` names a layer of a file.
    kind
        What the layers mean. A water layer may lie off the grid (it then counts zero pixels); any
        other that does is an error.
    grid
        Where the mask is wanted.
    date_field
        Column with the date or year of each feature; empty: none. Vector layers only.
    margin
        Pixels around the grid that the mask covers as well; the records count the grid alone.

    Returns
    -------
    mask : bool ``(y, x)``
        Pixels whose centre lies in a polygon, or whose raster value is neither zero nor no-data
        (the most frequent one where the raster is finer, else the nearest).
    records
        One a layer.

    Raises
    ------
    ConfigError
        If a file, layer or date field does not exist.
    InputError
        If a layer is empty, damaged, has no coordinate reference system or no polygons, or does
        not touch the grid.
    """
    around = grid.pad(margin) if margin else grid
    inner = Window(margin, margin + grid.shape[0], margin, margin + grid.shape[1]).slices
    union = np.zeros(around.shape, dtype=np.bool_)
    records = []
    for text in texts:
        file, _, layer = text.partition("|")
        path = base / file
        if not path.is_file():
            where = f"[masks] {kind} {text!r}"
            raise ConfigError("the file does not exist", where=where, remedy="correct it")
        if path.suffix.lower() in _RASTERS:
            mask = _raster(path, kind, around)
            features, repaired, newest = None, 0, None
        else:
            mask, features, repaired, newest = _vector(path, layer, kind, around, date_field)
        union |= mask
        pixels = int(np.count_nonzero(mask[inner]))
        records.append(LayerRecord(kind, text, _sha256(path), features, repaired, pixels, newest))
    return union, tuple(records)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    files = [path]
    if path.suffix.lower() == ".shp":
        files += [side for s in _SIDECARS if (side := path.with_suffix(s)).is_file()]
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _off_grid(kind: Kind, where: object) -> None:
    if kind != "water":
        raise InputError(
            "does not touch the monitoring grid",
            where=where,
            remedy=f"check its coordinate reference system, or remove it from [masks] {kind}",
        )


@dataclass(frozen=True, slots=True)
class _Layer:
    """A vector layer that exists: its name within the file, its system and extent."""

    path: Path
    name: str
    crs: str
    fields: tuple[str, ...]
    bounds: tuple[float, float, float, float]

    @property
    def where(self) -> str:
        return f"{self.path}|{self.name}"


def _vector(
    path: Path, name: str, kind: Kind, grid: GeoBox, date_field: str
) -> tuple[Mask, int, int, date | None]:
    layer = _open_layer(path, name)
    if date_field and date_field not in layer.fields:
        raise ConfigError(
            f"has no column {date_field!r} (there are: {', '.join(layer.fields)})",
            where=layer.where,
            remedy="correct [masks] deforestation_date_field",
        )
    mask = np.zeros(grid.shape, dtype=np.bool_)
    around = outline(grid, layer.crs)
    if not box(*layer.bounds).intersects(around):
        _refuse_off_grid(kind, layer.where)
        return mask, 0, 0, None
    frame = gpd.read_file(
        path, layer=layer.name, bbox=around.bounds, columns=[date_field] if date_field else []
    )
    frame, repaired = _polygons(frame, layer.where)
    onto = frame.geometry.to_crs(str(grid.crs))
    touching = np.asarray(onto.intersects(box(*grid.extent.boundingbox.bbox)))
    if not touching.any():
        return mask, 0, repaired, None
    # Pixel-centre rule: all_touched would grow each class by half a pixel.
    burnt = rasterize(
        [(shape, 1) for shape in onto[touching]],
        out_shape=tuple(grid.shape),
        transform=grid.affine,
        dtype="uint8",
        all_touched=False,
    )
    newest = _newest(frame[date_field][touching], layer.where) if date_field else None
    return burnt.astype(np.bool_), int(touching.sum()), repaired, newest


def _open_layer(path: Path, name: str) -> _Layer:
    try:
        names = [str(row) for row in pyogrio.list_layers(path)[:, 0]]
    except DataSourceError as error:
        raise InputError(
            "is no file that GDAL reads", where=path, remedy="fetch or export it again"
        ) from error
    if not name and len(names) == 1:
        name = names[0]
    if name not in names:
        what = f"has no layer {name!r}" if name else "holds several layers"
        raise ConfigError(
            f"{what} (there are: {', '.join(names) or 'none'})",
            where=path,
            remedy=f'write "{path.name}|LAYER" in [masks]',
        )
    info = pyogrio.read_info(path, layer=name, force_feature_count=True, force_total_bounds=True)
    where = f"{path}|{name}"
    if not info["crs"]:
        raise InputError(
            "has no coordinate reference system", where=where, remedy="give the layer its system"
        )
    if info["features"] == 0 or info["total_bounds"] is None:
        raise InputError("the layer is empty", where=where, remedy="remove it, or fill it")
    fields = tuple(str(field) for field in info["fields"])
    return _Layer(path, name, str(info["crs"]), fields, tuple(info["total_bounds"]))


def _refuse_off_grid(kind: Kind, where: object) -> None:
    if kind != "water":
        raise InputError(
            "does not touch the monitoring grid",
            where=where,
            remedy=f"check its coordinate reference system, or remove it from [masks] {kind}",
        )


def _polygons(frame: gpd.GeoDataFrame, where: str) -> tuple[gpd.GeoDataFrame, int]:
    """Polygons alone, made valid (deforestation maps are rarely valid throughout)."""
    there = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    polygons = there[there.geom_type.isin(_POLYGONS)]
    if len(there) and polygons.empty:
        kinds = ", ".join(sorted(set(there.geom_type)))
        raise InputError(
            f"holds no polygons ({kinds})", where=where, remedy="give a layer of polygons"
        )
    invalid = ~np.asarray(polygons.geometry.is_valid)
    shapes = shapely.make_valid(polygons.geometry.to_numpy())
    if polygons.crs.is_geographic:
        shapes = shapely.segmentize(shapes, _EDGE_DEG)
    return polygons.set_geometry(gpd.GeoSeries(shapes, index=polygons.index, crs=polygons.crs)), (
        int(invalid.sum())
    )


def _newest(column: pd.Series[Any], where: str) -> date | None:
    """Latest date; a bare year is a PRODES year, which ends on 31 July."""
    known = column.dropna()
    if known.empty:
        return None
    if pd.api.types.is_numeric_dtype(known):
        return date(int(known.max()), 7, 31)
    moments = pd.to_datetime(known, errors="coerce", utc=True)
    if moments.isna().any():
        strange = known[moments.isna()].iloc[0]
        raise InputError(
            f"{strange!r} in column {column.name!r} is no date",
            where=where,
            remedy="correct it, or leave [masks] deforestation_date_field empty",
        )
    newest: date = moments.max().date()
    return newest


def _raster(path: Path, kind: Kind, grid: GeoBox) -> Mask:
    mask = np.zeros(grid.shape, dtype=np.bool_)
    whole = Window(0, grid.shape[0], 0, grid.shape[1])
    touched = False
    with open_raster(str(path.resolve())) as dataset:
        check_complete(dataset, 1)
        source = raster_grid(dataset)
        for block in split(whole, _BLOCK):
            target = grid[block.slices]
            window = file_window(source, target)
            if window is None:
                continue
            touched = True
            values = read_values(dataset, 1, window)
            there = (np.isfinite(values) & (values != 0)).astype(np.uint8)
            onto = np.zeros(target.shape, dtype=np.uint8)
            reproject(
                there,
                onto,
                src_transform=source[window.toslices()].affine,
                src_crs=str(source.crs),
                dst_transform=target.affine,
                dst_crs=str(target.crs),
                resampling=Resampling.mode if is_finer(source, target) else Resampling.nearest,
                tolerance=0,
            )
            mask[block.slices] = onto.astype(np.bool_)
    if not touched:
        _refuse_off_grid(kind, path)
    return mask
