"""Grids over true products, and a slow zero-Doppler solution that shares no code with ours."""

from functools import lru_cache

import numpy as np
from affine import Affine
from grd_samples import S1A, S1B
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from curupira.grd.locate import locate
from curupira.grd.orbit import resolve
from curupira.grd.product import open_product
from curupira.grd.zero_doppler import RadarGeometry

UTM = {S1A: "EPSG:32736", S1B: "EPSG:32632"}


@lru_cache(maxsize=4)
def true_scene(template=S1A):
    """Annotation, orbit and geometry of a whole product."""
    annotation = open_product(template, polarisations=["VV"], pixels=False).first
    orbit = resolve(annotation)
    return annotation, orbit, RadarGeometry.of(annotation, orbit)


def box_at(line, sample, size, pixel_m=20.0, template=S1A, crs=None):
    """GeoBox of ``size`` x ``size`` pixels around a place of the image (at height 0)."""
    annotation, orbit, _ = true_scene(template)
    place = locate(annotation, orbit, line, sample)
    crs = crs or UTM[template]
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(
        float(place.longitude), float(place.latitude)
    )
    step = pixel_m / 111_320 if crs == "EPSG:4326" else pixel_m
    corner = x - size / 2 * step, y + size / 2 * step
    return GeoBox((size, size), Affine(step, 0, corner[0], 0, -step, corner[1]), crs)


def centres_ecef(box, height_m):
    """ECEF of every pixel's centre by PROJ's geocentric conversion."""
    rows, columns = box.shape
    a, b, c, d, e, f = tuple(box.affine)[:6]
    x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    lon, lat = Transformer.from_crs(str(box.crs), "EPSG:4326", always_xy=True).transform(
        a * x + b * y + c, d * x + e * y + f
    )
    to_ecef = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    return np.stack(to_ecef.transform(lon, lat, np.broadcast_to(height_m, lon.shape)), axis=-1)


def closest_approach(orbit, point, start_s, stop_s):
    """Zero-Doppler time by ternary search for the least distance: no derivative is used."""

    def distance(t):
        return np.linalg.norm(orbit.position(t) - point)

    for _ in range(90):
        first, second = start_s + (stop_s - start_s) / 3, stop_s - (stop_s - start_s) / 3
        if distance(first) < distance(second):
            stop_s = second
        else:
            start_s = first
    middle = (start_s + stop_s) / 2
    return middle, distance(middle)


def away_from_sensor(line, sample, template=S1A):
    """Map coordinates of a place, and the unit vector on the map along which range grows."""
    annotation, orbit, _ = true_scene(template)
    place = locate(annotation, orbit, [line, line], [sample - 200, sample + 200])
    x, y = Transformer.from_crs("EPSG:4326", UTM[template], always_xy=True).transform(
        place.longitude, place.latitude
    )
    away = np.array([x[1] - x[0], y[1] - y[0]])
    return np.array([x.mean(), y.mean()]), away / np.linalg.norm(away)


def range_box(line, sample, size, pixel_m=20.0):
    """As ``box_at``, turned so that x leads straight away from the sensor."""
    (x, y), away = away_from_sensor(line, sample)
    turned = Affine(away[0], away[1], x, away[1], -away[0], y)
    corner = Affine.scale(pixel_m) @ Affine.translation(-size / 2, -size / 2)
    return GeoBox((size, size), turned @ corner, UTM[S1A])
