"""Tiles and patches of the simulated year of radar over real mining outlines, for mining.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window
from curupira.mining.composite import at_random, coarsen, composite
from curupira.mining.context import above_valley, slope_deg
from curupira.mining.dataset import PatchSet
from curupira.mining.params import LandBand, MiningParams
from curupira.mining.scene import RadarScene, read_bands
from curupira.simulate.mining_image import render
from curupira.simulate.mining_params import MiningLand, load_mining_land
from curupira.simulate.mining_region import Tile, make_tile
from curupira.simulate.params import load_world
from curupira.simulate.speckle import SpeckleBank

CRS = {"tapajos": "EPSG:32721", "yanomami": "EPSG:32620"}
Array = npt.NDArray[Any]
#: Pixels; windows of 104 at steps of 52 cover a tile of 728 exactly.
TILE, PATCH, MARGIN = 728, 104, 36
LAND = get_args(LandBand)
#: Date of the paper's Tapajos map, and days from image to image.
TAPAJOS_DAY, REVISIT_DAYS = date(2023, 12, 25), 12
#: Training points nearer than this are one mine.
APART_M = 1500.0

#: Levels and spreads of a variant, by its number modulo their count; every number is other land, at
#: other places. Tested is on levels 0 to 4; on the others, in Tapajos alone, thresholds are chosen.
#: The tests until 22 November 2026 were on variants 0 to 4, 8 to 12 and 16 to 20: who chooses anew
#: tests on others.
VARIANTS: tuple[dict[str, dict[str, Any]], ...] = (
    {},
    {"mine": {"bare_db": [-11.5, -19.0]}},
    {"cover": {"between_db": 1.6}},
    {"mine": {"between_db": 2.0}, "forest": {"level_db": [-6.9, -13.4], "type_db": 0.4,
     "texture_db": 0.5, "date_sd_db": 0.3}},
    {"cover": {"sandbar_db": [-11.0, -19.0], "season_db": 1.6}},
    {"mine": {"bare_db": [-12.3, -20.6]}, "forest": {"level_db": [-6.2, -12.7], "type_db": 0.35}},
    {"cover": {"pasture_db": [-10.0, -16.5], "open_db": [-10.6, -17.3], "season_db": 1.4},
     "forest": {"date_sd_db": 0.28}},
    {"mine": {"between_db": 1.2, "pond_db": [-18.0, -25.0]},
     "cover": {"sandbar_db": [-12.8, -20.8]}},
)  # fmt: skip


#: What a region has, where the land on which thresholds are chosen is to vary as regions do: each
#: drawn between two numbers, around both regions' own at the time (Yanomami's rivers: 1).
RANGES = {
    "rivers": (0.3, 1.0), "sandbar_share": (0.05, 0.2), "pasture_share": (0.03, 0.25),
    "burnt_share": (0.1, 0.4), "ponds": (1.0, 12.0), "secondary_share": (0.02, 0.08),
    "open_share": (0.005, 0.04), "meadow_share": (0.005, 0.04), "relief_m": (10.0, 40.0),
    "mined_share": (0.06, 0.2), "new_share": (0.05, 0.15),
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A tile's grid, the outlines on it, and where imagery of 2023 alone shows the mine."""

    grid: GeoBox
    number: int
    outlines: npt.NDArray[np.int32]
    seen: npt.NDArray[np.bool_]


class Region:
    """Real outlines of a box, and how its land looks in a variant.

    ``drawn`` is the seed of what the region has, within RANGES; None: its own.
    """

    def __init__(self, data: Path, name: str, variant: int, drawn: int | None = None) -> None:
        self.name, self.variant = name, variant
        folder = data / "amw"
        outlines = gpd.read_file(folder / f"{name}_amw_cumulative_2023.geojson")
        self.outlines = outlines.to_crs(CRS[name]).geometry.make_valid()
        seen = gpd.read_file(folder / f"{name}_amw_detections_2023_48px_v3.1_dissolved.geojson")
        self.seen = seen.to_crs(CRS[name]).geometry.make_valid()
        self.samples = gpd.read_file(folder / f"{name}_amw_samples.geojson").to_crs(CRS[name])
        self.land: MiningLand = load_mining_land(**VARIANTS[variant % len(VARIANTS)])
        if drawn is not None:
            rng = np.random.default_rng(drawn)
            has = {key: rng.uniform(*ends) for key, ends in RANGES.items()}
            regions = self.land.region
            other = {name: regions[name].model_copy(update=has)}
            self.land = self.land.model_copy(update={"region": regions | other})
        self.bank = SpeckleBank(load_world().speckle, 100 + variant)

    def place(self, x: float, y: float, size: int, number: int) -> Place:
        """A tile of ``size`` pixels with its middle at a point, on whole pixels."""
        left, top = round(x / 10 - size / 2) * 10, round(y / 10 + size / 2) * 10
        box = (left, top - size * 10, left + size * 10, top)
        grid = GeoBox.from_bbox(box, crs=CRS[self.name], shape=(size, size))
        layers = [_burn(layer, grid) for layer in (self.outlines, self.seen)]
        return Place(grid, number, layers[0], layers[1] > 0)

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
        region = self.land.region[self.name]
        return make_tile(self.land, region, place.outlines, seed, place.seen)

    def scenes(self, tile: Tile, place: Place, days: Sequence[date]) -> list[RadarScene]:
        """Images of a tile on some days, in memory."""
        made = []
        for number, day in enumerate(days):
            pair = render(tile, day, place.number * 64 + number, self.bank)
            made.append(RadarScene(f"{self.name}_{place.number}", day, place.grid, _reader(pair)))
        return made


