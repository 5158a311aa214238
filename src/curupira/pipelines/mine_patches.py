"""Patches on disk: cut them from scenes and points, and read them back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow
import rasterio
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.cog import write_atomic
from curupira.errors import ConfigError, InputError
from curupira.grid import LONLAT, default_crs, project
from curupira.mining import figures
from curupira.mining.params import BandParams, MiningParams, PatchParams, validated
from curupira.mining.patches import Dropped, Patch, extract, read_points
from curupira.mining.scene import RadarScene, Radiometry, Scale, missing_share
from curupira.pipelines.mine_scenes import check_radiometry, open_images
from curupira.pipelines.outputs import fresh_folder
from curupira.presets import Preset
from curupira.progress import Report, silent
from curupira.sources.files import open_raster
from curupira.sources.vector import read_area, read_vector

if TYPE_CHECKING:
    from curupira.mining.dataset import PatchSet

INDEX, RECIPE = "patches.parquet", "patches.json"
FORMAT = 2
_SHEET_ROWS = 6
#: What training asks of the index.
_COLUMNS = ("file", "point", "scene", "label", "bounds", "geometry")


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


def read_patches(folder: Path) -> tuple[PatchSet, BandParams, PatchParams]:
    """Read a folder of patches and the recipe they were cut by.

    Raises
    ------
    ConfigError
        If there is no such folder.
    InputError
        If the index or a patch is missing or damaged, or a patch has another size or other bands.
    """
    from curupira.mining.dataset import PatchSet

    bands, params, index, radiometry = _read_index(Path(folder))
    stack = np.empty(
        (len(index), len(bands.bands), params.size_px, params.size_px), dtype=np.float32
    )
    digest = hashlib.sha256()
    for number, row in enumerate(index.itertuples()):
        stack[number] = _read_patch(Path(folder) / str(row.file), bands, params)
        digest.update(f"{row.file} {row.point} {row.label}\n".encode())
        digest.update(stack[number].tobytes())
    centres = index.geometry.to_crs(default_crs(shapely.box(*index.total_bounds))).centroid
    table = pd.DataFrame(index.drop(columns=["geometry", "bounds"]))
    table["x_m"], table["y_m"] = centres.x.to_numpy(), centres.y.to_numpy()
    return PatchSet(stack, table, digest.hexdigest(), radiometry), bands, params


def _read_index(folder: Path) -> tuple[BandParams, PatchParams, gpd.GeoDataFrame, Radiometry]:
    if not folder.is_dir():
        raise ConfigError("no such folder", where=folder, remedy="run curupira mining patches")
    remedy = "cut the patches again with curupira mining patches"
    try:
        recipe = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
        index = gpd.read_parquet(folder / INDEX)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise InputError(
            f"no patches can be read ({error})", where=folder, remedy=remedy
        ) from error
    version = recipe.get("format") if isinstance(recipe, dict) else None
    if version != FORMAT:
        raise InputError(
            f"patches of format {version}, this program reads {FORMAT}",
            where=folder,
            remedy=remedy,
        )
    where = str(folder / RECIPE)
    for section in ("bands", "patches"):
        if not isinstance(recipe.get(section), dict):
            raise InputError(f"does not say {section}", where=where, remedy=remedy)
    for column in _COLUMNS:
        if column not in index.columns:
            raise InputError(f"has no column {column}", where=folder / INDEX, remedy=remedy)
    bands = validated(BandParams, recipe["bands"], where=where)
    params = validated(PatchParams, recipe["patches"], where=where)
    wrong = index[~index["label"].isin([0, 1])]
    if len(wrong):
        raise InputError(f"{len(wrong)} patches have no label 0 or 1", where=folder / INDEX)
    # Patches of before the key are of files, which were taken for gamma0.
    radiometry = check_radiometry(recipe.get("radiometry", "gamma0"), where=where)
    return bands, params, index.sort_values("file", ignore_index=True), radiometry


def _read_patch(path: Path, bands: BandParams, params: PatchParams) -> Any:
    remedy = "cut all patches anew in one go"
    with open_raster(str(path)) as dataset:
        size = (dataset.height, dataset.width)
        if size != (params.size_px, params.size_px):
            raise InputError(
                f"the patch has {size[0]} x {size[1]} pixels, not {params.size_px}",
                where=path,
                remedy=remedy,
            )
        if list(dataset.descriptions) != list(bands.bands):
            raise InputError(
                f"the patch has the bands {list(dataset.descriptions)}, not {list(bands.bands)}",
                where=path,
                remedy=remedy,
            )
        patch = dataset.read()
    missing = missing_share(patch)
    if missing > params.missing_share:
        raise InputError(
            f"{missing:.0%} of the patch is missing", where=path, remedy="delete it, or cut anew"
        )
    return patch
