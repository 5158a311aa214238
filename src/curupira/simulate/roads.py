"""Roads, and the old clearings along them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from shapely import affinity
from shapely.geometry import LineString, Polygon, box
from shapely.geometry.base import BaseGeometry

from curupira.simulate.params import District, RoadsWorld, WaterWorld, World
from curupira.simulate.shapes import rectangle


@dataclass(frozen=True, slots=True)
class OldClearing:
    """Deforestation before the monitored time, as a yearly map would hold it."""

    geometry: Polygon
    cleared: date
    cover: str


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


def farm_ponds(lot: OldClearing, p: WaterWorld, district: District) -> BaseGeometry:
    """Round ponds in a pasture; none elsewhere."""
    x, y = lot.geometry.centroid.coords[0]
    rng = district.rng("ponds", int(x), int(y))
    count = int(rng.poisson(p.ponds_per_km2 * lot.geometry.area / 1e6))
    if lot.cover != "pasture" or count == 0:
        return Polygon()
    west, south, east, north = lot.geometry.bounds
    places = rng.uniform((west, south), (east, north), (count, 2))
    sizes = rng.uniform(*p.pond_m, count) / 2
    discs = shapely.buffer(shapely.points(places), sizes)
    return shapely.union_all(discs).intersection(lot.geometry)


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
