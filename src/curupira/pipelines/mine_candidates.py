"""The area of a workspace classified on scenes known to its store; squares beside open warnings."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from curupira import logs
from curupira.codes import Verdict
from curupira.config import Workspace
from curupira.errors import ConfigError, InputError, SourceError
from curupira.grid import SIRGAS_2000
from curupira.mining.scene import RadarScene
from curupira.mining.squares import drop_lone, squares_of
from curupira.pipelines.images import track
from curupira.pipelines.mine import need_torch
from curupira.pipelines.mine_images import MiningImages
from curupira.pipelines.outputs import write_geojson, write_gpkg
from curupira.progress import Report, silent
from curupira.records import Acquisition, group_acquisitions
from curupira.store import CandidateRow, Store
from curupira.store import candidate as candidates
from curupira.store import scene as scenes
from curupira.store import warning as warnings
from curupira.units import geodesic_area_ha

if TYPE_CHECKING:
    from curupira.mining.model import MiningModel

log = logs.get(__name__)

#: Names a square by where it lies, so that looking again finds the same candidate.
_NAMESPACE = uuid.UUID("6d0b2a2c-9a51-4d2e-8d53-2f3f5b0d7c11")


@dataclass(frozen=True)
class CandidateSummary:
    """Images looked at and not usable; squares above the threshold, at warnings, and the rest."""

    acquisitions: int
    unusable: int
    squares: int
    at_warnings: int
    new: int
    known: int


def find_candidates(
    workspace: Workspace,
    *,
    until: date | None = None,
    threshold: float | None = None,
    now: datetime,
    report: Report = silent,
) -> CandidateSummary:
    """Classify the area on every orbit's newest acquisition; keep what touches no open warning.

    Parameters
    ----------
    workspace
        Its ``[mining] model`` looks at its ``[area]``, whole and unmasked.
    until
        Last UTC day of acquisition; None: no limit.
    threshold
        A candidate is above it; None takes ``[mining] threshold``, or else the model's own.

    Raises
    ------
    ConfigError
        If no model is named, or it cannot be found.
    InputError
        If the store knows no scene yet.
    InputError, SourceError
        If no orbit's image can be used; while one can, the others are logged and left out.
    """
    options = workspace.monitor.mining
    if not options.model:
        raise ConfigError(
            "no mining model is named",
            where="[mining] model",
            remedy="name a folder of curupira mining train",
        )
    need_torch()
    from curupira.mining.model import load_model

    model = load_model(workspace.path(options.model))
    images = MiningImages(workspace, model)
    level = _level(threshold, options.threshold, model.params.classify.threshold)
    with Store.open(workspace.monitor.store.url, base=workspace.folder, create=False) as store:
        with store.reading() as session:
            known = group_acquisitions(scenes.ingested(session))
            taken = [row.geom for row in warnings.open_ones(session)]
        newest = _newest(known, until)
        found, unusable = _classify(newest, known, images, model, level, workspace, report)
        free = ~_touching(found, taken)
        name = f"{model.card.preset} {model.card.weights_sha256[:12]}"
        rows = [_row(square, level, name, now) for square in found[free].itertuples()]
        with store.transaction(durable=True) as session:
            new = sum(candidates.put(session, row) for row in rows)
    return CandidateSummary(
        acquisitions=len(newest) - unusable,
        unusable=unusable,
        squares=len(found),
        at_warnings=int((~free).sum()),
        new=new,
        known=len(rows) - new,
    )


def _level(*wishes: float | None) -> float:
    """The first that is given."""
    return next(wish for wish in wishes if wish is not None)


def write_candidates(workspace: Workspace, out: Path) -> int:
    """Write all candidates as GeoJSON or GeoPackage, by the suffix; return how many.

    Raises
    ------
    ConfigError
        If the file is to be of another kind.
    StoreError
        If the store cannot be read, or the disk refuses.
    """
    kind = out.suffix.lower()
    if kind not in (".geojson", ".json", ".gpkg"):
        raise ConfigError("candidates are GeoJSON or GeoPackage", where=out, remedy="name it so")
    with (
        Store.open(workspace.monitor.store.url, base=workspace.folder, create=False) as store,
        store.reading() as session,
    ):
        rows = candidates.query(session)
    table, notice = candidates.to_geodataframe(rows), workspace.attribution(candidates.years(rows))
    if kind == ".gpkg":
        write_gpkg(table, out, "candidate", notice=notice)
    else:
        write_geojson(table, out, notice=notice)
    return len(table)


def judge_candidate(
    workspace: Workspace,
    candidate_id: str,
    verdict: Verdict,
    interpreter: str,
    now: datetime,
    comment: str | None,
) -> None:
    """Give a candidate a verdict.

    Raises
    ------
    ConfigError
        If there is no such candidate, or nobody is named.
    """
    if not interpreter.strip():
        raise ConfigError("nobody is named", where="--interpreter", remedy="say who decided")
    with (
        Store.open(workspace.monitor.store.url, base=workspace.folder, create=False) as store,
        store.transaction(durable=True) as session,
    ):
        row = candidates.held(session, candidate_id)
        if row is None:
            raise ConfigError(
                f"no candidate {candidate_id}",
                where="candidate",
                remedy="take an id of curupira export --candidates",
            )
        candidates.judge(row, verdict, interpreter.strip(), now, comment)


def _newest(known: Sequence[Acquisition], until: date | None) -> list[Acquisition]:
    chosen: dict[tuple[str, int], Acquisition] = {}
    for a in sorted(known, key=lambda a: a.acquired):
        if until is None or a.day <= until:
            chosen[track(a)] = a
    if not chosen:
        raise InputError(
            "the store knows no scene to look at", where="mining", remedy="run curupira run first"
        )
    return [chosen[key] for key in sorted(chosen)]


def _classify(
    newest: Sequence[Acquisition],
    known: Sequence[Acquisition],
    images: MiningImages,
    model: MiningModel,
    threshold: float,
    workspace: Workspace,
    report: Report,
) -> tuple[gpd.GeoDataFrame, int]:
    """Squares of all usable orbits in EPSG:4674, and how many orbits are not usable.

    Where squares coincide, the most probable sight stays.
    """
    frames: list[gpd.GeoDataFrame] = []
    failed: list[InputError | SourceError] = []
    for acquisition in newest:
        try:
            image = images.image(acquisition, known)
            squares = _squares(image, model, threshold, workspace, report)
        except (InputError, SourceError) as error:
            # An orbit that only clips the area, or has too few dates, costs its own squares only.
            name = acquisition.acquisition_id
            log.warning("no mining candidates", acquisition=name, reason=str(error))
            failed.append(error)
            continue
        frames.append(squares.assign(acquisition=acquisition.acquisition_id, day=acquisition.day))
    if not frames:
        raise failed[0]
    every = pd.concat(frames).sort_values("probability", ascending=False, kind="stable")
    # All orbits share one lattice: a square is at the same place in all of them.
    middles = shapely.get_coordinates(every.centroid.to_numpy()).round(3)
    again = pd.DataFrame(middles).duplicated().to_numpy()
    return gpd.GeoDataFrame(every[~again], crs=str(images.grid.crs)).to_crs(SIRGAS_2000), len(
        failed
    )


def _squares(
    image: RadarScene, model: MiningModel, threshold: float, workspace: Workspace, report: Report
) -> gpd.GeoDataFrame:
    from curupira.mining.classify import classify_scene

    rules = model.params.classify
    seen = classify_scene(
        image,
        model,
        stride_px=rules.stride_px,
        threshold=threshold,
        area=workspace.area,
        report=report,
    )
    return drop_lone(squares_of(seen, threshold, rules.merge_overlap, rules.squares), rules)


def _touching(squares: gpd.GeoDataFrame, taken: list[BaseGeometry]) -> npt.NDArray[np.bool_]:
    near = np.zeros(len(squares), dtype=bool)
    if taken and len(squares):
        hits = shapely.STRtree(taken).query(squares.geometry.to_numpy(), predicate="intersects")
        near[hits[0]] = True
    return near


def _row(square: Any, threshold: float, model: str, now: datetime) -> CandidateRow:
    place = square.geometry.centroid
    return CandidateRow(
        geom=square.geometry,
        candidate_id=str(uuid.uuid5(_NAMESPACE, f"{place.x:.6f} {place.y:.6f}")),
        probability=float(square.probability),
        n_windows=int(square.n_windows),
        threshold=threshold,
        model=model,
        acquisition_id=square.acquisition,
        first_seen=square.day,
        last_seen=square.day,
        area_ha=geodesic_area_ha(square.geometry),
        votes={},
        recorded_at=now,
    )
