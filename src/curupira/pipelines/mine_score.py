"""The mining chain without its network: reference grid and evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.cog import write_atomic
from curupira.errors import ConfigError, InputError
from curupira.grid import LONLAT, project
from curupira.mining import figures
from curupira.mining.evaluate import Evaluation, above, evaluate, table
from curupira.mining.params import GridParams, ScoreParams, validated
from curupira.mining.reference_grid import metric_crs, polygons_of, reference_grid
from curupira.pipelines.mine_patches import read_aoi
from curupira.pipelines.outputs import fresh_folder, write_geojson, write_gpkg
from curupira.sources.vector import read_vector

METRICS, TABLE = "metrics.json", "table.json"
#: Files write numbers in decimals.
_ROUNDING = 1e-9


def grid_params(**options: float | str | None) -> GridParams:
    """Grid parameters; an option that is None keeps its default.

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """
    return validated(GridParams, _given(options), where="reference-grid")


def score_params(**options: float | str | None) -> ScoreParams:
    """Scoring parameters; an option that is None keeps its default.

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """
    return validated(ScoreParams, _given(options), where="evaluate")


def _given(options: dict[str, float | str | None]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def make_grid(
    reference: Path, out: Path, *, params: GridParams, aoi: Path | None = None
) -> gpd.GeoDataFrame:
    """Write the reference grid: GeoJSON, a GeoPackage in metres and a map beside it.

    Raises
    ------
    ConfigError
        If a file is missing or the CRS is wrong.
    InputError
        If the reference is empty or nothing remains.
    """
    if out.suffix.lower() not in (".geojson", ".json"):
        raise ConfigError("the grid is written as GeoJSON", where=out, remedy="name it .geojson")
    layer = read_vector(reference)
    grid = reference_grid(layer, params, where=str(reference), area=read_aoi(aoi))
    raw = polygons_of(layer, where=str(reference)).to_crs(grid.crs)
    drawn = figures.before_and_after(raw[raw.intersects(shapely.box(*grid.total_bounds))], grid)
    write_atomic(out.with_suffix(".png"), figures.png(drawn))
    write_gpkg(grid, out.with_suffix(".gpkg"), "reference")
    write_geojson(grid, out)
    return grid


@dataclass(frozen=True)
class Region:
    """One pair of files to be compared."""

    name: str
    detections: Path
    reference: Path


def pair_regions(
    detections: Sequence[Path], references: Sequence[Path], names: Sequence[str]
) -> list[Region]:
    """Join the files in the order given.

    Raises
    ------
    ConfigError
        If their numbers differ, or two regions have one name.
    """
    if len(detections) != len(references) or (names and len(names) != len(detections)):
        raise ConfigError(
            f"{len(detections)} detections, {len(references)} references, {len(names)} regions",
            where="--detections",
            remedy="give one --reference (and --region) for each --detections, in the same order",
        )
    chosen = list(names) or [path.stem for path in detections]
    if len(set(chosen)) != len(chosen):
        raise ConfigError(
            "two regions have one name", where="--region", remedy="name them with --region"
        )
    for name in chosen:
        if not name or Path(name).name != name:
            raise ConfigError(
                f"{name!r} cannot name a folder", where="--region", remedy="use letters and digits"
            )
    return [Region(*row) for row in zip(chosen, detections, references, strict=True)]


def score(
    regions: Sequence[Region],
    out: Path,
    *,
    params: ScoreParams,
    thresholds: Sequence[float] = (),
    aoi: Path | None = None,
    force: bool = False,
) -> list[tuple[str, Evaluation]]:
    """Evaluate regions at thresholds; all or nothing.

    One region at one threshold (or none: the detections as they are) writes ``metrics.json``,
    ``labelled.geojson``, ``labelled.gpkg`` and ``map.png`` into ``out``; several write a folder
    each, and ``table.json``, ``table.csv`` and ``map.png`` of all.

    Raises
    ------
    ConfigError
        If a file is missing or ``out`` is in the way; if a threshold is not from 0 to 1, or below
        the one that the squares were made at.
    InputError
        If a layer cannot be used, or the reference is empty.
    """
    for value in thresholds:
        # NaN is not in the range either.
        if not 0 <= value <= 1:
            raise ConfigError(
                f"{value:g} is no probability", where="--threshold", remedy="take one from 0 to 1"
            )
    area = read_aoi(aoi)
    rows: list[tuple[str, Evaluation]] = []
    for region in regions:
        rows.extend((region.name, found) for found in _region(region, params, thresholds, area))
    single = len(rows) == 1
    with fresh_folder(out, METRICS if single else TABLE, force=force) as folder:
        for name, found in rows:
            _write(folder if single else folder / _slug(name, found), found)
        if not single:
            frame = table(rows)
            records = [{"region": name, **found.as_dict()} for name, found in rows]
            write_atomic(folder / TABLE, _dump(records))
            write_atomic(folder / "table.csv", frame.to_csv(index=False).encode())
        panels = [(_title(name, found), found.labelled) for name, found in rows]
        columns = max(1, len(rows) // len(regions))
        drawn = figures.outcome_panels(panels, columns if columns > 1 else 2)
        write_atomic(folder / "map.png", figures.png(drawn))
    return rows


def _region(
    region: Region, params: ScoreParams, thresholds: Sequence[float], area: BaseGeometry | None
) -> list[Evaluation]:
    reference = polygons_of(read_vector(region.reference), where=str(region.reference))
    if reference.empty:
        raise InputError(
            "the reference is empty", where=region.reference, remedy="give at least one cell"
        )
    detections = polygons_of(read_vector(region.detections), where=str(region.detections))
    outline = shapely.box(*reference.to_crs(LONLAT).total_bounds)
    own = reference.crs
    metric = own.is_projected and all(a.unit_name == "metre" for a in own.axis_info)
    crs = own if metric else metric_crs("", outline)
    cells, squares = reference.to_crs(crs), detections.to_crs(crs)
    clip = None if area is None else project(area, LONLAT, str(crs))
    made_at = _thresholds(detections)
    if not thresholds:
        known = made_at[0] if len(made_at) == 1 else None
        return [evaluate(squares, cells, params, threshold=known, area=clip)]
    _check_made_at(made_at, min(thresholds), region.detections)
    return [
        evaluate(above(squares, value), cells, params, threshold=value, area=clip)
        for value in thresholds
    ]


def _thresholds(detections: gpd.GeoDataFrame) -> list[float]:
    """What the squares were made at, as far as they say so."""
    if "threshold" not in detections.columns:
        return []
    known = pd.to_numeric(detections["threshold"], errors="coerce").dropna()
    return [float(value) for value in known.unique()]


def _check_made_at(made_at: list[float], threshold: float, where: Path) -> None:
    # Squares between the two were never written: recall would be that of the higher threshold.
    if made_at and threshold < max(made_at) - _ROUNDING:
        raise ConfigError(
            f"its squares were made at threshold {max(made_at):g}, they cannot be judged at "
            f"{threshold:g}",
            where=where,
            remedy=f"classify again with --threshold {threshold:g} or lower",
        )


def _write(folder: Path, found: Evaluation) -> None:
    write_geojson(found.labelled, folder / "labelled.geojson")
    write_gpkg(found.labelled, folder / "labelled.gpkg", "labelled")
    write_atomic(folder / METRICS, _dump(found.as_dict()))


def _dump(document: Any) -> bytes:
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()


def _slug(name: str, found: Evaluation) -> str:
    return name if found.threshold is None else f"{name}_{found.threshold:g}"


def _title(name: str, found: Evaluation) -> str:
    at = "" if found.threshold is None else f", probability > {found.threshold:g}"
    score = "undefined" if found.f1.value is None else f"{found.f1.value:.3f}"
    return f"{name}{at}: F1 {score} ({found.rule} rule)"
