"""Numbers and tables of the report as plain text rows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd

from curupira.codes import IntensityClass, SceneState, Status
from curupira.grid import SIRGAS_2000
from curupira.report.cadence import acquisition_times, by_orbit, find_gaps, naive_times
from curupira.report.data import CLASS_WORDS, STATUS_WORDS, ReportData

#: A missing value, in a table.
NONE = "–"
#: Longer lists are cut, and say so.
MAX_ROWS = 25


@dataclass(frozen=True)
class Headline:
    """One large number with its unit and what it counts."""

    value: str
    unit: str
    label: str
    detail: str = ""


@dataclass(frozen=True)
class Table:
    """A table of text: the first column of each row is its header; the last row may be a total."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    total: bool = False
    left_out: int = 0


def number(value: float, digits: int = 0) -> str:
    """A number with a comma for thousands and a true minus; a dash where it is NaN."""
    return NONE if not np.isfinite(value) else f"{value:,.{digits}f}".replace("-", "−")


def area(value: float) -> str:
    """An area in its unit (ha, km2): one decimal below a hundred."""
    return number(value, 1 if abs(value) < 100 else 0)


def day(value: object) -> str:
    """The UTC day of a time or date as YYYY-MM-DD; a dash where it is missing."""
    moment = pd.to_datetime(value, utc=True)  # type: ignore[call-overload]
    return NONE if pd.isna(moment) else str(moment.strftime("%Y-%m-%d"))


def text(value: object) -> str:
    """A field as text; a dash where it is missing or empty."""
    missing = value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))
    return NONE if missing or str(value) == "" else str(value)


def position(lon: float, lat: float) -> str:
    """Longitude and latitude in words, to 0.001 degrees (some 100 m)."""
    return f"{abs(lat):.3f}°{'NS'[lat < 0]} {abs(lon):.3f}°{'EW'[lon < 0]}"


def headlines(data: ReportData) -> list[Headline]:
    """The large numbers: issued in the period by present status, confirmed, delay, coverage."""
    issued, confirmed = data.issued, data.confirmed
    found = [_counted(issued, "issued in the period")]
    for status, words in (
        (Status.PRELIMINARY, "of these still preliminary (CR1)"),
        (Status.CONFIRMED, "of these confirmed (CR2)"),
        (Status.CLOSED, "of these closed"),
    ):
        found.append(_counted(issued[issued["status"] == status], words))
    found.append(_counted(confirmed, "confirmed in the period, whenever issued"))
    delay = float(pd.to_numeric(confirmed["delay_from_flag_days"]).median())
    found.append(Headline(number(delay), "days", "median from first flag to confirmation"))
    if data.coverage is not None:
        found.append(
            Headline(
                area(data.coverage.monitored_km2),
                "km²",
                "monitored",
                f"{area(data.coverage.masked_km2)} km² masked, "
                f"{area(data.coverage.unobserved_km2)} km² not observed",
            )
        )
    return found


def _counted(rows: gpd.GeoDataFrame, words: str) -> Headline:
    unit = "warning" if len(rows) == 1 else "warnings"
    return Headline(number(len(rows)), unit, words, f"{area(rows['area_ha'].sum())} ha")


def counts_table(data: ReportData) -> Table:
    """Number and area of the warnings issued in the period, by class and status, with totals."""
    issued = data.issued
    rows = []
    kinds: list[tuple[str, gpd.GeoDataFrame]] = [
        (CLASS_WORDS[kind], issued[issued["intensity_class"] == kind])
        for kind in (IntensityClass.HIGH, IntensityClass.LOW)
    ]
    for words, mine in [*kinds, ("All", issued)]:
        cells = [words]
        for part in [*(mine[mine["status"] == status] for status in Status), mine]:
            cells += [number(len(part)), area(part["area_ha"].sum())]
        rows.append(tuple(cells))
    columns = ["Class"]
    for name in [*(STATUS_WORDS[status] for status in Status), "All"]:
        columns += [f"{name}, number", f"{name}, ha"]
    return Table(
        "Warnings issued in the period, by class and present status: number and area",
        tuple(columns),
        tuple(rows),
        (False, *(True,) * (len(columns) - 1)),
        total=True,
    )


