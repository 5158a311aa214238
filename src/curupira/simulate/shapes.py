"""Outlines of clearings. Pure."""

from __future__ import annotations

import numpy as np
from shapely import affinity
from shapely.geometry import Polygon, box

SQUARE_M_PER_HA = 10_000


def rectangle(width: float, height: float, angle_deg: float) -> Polygon:
    """Rectangle around the origin, turned counter-clockwise."""
    return affinity.rotate(box(-width / 2, -height / 2, width / 2, height / 2), angle_deg)


def outline(kind: str, area_ha: float, angle_deg: float, rng: np.random.Generator) -> Polygon:
    """Outline of exactly the given area around the origin.

    Parameters
    ----------
    kind
        ``lot``: quadrangle in the direction of the road; ``blob``: irregular; ``strip``: narrow.
    area_ha
        Area in hectares.
    angle_deg
        Direction of the roads, counter-clockwise from east.
    rng
        Source of aspect and irregularity.
    """
    if kind == "blob":
        shape = _blob(rng)
    else:
        aspect = rng.uniform(1.0, 2.5) if kind == "lot" else rng.uniform(4.0, 9.0)
        shape = _quadrangle(aspect, rng)
        shape = affinity.rotate(shape, angle_deg + 90 * int(rng.integers(0, 2)), origin=(0, 0))
    factor = float(np.sqrt(area_ha * SQUARE_M_PER_HA / shape.area))
    return affinity.scale(shape, factor, factor, origin=(0, 0))


def _quadrangle(aspect: float, rng: np.random.Generator) -> Polygon:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [np.sqrt(aspect), 1] / 2
    corners += rng.uniform(-0.08, 0.08, corners.shape) / np.sqrt(aspect)
    return Polygon(corners)


def _blob(rng: np.random.Generator) -> Polygon:
    angles = np.linspace(0, 2 * np.pi, 33)[:-1]
    radius = np.ones_like(angles)
    for wave in range(2, 6):
        radius += rng.normal(0, 0.28 / wave) * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
    radius = np.clip(radius, 0.35, None)
    stretch = rng.uniform(1.0, 1.8)
    points = np.column_stack([radius * np.cos(angles) * stretch, radius * np.sin(angles)])
    turned = affinity.rotate(Polygon(points), float(rng.uniform(0, 180)), origin=(0, 0))
    # A radius as a function of the angle cannot cross itself.
    return turned
