"""Make public/outlines.json: the states of the Legal Amazon, and a point for each name (IBGE, CC0).

Usage: python webapp/outlines.py MUNICIPALITIES.gpkg   (columns uf, municipality, geocode)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

#: Degrees; about a kilometre: the outlines orient, they do not measure.
TOLERANCE = 0.01


def _rounded(xy: np.ndarray) -> np.ndarray:
    """Degrees to three decimals, about 100 m."""
    return xy.round(3)


def main(source: Path) -> None:
    """Dissolve municipalities into states, simplify with shared borders, write compact GeoJSON."""
    states = gpd.read_file(source).dissolve("uf").to_crs(4326)
    shapes = shapely.coverage_simplify(states.geometry.to_numpy(), TOLERANCE)
    features = [
        {
            "type": "Feature",
            "properties": {"uf": uf},
            "geometry": json.loads(shapely.to_geojson(shapely.transform(shape, _rounded))),
        }
        for uf, shape in zip(states.index, shapes, strict=True)
    ]
    features += [
        {
            "type": "Feature",
            "properties": {"uf": uf},
            "geometry": json.loads(shapely.to_geojson(shapely.transform(point, _rounded))),
        }
        for uf, point in zip(states.index, shapely.point_on_surface(shapes), strict=True)
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":"))
    (Path(__file__).parent / "public" / "outlines.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
