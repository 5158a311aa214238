"""The backlog: what was disturbed before monitoring began, and is on no map yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import shapely
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Executor
from curupira.cog import write_atomic
from curupira.pipelines.corrections import Correction, corrected, digest_with
from curupira.pipelines.images import Detector, input_hash, season_refusal, select_images, track
from curupira.pipelines.sar_mask import SarMaskParams, wider
from curupira.pipelines.warn import detect_acquisition
from curupira.records import Acquisition

FILE = "backlog.json"

#: Corrections of images by scene id, as they were known at a time.
Corrections = Callable[[Sequence[Acquisition], datetime], Mapping[str, Correction]]


def backlog(
    detector: Detector,
    known: Sequence[Acquisition],
    since: date,
    run_blocks: Executor,
    folder: Path,
    corrections: Corrections,
    *,
    keep: bool,
) -> list[BaseGeometry]:
    """Geometries in the grid's CRS of what the last images before ``since`` show.

    The deforestation map is months old when monitoring begins. What was cleared in between is no
    change since then, yet stays below its reference level for as long as the learning period
    remembers the forest: without this, the first weeks would warn of last year's clearings.

    Parameters
    ----------
    known
        Acquisitions in time order, of any orbit.
    folder
        May hold the answer, as ``backlog.json``; it is good until one of the inputs changes.
    corrections
        What the quality gate found of the images.
    keep
        Write a changed answer to ``folder``.

    Returns
    -------
    Polygons of every status, as wide as the SAR mask makes them, for their rims are still to be
    seen. Empty with ``backlog = "warned"`` in the preset.
    """
    options = SarMaskParams.from_preset(detector.preset)
    if options.backlog == "warned":
        return []
    latest = {track(a): a for a in known if a.day < since}
    path = folder / FILE
    kept: dict[str, list[str]] = json.loads(path.read_text()) if path.is_file() else {}
    found: dict[str, list[str]] = {}
    for acquisition in latest.values():
        _, images = select_images(acquisition, known, detector.params)
        if season_refusal(acquisition, images, detector.params) is not None:
            continue
        known_then = corrections(images, acquisition.acquired)
        digest = digest_with(input_hash(detector, images, []), known_then)
        if digest in kept:
            found[digest] = kept[digest]
            continue
        seeing = replace(detector, reader=corrected(detector.reader, known_then, detector.grid))
        shown = detect_acquisition(seeing, acquisition, images, [], run_blocks, lambda *_: None)
        found[digest] = [o.geometry.wkb_hex for o in shown.observations]
    if keep and found != kept:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(found).encode())
    return [
        wider(shapely.from_wkb(text), options, detector)
        for texts in found.values()
        for text in texts
    ]
