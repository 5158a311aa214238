"""Warnings as plain tables with types that files can hold. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from curupira.errors import InputError
from curupira.grid import LONLAT
from curupira.units import attribution

#: Columns that hold days, not times.
DAYS = ("first_flag_date",)
#: Without these a table is no table of warnings (product.md section 5).
NEEDED = ("warning_id", "status", "intensity_class", "first_flag_date", "issued_at", "area_ha")
#: Decimals of a degree in text formats: about a centimetre (RFC 7946, section 11.2).
DECIMALS = 7
_SIMULATED = "simulated"


def checked(warnings: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the table with outer rings counter-clockwise and one plain type a column.

    Days become Arrow dates, texts Arrow strings; columns without a value are text. A column of
    mixed numbers and texts (an overlay) becomes text.

    Raises
    ------
    InputError
        If a column that every format needs, or the CRS, is missing.
    """
    missing = [name for name in NEEDED if name not in warnings.columns]
    if missing:
        raise InputError(
            f"{', '.join(missing)} missing",
            where="warnings to export",
            remedy="give the fields of product.md section 5",
        )
    if warnings.crs is None:
        raise InputError(
            "the geometries have no coordinate reference system",
            where="warnings to export",
            remedy="set EPSG:4674",
        )
    table = warnings.set_geometry(
        gpd.GeoSeries(
            shapely.orient_polygons(warnings.geometry.to_numpy()),
            index=warnings.index,
            crs=warnings.crs,
        )
    ).reset_index(drop=True)
    for name in table.columns.drop(table.geometry.name):
        table[name] = _plain(name, table[name])
    return table


def _plain(name: str, column: pd.Series[Any]) -> pd.Series[Any]:
    if name in DAYS:
        return pd.to_datetime(column).dt.date.astype(pd.ArrowDtype(pa.date32()))
    if column.dtype != object and not isinstance(column.dtype, pd.StringDtype):
        return column
    known = column.dropna()
    if len(known) and all(isinstance(v, int | float | np.number) for v in known):
        return column.astype("float64")
    texts = [None if value is None or pd.isna(value) else str(value) for value in column]
    return pd.Series(texts, index=column.index, dtype=pd.ArrowDtype(pa.string()))


def records(table: gpd.GeoDataFrame) -> Iterator[dict[str, Any]]:
    """Attributes of each row as plain Python values; days and times as ISO 8601, missing as None.

    Times are UTC to the second, with ``Z``.
    """
    plain = pd.DataFrame(table.drop(columns=table.geometry.name))
    columns = [_values(plain[name]) for name in plain.columns]
    for row in zip(*columns, strict=True):
        yield dict(zip(plain.columns, row, strict=True))


def _values(column: pd.Series[Any]) -> list[Any]:
    # By columns: asking every single value of an Arrow column what it is takes most of an export.
    missing = column.isna()
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    found = zip(column.tolist(), missing.tolist(), strict=True)
    return [None if absent else _value(value) for value, absent in found]


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, np.generic):
        return value.item()
    return value


def lonlat(table: gpd.GeoDataFrame) -> list[shapely.MultiPolygon]:
    """Geometries in WGS 84, to seven decimals, with outer rings counter-clockwise."""
    there = table.geometry.to_crs(LONLAT).to_numpy()
    return list(shapely.transform(there, lambda xy: np.round(xy, DECIMALS)))


def marked(table: gpd.GeoDataFrame, *, simulated: bool) -> gpd.GeoDataFrame:
    """Note with a table whether its images are simulated: ``notice`` of it, and parts, says so."""
    table.attrs[_SIMULATED] = simulated
    return table


def notice(table: gpd.GeoDataFrame) -> str:
    """Attribution with the years from the first flags to the confirmations."""
    years: set[int] = set()
    for name in ("first_flag_date", "issued_at", "confirmed_at"):
        if name in table.columns:
            moments = pd.to_datetime(table[name], utc=True)
            years |= {int(year) for year in moments.dropna().dt.year}
    return attribution(years, simulated=table.attrs.get(_SIMULATED, False))
