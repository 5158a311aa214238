"""Alerts of other systems: DETER, DETER-R, DETER-RT, RADD, GFW, or any dated polygons."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyogrio
import rasterio
import shapely
from rasterio.errors import RasterioIOError
from rasterio.features import shapes
from rasterio.windows import Window, from_bounds
from shapely.geometry.base import BaseGeometry

from curupira.archives import check_zip
from curupira.errors import ConfigError, InputError
from curupira.grid import LONLAT, project
from curupira.sources.vector import read_vector, split_layer
from curupira.units import FLAG_EPOCH

#: How a raster holds its days: RADD = status 2/3 and YYDOY in two bands; GFW = confidence and days
#: since 2014-12-31 in one number; YYDOY alone.
DateCode = Literal["auto", "radd", "gfw", "yydoy"]
_GFW_EPOCH = date(2014, 12, 31)
#: Columns with the day, by system, in the order tried (compared without case).
DAY_COLUMNS = (
    "daydetec",
    "date_dt",
    "detection_date",
    "view_date",
    "first_flag_date",
    "start_date",
)
_KIND_COLUMNS = ("classname", "class", "class_name", "intensity_class", "kind")
_KINDS = {
    "desmatamento": "deforestation",
    "clear_cut": "deforestation",
    "high_intensity": "deforestation",
    "clearing": "deforestation",
    "degrad": "degradation",
    "low_intensity": "degradation",
    "cicatriz": "degradation",
    "cs_": "degradation",
    "minera": "mining",
    "mining": "mining",
}
UNKNOWN = "unknown"


def read_alerts(
    path: Path,
    crs: str,
    area: BaseGeometry,
    *,
    date_field: str = "",
    code: DateCode = "auto",
) -> gpd.GeoDataFrame:
    """Read alerts as polygons in a metric system.

    Parameters
    ----------
    path
        Vector file (a .zip may hold several layers) or date-coded raster.
    crs
        Metric system of the result.
    area
        Lon/lat; only alerts that touch it, and only the raster within its bounds, are read.
    date_field
        Column with the day; empty: the first known one.
    code
        How a raster holds its days; ``auto``: two bands are RADD's, one is GFW's.

    Returns
    -------
    gpd.GeoDataFrame
        ``day`` (``datetime.date``), ``kind`` (deforestation, degradation, mining or unknown) and
        the geometry, made valid. A raster's polygons are its 4-connected pixels with the median
        of their days.

    Raises
    ------
    ConfigError
        If the file or column does not exist.
    InputError
        If the file is unreadable, unsafe, or its days are none.
    """
    if not split_layer(path)[0].is_file():
        raise ConfigError("no such file", where=path, remedy="give --reference an alert file")
    if path.suffix.lower() in (".tif", ".tiff", ".vrt"):
        frame = _read_raster(path, area, code)
    else:
        frame = _read_polygons(path, date_field)
    frame = frame.to_crs(crs)
    frame["geometry"] = shapely.make_valid(frame.geometry.to_numpy())
    inside = project(shapely.segmentize(area, 0.02), LONLAT, crs)
    return frame[frame.geometry.intersects(inside)].reset_index(drop=True)


def _read_polygons(path: Path, date_field: str) -> gpd.GeoDataFrame:
    frame = _layers(path)
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)].reset_index(drop=True)
    if not set(frame.geom_type) <= {"Polygon", "MultiPolygon"}:
        raise InputError("holds other shapes than polygons", where=path, remedy="give polygons")
    by_name = {str(c).lower(): str(c) for c in frame.columns}
    name = _column(by_name, (date_field.lower(),) if date_field else DAY_COLUMNS)
    if name is None and frame.empty:
        raise InputError("holds no alert", where=path, remedy="give a file with polygons and days")
    if name is None:
        known = ", ".join(n for n in by_name if n != "geometry") or "none"
        raise ConfigError(
            f"has no column {date_field or 'with the day'} (there are: {known})",
            where=path,
            remedy="name the column of the day with --date-field",
        )
    kind = _column(by_name, _KIND_COLUMNS)
    texts = frame[kind].astype(str) if kind else pd.Series([""] * len(frame), dtype=object)
    columns = {
        "day": pd.Series(_days(frame[name], path), dtype=object),
        "kind": pd.Series([kind_of(text) for text in texts], dtype=object),
    }
    return gpd.GeoDataFrame(columns, geometry=frame.geometry.to_numpy(), crs=frame.crs)


def _layers(path: Path) -> gpd.GeoDataFrame:
    """All layers of a zip archive that have a geometry, else the file's one layer."""
    if path.suffix.lower() != ".zip":
        return read_vector(path)
    check_zip(path)
    try:
        names = [str(n) for n, kind in pyogrio.list_layers(path) if kind is not None]
        frames = [pyogrio.read_dataframe(path, layer=name) for name in names]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise InputError(
            f"not a readable vector file ({error})", where=path, remedy="unpack it and look"
        ) from error
    if not frames or any(frame.crs is None for frame in frames):
        raise InputError("a layer has no coordinate system", where=path, remedy="assign it in QGIS")
    joined = pd.concat([frame.to_crs(frames[0].crs) for frame in frames], ignore_index=True)
    return gpd.GeoDataFrame(joined, geometry="geometry", crs=frames[0].crs)


