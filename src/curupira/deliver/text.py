"""GeoJSON and CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

from curupira.deliver.frame import DECIMALS, lonlat, notice, records


def write_geojson(table: gpd.GeoDataFrame, path: Path) -> None:
    """RFC 7946: WGS 84, seven decimals, outer rings counter-clockwise, no ``crs`` member."""
    head = {"type": "FeatureCollection", "name": "warning", "attribution": notice(table)}
    with path.open("w", encoding="utf-8") as stream:
        stream.write(_json(head)[:-1] + ',"features":[')
        geometries = lonlat(table)
        shapes = shapely.to_geojson(np.array(geometries, dtype=object))
        for n, (fields, geometry, shape) in enumerate(
            zip(records(table), geometries, shapes, strict=True)
        ):
            place = {"type": "Feature", "id": fields["warning_id"], "bbox": geometry.bounds}
            # A feature a line: such files can be compared and searched by line.
            stream.write(
                (",\n" if n else "\n")
                + f'{_json(place)[:-1]},"geometry":{shape},"properties":{_json(fields)}}}'
            )
        stream.write("\n]}\n")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def write_csv(table: gpd.GeoDataFrame, path: Path) -> None:
    """CSV (RFC 4180, UTF-8): a point within the warning, the fields, the notice, and WKT (WGS 84).

    The column ``WKT`` is the name by which GDAL and QGIS find the geometry.
    """
    names = [name for name in table.columns if name != table.geometry.name]
    text = notice(table)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["longitude", "latitude", *names, "attribution", "WKT"])
        for fields, geometry in zip(records(table), lonlat(table), strict=True):
            point = geometry.representative_point()
            wkt = shapely.to_wkt(geometry, rounding_precision=DECIMALS)
            place = [f"{point.x:.{DECIMALS}f}", f"{point.y:.{DECIMALS}f}"]
            writer.writerow([*place, *(fields[name] for name in names), text, wkt])
