"""What the report is made of: plain records, checked once when they are built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from curupira.codes import IntensityClass, Status
from curupira.errors import InputError

FloatImage = npt.NDArray[np.float32]

#: Columns of a warning (product.md section 5) that the report cannot do without.
WARNING_COLUMNS = frozenset(
    {
        "warning_id",
        "status",
        "closed_reason",
        "intensity_class",
        "n_alerts",
        "excess_db",
        "first_flag_date",
        "issued_at",
        "confirmed_at",
        "delay_from_flag_days",
        "area_ha",
        "relative_orbit",
    }
)
SCENE_COLUMNS = frozenset(
    {
        "scene_id",
        "platform",
        "acquired",
        "created",
        "relative_orbit",
        "orbit_state",
        "state",
        "reason",
    }
)
SERIES_VARIABLES = frozenset(
    {
        "gamma0_db",
        "season_db",
        "stabilised_db",
        "period",
        "reference_db",
        "threshold_db",
        "limit_db",
        "flag",
    }
)


def _need_columns(present: object, needed: frozenset[str], where: str) -> None:
    missing = sorted(needed - {str(name) for name in present})  # type: ignore[attr-defined]
    if missing:
        raise InputError(
            f"{', '.join(missing)} missing",
            where=where,
            remedy="give the fields of product.md section 5",
        )


def _need_words(column: pd.Series, words: type[StrEnum]) -> None:
    unknown = sorted(set(column.astype(str)) - {str(word) for word in words})
    if unknown:
        raise InputError(
            f"unknown {column.name} {', '.join(map(repr, unknown))}",
            where="warnings of the report",
            remedy=f"use one of {', '.join(words)}",
        )


def _need_shape(array: npt.NDArray[np.floating], grid: GeoBox, where: str) -> None:
    if array.shape != tuple(grid.shape):
        raise InputError(
            f"the array is {array.shape}, its grid {tuple(grid.shape)}",
            where=where,
            remedy="give the GeoBox of the array itself",
        )
    if grid.crs is None or not grid.crs.projected:
        raise InputError(
            "the grid is not in metres",
            where=where,
            remedy="give a grid in a projected coordinate reference system",
        )


@dataclass(frozen=True)
class SarImage:
    """A VH and VV image (y, x) in linear gamma0, NaN missing, with its grid and date in words."""

    vh: FloatImage
    vv: FloatImage
    grid: GeoBox
    date_text: str

    def __post_init__(self) -> None:
        _need_shape(self.vh, self.grid, f"VH image of {self.date_text}")
        _need_shape(self.vv, self.grid, f"VV image of {self.date_text}")


@dataclass(frozen=True)
class Chip:
    """A warning seen closely, before and after; ``warning_id`` is a row of the warnings."""

    warning_id: str
    before: SarImage
    after: SarImage


@dataclass(frozen=True)
class Series:
    """One pixel explained: the variables of ``SERIES_VARIABLES`` along ``time`` (naive UTC)."""

    label: str
    dataset: xr.Dataset

    def __post_init__(self) -> None:
        _need_columns(self.dataset.variables, SERIES_VARIABLES, f"series {self.label!r}")


@dataclass(frozen=True)
class ThresholdMap:
    """The drop t below the reference level (dB, positive) that raises a flag, (y, x)."""

    threshold_db: FloatImage
    grid: GeoBox

    def __post_init__(self) -> None:
        _need_shape(self.threshold_db, self.grid, "threshold map")


@dataclass(frozen=True)
class Coverage:
    """How much of the area was looked at, in km2."""

    monitored_km2: float
    masked_km2: float
    unobserved_km2: float


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything that one report shows.

    Parameters
    ----------
    title, area_name
        Words for the heading.
    since, until
        First and last day of the period, both inclusive, UTC.
    generated_at
        Time of the report (aware); the clock is the caller's.
    preset, preset_hash
        The algorithm preset of the warnings.
    warnings
        GeoDataFrame with the columns of product.md section 5, any CRS (EPSG:4674 in the store).
    scenes
        One row a scene, with the columns of ``SCENE_COLUMNS``; times are aware.
    coverage
        Areas, or None where no run has accounted for them.
    area
        Outline, lon/lat.
    composite_before, composite_after
        Images behind the map, already reduced to some 500 to 800 pixels a side, or None.
    chips, series
        The strongest warnings, strongest first.
    threshold_map
        The drop t over the area, reduced like the composites, or None.
    data_years
        Years of the Sentinel data used, for the attribution.
    simulated
        Whether the images are simulated: there is nobody to attribute them to.
    summary
        The document of ``/api/dashboard`` for the period, or None.
    optical
        That of ``/api/dashboard/optical``, the reason why there is none, or None.

    Raises
    ------
    InputError
        If columns, the CRS or the time zone are missing, a status or class is unknown, or the
        period ends before it begins.
    """

    title: str
    area_name: str
    since: date
    until: date
    generated_at: datetime
    preset: str
    preset_hash: str
    warnings: gpd.GeoDataFrame
    scenes: pd.DataFrame
    coverage: Coverage | None
    area: BaseGeometry
    data_years: tuple[int, ...]
    simulated: bool = False
    composite_before: SarImage | None = None
    composite_after: SarImage | None = None
    chips: tuple[Chip, ...] = ()
    series: tuple[Series, ...] = ()
    threshold_map: ThresholdMap | None = None
    summary: Mapping[str, Any] | None = None
    optical: Mapping[str, Any] | str | None = None

    def __post_init__(self) -> None:
        _need_columns(self.warnings.columns, WARNING_COLUMNS, "warnings of the report")
        _need_columns(self.scenes.columns, SCENE_COLUMNS, "scenes of the report")
        if self.warnings.crs is None:
            raise InputError(
                "the geometries have no coordinate reference system",
                where="warnings of the report",
                remedy="set EPSG:4674",
            )
        _need_words(self.warnings["status"], Status)
        _need_words(self.warnings["intensity_class"], IntensityClass)
        if self.until < self.since:
            raise InputError(
                f"the period ends ({self.until}) before it begins ({self.since})",
                where="report",
                remedy="exchange the two dates",
            )
        if self.generated_at.tzinfo is None:
            raise InputError(
                "the time of the report has no time zone", where="report", remedy="give it in UTC"
            )

    @cached_property
    def issued(self) -> gpd.GeoDataFrame:
        """Warnings issued within the period."""
        return self.warnings[in_period(self.warnings["issued_at"], self.since, self.until)]

    @cached_property
    def confirmed(self) -> gpd.GeoDataFrame:
        """Warnings confirmed within the period, whenever they were issued."""
        return self.warnings[in_period(self.warnings["confirmed_at"], self.since, self.until)]


def in_period(times: pd.Series, since: date, until: date) -> npt.NDArray[np.bool_]:
    """Which times fall on the UTC days from ``since`` to ``until``, both inclusive; NaT never."""
    moments = pd.to_datetime(times, utc=True).dt.tz_localize(None)
    after = moments >= pd.Timestamp(since)
    before = moments < pd.Timestamp(until) + pd.Timedelta(days=1)
    return np.asarray(after & before, dtype=bool)


#: Words for the codes, as the report prints them.
STATUS_WORDS = {
    Status.PRELIMINARY: "Preliminary (CR1)",
    Status.CONFIRMED: "Confirmed (CR2)",
    Status.CLOSED: "Closed",
}
CLASS_WORDS = {
    IntensityClass.HIGH: "High intensity (clear cut)",
    IntensityClass.LOW: "Low intensity (degradation)",
}
