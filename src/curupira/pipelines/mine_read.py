"""Patches on disk, as ``mine_patches`` cuts them: read back and checked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow
import shapely

from curupira.errors import ConfigError, InputError
from curupira.grid import default_crs
from curupira.mining.params import BandParams, PatchParams, validated
from curupira.mining.scene import Radiometry, missing_share
from curupira.pipelines.mine_patches import COLUMNS, FORMAT, INDEX, RECIPE
from curupira.pipelines.mine_scenes import check_radiometry
from curupira.sources.files import open_raster

if TYPE_CHECKING:
    from curupira.mining.dataset import PatchSet


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
    for column in COLUMNS:
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
