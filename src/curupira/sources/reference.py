"""Reference polygons with dates: the simulator's truth, or anybody's."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from curupira.errors import ConfigError, InputError
from curupira.sources.vector import read_vector

#: Layer and columns of our own truth files.
LAYER, START, VISIBLE = "event", "start_date", "visible_date"


def read_reference(path: Path, crs: str, *, date_field: str = "") -> gpd.GeoDataFrame:
    """Read dated polygons into a metric system.

    Parameters
    ----------
    path
        A vector file, ``file|layer`` for one layer of it; a layer ``event`` is taken by itself.
    crs
        Metric system of the result.
    date_field
        Column with the day on which each polygon's change began; empty: ``start_date``.

    Returns
    -------
    gpd.GeoDataFrame
        The file's columns, with ``start`` and ``visible`` as ``datetime.date`` (``visible`` None
        where unknown), geometries made valid.

    Raises
    ------
    ConfigError
        If the file or the column does not exist.
    InputError
        If the file is unreadable, holds no polygons, or a date is missing or none.
    """
    frame = read_vector(_with_layer(path))
    name = date_field or START
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)].reset_index(drop=True)
    if frame.empty or not frame.geom_type.isin(("Polygon", "MultiPolygon")).all():
        raise InputError("holds no polygons, or other shapes", where=path, remedy="give polygons")
    if name not in frame.columns:
        known = ", ".join(frame.columns.drop("geometry")) or "none"
        raise ConfigError(
            f"has no column {name!r} (there are: {known})",
            where=path,
            remedy="name the column of the day with --date-field",
        )
    frame = frame.to_crs(crs)
    frame["geometry"] = shapely.make_valid(frame.geometry.to_numpy())
    frame["start"] = _days(frame[name], path, missing=False)
    if VISIBLE in frame.columns:
        frame["visible"] = _days(frame[VISIBLE], path, missing=True)
    else:
        frame["visible"] = np.full(len(frame), None, dtype=object)
    return frame


def _with_layer(path: Path) -> Path:
    if "|" in path.name or not path.is_file():
        return path
    try:
        layers = [str(row) for row in pyogrio.list_layers(path)[:, 0]]
    except pyogrio.errors.DataSourceError:
        # ``read_vector`` says what is wrong with it.
        return path
    return path.with_name(f"{path.name}|{LAYER}") if LAYER in layers else path


def _days(column: pd.Series[Any], where: Path, *, missing: bool) -> pd.Series[Any]:
    if pd.api.types.is_numeric_dtype(column) and column.notna().any():
        raise InputError(
            f"column {column.name!r} holds numbers: a year alone dates no event",
            where=where,
            remedy="give days as YYYY-MM-DD",
        )
    moments = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    strange = moments.isna() & (column.notna() | (not missing))
    if strange.any():
        raise InputError(
            f"{column[strange].iloc[0]!r} in column {column.name!r} is no date "
            f"({int(strange.sum())} such)",
            where=where,
            remedy="give days as YYYY-MM-DD",
        )
    days: list[date | None] = [None if pd.isna(m) else m.date() for m in moments]
    return pd.Series(days, index=column.index, dtype=object)
