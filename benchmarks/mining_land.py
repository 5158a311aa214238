"""Tiles and patches of the simulated year of radar over real mining outlines, for mining.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
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
from curupira.mining.composite import coarsen, composite
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
#: Dates of a composite.
COMPOSITE = 5
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
    """A tile's grid, the outlines on it, and where imagery of 2023 alone shows the mine."""

    grid: GeoBox
    number: int
    outlines: npt.NDArray[np.int32]
    seen: npt.NDArray[np.bool_]


class Region:
    """Real outlines of a box, and how its land looks in a variant."""

    def __init__(self, data: Path, name: str, variant: int) -> None:
        self.name, self.variant = name, variant
        folder = data / "amw"
        outlines = gpd.read_file(folder / f"{name}_amw_cumulative_2023.geojson")
        self.outlines = outlines.to_crs(CRS[name]).geometry.make_valid()
        seen = gpd.read_file(folder / f"{name}_amw_detections_2023_48px_v3.1_dissolved.geojson")
        self.seen = seen.to_crs(CRS[name]).geometry.make_valid()
        self.samples = gpd.read_file(folder / f"{name}_amw_samples.geojson").to_crs(CRS[name])
        self.land: MiningLand = load_mining_land(**VARIANTS[variant])
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
    """What models look at in one tile; with ``whole`` a composite is made once, of all pixels."""

    def __init__(self, scenes: Sequence[RadarScene], tile: Tile, whole: bool = True) -> None:
        self.scenes, self.tile, self.whole = scenes, tile, whole

    @cached_property
    def images(self) -> dict[tuple[int, bool], RadarScene]:
        """By width of the pixels (times 10 m) and whether of all dates; filled as asked for."""
        return {}

    def _made(self, factor: int, several: bool) -> RadarScene:
        scenes = spaced(self.scenes) if several else self.scenes[-1:]
        if factor > 1:
            scenes = [coarsen(scene, factor) for scene in scenes]
        if not several:
            return scenes[0]
        made = composite(scenes)
        if not self.whole:
            return made
        extra = {name: _layer(read(made.window)) for name, read in made.extra.items()}
        return replace(made, read=_reader(made.read(made.window)), extra=extra)

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

    def image(self, params: MiningParams) -> RadarScene:
        """The last date, or the composite; with the land, where the model looks at it."""
        key = (round(params.patches.pixel_m / 10), params.bands.several_dates)
        if key not in self.images:
            self.images[key] = self._made(*key)
        image = self.images[key]
        if not any(name in LAND for name in params.bands.bands):
            return image
        land = {n: _coarse(layer, key[0]) for n, layer in self.land.items()}
        return replace(image, extra={**image.extra, **land})


def spaced(scenes: Sequence[RadarScene]) -> list[RadarScene]:
    """The last date and others evenly before it, as many as the trainings' composites have.

    A median of more dates has less noise and a wider spread: a network that never saw such an image
    finds nothing in it.
    """
    steps = np.linspace(0, len(scenes) - 1, min(COMPOSITE, len(scenes)))
    return [scenes[round(n)] for n in steps]


def _coarse(layer: Any, factor: int) -> Any:
    # The first of each block: bands of the land are smooth.
    def read(window: Window) -> Array:
        edges = (n * factor for n in (window.y0, window.y1, window.x0, window.x1))
        return np.asarray(layer(Window(*edges))[::factor, ::factor])

    return read


def _layer(values: Array) -> Any:
    return lambda window: values[window.slices]


def patch_sets(
    region: Region, wanted: dict[str, MiningParams], each: int, dates: int, seed: int
) -> dict[str, PatchSet]:
    """Patches of the training points for several models, from the same images.

    A model of one date gets ``dates`` random dates of each point; one of several dates as many
    composites, each of five random dates of the year.
    """
    rng = np.random.default_rng(seed)
    made: dict[str, list[Array]] = {name: [] for name in wanted}
    rows = []
    year = region.land.dates
    for number, point in enumerate(region.points(each, seed).itertuples()):
        size = PATCH + 2 * MARGIN
        place = region.place(point.geometry.x, point.geometry.y, size, 500_000 + number)
        tile = region.make(place)
        scenes = region.scenes(tile, place, year)
        for last in rng.choice(len(year), dates, replace=False):
            others = rng.choice(np.delete(np.arange(len(year)), last), COMPOSITE - 1, replace=False)
            for name, params in wanted.items():
                several = params.bands.several_dates
                chosen = sorted([*others, last]) if several else [last]
                image = Views([scenes[n] for n in chosen], tile, False).image(params)
                across = image.grid.shape[0]
                first = (across - params.patches.size_px) // 2
                end = first + params.patches.size_px
                made[name].append(read_bands(image, Window(first, end, first, end), params.bands))
            rows.append(
                {
                    "point": number,
                    "scene": str(year[last]),
                    "date": year[last],
                    "label": int(point.label),
                    "x_m": point.geometry.x,
                    "y_m": point.geometry.y,
                }
            )
    index = pd.DataFrame(rows)
    return {n: PatchSet(np.stack(found), index, f"simulated-{seed}") for n, found in made.items()}
