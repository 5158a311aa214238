"""What lies in a district before anything happens: forest, water, roads, old clearings. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from rasterio.transform import from_origin
from scipy.ndimage import distance_transform_edt
from shapely.geometry import LineString
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window
from curupira.simulate.fields import Field32, gaussian_field
from curupira.simulate.nature import lay_water, outlines, relief, savanna_mask
from curupira.simulate.params import CoverWorld, District, World
from curupira.simulate.roads import OldClearing, clear_lots, farm_ponds, lay_roads

#: Cover number of terra firme forest.
FOREST = 0


@dataclass
class CoverTable:
    """Covers by number; number 0 is forest, every patch of another cover has its own number."""

    kind: list[str] = field(default_factory=lambda: ["forest"])
    vh_db: list[float] = field(default_factory=lambda: [0.0])
    vv_db: list[float] = field(default_factory=lambda: [0.0])

    def add(self, kind: str, params: CoverWorld, district: District) -> int:
        """Add a patch of a cover, with a level of its own; return its number."""
        number = len(self.kind)
        offset = district.rng("cover", number).normal(0, params.between_db)
        self.kind.append(kind)
        self.vh_db.append(district.draw(f"{kind} vh", params.vh_db) + offset)
        self.vv_db.append(district.draw(f"{kind} vv", params.vv_db) + offset)
        return number


@dataclass(frozen=True)
class Landscape:
    """The district on its 10 m grid.

    ``cover`` int32 (y, x) numbers of ``covers``; ``texture_db`` (y, x) lasting deviation of the
    forest from its mean; ``distance_m`` (y, x) to old clearings, 0 within; ``height_m`` (y, x);
    ``courses`` of streams; geometries in the grid's CRS. ``water`` and ``non_forest`` are what the
    masks know of, not all there is.
    """

    grid: GeoBox
    cover: npt.NDArray[np.int32]
    covers: CoverTable
    texture_db: Field32
    distance_m: Field32
    roads: tuple[LineString, ...]
    direction_deg: float
    old_clearings: tuple[OldClearing, ...]
    height_m: Field32
    courses: tuple[LineString, ...]
    water: tuple[BaseGeometry, ...]
    non_forest: tuple[BaseGeometry, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.grid.shape
        return int(rows), int(columns)


def district_grid(world: World, district: District, size_km: float) -> GeoBox:
    """Square grid of a district, at a place drawn by the seed."""
    place = world.place
    steps = int(place.jitter_m // 1000)
    east, north = district.rng("place").integers(-steps, steps + 1, size=2) * 1000
    x, y = place.origin_x_m + float(east), place.origin_y_m + float(north)
    # Whole 20 m pixels, so that the monitoring grid fits.
    side = round(size_km * 1000 / (2 * place.resolution_m)) * 2 * place.resolution_m
    return GeoBox.from_bbox(
        (x, y, x + side, y + side), crs=place.crs, resolution=place.resolution_m, tight=True
    )


def burn(geometry: BaseGeometry, grid: GeoBox) -> tuple[Window, npt.NDArray[np.bool_]]:
    """Pixels whose centre lies in a geometry of the grid's CRS: a window and its mask."""
    rows, columns = grid.shape
    whole = Window(0, int(rows), 0, int(columns))
    left, top, step = grid.affine.c, grid.affine.f, grid.affine.a
    west, south, east, north = geometry.bounds
    x0, y0 = (west - left) / step, (top - north) / step
    x1, y1 = (east - left) / step, (top - south) / step
    window = Window(
        int(np.floor(y0)), int(np.ceil(y1)) + 1, int(np.floor(x0)), int(np.ceil(x1)) + 1
    ).intersect(whole)
    if window.empty:
        return window, np.zeros((0, 0), dtype=np.bool_)
    mask = rasterize(
        [(geometry, 1)],
        out_shape=window.shape,
        transform=from_origin(left + window.x0 * step, top - window.y0 * step, step, step),
        dtype="uint8",
    )
    return window, mask.astype(np.bool_)


