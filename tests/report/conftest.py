"""A small known world for the report: two clearings, one closed warning, series and scenes."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from shapely.geometry import MultiPolygon, box

from curupira.grid import LONLAT, project
from curupira.report import Chip, Coverage, ReportData, SarImage, Series, ThresholdMap

UTM = "EPSG:32721"
LEFT, TOP = 600_000.0, 9_400_000.0
#: Column, row, width, height (40 m pixels), status, class, closed_reason, excess in dB.
CLEARINGS = (
    (120, 90, 18, 12, "confirmed", "high_intensity", None, 3.4),
    (300, 210, 9, 14, "preliminary", "low_intensity", None, 0.5),
    (200, 330, 5, 5, "confirmed", "low_intensity", None, 0.7),
    (420, 60, 6, 5, "preliminary", "high_intensity", None, 1.9),
    (60, 380, 25, 20, "confirmed", "high_intensity", None, 4.1),
    (350, 400, 8, 8, "closed", "low_intensity", "expired", 0.3),
)


def grid(columns: int = 500, rows: int = 450, pixel_m: float = 40.0) -> GeoBox:
    bounds = (LEFT, TOP - rows * pixel_m, LEFT + columns * pixel_m, TOP)
    return GeoBox.from_bbox(bounds, crs=UTM, resolution=pixel_m, tight=True)


def forest(on: GeoBox, seed: int, text: str, *, cleared: bool) -> SarImage:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: on.shape[0], : on.shape[1]]
    vh_db = -13.0 + 0.5 * np.sin(x / 40) * np.cos(y / 55)
    vv_db = vh_db + 6.2
    river = np.abs(y - 200 - 60 * np.sin(x / 90)) < 5
    vh_db[river], vv_db[river] = -26, -19
    if cleared:
        for column, row, width, height, *_ in CLEARINGS:
            vh_db[row : row + height, column : column + width] -= 5
            vv_db[row : row + height, column : column + width] -= 2.5
    speckle = rng.gamma(12, 1 / 12, (2, *on.shape))
    vh, vv = (10 ** (np.stack([vh_db, vv_db]) / 10) * speckle).astype(np.float32)
    vh[:40, -60:] = np.nan
    return SarImage(vh, vv, on, text)


def warnings_frame() -> gpd.GeoDataFrame:
    rows = []
    for i, (column, row, width, height, status, kind, reason, excess) in enumerate(CLEARINGS):
        left, top = LEFT + column * 40, TOP - row * 40
        shape = MultiPolygon([box(left, top - height * 40, left + width * 40, top)])
        confirmed = status == "confirmed"
        rows.append(
            {
                "warning_id": f"{i:08d}-1111-4222-8333-444455556666",
                "status": status,
                "closed_reason": reason,
                "intensity_class": kind,
                "n_alerts": 1.0 + confirmed,
                "excess_db": excess,
                "first_flag_date": date(2024, 5, 3 + 2 * i),
                "issued_at": pd.Timestamp("2024-05-04T10:00Z") + pd.Timedelta(days=4 * i),
                "confirmed_at": pd.Timestamp("2024-05-20T10:00Z") if confirmed else pd.NaT,
                "delay_from_flag_days": 12.0 if confirmed else np.nan,
                "area_ha": width * height * 0.16,
                "relative_orbit": 39,
                "municipality": "Novo Progresso" if i % 2 else None,
                "uf": "PA",
                "geometry": project(shape, UTM, "EPSG:4674"),
            }
        )
    return gpd.GeoDataFrame(rows, crs="EPSG:4674")


def scenes_frame() -> pd.DataFrame:
    rows = []
    for platform, orbit, start, step, count in (
        ("sentinel-1a", 39, "2024-01-04T09:20Z", 12, 13),
        ("sentinel-1c", 39, "2024-02-10T09:20Z", 12, 9),
        ("sentinel-1a", 112, "2024-01-09T21:40Z", 12, 12),
    ):
        for i in range(count):
            if orbit == 39 and platform == "sentinel-1a" and i in (5, 6):
                continue
            moment = pd.Timestamp(start) + pd.Timedelta(days=step * i)
            for part in (0, 1):
                acquired = moment + pd.Timedelta(seconds=25 * part)
                rows.append(
                    {
                        "scene_id": f"{platform}_{orbit:03d}_{acquired:%Y%m%dT%H%M%S}",
                        "platform": platform,
                        "acquired": acquired,
                        "created": acquired + pd.Timedelta(hours=20),
                        "relative_orbit": orbit,
                        "orbit_state": "descending" if orbit == 39 else "ascending",
                        "state": "quarantined" if (orbit, i, part) == (112, 4, 0) else "ingested",
                        "reason": "VH band is all NaN" if (orbit, i, part) == (112, 4, 0) else None,
                    }
                )
    return pd.DataFrame(rows)


def series(label: str = "Warning 00000004, strongest pixel") -> Series:
    rng = np.random.default_rng(5)
    time = np.datetime64("2022-05-01", "ns") + np.arange(63) * np.timedelta64(12, "D")
    season = 0.7 * np.cos(np.arange(63) / 30.4 * 2 * np.pi)
    steady = -13.2 + rng.normal(0, 0.45, 63)
    steady[60:] -= 5
    steady[20] = np.nan
    limit = np.full(63, -13.2 - 2.3)
    period = np.where(np.arange(63) >= 58, "detection", "learning")
    columns = {
        "gamma0_db": steady + season,
        "season_db": season,
        "stabilised_db": steady,
        "period": period,
        "reference_db": np.full(63, -13.2),
        "threshold_db": np.full(63, 2.3),
        "limit_db": limit,
        "flag": (steady < limit) & (period == "detection"),
    }
    return Series(
        label, xr.Dataset({k: ("time", v) for k, v in columns.items()}, coords={"time": time})
    )


def chip(index: int) -> Chip:
    column, row, width, height, *_ = CLEARINGS[index]
    before = forest(grid(), 1, "2024-04-21", cleared=False)
    after = forest(grid(), 2, "2024-05-27", cleared=True)
    window = (slice(row - 20, row + height + 20), slice(column - 20, column + width + 20))
    cut = [
        SarImage(im.vh[window], im.vv[window], im.grid[window], im.date_text)
        for im in (before, after)
    ]
    return Chip(f"{index:08d}-1111-4222-8333-444455556666", *cut)


@pytest.fixture(scope="session")
def full() -> ReportData:
    on = grid()
    y, x = np.mgrid[: on.shape[0], : on.shape[1]]
    threshold = 2.69 - 0.5 * np.exp(-((x - 220) ** 2 + (y - 260) ** 2) / 15000)
    threshold[300:340, 60:130] = np.nan
    left, right, bottom, top = 601_000, 619_000, 9_383_000, 9_399_000
    return ReportData(
        title="Warnings of May 2024",
        area_name="Serra do Cachimbo",
        since=date(2024, 5, 1),
        until=date(2024, 5, 31),
        generated_at=datetime(2024, 6, 1, 4, 0, tzinfo=UTC),
        preset="deter_r",
        preset_hash="3f9a1c77b2d0",
        warnings=warnings_frame(),
        scenes=scenes_frame(),
        coverage=Coverage(281.4, 6.2, 0.4),
        area=project(box(left, bottom, right, top), UTM, LONLAT),
        data_years=(2022, 2023, 2024),
        composite_before=forest(on, 1, "2024-04-21", cleared=False),
        composite_after=forest(on, 2, "2024-05-27", cleared=True),
        chips=tuple(chip(index) for index in (4, 0, 3)),
        series=(series(), series("Warning 00000000, strongest pixel")),
        threshold_map=ThresholdMap(threshold.astype(np.float32), on),
    )


@pytest.fixture(scope="session")
def empty(full: ReportData) -> ReportData:
    return dataclasses.replace(
        full,
        warnings=full.warnings.iloc[:0],
        scenes=full.scenes.iloc[:0],
        coverage=None,
        composite_before=None,
        composite_after=None,
        chips=(),
        series=(),
        threshold_map=None,
        data_years=(),
    )
