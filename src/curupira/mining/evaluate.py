"""Detections against a reference grid: the paper's rule, and one without its flaws. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.errors import InputError
from curupira.mining import estimates
from curupira.mining.estimates import Counts, Estimate
from curupira.mining.params import ScoreParams

BoolArray = npt.NDArray[np.bool_]

#: Coordinates of GeoJSON files are rounded; touching squares must still touch.
TOUCH_M = 0.05


@dataclass(frozen=True)
class Evaluation:
    """What was found, and how well.

    ``tp`` and ``fp`` count detections, ``fn`` reference cells (both rules); ``tp_reference`` counts
    the reference cells found. ``labelled`` has the columns ``outcome`` (TP, FP, FN) and ``kind``
    (detection, reference), in the metric CRS of the input.
    """

    rule: str
    threshold: float | None
    tp: int
    fp: int
    fn: int
    tp_reference: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    labelled: gpd.GeoDataFrame

    def as_dict(self) -> dict[str, Any]:
        """``metrics.json`` (product.md 8)."""
        return {
            "rule": self.rule,
            "threshold": self.threshold,
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
            "tp_reference": self.tp_reference,
            **{name: getattr(self, name).as_dict() for name in ("precision", "recall", "f1")},
        }


def match(
    detections: npt.NDArray[Any], reference: npt.NDArray[Any], min_overlap: float
) -> tuple[BoolArray, BoolArray]:
    """Which detections meet a reference cell, and which cells meet a detection.

    Parameters
    ----------
    detections, reference
        Polygons in one metric CRS.
    min_overlap
        Share of the smaller polygon that must overlap. 0: touching is enough, an edge or a corner
        included, as GIS predicates and so the paper have it (method.md 1C, M3).
    """
    hit, found = np.zeros(len(detections), dtype=bool), np.zeros(len(reference), dtype=bool)
    if not len(detections) or not len(reference):
        return hit, found
    first, second = shapely.STRtree(reference).query(
        detections, predicate="dwithin", distance=TOUCH_M
    )
    if min_overlap > 0:
        shared = shapely.area(shapely.intersection(detections[first], reference[second]))
        smaller = np.minimum(shapely.area(detections[first]), shapely.area(reference[second]))
        enough = shared >= min_overlap * smaller
        first, second = first[enough], second[enough]
    hit[first] = True
    found[second] = True
    return hit, found


def evaluate(
    detections: gpd.GeoDataFrame,
    reference: gpd.GeoDataFrame,
    params: ScoreParams,
    *,
    threshold: float | None,
    area: BaseGeometry | None = None,
) -> Evaluation:
    """Score detections against a reference grid.

    Parameters
    ----------
    detections, reference
        Polygons in one metric CRS; every feature counts once.
    params
        Rule ``paper`` (method.md 1C.8): precision = TP / (TP + FP) of detections, recall = TP /
        (TP + FN) with TP detections and FN reference cells, F1 of these counts. Rule ``symmetric``:
        recall is the share of reference cells found; F1 the harmonic mean.
    threshold
        Recorded; the detections are judged as they come.
    area
        In the same CRS: what has its centre outside is not counted, though it may be met.

    Raises
    ------
    InputError
        If there is no reference cell.
    """
    hit, found = match(
        detections.geometry.to_numpy(), reference.geometry.to_numpy(), params.min_overlap
    )
    own, theirs = _inside(detections, area), _inside(reference, area)
    if not theirs.any():
        raise InputError("the reference is empty here", where="reference", remedy="check --aoi")
    counted, cells = detections[own], reference[theirs]
    hit, found = hit[own], found[theirs]
    kinds = _by_block(counted, hit, cells, found, params.block_km * 1000)
    tp, fp, fn, tp_reference = (int(n) for n in kinds.sum(axis=0))
    symmetric = params.rule == "symmetric"
    paired = tp_reference if symmetric else tp
    wanted = {
        "precision": (estimates.precision, tp + fp),
        "recall": (_recall_of_cells if symmetric else estimates.recall, paired + fn),
        "f1": (_f1_symmetric if symmetric else estimates.f1, tp + fp + fn + paired * symmetric),
    }
    scores = {
        name: estimates.bootstrap(kinds, function, n, resamples=params.bootstrap, seed=params.seed)
        for name, (function, n) in wanted.items()
    }
    return Evaluation(
        rule=params.rule,
        threshold=threshold,
        tp=tp,
        fp=fp,
        fn=fn,
        tp_reference=tp_reference,
        labelled=_labelled(counted, hit, cells[~found]),
        **scores,
    )


def _inside(frame: gpd.GeoDataFrame, area: BaseGeometry | None) -> BoolArray:
    if area is None:
        return np.ones(len(frame), dtype=bool)
    centres = shapely.centroid(frame.geometry.to_numpy())
    shapely.prepare(area)
    return np.asarray(shapely.intersects(area, centres), dtype=bool)


def _by_block(
    detections: gpd.GeoDataFrame,
    hit: BoolArray,
    cells: gpd.GeoDataFrame,
    found: BoolArray,
    side: float,
) -> npt.NDArray[np.int64]:
    """Counts ``(block, [tp, fp, fn, tp_reference])`` of blocks of land.

    Neighbouring squares are not independent, so blocks are resampled, not squares.
    """
    shapes = np.concatenate([detections.geometry.to_numpy(), cells.geometry.to_numpy()])
    xy = shapely.get_coordinates(shapely.centroid(shapes))
    _, block = np.unique(np.floor(xy / side).astype(np.int64), axis=0, return_inverse=True)
    kind = np.concatenate([np.where(hit, 0, 1), np.where(found, 3, 2)])
    counts = np.zeros((int(block.max()) + 1, 4), dtype=np.int64)
    np.add.at(counts, (block.reshape(-1), kind), 1)
    return counts


def _recall_of_cells(totals: Counts) -> Counts:
    return estimates.ratio(totals[..., 3], totals[..., 3] + totals[..., 2])


def _f1_symmetric(totals: Counts) -> Counts:
    # 2PR / (P + R), with a precision that no detection defines counted as 0.
    p = np.nan_to_num(estimates.precision(totals))
    r = _recall_of_cells(totals)
    return np.asarray(
        np.where(p + r > 0, estimates.ratio(2 * p * r, p + r), np.where(r >= 0, 0.0, r))
    )


def _labelled(
    detections: gpd.GeoDataFrame, hit: BoolArray, missed: gpd.GeoDataFrame
) -> gpd.GeoDataFrame:
    found = gpd.GeoDataFrame(
        {"outcome": np.where(hit, "TP", "FP"), "kind": "detection"},
        geometry=detections.geometry.to_numpy(),
        crs=missed.crs,
    )
    if "probability" in detections.columns:
        found["probability"] = detections["probability"].to_numpy(dtype=float)
    lost = gpd.GeoDataFrame(
        {"outcome": ["FN"] * len(missed), "kind": ["reference"] * len(missed)},
        geometry=missed.geometry.to_numpy(),
        crs=missed.crs,
    )
    parts = [part for part in (found, lost) if len(part)]
    return gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), crs=missed.crs)


def above(detections: gpd.GeoDataFrame, threshold: float) -> gpd.GeoDataFrame:
    """Detections whose ``probability`` is above a threshold; of none, none.

    Raises
    ------
    InputError
        If they have no such column, or something else than numbers stands in it.
    """
    if detections.empty:
        return detections
    if "probability" not in detections.columns:
        raise InputError(
            "the detections have no column probability",
            where="detections",
            remedy="leave --threshold out, or take the output of curupira mining classify",
        )
    probability = pd.to_numeric(detections["probability"], errors="coerce")
    bad = int(probability.isna().sum())
    if bad:
        raise InputError(
            f"{bad} of {len(detections)} detections have no number as probability",
            where="detections",
            remedy="take the output of curupira mining classify as it is",
        )
    return detections[probability > threshold]


def table(rows: list[tuple[str, Evaluation]]) -> pd.DataFrame:
    """Regions and thresholds in the layout of the paper's Table 2, one row an evaluation."""
    return pd.DataFrame(
        [
            {
                "region": region,
                "threshold": found.threshold,
                "tp": found.tp,
                "fp": found.fp,
                "fn": found.fn,
                **{
                    f"{name}{end}": getattr(getattr(found, name), part)
                    for name in ("precision", "recall", "f1")
                    for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
                },
            }
            for region, found in rows
        ]
    )
