"""Series of single pixels: real ones as they were published, simulated ones made like them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt

from anchor_figures import Series
from curupira.detect.quegan_yu import quegan_yu
from curupira.detect.refined_lee import refined_lee
from curupira.simulate.district import SimulatedDistrict, simulate_district
from curupira.simulate.landscape import FOREST

#: Length of the simulated districts, how much of it is monitored at most (so many clearings more),
#: and for how long a clearing must be followed.
YEARS, MONITORED_MONTHS, FOLLOWED_DAYS = 5, 36, 330
#: Days that the real series reach back and forth of the split.
HISTORY_DAYS, LATER_DAYS = 730, 365
#: Images that a history has at least.
MINIMUM_PAST = 20
#: What the published method cuts off a slice's ends, and as much ahead of the seam.
BORDER_M = 1000
#: Side of a pixel; how far from any other cover the forest lies that stabilises an image.
PIXEL_M, CORE_M = 20, 100
#: Pixels around one that its filtered value depends on: 2 by the median, 3 by Refined Lee.
REACH = 5
#: Days of the real series count from here.
FIRST_DAY = pd.Timestamp("2016-01-01")

Pixel = tuple[int, int]
Draw = Callable[[np.random.Generator], float]


def real_series(folder: Path, points: gpd.GeoDataFrame) -> list[Series]:
    """Series of some points."""
    cells = np.floor(np.column_stack([points.geometry.x, points.geometry.y]))
    _, cell = np.unique(cells, axis=0, return_inverse=True)
    points = points.assign(cell=cell).set_index("id")
    table = pd.read_parquet(folder / "series.parquet", columns=["id", "date", "spatialf_db"])
    found = []
    for key, rows in table[table.id.isin(points.index)].sort_values("date").groupby("id"):
        point = points.loc[key]
        days = (pd.to_datetime(rows.date) - FIRST_DAY).dt.days.to_numpy(float)
        split, after = (_day(point[name]) for name in ("split_date", "after_date"))
        if (days < split).sum() >= MINIMUM_PAST and (days >= split).sum() >= 5:
            db = rows.spatialf_db.to_numpy(float)
            month = _month(FIRST_DAY, (split + after) / 2)
            found.append(Series(days, db, split, after, int(key) >= 3000, int(point.cell), month))
    return found


def _day(text: object) -> float:
    moment = pd.to_datetime(text)
    return float("nan") if pd.isna(moment) else float((moment - FIRST_DAY).days)


def _month(first: pd.Timestamp, days: float) -> int:
    return 0 if np.isnan(days) else int((first + pd.Timedelta(days=days)).month)


def stabilised(district: SimulatedDistrict, core: np.ndarray) -> np.ndarray:
    """VH (linear, times a constant) of all passes at 20 m, ``(t, y, x)``, each over its forest.

    The real series were freed of what a date does to all of the forest in the same way: each image
    divided by the mean of the forest within 5 km (Doblas et al. 2020). ``core`` is that forest.
    """
    stack = np.stack([_halved(district.renderer.vh(i)) for i in range(len(district.passes))])
    stack /= stack[:, core].mean(axis=1)[:, np.newaxis, np.newaxis]
    return stack


def filtered_db(stack: np.ndarray, near: np.ndarray, at: Pixel) -> np.ndarray:
    """One pixel of the ``near`` images, filtered as the published method does: dB ``(t,)``."""
    y0, x0 = (max(0, n - REACH) for n in at)
    around = np.ascontiguousarray(stack[near, y0 : at[0] + REACH + 1, x0 : at[1] + REACH + 1])
    level = quegan_yu(around, window=5, kind="median")
    images = (refined_lee(image, side="scripts", clamp=False) for image in level)
    power = np.array([image[at[0] - y0, at[1] - x0] for image in images])
    return 10 * np.log10(np.maximum(power, 1e-6))


def _halved(image: np.ndarray) -> np.ndarray:
    # Mean of 2 x 2 pixels.
    total = image[::2, ::2] + image[::2, 1::2] + image[1::2, ::2] + image[1::2, 1::2]
    return total / np.float32(4)


def clear_of_seams(district: SimulatedDistrict) -> np.ndarray:
    """Pixels ``(y, x)`` at 20 m that no slice's noisy border reaches: the method cuts it off."""
    found = np.ones(tuple(n // 2 for n in district.landscape.shape), dtype=bool)
    for view in district.views.values():
        if view.seam is not None:
            found &= np.abs(view.seam.behind_m[::2, ::2]) > BORDER_M
    return found


def simulated_series(seeds: list[int], size_km: float, gap: Draw, scenario: str) -> list[Series]:
    """Series of the districts of some seeds; ``gap`` draws the days between two optical images."""
    found = []
    for seed in seeds:
        district = simulate_district(
            size_km=size_km,
            years=YEARS,
            seed=seed,
            scenario=scenario,
            monitored_months=MONITORED_MONTHS,
        )
        found += _of_district(district, seed, gap)
    return found


def _of_district(district: SimulatedDistrict, seed: int, gap: Draw) -> list[Series]:
    rng = np.random.default_rng(seed)
    first, days = pd.Timestamp(district.world.place.first_day), district.timeline.days
    event, seen = district.patches.event[::2, ::2], clear_of_seams(district)
    free = (district.landscape.cover[::2, ::2] == FOREST) & (event == 0) & seen
    depth = distance_transform_edt(free)
    core = depth > CORE_M / PIXEL_M
    stack = stabilised(district, core)

    def series(at: Pixel, split: float, after: float, month: int = 0) -> Series:
        near = (days > split - HISTORY_DAYS) & (days < split + LATER_DAYS)
        db = filtered_db(stack, near, at)
        return Series(days[near], db, split, after, not np.isnan(after), seed, month)

    found = []
    for item in district.events:
        inside = (event == item.event_id) & seen
        if item.kind != "clearing" or item.area_ha < 1 or item.outside_mask or not inside.any():
            continue
        waited = gap(rng)
        split = item.start_days - rng.uniform(0, waited)
        past = (days > split - HISTORY_DAYS) & (days < split)
        if past.sum() >= MINIMUM_PAST and days[-1] >= split + FOLLOWED_DAYS:
            month = _month(first, split + waited / 2)
            found.append(series(_middle(inside), split, split + waited, month))
    split = float(days[-1] - LATER_DAYS)
    for y in range(12, free.shape[0] - 12, 25):
        for x in range(12, free.shape[1] - 12, 25):
            if core[y, x]:
                found.append(series((y, x), split, np.nan))
    return found


def _middle(inside: np.ndarray) -> Pixel:
    depth = distance_transform_edt(inside)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(y), int(x)
