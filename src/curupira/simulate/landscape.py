"""What lies in a district before anything happens: forest, water, roads, old clearings. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from rasterio.transform import from_origin
from scipy.ndimage import distance_transform_edt
from shapely import affinity
from shapely.geometry import LineString, Polygon, box
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window
from curupira.simulate.fields import Field32, gaussian_field
from curupira.simulate.params import CoverWorld, District, RoadsWorld, World
from curupira.simulate.shapes import rectangle

#: Cover number of terra firme forest.
FOREST = 0


@dataclass(frozen=True, slots=True)
class OldClearing:
    """Deforestation before the monitored time, as a yearly map would hold it."""

    geometry: Polygon
    cleared: date
    cover: str


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
    forest from its mean; ``distance_m`` (y, x) to old clearings, 0 within; geometries in the grid's
    CRS. ``water`` and ``non_forest`` are what the masks know of, not all there is.
    """

    grid: GeoBox
    cover: npt.NDArray[np.int32]
    covers: CoverTable
    texture_db: Field32
    distance_m: Field32
    roads: tuple[LineString, ...]
    direction_deg: float
    old_clearings: tuple[OldClearing, ...]
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
    rows, columns = (int(n) for n in grid.shape)
    cover = np.zeros((rows, columns), dtype=np.int32)
    covers = CoverTable()
    direction = float(district.rng("roads", "direction").uniform(-35, 35))
    roads = lay_roads(grid, world.roads, direction, district.rng("roads", "course"))
    lots = clear_lots(grid, world, district, roads, direction)
    deforested = np.zeros(cover.shape, dtype=np.bool_)
    for lot in lots:
        number = covers.add(lot.cover, getattr(world.covers, lot.cover), district)
        window, mask = burn(lot.geometry, grid)
        cover[window.slices][mask] = number
        deforested[window.slices] |= mask
    number = covers.add("road", world.covers.road, district)
    surface = shapely.union_all([road.buffer(world.roads.width_m / 2) for road in roads])
    window, mask = burn(surface, grid)
    cover[window.slices][mask] = number
    resolution = world.place.resolution_m
    distance = distance_transform_edt(~deforested).astype(np.float32) * np.float32(resolution)
    return Landscape(
        grid=grid,
        cover=cover,
        covers=covers,
        texture_db=forest_texture((rows, columns), world, district),
        distance_m=distance,
        roads=tuple(roads),
        direction_deg=direction,
        old_clearings=tuple(lots),
        water=(),
        non_forest=(surface,),
    )


def forest_texture(shape: tuple[int, int], world: World, district: District) -> Field32:
    """Lasting deviation of the forest from its mean (dB): crowns and gaps, and forest types."""
    p, r = world.forest, world.place.resolution_m
    fine = gaussian_field(shape, p.texture_scale_m / r, district.rng("texture", "fine"))
    types = gaussian_field(shape, p.type_scale_m / r, district.rng("texture", "types"))
    fine *= np.float32(district.draw("texture", p.texture_db))
    types *= np.float32(district.draw("type", p.type_db))
    return fine + types


def lay_roads(
    grid: GeoBox, p: RoadsWorld, direction_deg: float, rng: np.random.Generator
) -> list[LineString]:
    """A trunk road and its fishbone side roads, clipped to the grid (its CRS)."""
    west, south, east, north = grid.extent.boundingbox
    side = east - west
    # The trunk keeps to one third of the district, so that there is remote forest as well.
    centre = (west + side * rng.uniform(0.2, 0.45), south + side * rng.uniform(0.2, 0.45))
    frame = box(west, south, east, north)

    def line(x0: float, y0: float, x1: float, y1: float) -> BaseGeometry:
        straight = LineString([(x0, y0), (x1, y1)])
        turned = affinity.rotate(straight, direction_deg, origin=(0, 0))
        return affinity.translate(turned, *centre).intersection(frame)

    roads = [line(-2 * side, 0, 2 * side, 0)]
    along = -1.2 * side + rng.uniform(0, p.spacing_m[0])
    while along < 1.2 * side:
        for sign in (-1, 1):
            roads.append(line(along, 0, along, sign * rng.uniform(0.15, 0.45) * side))
        along += rng.uniform(*p.spacing_m)
    return [road for road in roads if isinstance(road, LineString) and road.length > 100]


def clear_lots(
    grid: GeoBox,
    world: World,
    district: District,
    roads: list[LineString],
    direction_deg: float,
) -> list[OldClearing]:
    """Lots along the roads, cleared in earlier years, until the drawn share is reached."""
    p = world.roads
    rng = district.rng("roads", "lots")
    frame = grid.extent.geom
    goal = max(0.02, district.draw("deforested", p.deforested_share)) * frame.area
    lengths = np.array([road.length for road in roads])
    taken: BaseGeometry = Polygon()
    lots: list[OldClearing] = []
    for _ in range(4000):
        if taken.area >= goal:
            break
        road = roads[int(rng.choice(len(roads), p=lengths / lengths.sum()))]
        lot = _lot(road, p, direction_deg, rng).intersection(frame).difference(taken)
        if not isinstance(lot, Polygon) or lot.area < 5000:
            continue
        age = timedelta(days=float(rng.uniform(*p.age_years)) * 365.25)
        cover = "secondary" if rng.random() < p.secondary_share else "pasture"
        lots.append(OldClearing(lot, world.place.first_day - age, cover))
        taken = shapely.union(taken, lot)
    return lots


def _lot(
    road: LineString, p: RoadsWorld, direction_deg: float, rng: np.random.Generator
) -> Polygon:
    place = road.interpolate(float(rng.uniform(0, 1)), normalized=True)
    (x0, y0), (x1, y1) = road.coords[0], road.coords[-1]
    heading = float(np.degrees(np.arctan2(y1 - y0, x1 - x0)))
    front, depth = rng.uniform(*p.lot_front_m), rng.uniform(*p.lot_depth_m)
    shift = (depth / 2 + p.width_m / 2) * rng.choice([-1, 1])
    normal = np.radians(heading + 90)
    return affinity.translate(
        rectangle(front, depth, heading),
        place.x + shift * np.cos(normal),
        place.y + shift * np.sin(normal),
    )
