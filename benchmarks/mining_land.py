"""Tiles and patches of the simulated year of radar over real mining outlines, for mining.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window
from curupira.mining.composite import coarsen, composite
from curupira.mining.dataset import PatchSet
from curupira.mining.params import MiningParams
from curupira.mining.scene import RadarScene, read_bands
from curupira.simulate.mining_params import MiningLand, load_mining_land
from curupira.simulate.mining_region import Tile, make_tile, render
from curupira.simulate.params import load_world
from curupira.simulate.speckle import SpeckleBank

CRS = {"tapajos": "EPSG:32721", "yanomami": "EPSG:32620"}
Array = npt.NDArray[Any]
#: Pixels; windows of 104 at steps of 52 cover a tile of 728 exactly.
TILE, PATCH, MARGIN = 728, 104, 12
#: Training points nearer than this are one mine.
APART_M = 1500.0

#: What a variant changes, beside the seed of every tile: levels and spreads within their ranges.
VARIANTS: tuple[dict[str, dict[str, Any]], ...] = (
    {},
    {"mine": {"bare_db": [-11.5, -19.0]}},
    {"cover": {"between_db": 1.6}},
    {"mine": {"between_db": 2.0}, "forest": {"level_db": [-6.9, -13.4], "type_db": 0.4,
     "texture_db": 0.5, "date_sd_db": 0.3}},
    {"cover": {"sandbar_db": [-11.0, -19.0], "season_db": 1.6}},
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A tile's grid and the outlines on it."""

    grid: GeoBox
    number: int
    outlines: npt.NDArray[np.int32]


class Region:
    """Real outlines of a box, and how its land looks in a variant."""

    def __init__(self, data: Path, name: str, variant: int) -> None:
        self.name, self.variant = name, variant
        folder = data / "amw"
        outlines = gpd.read_file(folder / f"{name}_amw_cumulative_2023.geojson")
        self.outlines = outlines.to_crs(CRS[name]).geometry.make_valid()
        self.samples = gpd.read_file(folder / f"{name}_amw_samples.geojson").to_crs(CRS[name])
        self.land: MiningLand = load_mining_land(**VARIANTS[variant])
        self.bank = SpeckleBank(load_world().speckle, 100 + variant)

    @cached_property
    def tree(self) -> shapely.STRtree:
        """Index of the outlines."""
        return shapely.STRtree(self.outlines.to_numpy())

    def place(self, x: float, y: float, size: int, number: int) -> Place:
        """A tile of ``size`` pixels with its middle at a point, on whole pixels."""
        left, top = round(x / 10 - size / 2) * 10, round(y / 10 + size / 2) * 10
        box = (left, top - size * 10, left + size * 10, top)
        grid = GeoBox.from_bbox(box, crs=CRS[self.name], shape=(size, size))
        hits = self.tree.query(grid.extent.geom, predicate="intersects")
        shapes = [(self.outlines.iloc[i], n) for n, i in enumerate(sorted(hits), start=1)]
        burnt = np.zeros((size, size), dtype=np.int32)
        if shapes:
            burnt = rasterize(shapes, (size, size), transform=grid.affine, dtype="int32")
        return Place(grid, number, burnt)

    def tiles(self, mined: int, clean: int, seed: int) -> list[Place]:
        """Tiles that do not overlap: around random mining outlines, and without any."""
        rng = np.random.default_rng(seed)
        west, south, east, north = self.outlines.total_bounds
        found: list[Place] = []
        taken: list[BaseGeometry] = []
        wanted = [True] * mined + [False] * clean
        while len(found) < len(wanted):
            near = wanted[len(found)]
            if near:
                middle = self.outlines.iloc[int(rng.integers(len(self.outlines)))].centroid
                x, y = np.array([middle.x, middle.y]) + rng.uniform(-2500, 2500, 2)
            else:
                x, y = rng.uniform(west, east), rng.uniform(south, north)
            place = self.place(x, y, TILE, seed * 1000 + len(found))
            apart = all(t.disjoint(place.grid.extent.geom) for t in taken)
            if apart and bool(place.outlines.any()) == near:
                found.append(place)
                taken.append(place.grid.extent.geom)
        return found

    def points(self, each: int, seed: int) -> gpd.GeoDataFrame:
        """Sample points, the same number of both classes, apart from each other.

        Mines are of the curated 2023 sets. The curated negatives of 2023 lie inside the published
        outlines (they are what an earlier model took for mines), where we would paint a mine; the
        random negatives well outside stand for other land.
        """
        rng = np.random.default_rng(seed)
        pool = self.samples
        away = shapely.STRtree(self.outlines.to_numpy()).query_nearest(
            pool.geometry.to_numpy(), return_distance=True, all_matches=False
        )[1]
        curated = pool.source.str.contains("GeoCompass2023")
        pool = pool[np.where(pool.label == 1, curated & (away == 0), away > 800)]
        chosen: list[int] = []
        for label in (1, 0):
            kept: list[BaseGeometry] = []
            for index in rng.permutation(pool.index[pool.label == label]):
                where = pool.geometry[index]
                if len(kept) < each and all(where.distance(k) > APART_M for k in kept):
                    kept.append(where)
                    chosen.append(int(index))
        return pool.loc[chosen]

    def make(self, place: Place) -> Tile:
        """The land of a tile."""
        seed = (self.variant + 1) * 1_000_000 + place.number
        return make_tile(self.land, self.land.region[self.name], place.outlines, seed)

    def scenes(self, place: Place, days: Sequence[date]) -> list[RadarScene]:
        """Images of a tile on some days, in memory."""
        tile = self.make(place)
        made = []
        for number, day in enumerate(days):
            pair = render(tile, day, place.number * 64 + number, self.bank)
            made.append(RadarScene(f"{self.name}_{place.number}", day, place.grid, _reader(pair)))
        return made