def warnings_table(data: ReportData) -> Table:
    """The warnings issued or confirmed in the period, largest excess first, at most 25 rows.

    The mining score has a column where any of them has one.
    """
    mine = data.warnings.loc[data.issued.index.union(data.confirmed.index)]
    mine = mine.to_crs(SIRGAS_2000).sort_values("excess_db", ascending=False, kind="stable")
    scored = "mining_score" in mine and bool(mine["mining_score"].notna().any())
    rows = []
    for row in mine.head(MAX_ROWS).to_dict("records"):
        point = row["geometry"].representative_point()
        rows.append(
            (
                str(row["warning_id"])[:8],
                STATUS_WORDS[Status(row["status"])],
                CLASS_WORDS[IntensityClass(row["intensity_class"])].split(" (")[0],
                area(row["area_ha"]),
                number(row["excess_db"], 1),
                *([number(100 * row["mining_score"])] if scored else []),
                day(row["first_flag_date"]),
                day(row["issued_at"]),
                day(row["confirmed_at"]),
                position(point.x, point.y),
                place(row),
            )
        )
    columns = (
        "Warning",
        "Status",
        "Class",
        "Area (ha)",
        "Excess (dB)",
        *(["Mining (%)"] if scored else []),
        "First flag",
        "Issued",
        "Confirmed",
        "Position",
        "Place",
    )
    numeric = tuple(name in ("Area (ha)", "Excess (dB)", "Mining (%)") for name in columns)
    caption = "Warnings issued or confirmed in the period, largest excess first"
    return Table(caption, columns, tuple(rows), numeric, left_out=max(0, len(mine) - MAX_ROWS))


def place(row: dict[str, object]) -> str:
    """Municipality, state and protected land of a warning, as far as its overlays know them."""
    fields = ("municipality", "uf", "protected_area", "indigenous_territory")
    return ", ".join(text(row.get(f)) for f in fields if text(row.get(f)) != NONE) or NONE


def cadence_table(scenes: pd.DataFrame) -> Table:
    """Images used, usual pause and longest gap for each satellite and orbit."""
    used = scenes[scenes["state"] == SceneState.INGESTED]
    rows = []
    for group in by_orbit(used):
        times = acquisition_times(naive_times(group.scenes["acquired"]))
        pauses = np.diff(times) / np.timedelta64(1, "D")
        rows.append(
            (
                group.platform,
                f"{group.relative_orbit} {group.orbit_state}",
                number(times.size),
                day(times[0]),
                day(times[-1]),
                number(float(np.median(pauses)), 1) if pauses.size else NONE,
                number(float(pauses.max()), 1) if pauses.size else NONE,
                number(len(find_gaps(times))),
            )
        )
    columns = (
        "Satellite",
        "Orbit",
        "Images",
        "First",
        "Last",
        "Usual pause (days)",
        "Longest pause (days)",
        "Gaps",
    )
    numeric = tuple(index in (2, 5, 6, 7) for index in range(len(columns)))
    return Table("Images used, by satellite and relative orbit", columns, tuple(rows), numeric)


def quarantine_table(scenes: pd.DataFrame) -> Table:
    """Scenes that could not be used, with reasons, newest first."""
    bad = scenes[scenes["state"] == SceneState.QUARANTINED]
    bad = bad.sort_values("acquired", ascending=False, kind="stable")
    rows = tuple(
        (str(row["scene_id"]), text(row["platform"]), day(row["acquired"]), text(row["reason"]))
        for row in bad.head(MAX_ROWS).to_dict("records")
    )
    columns: Sequence[str] = ("Scene", "Satellite", "Acquired", "Reason")
    return Table(
        "Quarantined scenes",
        tuple(columns),
        rows,
        (False,) * len(columns),
        left_out=max(0, len(bad) - MAX_ROWS),
    )
