"""Dated deforestation layers: how far each year's clearings lie from those before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from curupira.errors import ConfigError, InputError
from curupira.sources.vector import read_vector


def read_dated(
    texts: Sequence[str], date_field: str, *, base: Path, crs: str
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """Polygons and years of dated vector layers, in a metric system.

    Raises
    ------
    ConfigError
        If a file or the column does not exist.
    InputError
        If a layer is unreadable, or holds something that is no date.
    """
    shapes: list[npt.NDArray[np.object_]] = []
    years: list[npt.NDArray[np.int64]] = []
    for text in texts:
        frame = read_vector(base / text)
        if date_field not in frame.columns:
            raise ConfigError(
                f"has no column {date_field!r}",
                where=text,
                remedy="correct [masks] deforestation_date_field",
            )
        frame = frame[frame[date_field].notna() & frame.geometry.notna()]
        column = frame[date_field]
        if pd.api.types.is_numeric_dtype(column):
            year = column.to_numpy(dtype=np.int64)
        else:
            moments = pd.to_datetime(column, errors="coerce", utc=True)
            if moments.isna().any():
                raise InputError(
                    f"{column[moments.isna()].iloc[0]!r} in column {date_field!r} is no date",
                    where=text,
                    remedy="correct it, or leave [masks] deforestation_date_field empty",
                )
            year = moments.dt.year.to_numpy(dtype=np.int64)
        shapes.append(shapely.make_valid(frame.geometry.to_crs(crs).to_numpy()))
        years.append(year)
    if not shapes:
        return np.empty(0, dtype=object), np.empty(0, dtype=np.int64)
    return np.concatenate(shapes), np.concatenate(years)


def distances_to_earlier(
    shapes: npt.NDArray[np.object_], years: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Distance from a point within each polygon to the nearest one of an earlier year, metres.

    The first year has no earlier one and is left out. A yearly map knows no order within a year.
    """
    found: list[npt.NDArray[np.float64]] = []
    for year in np.unique(years)[1:]:
        tree = shapely.STRtree(shapes[years < year])
        points = shapely.point_on_surface(shapes[years == year])
        _, distance = tree.query_nearest(points, return_distance=True, all_matches=False)
        found.append(np.asarray(distance, dtype=np.float64))
    return np.concatenate(found) if found else np.empty(0)