def _reader(pair: tuple[Array, Array]) -> Any:
    def read(window: Window) -> tuple[Array, Array]:
        return pair[0][window.slices], pair[1][window.slices]

    return read


def image_for(region: Region, place: Place, params: MiningParams, days: list[date]) -> RadarScene:
    """What a model looks at: the last of the dates, or their composite, at its pixel size."""
    wanted = days if params.bands.several_dates else days[-1:]
    scenes = region.scenes(place, wanted)
    factor = round(params.patches.pixel_m / 10)
    if factor > 1:
        scenes = [coarsen(scene, factor) for scene in scenes]
    return composite(scenes) if params.bands.several_dates else scenes[0]


def patch_set(region: Region, params: MiningParams, each: int, dates: int, seed: int) -> PatchSet:
    """Patches of the training points: ``dates`` random dates of each, or its composite."""
    rng = np.random.default_rng(seed)
    scale = round(params.patches.pixel_m / 10)
    first, last = MARGIN // scale, (MARGIN + PATCH) // scale
    inner = Window(first, last, first, last)
    rows, patches = [], []
    for number, point in enumerate(region.points(each, seed).itertuples()):
        size = PATCH + 2 * MARGIN
        place = region.place(point.geometry.x, point.geometry.y, size, 500_000 + number)
        year = region.land.dates
        if params.bands.several_dates:
            images = [image_for(region, place, params, year)]
        else:
            chosen = sorted(rng.choice(len(year), dates, replace=False))
            images = [image_for(region, place, params, [year[n]]) for n in chosen]
        for image in images:
            patches.append(read_bands(image, inner, params.bands))
            rows.append(
                {
                    "point": number,
                    "scene": str(image.day),
                    "date": image.day,
                    "label": int(point.label),
                    "x_m": point.geometry.x,
                    "y_m": point.geometry.y,
                }
            )
    return PatchSet(np.stack(patches), pd.DataFrame(rows), f"simulated-{seed}")