def build_landscape(world: World, district: District, size_km: float) -> Landscape:
    """Draw a district's landscape."""
    grid = district_grid(world, district, size_km)
    shape = (int(grid.shape[0]), int(grid.shape[1]))
    painter = _Painter(grid, world, district)
    water = lay_water(grid, world, district)
    painter.geometry("flooded_forest", water.floodplain)
    savanna = savanna_mask(grid, world, district)
    painter.mask("savanna", savanna)
    direction = float(district.rng("roads", "direction").uniform(-35, 35))
    roads = lay_roads(grid, world.roads, direction, district.rng("roads", "course"))
    lots = clear_lots(grid, world, district, roads, direction)
    deforested = np.zeros(shape, dtype=np.bool_)
    for lot in lots:
        window, mask = painter.geometry(lot.cover, lot.geometry)
        deforested[window.slices] |= mask
    surface = shapely.union_all([road.buffer(world.roads.width_m / 2) for road in roads])
    painter.geometry("road", surface)
    for stream in water.streams:
        painter.geometry("stream", stream, only_forest=True)
    for river in water.rivers:
        painter.geometry("river", river)
    painter.geometry("sandbar", water.sandbars.intersection(grid.extent.geom))
    for lot in lots:
        painter.geometry("pond", farm_ponds(lot, world.water, district))
    wet = np.isin(painter.cover, painter.numbers("river", "sandbar", "stream"))
    known = [
        patch
        for number, patch in enumerate(outlines(savanna, grid))
        if district.rng("savanna mask", number).random() >= world.savanna.mask_misses_share
    ]
    plain = [] if water.floodplain.is_empty else [water.floodplain]
    distance = distance_transform_edt(~deforested).astype(np.float32)
    return Landscape(
        grid=grid,
        cover=painter.cover,
        covers=painter.covers,
        texture_db=forest_texture(shape, world, district),
        distance_m=distance * np.float32(world.place.resolution_m),
        roads=tuple(roads),
        direction_deg=direction,
        old_clearings=tuple(lots),
        height_m=relief(grid, wet, world, district),
        courses=water.courses,
        water=water.mapped,
        non_forest=(surface, *known, *plain),
    )


class _Painter:
    """Paints covers, later ones over earlier ones."""

    def __init__(self, grid: GeoBox, world: World, district: District) -> None:
        self._grid, self._world, self._district = grid, world, district
        self.cover = np.zeros((int(grid.shape[0]), int(grid.shape[1])), dtype=np.int32)
        self.covers = CoverTable()

    def _new(self, kind: str) -> int:
        return self.covers.add(kind, getattr(self._world.covers, kind), self._district)

    def geometry(
        self, kind: str, geometry: BaseGeometry, *, only_forest: bool = False
    ) -> tuple[Window, npt.NDArray[np.bool_]]:
        if geometry.is_empty:
            return Window(0, 0, 0, 0), np.zeros((0, 0), dtype=np.bool_)
        window, mask = burn(geometry, self._grid)
        if only_forest:
            mask = mask & (self.cover[window.slices] == FOREST)
        self.cover[window.slices][mask] = self._new(kind)
        return window, mask

    def mask(self, kind: str, mask: npt.NDArray[np.bool_]) -> None:
        if mask.any():
            self.cover[mask] = self._new(kind)

    def numbers(self, *kinds: str) -> list[int]:
        return [n for n, kind in enumerate(self.covers.kind) if kind in kinds]


def forest_texture(shape: tuple[int, int], world: World, district: District) -> Field32:
    """Lasting deviation of the forest from its mean (dB): crowns and gaps, and forest types."""
    p, r = world.forest, world.place.resolution_m
    fine = gaussian_field(shape, p.texture_scale_m / r, district.rng("texture", "fine"))
    types = gaussian_field(shape, p.type_scale_m / r, district.rng("texture", "types"))
    fine *= np.float32(district.draw("texture", p.texture_db))
    types *= np.float32(district.draw("type", p.type_db))
    return fine + types
