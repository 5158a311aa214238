"""From flagged pixels to polygons with attributes. Pure."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
from odc.geo.geobox import GeoBox
from pyproj import CRS

from curupira.errors import InputError
from curupira.units import minimum_pixels
from curupira.vectorise.attributes import area_ha, statistics
from curupira.vectorise.components import drop_small, label
from curupira.vectorise.morphology import Keys, key_stride, opening_closing
from curupira.vectorise.outlines import outlines
from curupira.vectorise.params import GEODESIC, VectoriseParams
from curupira.vectorise.pixels import AlertPixels

__all__ = ["COLUMNS", "AlertPixels", "extract"]

#: Columns of ``extract``, beside ``geometry``.
COLUMNS: dict[str, str] = {
    "n_pixels": "int64",
    "n_alert_pixels": "int64",
    "status": "object",
    "intensity_class": "object",
    "n_alerts": "float64",
    "n_alerts_mean": "float64",
    "intensity": "float64",
    "excess_db": "float64",
    "first_flag_days": "int64",
    "last_flag_days": "int64",
    "threshold_db": "float64",
    "distance_to_deforestation_m": "float64",
    "confidence": "float64",
    "area_ha": "float64",
    "area_geodesic_ha": "float64",
}


def extract(pixels: AlertPixels, grid: GeoBox, params: VectoriseParams) -> gpd.GeoDataFrame:
    """Polygons of the flagged pixels of one acquisition, in the grid's CRS.

    Opening and closing, components, removal of small ones, exact pixel outlines, statistics over
    the alert pixels, and area strictly above the minimum (method.md 1A steps 12 to 15). The result
    does not depend on the order of the pixels; rows are in raster order of the polygons' first
    pixels. A component that the closing made out of gaps alone, without an alert pixel, is dropped,
    and so is one of less than ``confidence_issue`` where the confidence is calibrated.

    Parameters
    ----------
    pixels
        Flagged pixels; their rows and columns count from the grid's upper left.
    grid
        The monitoring grid, in metres.
    params
        Sections morphology, polygon and confirm of a preset.

    Returns
    -------
    One row a polygon with ``COLUMNS``: pixels occupied and flagged, ``status``,
    ``intensity_class``, the statistics of ``attributes.statistics``, ``area_ha`` by ``area_crs``
    and ``area_geodesic_ha`` on the ellipsoid. All columns are there without a row, too.

    Raises
    ------
    InputError
        If a pixel lies outside the grid or is given twice, or the grid is not in metres.
    """
    crs = _metric_crs(grid)
    rows, columns = grid.shape
    shape = params.morphology
    stride = key_stride(columns, max(shape.opening_radius, shape.closing_radius))
    alerts, pixels = _sorted_keys(pixels, rows, columns, stride)
    keys = opening_closing(
        alerts,
        stride,
        opening_radius=shape.opening_radius,
        closing_radius=shape.closing_radius,
    )
    labels = label(keys, stride, params.polygon.connectivity)
    pixel_area = abs(grid.transform.determinant)
    keys, labels = drop_small(
        keys, labels, minimum_pixels(params.polygon.pre_removal_ha, pixel_area)
    )
    if not keys.size:
        return _frame(pd.DataFrame(), np.empty(0, object), crs)
    at = np.minimum(np.searchsorted(keys, alerts), keys.size - 1)
    inside = np.flatnonzero(keys[at] == alerts)
    groups = labels[at[inside]]
    # Numbered anew without the components that hold no alert pixel.
    present, groups = np.unique(groups, return_inverse=True)
    geometries = outlines(keys, labels, stride, grid.transform)[present]
    table = statistics(pixels.take(inside), groups, present.size, params)
    table["n_pixels"] = np.bincount(labels)[present]
    table["area_ha"] = area_ha(geometries, crs, params.polygon.area_crs)
    table["area_geodesic_ha"] = area_ha(geometries, crs, GEODESIC)
    issued = (table["area_ha"] > params.polygon.minimum_area_ha).to_numpy()
    if params.confidence.calibrated:
        issued = issued & (table["confidence"] >= params.confidence.confidence_issue).to_numpy()
    return _frame(table[issued], geometries[issued], crs)


def _metric_crs(grid: GeoBox) -> CRS:
    if grid.crs is None:
        raise InputError(
            "the grid has no coordinate reference system",
            where="polygons",
            remedy='give the layers one, for example layers.attrs["crs"] = "EPSG:32721"',
        )
    crs: CRS = grid.crs.proj
    if not crs.is_projected or crs.axis_info[0].unit_conversion_factor != 1:
        raise InputError(
            f"the grid's coordinate reference system, {crs.name}, is not in metres",
            where="polygons",
            remedy="resample to a projected system such as the UTM zone",
        )
    return crs


def _sorted_keys(
    pixels: AlertPixels, rows: int, columns: int, stride: int
) -> tuple[Keys, AlertPixels]:
    outside = (pixels.row < 0) | (pixels.row >= rows) | (pixels.col < 0) | (pixels.col >= columns)
    if outside.any():
        i = int(outside.argmax())
        raise InputError(
            f"pixel (row {pixels.row[i]}, column {pixels.col[i]}) lies outside the grid "
            f"of {rows} x {columns}",
            where="alert pixels",
            remedy="count rows and columns from the grid's upper left",
        )
    keys = pixels.row.astype(np.int64) * stride + pixels.col
    order = np.argsort(keys)
    keys = keys[order]
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    if twice.size:
        row, column = divmod(int(keys[twice[0]]), stride)
        raise InputError(
            f"pixel (row {row}, column {column}) is given twice",
            where="alert pixels",
            remedy="give blocks that do not overlap, one acquisition at a time",
        )
    return keys, pixels.take(order)


def _frame(table: pd.DataFrame, geometries: np.ndarray, crs: CRS) -> gpd.GeoDataFrame:
    columns = {
        name: pd.Series(table[name].to_numpy() if len(table) else [], dtype=dtype)
        for name, dtype in COLUMNS.items()
    }
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(geometries, crs=crs), crs=crs)
