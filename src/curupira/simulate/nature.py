"""Rivers, streams, floodplains, savanna and relief. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import shapes
from scipy.ndimage import distance_transform_edt
from shapely.geometry import LineString, box, shape
from shapely.geometry.base import BaseGeometry

from curupira.simulate.fields import Field32, gaussian_field
from curupira.simulate.params import District, WaterWorld, World

#: Valleys rise from their water with this length (m).
_VALLEY_M = 600.0


@dataclass(frozen=True, slots=True)
class Water:
    """Courses and surfaces of running water, in the grid's CRS."""

    rivers: tuple[BaseGeometry, ...]
    sandbars: BaseGeometry
    streams: tuple[BaseGeometry, ...]
    courses: tuple[LineString, ...]
    floodplain: BaseGeometry
    mapped: tuple[BaseGeometry, ...]


def lay_water(grid: GeoBox, world: World, district: District) -> Water:
    """Meandering rivers across the district, and streams that run into them.

    ``courses`` are the streams' lines (mines follow them); ``mapped`` is the water that a global
    water mask finds, which is what is wide enough.
    """
    p = world.water
    rng = district.rng("water")
    west, south, east, north = grid.extent.boundingbox
    side, frame = east - west, box(west, south, east, north)
    area = (side / 10_000) ** 2
    expected = p.rivers_per_100km2 * area
    count = int(rng.poisson(expected)) if area >= 1 else int(rng.random() < p.river_probability)
    rivers, river_lines = [], []
    for _ in range(count):
        angle = rng.uniform(0, 2 * np.pi)
        middle = np.array([west, south]) + rng.uniform(0.55, 0.95, 2) * side
        half = 1.5 * side * np.array([np.cos(angle), np.sin(angle)])
        line = meander(middle - half, middle + half, rng)
        rivers.append(line.buffer(rng.uniform(*p.river_width_m) / 2).intersection(frame))
        river_lines.append(line)
    streams, courses, widths = [], [], []
    for _ in range(max(1, int(rng.poisson(p.streams_per_100km2 * area)))):
        start = np.array([west, south]) + rng.uniform(0, 1, 2) * side
        end = _mouth(start, river_lines, side, rng)
        course = meander(start, end, rng).intersection(frame)
        if isinstance(course, LineString) and course.length > 300:
            width = float(rng.uniform(*p.stream_width_m))
            streams.append(course.buffer(width / 2))
            courses.append(course)
            widths.append(width)
    plain = shapely.union_all([line.buffer(p.floodplain_m) for line in river_lines])
    wide = [s for s, w in zip(streams, widths, strict=True) if w >= p.mask_finds_width_m]
    return Water(
        rivers=tuple(r for r in rivers if not r.is_empty),
        sandbars=_sandbars(rivers, p, district.rng("sandbars")),
        streams=tuple(streams),
        courses=tuple(courses),
        floodplain=plain.intersection(frame),
        mapped=tuple(r for r in rivers if not r.is_empty) + tuple(wide),
    )


def _sandbars(rivers: list[BaseGeometry], p: WaterWorld, rng: np.random.Generator) -> BaseGeometry:
    """Banks of sand along the rivers, half in the water and half beyond what is water on maps."""
    bars = []
    for river in rivers:
        bank = river.boundary
        for _ in range(int(rng.poisson(p.sandbars_per_km * bank.length / 2000))):
            start, length = rng.uniform(0, bank.length), rng.uniform(*p.sandbar_m)
            points = [bank.interpolate(start + t * length) for t in (0, 0.5, 1)]
            bars.append(LineString(points).buffer(length / 4))
    return shapely.union_all(bars)


def _mouth(
    start: npt.NDArray[np.float64],
    rivers: list[LineString],
    side: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    if rivers:
        point = shapely.Point(start)
        nearest = min(rivers, key=lambda line: line.distance(point))
        mouth = nearest.interpolate(nearest.project(point))
        return np.array([mouth.x, mouth.y])
    angle = rng.uniform(0, 2 * np.pi)
    return np.asarray(start + 0.6 * side * np.array([np.cos(angle), np.sin(angle)]))


def meander(
    start: npt.NDArray[np.float64], end: npt.NDArray[np.float64], rng: np.random.Generator
) -> LineString:
    """A winding line between two points (m)."""
    length = float(np.hypot(*(end - start)))
    s = np.linspace(0, 1, max(8, int(length // 60)))
    ahead = (end - start) / max(length, 1.0)
    sideways = np.zeros_like(s)
    for scale in (2500.0, 1100.0, 450.0):
        phase, bend = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.11)
        sideways += bend * scale * np.sin(2 * np.pi * s * length / scale + phase)
    sideways *= np.minimum(1, 12 * s * (1 - s))
    normal = np.array([-ahead[1], ahead[0]])
    return LineString(start + np.outer(s * length, ahead) + np.outer(sideways, normal))


def savanna_mask(grid: GeoBox, world: World, district: District) -> npt.NDArray[np.bool_]:
    """Natural open land, ``(y, x)``: the highest part of a smooth field."""
    p = world.savanna
    share = float(np.clip(district.draw("savanna", p.share), 0, 0.5))
    rows, columns = (int(n) for n in grid.shape)
    field = gaussian_field(
        (rows, columns), p.scale_m / world.place.resolution_m, district.rng("savanna")
    )
    if share <= 0:
        return np.zeros((rows, columns), dtype=np.bool_)
    return np.asarray(field > np.quantile(field, 1 - share))


def outlines(
    mask: npt.NDArray[np.bool_], grid: GeoBox, minimum_m2: float = 5000
) -> list[BaseGeometry]:
    """Polygons of a mask's patches, in the grid's CRS, small ones left out."""
    found = shapes(mask.astype(np.uint8), mask=mask, transform=grid.affine)
    polygons = [shape(geometry) for geometry, _ in found]
    return [polygon for polygon in polygons if polygon.area >= minimum_m2]


def relief(grid: GeoBox, water: npt.NDArray[np.bool_], world: World, district: District) -> Field32:
    """Height (m) ``(y, x)``: smooth hills, lower along the water."""
    p, r = world.terrain, world.place.resolution_m
    rows, columns = (int(n) for n in grid.shape)
    height = abs(district.draw("relief", p.relief_m))
    hills = gaussian_field((rows, columns), p.scale_m / r, district.rng("relief"))
    if water.any():
        distance = distance_transform_edt(~water).astype(np.float32) * np.float32(r)
        hills = hills + 1 - np.exp(-distance / np.float32(_VALLEY_M))
    return np.asarray(hills * np.float32(height), dtype=np.float32)
