"""Attributes of polygons: statistics by group of pixels, and areas. No loops over pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import CRS

from curupira.codes import Status
from curupira.grid import SIRGAS_2000, transformer
from curupira.rules import intensity_class, is_confirmed
from curupira.units import geodesic_area_ha
from curupira.vectorise.confidence import polygon_confidence
from curupira.vectorise.outlines import Geometries
from curupira.vectorise.params import GEODESIC, FlagDay, VectoriseParams
from curupira.vectorise.pixels import AlertPixels

Groups = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


def group_median(values: npt.NDArray[Any], groups: Groups, count: int) -> Doubles:
    """Median of each group, NaN left out; NaN for a group without numbers. Shape (count,)."""
    numbers = ~np.isnan(values)
    values, groups = values[numbers].astype(np.float64), groups[numbers]
    values = values[np.lexsort((values, groups))]
    size = np.bincount(groups, minlength=count)
    start = np.cumsum(size) - size
    result = np.full(count, np.nan)
    some = size > 0
    low = start[some] + (size[some] - 1) // 2
    high = start[some] + size[some] // 2
    result[some] = (values[low] + values[high]) / 2
    return result


def group_mean(values: npt.NDArray[Any], groups: Groups, count: int) -> Doubles:
    """Mean of each group; NaN for an empty group. Shape (count,)."""
    size = np.bincount(groups, minlength=count)
    total = np.bincount(groups, weights=values, minlength=count)
    mean = np.full(count, np.nan)
    np.divide(total, size, out=mean, where=size > 0)
    return mean


def group_mode(
    values: npt.NDArray[np.integer], groups: Groups, count: int
) -> npt.NDArray[np.int64]:
    """Most frequent value of each group, the smallest at a tie. Every group needs a value."""
    order = np.lexsort((values, groups))
    values, groups = values[order].astype(np.int64), groups[order]
    starts = np.ones(values.size, bool)
    starts[1:] = (values[1:] != values[:-1]) | (groups[1:] != groups[:-1])
    first = np.flatnonzero(starts)
    times = np.diff(np.append(first, values.size))
    best = np.lexsort((values[first], -times, groups[first]))
    first = first[best]
    _, head = np.unique(groups[first], return_index=True)
    result = np.zeros(count, np.int64)
    result[groups[first[head]]] = values[first[head]]
    return result


def group_extreme(
    values: npt.NDArray[np.integer], groups: Groups, count: int, *, latest: bool
) -> npt.NDArray[np.int64]:
    """Largest (or smallest) value of each group. Every group needs a value."""
    limits = np.iinfo(np.int64)
    result = np.full(count, limits.min if latest else limits.max, np.int64)
    (np.maximum if latest else np.minimum).at(result, groups, values.astype(np.int64))
    return result


def flag_day(
    days: npt.NDArray[np.int32], groups: Groups, count: int, rule: FlagDay
) -> npt.NDArray[np.int64]:
    """First flagged day of each polygon from its pixels' (method.md 1B row 12).

    ``mode`` takes the earliest day at a tie; ``median`` between two days takes the earlier.
    """
    if rule == "mode":
        return group_mode(days, groups, count)
    if rule == "earliest":
        return group_extreme(days, groups, count, latest=False)
    return np.floor(group_median(days, groups, count)).astype(np.int64)


def statistics(
    pixels: AlertPixels, groups: Groups, count: int, params: VectoriseParams
) -> pd.DataFrame:
    """Attributes of each polygon over its alert pixels alone, shape (count,).

    Numbers are medians, NaN left out (``threshold_db`` too, and ``confidence`` unless calibrated);
    ``n_alerts_mean`` is the mean, ``last_flag_days`` the latest.
    ``intensity`` is the median of ten times the largest excess of a pixel, tenths of dB;
    ``excess_db`` is a tenth of it. Every polygon needs an alert pixel.

    Source: method.md 1A steps 11, 14, 15.
    """
    n_alerts = group_median(pixels.n_alerts, groups, count)
    n_alerts_mean = group_mean(pixels.n_alerts, groups, count)
    excess_db = group_median(pixels.excess_db, groups, count)
    intensity = 10 * excess_db
    rule = params.confirm
    size = np.bincount(groups, minlength=count)
    confidence = group_median(pixels.confidence, groups, count)
    if params.confidence.calibrated:
        confidence = polygon_confidence(confidence, size, n_alerts, params.confidence)
        confirmed = confidence >= params.confidence.confidence_confirm
    else:
        confirmed = np.array(
            [
                is_confirmed(median, mean, rule.confirm_statistic, rule.confirm_n_alerts)
                for median, mean in zip(n_alerts, n_alerts_mean, strict=True)
            ],
            bool,
        )
    return pd.DataFrame(
        {
            "n_alert_pixels": size,
            "status": np.array(
                [Status.CONFIRMED if one else Status.PRELIMINARY for one in confirmed], object
            ),
            "intensity_class": np.array(
                [intensity_class(value, rule.high_intensity) for value in intensity], object
            ),
            "n_alerts": n_alerts,
            "n_alerts_mean": n_alerts_mean,
            "intensity": intensity,
            "excess_db": excess_db,
            "first_flag_days": flag_day(
                pixels.first_flag_days, groups, count, params.polygon.flag_day
            ),
            "last_flag_days": group_extreme(pixels.last_flag_days, groups, count, latest=True),
            "threshold_db": group_median(pixels.threshold_db, groups, count),
            "distance_to_deforestation_m": group_median(pixels.distance_m, groups, count),
            "confidence": confidence,
        }
    )


def area_ha(geometries: Geometries, crs: CRS, area_crs: str) -> Doubles:
    """Area of each polygon in hectares, in a projected CRS or on the GRS 80 ellipsoid.

    Vertices are transformed, straight edges stay straight. No densification is needed: the
    outline of a warning has edges of metres to a few kilometres, and between two such systems an
    edge of length L bows by about L^2 / 8R at most (2 cm at 1 km), a share of the area below 1e-5.

    Parameters
    ----------
    geometries
        (Multi)Polygons, shells and holes of opposite direction.
    crs
        Theirs.
    area_crs
        Such as ``"EPSG:5880"``, or ``"geodesic"``.
    """
    geodesic = area_crs == GEODESIC
    # Kept: a fold asks for one polygon at a time.
    transform = transformer(str(crs), SIRGAS_2000 if geodesic else area_crs)
    moved = shapely.transform(
        geometries, lambda xy: np.column_stack(transform.transform(xy[:, 0], xy[:, 1]))
    )
    if geodesic:
        return np.array([geodesic_area_ha(geometry) for geometry in moved], np.float64)
    return np.asarray(shapely.area(moved) / 10_000, np.float64)
