"""Anybody's warnings, as GeoJSON, against the truth of simulated districts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely

from curupira.codes import IntensityClass
from curupira.config import Workspace
from curupira.errors import ConfigError, InputError
from curupira.pipelines import masks
from curupira.pipelines.accuracy import Judged, false_causes, read_truth
from curupira.sources.truth_rasters import CauseRasters
from curupira.sources.vector import read_vector
from curupira.validate.found import Watch
from curupira.validate.matching import Alert
from curupira.validate.pool import Case

#: Columns that are read; only the first is needed.
CONFIRMED, ISSUED, LAST_FLAG, FIRST_FLAG = (
    "confirmed_at",
    "issued_at",
    "last_flag_date",
    "first_flag_date",
)
DISTRICT = "district"


def read_warnings(path: Path, *, name: str) -> gpd.GeoDataFrame:
    """Read warnings; with a column ``district`` only those of this one.

    Raises
    ------
    ConfigError
        If the file does not exist.
    InputError
        If it is unreadable, or has no column ``confirmed_at``.
    """
    frame = read_vector(path)
    if CONFIRMED not in frame.columns:
        raise InputError(
            f"has no column {CONFIRMED!r}",
            where=path,
            remedy="give the time of each confirmation; leave it empty for a preliminary warning",
        )
    if DISTRICT in frame.columns:
        frame = frame[frame[DISTRICT] == name]
    return frame.reset_index(drop=True)


def district_case(
    workspace: Workspace,
    warnings: gpd.GeoDataFrame,
    *,
    system: str,
    revisit_days: float,
    now: datetime,
) -> Case:
    """One simulated district, and the warnings of another system on it.

    Parameters
    ----------
    workspace
        As ``curupira simulate`` makes it; it need not have been run.
    warnings
        From ``read_warnings``; columns in docs/accuracy.md.
    system
        Name that stands for the preset.
    revisit_days
        Days between the district's acquisitions.

    Raises
    ------
    ConfigError, InputError
        If the truth is missing, or a warning has no time or no polygon.
    """
    truth = workspace.folder / "truth.gpkg"
    events = read_truth(workspace, truth)
    passes = pyogrio.read_dataframe(truth, layer="acquisition", read_geometry=False)
    if passes.empty:
        raise ConfigError("the truth has no acquisitions", where=truth, remedy="simulate it again")
    alerts, first = _alerts(warnings.to_crs(str(workspace.grid.crs)))
    watch = Watch(
        preset=system,
        since=workspace.monitor.algorithm.monitor_since,
        end=max(date.fromisoformat(str(day)[:10]) for day in passes["date"]),
        known=max(date.fromisoformat(str(day)[:10]) for day in passes["created"]),
        revisit_days=revisit_days,
        monitored_km2=float(masks.load(workspace, now).record["km2"]["monitored"]),
    )
    causes = false_causes(
        Judged(alerts, first, watch), events, CauseRasters(workspace.folder / "truth")
    )
    return Case(alerts, events, watch, causes)


def _alerts(frame: gpd.GeoDataFrame) -> tuple[list[Alert], dict[str, date]]:
    columns = {name: _days(frame, name) for name in (CONFIRMED, ISSUED, LAST_FLAG, FIRST_FLAG)}
    alerts, first_flag = [], {}
    for k, geometry in enumerate(frame.geometry):
        confirmed, issued, last, first = (days[k] for days in columns.values())
        issued = issued or confirmed
        if issued is None or geometry is None or geometry.is_empty:
            raise InputError(
                "a warning has neither confirmed_at nor issued_at, or no polygon",
                where=f"feature {k}",
                remedy="give every warning a time and a polygon",
            )
        shape = shapely.make_valid(geometry)
        name = str(k)
        alerts.append(
            Alert(
                warning_id=name,
                geometry=shape,
                area_ha=shape.area / 10_000,
                issued=issued,
                confirmed=confirmed,
                last_flag=last or confirmed or issued,
                confidence=_number(frame, "confidence", k),
                low=_low(frame, k),
                distance_m=_number(frame, "distance_to_deforestation_m", k),
            )
        )
        first_flag[name] = first or issued
    return alerts, first_flag


def _days(frame: gpd.GeoDataFrame, name: str) -> Sequence[date | None]:
    if name not in frame.columns:
        return [None] * len(frame)
    moments = pd.to_datetime(frame[name], utc=True, errors="coerce", format="ISO8601")
    strange = moments.isna() & frame[name].notna()
    if strange.any():
        raise InputError(
            f"{frame[name][strange].iloc[0]!r} is no time", where=name, remedy="write ISO 8601, UTC"
        )
    return [None if pd.isna(m) else m.date() for m in moments]


def _number(frame: gpd.GeoDataFrame, name: str, k: int) -> float:
    value: Any = frame[name].iloc[k] if name in frame.columns else None
    return float("nan") if value is None or pd.isna(value) else float(value)


def _low(frame: gpd.GeoDataFrame, k: int) -> bool | None:
    value = frame["intensity_class"].iloc[k] if "intensity_class" in frame.columns else None
    return None if value is None else bool(value == IntensityClass.LOW)
