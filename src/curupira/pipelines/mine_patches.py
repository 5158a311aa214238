"""Patches on disk: cut from scenes and points. ``mine_read`` reads them back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.cog import write_atomic
from curupira.errors import InputError
from curupira.grid import LONLAT, project
from curupira.mining import figures
from curupira.mining.params import MiningParams
from curupira.mining.patches import Dropped, Patch, extract, read_points
from curupira.mining.scene import RadarScene, Radiometry, Scale
from curupira.pipelines.mine_scenes import open_images
from curupira.pipelines.outputs import fresh_folder
from curupira.presets import Preset
from curupira.progress import Report, silent
from curupira.sources.vector import read_area, read_vector

INDEX, RECIPE = "patches.parquet", "patches.json"
FORMAT = 2
_SHEET_ROWS = 6
#: What training asks of the index.
COLUMNS = ("file", "point", "scene", "label", "bounds", "geometry")


@dataclass(frozen=True)
class PatchSummary:
    """What was made: counts by class, and what was dropped by reason."""

    mines: int
    others: int
    points: int
    scenes: int
    dropped: Dropped


def make_patches(
    scenes: Sequence[str],
    points: Path,
    out: Path,
    *,
    preset: Preset,
    scale: Scale = "db",
    radiometry: Radiometry = "gamma0",
    aoi: Path | None = None,
    streams: Path | None = None,
    dem: Path | None = None,
    force: bool = False,
    report: Report = silent,
) -> PatchSummary:
    """Cut labelled patches and write them with their index; all or nothing.

    ``streams`` and ``dem`` are files for a preset with bands of the land.

    Raises
    ------
    ConfigError
        If a file does not exist, or ``out`` is in the way.
    InputError
        If points or a scene cannot be used, no patch can be cut, or one class stays empty.
    """
    params = MiningParams.from_preset(preset)
    area = read_aoi(aoi)
    labelled = read_points(read_vector(points), where=str(points), area=area)
    opened = open_images(
        scenes,
        scale,
        params,
        composites=params.patches.composites,
        radiometry=radiometry,
        streams=streams,
        dem=dem,
    )
    dropped = Dropped()
    with fresh_folder(out, RECIPE, force=force) as folder:
        rows: list[dict[str, Any]] = []
        sample: list[Patch] = []
        days = {scene.name: scene.day for scene in opened}
        for patch in _cut(opened, labelled, params, dropped, report):
            rows.append(_write_patch(folder, patch, days[patch.scene], params))
            alike = [p for p in sample if p.label == patch.label]
            if len(alike) < _SHEET_ROWS and all(p.point != patch.point for p in alike):
                sample.append(patch)
        index = _index(rows, dropped, str(points))
        index.to_parquet(folder / INDEX)
        summary = _summary(index, dropped)
        _draw(folder, sample, params, opened, labelled)
        recipe = {
            "format": FORMAT,
            "bands": params.bands.model_dump(),
            "patches": params.patches.model_dump(),
            "radiometry": opened[0].radiometry,
            "summary": asdict(summary),
        }
        write_atomic(folder / RECIPE, (json.dumps(recipe, indent=2) + "\n").encode())
    return summary


def _cut(
    scenes: list[RadarScene],
    points: gpd.GeoDataFrame,
    params: MiningParams,
    dropped: Dropped,
    report: Report,
) -> Iterator[Patch]:
    """All patches of the first point, then of the next: composites share what they read there."""
    placed = {crs: points.to_crs(crs) for crs in {str(scene.grid.crs) for scene in scenes}}
    for number in range(len(points)):
        for scene in scenes:
            point = placed[str(scene.grid.crs)].iloc[[number]]
            yield from extract(scene, point, params.bands, params.patches, dropped)
        report(number + 1, len(points), "points")


def _summary(index: gpd.GeoDataFrame, dropped: Dropped) -> PatchSummary:
    return PatchSummary(
        mines=int((index["label"] == 1).sum()),
        others=int((index["label"] == 0).sum()),
        points=int(index["point"].nunique()),
        scenes=int(index["scene"].nunique()),
        dropped=dropped,
    )


def read_aoi(path: Path | None) -> BaseGeometry | None:
    """The area of interest as one lon/lat shape, or None."""
    return None if path is None else shapely.make_valid(shapely.union_all(read_area(path)))


def _write_patch(
    folder: Path, patch: Patch, day: date | None, params: MiningParams
) -> dict[str, Any]:
    name = f"{patch.scene}_{patch.point:05d}.tif"
    size = params.patches.size_px
    bounds = patch.grid.extent.boundingbox
    with rasterio.open(
        folder / name,
        "w",
        driver="GTiff",
        count=len(patch.bands),
        height=size,
        width=size,
        dtype="float32",
        crs=str(patch.grid.crs),
        transform=patch.grid.affine,
        nodata=np.nan,
        compress="DEFLATE",
        predictor=3,
    ) as target:
        target.write(patch.bands)
        target.update_tags(label=patch.label, point=patch.point, scene=patch.scene)
        for number, band in enumerate(params.bands.bands, start=1):
            target.set_band_description(number, band)
    crs = str(patch.grid.crs)
    return {
        "file": name,
        "point": patch.point,
        "scene": patch.scene,
        "date": day,
        "label": patch.label,
        "bounds": [float(v) for v in bounds],
        "crs": crs,
        "geometry": project(shapely.box(*bounds), crs, LONLAT),
    }


def _index(rows: list[dict[str, Any]], dropped: Dropped, where: str) -> gpd.GeoDataFrame:
    why = f"{dropped.outside} outside, {dropped.edge} at an edge, {dropped.missing} without data"
    if not rows:
        raise InputError(
            f"no patch can be cut ({why})",
            where=where,
            remedy=dropped.remedy,
        )
    index = gpd.GeoDataFrame(rows, geometry="geometry", crs=LONLAT)
    if set(index["label"]) != {0, 1}:
        raise InputError(
            f"only label {rows[0]['label']} is left ({why})",
            where=where,
            remedy=f"add points of the other class, or {dropped.remedy}",
        )
    return index


def _draw(
    folder: Path,
    sample: list[Patch],
    params: MiningParams,
    scenes: list[RadarScene],
    points: gpd.GeoDataFrame,
) -> None:
    for label, name in ((1, "mines"), (0, "others")):
        chosen = [p for p in sample if p.label == label]
        sheet = figures.contact_sheet(
            np.stack([p.bands for p in chosen]),
            params.bands.bands,
            [f"point {p.point}" for p in chosen],
            heading=f"Patches of {name}",
        )
        write_atomic(folder / f"contact_{name}.png", figures.png(sheet))
    outlines = [
        project(shapely.box(*s.grid.extent.boundingbox), str(s.grid.crs), LONLAT) for s in scenes
    ]
    drawn = figures.study_area(gpd.GeoDataFrame(geometry=outlines, crs=LONLAT), points)
    write_atomic(folder / "study_area.png", figures.png(drawn))
