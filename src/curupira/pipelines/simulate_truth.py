"""Write what is known of a simulated district: its area, its masks, its truth."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.cog import write_atomic, write_cog
from curupira.grid import LONLAT, SIRGAS_2000, project
from curupira.simulate.district import SimulatedDistrict
from curupira.simulate.truth import acquisition_row, event_row

Feature = tuple[BaseGeometry, dict[str, Any]]

TRUTH = Path("truth.gpkg")


def lonlat(district: SimulatedDistrict, geometry: BaseGeometry) -> BaseGeometry:
    """A geometry of a district's grid in longitude and latitude."""
    # Straight edges of the grid bend in longitude and latitude.
    return project(shapely.segmentize(geometry, 1000), str(district.landscape.grid.crs), LONLAT)


def write_area(path: Path, district: SimulatedDistrict) -> None:
    """Write the outline of the monitored area, GeoJSON."""
    # A metre inside: the monitoring grid over it is then exactly the district.
    inside = district.landscape.grid.extent.geom.buffer(-1, join_style="mitre")
    feature = {
        "type": "Feature",
        "properties": {"name": "simulated district"},
        "geometry": shapely.geometry.mapping(lonlat(district, inside)),
    }
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    write_atomic(path, text.encode())


def write_masks(folder: Path, district: SimulatedDistrict) -> dict[str, Path]:
    """Write ``masks/``: what maps know of the district. Return the file of every role, relative."""
    land = district.landscape
    old: list[Feature] = [
        (lot.geometry, {"date": lot.cleared.isoformat(), "cover": lot.cover})
        for lot in land.old_clearings
    ]
    past: list[Feature] = [
        (e.place.geometry, {"date": _day(district, e.start_days), "cover": e.kind})
        for e in district.events
        if e.in_map and e.place is not None
    ]
    layers: dict[str, list[Feature]] = {
        "deforestation": old + past,
        "water": [(geometry, {"class": "water"}) for geometry in land.water],
        "non_forest": [(geometry, {"class": "non_forest"}) for geometry in land.non_forest],
    }
    written = {}
    for role, rows in layers.items():
        if rows:
            written[role] = Path("masks") / f"{role}.gpkg"
            frame = _frame(district, [g for g, _ in rows], [a for _, a in rows])
            _write_layers(folder / written[role], {role: frame})
    return written


def _day(district: SimulatedDistrict, days: int) -> str:
    return (district.world.place.first_day + timedelta(days=days)).isoformat()


def _frame(
    district: SimulatedDistrict, geometries: list[BaseGeometry], rows: list[dict[str, Any]]
) -> gpd.GeoDataFrame:
    frame = gpd.GeoDataFrame(rows, geometry=geometries, crs=str(district.landscape.grid.crs))
    return frame.to_crs(SIRGAS_2000)


def _write_layers(path: Path, layers: dict[str, pd.DataFrame]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.part.gpkg")
    beside.unlink(missing_ok=True)
    for name, frame in layers.items():
        pyogrio.write_dataframe(frame, beside, layer=name, driver="GPKG", append=beside.exists())
    os.replace(beside, path)


def write_truth(folder: Path, district: SimulatedDistrict) -> None:
    """Write ``truth.gpkg``, and the rasters of ``truth/``: cover, events, rain of each image."""
    land, renderer = district.landscape, district.renderer
    first = district.world.place.first_day
    placed = [e for e in district.events if e.place is not None]
    events = _frame(
        district,
        [e.place.geometry for e in placed if e.place is not None],
        [event_row(e, district.timeline, first) for e in placed],
    )
    rows = []
    coarse = land.grid.zoom_out(renderer.coarse_step)
    shape = tuple(int(n) for n in coarse.shape)
    for position, scene in enumerate(district.passes):
        loss = renderer.rain_db(position)[: shape[0], : shape[1]]
        mask = loss > district.world.rain.mask_db
        rows.append(acquisition_row(scene, float(district.wetness[position]), float(mask.mean())))
        if mask.any():
            path = folder / "truth" / f"rain_{scene.name}.tif"
            write_cog(path, mask.astype(np.uint8)[np.newaxis], coarse, nodata=None)
    _write_layers(folder / TRUTH, {"event": events, "acquisition": pd.DataFrame(rows)})
    kinds = sorted(set(land.covers.kind))
    code = np.array([kinds.index(kind) for kind in land.covers.kind], dtype=np.uint8)
    write_cog(
        folder / "truth" / "cover.tif",
        code[land.cover][np.newaxis],
        land.grid,
        nodata=None,
        tags={"classes": ",".join(f"{i}={kind}" for i, kind in enumerate(kinds))},
    )
    write_cog(
        folder / "truth" / "event.tif", district.patches.event[np.newaxis], land.grid, nodata=0
    )