def _burn(outlines: gpd.GeoSeries, grid: GeoBox) -> npt.NDArray[np.int32]:
    # Number of the outline a pixel lies in, 0 outside.
    hits = outlines.sindex.query(grid.extent.geom, predicate="intersects")
    shapes = [(outlines.iloc[i], n) for n, i in enumerate(sorted(hits), start=1)]
    if not shapes:
        return np.zeros(grid.shape, dtype=np.int32)
    burnt = rasterize(shapes, grid.shape, transform=grid.affine, dtype="int32")
    return np.asarray(burnt, dtype=np.int32)


def _reader(pair: tuple[Array, Array]) -> Any:
    def read(window: Window) -> tuple[Array, Array]:
        return pair[0][window.slices], pair[1][window.slices]

    return read


class Views:
    """What models look at in one tile; its images are read from memory."""

    def __init__(self, scenes: Sequence[RadarScene], tile: Tile) -> None:
        self.scenes, self.tile = scenes, tile

    @cached_property
    def wide(self) -> dict[int, list[RadarScene]]:
        """All dates with wider pixels, by their width (times 10 m); filled as asked for."""
        return {1: list(self.scenes)}

    def dates(self, pixel_m: float) -> list[RadarScene]:
        """All dates with pixels of a size."""
        factor = round(pixel_m / 10)
        if factor not in self.wide:
            made = [coarsen(scene, factor) for scene in self.scenes]
            self.wide[factor] = [replace(s, read=_reader(s.read(s.window))) for s in made]
        return self.wide[factor]

    @cached_property
    def land(self) -> dict[str, Any]:
        """Bands of the land around, for pixels of 10 m."""
        tile = self.tile
        found = {
            "stream": np.minimum(tile.mapped_stream_m, 2000) / 1000,
            "slope": slope_deg(tile.height_m, tile.land.pixel_m),
            "height": above_valley(tile.height_m, tile.land.pixel_m),
        }
        return {name: _layer(np.float32(values)) for name, values in found.items()}

    def image(self, params: MiningParams, chosen: Sequence[int]) -> RadarScene:
        """A date, or the composite of the chosen dates; with the land, where the model wants it."""
        scenes = self.dates(params.patches.pixel_m)
        picked = [scenes[n] for n in chosen]
        image = composite(picked) if len(picked) > 1 else picked[0]
        if not any(name in LAND for name in params.bands.bands):
            return image
        factor = round(params.patches.pixel_m / 10)
        land = {n: _coarse(layer, factor) for n, layer in self.land.items()}
        return replace(image, extra={**image.extra, **land})


def year_of(last: date) -> list[date]:
    """The dates of a year's images, one in twelve days, up to the last."""
    return [last - timedelta(days=REVISIT_DAYS * n) for n in range(30)][::-1]


def _coarse(layer: Any, factor: int) -> Any:
    # The first of each block: bands of the land are smooth.
    def read(window: Window) -> Array:
        edges = (n * factor for n in (window.y0, window.y1, window.x0, window.x1))
        return np.asarray(layer(Window(*edges))[::factor, ::factor])

    return read


def _layer(values: Array) -> Any:
    return lambda window: values[window.slices]


def patch_set(region: Region, params: MiningParams, each: int, dates: int, seed: int) -> PatchSet:
    """Patches of the training points for a model.

    A model of one date gets ``dates`` of the paper's dates of each point; one of several dates its
    preset's number of composites, of other dates of the year each, at other shifts.
    """
    rng = np.random.default_rng(seed)
    one = params.bands.dates == 1
    made: list[Array] = []
    rows: list[dict[str, Any]] = []
    for number, point in enumerate(region.points(each, seed).itertuples()):
        place = region.place(point.geometry.x, point.geometry.y, PATCH + 2 * MARGIN,
                             500_000 + number)  # fmt: skip
        tile = region.make(place)
        single = sorted(rng.choice(region.land.dates, dates, replace=False).tolist())
        days = single if one else year_of(TAPAJOS_DAY)
        views = Views(region.scenes(tile, place, days), tile)
        for n in range(dates if one else params.patches.composites):
            chosen = [n] if one else at_random(range(len(days)), params.bands.dates, rng)
            image = views.image(params, chosen)
            shift = rng.integers(-params.patches.shift_px, params.patches.shift_px + 1, 2)
            size = params.patches.size_px
            top, left = (image.grid.shape[0] - size) // 2 + shift
            window = Window(int(top), int(top) + size, int(left), int(left) + size)
            made.append(read_bands(image, window, params.bands))
            day = days[chosen[-1]]
            rows.append({"point": number, "scene": str(day), "date": day,
                         "label": int(point.label), "x_m": point.geometry.x,
                         "y_m": point.geometry.y})  # fmt: skip
    return PatchSet(np.stack(made), pd.DataFrame(rows), f"simulated-{seed}")