def _column(by_name: dict[str, str], wanted: tuple[str, ...]) -> str | None:
    return next((by_name[name] for name in wanted if name in by_name), None)


def kind_of(text: str) -> str:
    """Our word for another system's class."""
    plain = text.strip().lower()
    return next((word for start, word in _KINDS.items() if plain.startswith(start)), UNKNOWN)


def _days(column: pd.Series[Any], where: Path) -> list[date]:
    """Days of a column; numbers are days since 2020-01-01, as in DETER-R."""
    if pd.api.types.is_numeric_dtype(column) and column.notna().all():
        found = [FLAG_EPOCH + timedelta(days=int(v)) for v in column]
        if any(not 2014 <= day.year <= 2100 for day in found):
            raise InputError(
                f"the numbers in column {column.name!r} are no days since 2020-01-01",
                where=where,
                remedy="give days as YYYY-MM-DD",
            )
        return found
    moments = pd.to_datetime(column, errors="coerce", utc=True, format="mixed")
    if moments.isna().any():
        raise InputError(
            f"{column[moments.isna()].iloc[0]!r} in column {column.name!r} is no date",
            where=where,
            remedy="give days as YYYY-MM-DD",
        )
    return [moment.date() for moment in moments]


def _read_raster(path: Path, area: BaseGeometry, code: DateCode) -> gpd.GeoDataFrame:
    try:
        with rasterio.open(path) as source:
            if source.crs is None:
                raise InputError("no coordinate system", where=path, remedy="assign it with GDAL")
            bounds = project(shapely.box(*area.bounds), LONLAT, source.crs.to_wkt()).bounds
            whole = Window(0, 0, source.width, source.height)
            wanted = from_bounds(*bounds, transform=source.transform)
            wanted = wanted.round_offsets(op="floor").round_lengths(op="ceil")
            # Both ends may lie within a pixel.
            wanted = Window(wanted.col_off, wanted.row_off, wanted.width + 1, wanted.height + 1)
            try:
                window = wanted.intersection(whole)
            except rasterio.errors.WindowError:
                return _empty(source.crs)
            bands = source.read(window=window).astype(np.int64)
            transform, crs = source.window_transform(window), source.crs
    except RasterioIOError as error:
        raise InputError(
            f"not a readable raster ({error})", where=path, remedy="get the file again"
        ) from error
    ordinals = decode_days(bands, code, path)
    rows: list[tuple[date, BaseGeometry]] = []
    labels = _label(ordinals > 0)
    medians = _median_by_label(labels, ordinals)
    for shape, value in shapes(labels, mask=labels > 0, connectivity=4, transform=transform):
        rows.append((date.fromordinal(medians[int(value)]), shapely.geometry.shape(shape)))
    if not rows:
        return _empty(crs)
    columns = {
        "day": pd.Series([day for day, _ in rows], dtype=object),
        "kind": pd.Series([UNKNOWN] * len(rows), dtype=object),
    }
    return gpd.GeoDataFrame(columns, geometry=[shape for _, shape in rows], crs=crs)


def _empty(crs: Any) -> gpd.GeoDataFrame:
    nothing = pd.Series([], dtype=object)
    return gpd.GeoDataFrame({"day": nothing, "kind": nothing}, geometry=[], crs=crs)


def decode_days(
    bands: npt.NDArray[np.int64], code: DateCode, where: object
) -> npt.NDArray[np.int64]:
    """Days of alert pixels as proleptic ordinals ``(y, x)``, 0 where there is no alert.

    Parameters
    ----------
    bands
        ``(band, y, x)`` as stored.

    Raises
    ------
    InputError
        If a value cannot be a day in this code.
    """
    if code == "auto":
        code = "radd" if bands.shape[0] >= 2 else "gfw"
    values = bands[1] if code == "radd" and bands.shape[0] >= 2 else bands[0]
    alert = values > 0
    if code == "radd" and bands.shape[0] >= 2:
        alert &= (bands[0] == 2) | (bands[0] == 3)
    if code == "gfw":
        found = values % 10_000 + _GFW_EPOCH.toordinal()
        wrong = alert & ((values < 10_000) | (values >= 50_000))
    else:
        year, day = 2000 + values // 1000, values % 1000
        years = np.arange(2000, 2100)
        first = np.array([date(int(y), 1, 1).toordinal() for y in years])
        wrong = alert & ((year >= 2100) | (day < 1) | (day > 366))
        found = first[np.clip(year - 2000, 0, 99)] + day - 1
    if wrong.any():
        raise InputError(
            f"the value {int(values[wrong][0])} is no day in the code {code!r}",
            where=where,
            remedy="name the right one with --code radd, gfw or yydoy",
        )
    return np.where(alert, found, 0)


def _label(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    from scipy import ndimage

    labels, _ = ndimage.label(mask)
    return np.asarray(labels, dtype=np.int32)


def _median_by_label(
    labels: npt.NDArray[np.int32], values: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Median value of each label, index = label."""
    count = int(labels.max()) if labels.size else 0
    out = np.zeros(count + 1, dtype=np.int64)
    inside = labels > 0
    frame = pd.DataFrame({"label": labels[inside], "value": values[inside]})
    medians = frame.groupby("label")["value"].median()
    out[medians.index.to_numpy()] = medians.to_numpy().astype(np.int64)
    return out
