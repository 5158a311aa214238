"""The quality gate over a workspace: every scene against its predecessors, in time order.

What becomes of a scene is a function of the scenes acquired before it, and so of the set of scenes
alone (product.md 3, point 2): it is derived again where that set has changed, and kept where it has
not. See docs/adr/0003-quality-gate.md.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

import numpy as np
from shapely.geometry.base import BaseGeometry

from curupira import logs
from curupira.blocks import Window, split
from curupira.pipelines.corrections import (
    AS_IT_IS,
    CorrectedReader,
    Correction,
    Findings,
)
from curupira.pipelines.images import Detector, bounding_window, footprint, on_grid, rasterise
from curupira.pipelines.masks import MONITORED, OUTSIDE
from curupira.preprocess.quality import Block, Measure, QualityParams, judge, measure, median_db
from curupira.records import Acquisition, Scene, group_acquisitions
from curupira.store import quality as stored
from curupira.store.session import Store
from curupira.units import to_db

log = logs.get(__name__)

#: Version of the measurement; a change measures every scene again.
_METHOD = 2
#: Least valid images of a reference pixel, and passes of a reference.
_MINIMUM = 3
#: Blocks of a scene that are looked at, and their side in pixels.
_BLOCKS, _SIDE, _SMALL_SIDE = 25, 256, 64


@dataclass(frozen=True)
class _Accepted:
    """A pass that may serve as reference: its accepted scenes, and its outline on the grid."""

    platform: str
    scenes: tuple[Scene, ...]
    outline: BaseGeometry


@dataclass
class Gate:
    """Judges the scenes in the cube; within the run's lock."""

    store: Store
    detector: Detector
    params: QualityParams
    now: Callable[[], datetime]
    on_bad: Callable[[str, str], None]

    def run(self, relative_orbits: Collection[int] | None = None) -> None:
        """Judge the scenes of some orbits (None: all); what changed is stored, orbit by orbit.

        A scene that is newly refused is reported to ``on_bad`` with the reason.
        """
        with self.store.reading() as session:
            rows = stored.held(session, relative_orbits=relative_orbits)
        tracks: defaultdict[tuple[int, str], list[stored.Held]] = defaultdict(list)
        for row in rows:
            tracks[row.scene.relative_orbit, row.scene.sensor].append(row)
        for track in tracks.values():
            self._settle(_Fold(self.detector, self.params, track))

    def _settle(self, fold: _Fold) -> None:
        changes = list(fold.changes())
        if not changes:
            return
        refused = []
        with self.store.transaction() as session:
            for row, quality, reason in changes:
                before = (row.quality or {}).get("move") or [0, 0]
                name = row.scene.scene_id
                stored.settle(
                    session,
                    name,
                    quality=quality,
                    reason=reason,
                    changed=before != quality["move"],
                    recorded_at=self.now(),
                )
                if reason is not None and row.accepted:
                    refused.append((name, reason))
        for name, reason in refused:
            log.warning("quarantined", scene=name, reason=reason)
            self.on_bad(name, reason)


@dataclass
class _Fold:
    """One orbit of one sensor, scene by scene in time order."""

    detector: Detector
    params: QualityParams
    rows: Sequence[stored.Held]
    accepted: list[_Accepted] = field(default_factory=list)
    found: Findings = field(default_factory=Findings)

    def __post_init__(self) -> None:
        reader, (rows, columns) = self.detector.reader, self.detector.grid.shape
        self.reader = CorrectedReader(reader.path, reader.snapshot, (rows, columns), {})

    def changes(self) -> Iterator[tuple[stored.Held, dict[str, Any], str | None]]:
        """Scenes of which the gate says something else than what is stored."""
        by_id = {row.scene.scene_id: row for row in self.rows}
        passes = group_acquisitions([row.scene for row in self.rows])
        for acquisition in passes:
            good, biases = [], []
            for scene in acquisition.scenes:
                row = by_id[scene.scene_id]
                quality, reason = self._judge(row, acquisition, passes[0].platform)
                if reason is None:
                    good.append(scene)
                    if any(quality["move"]):
                        self.found.moves[scene.scene_id] = tuple(quality["move"])
                    if quality["against"] == "other" and quality["bias_db"] is not None:
                        biases.append(quality["bias_db"])
                if quality != row.quality or (reason is None) != row.accepted:
                    yield row, quality, reason
            if biases:
                track = (acquisition.relative_orbit, acquisition.platform)
                self.found.biases[track].append((acquisition.acquired, median(biases)))
            if good:
                outline = footprint(Acquisition(tuple(good)), self.detector.grid)
                self.accepted.append(_Accepted(acquisition.platform, tuple(good), outline))

    def _judge(
        self, row: stored.Held, acquisition: Acquisition, founder: str
    ) -> tuple[dict[str, Any], str | None]:
        """The gate's word on one scene: from the store if it was made from the same images."""
        scene = row.scene
        against, passes = self._reference(scene, founder)
        corrections = {
            s.scene_id: self.found.correction(s, scene.acquired, self.params)
            for p in passes
            for s in p.scenes
        }
        if against != "other":
            # Of one satellite, the offset is in the image as well.
            corrections = {n: Correction(c.move_y, c.move_x) for n, c in corrections.items()}
        basis = self._basis(scene, against, passes, corrections)
        if row.quality is not None and row.quality.get("basis") == basis:
            # A scene that was taken in again by force has lost its record, and so its basis.
            return row.quality, row.quality["reason"]
        found = Measure(coverage=1.0)
        if self.params.gate:
            self.reader.corrections = {n: c for n, c in corrections.items() if c != AS_IT_IS}
            found = measure(list(self._blocks(scene, passes)))
        resolution = float(self.detector.grid.resolution.x)
        verdict = judge(found, self.params, resolution, own=against != "other")
        reason = verdict.reason if self.params.gate else None
        quality = {
            "basis": basis,
            "against": against,
            "pass": acquisition.acquired.isoformat(),
            "move": [verdict.move_y, verdict.move_x],
            "reason": reason,
            **found.to_json(),
        }
        return quality, reason

    def _reference(self, scene: Scene, founder: str) -> tuple[str, list[_Accepted]]:
        """Passes that a scene is compared with: its own satellite's, or another's at first."""
        if not self.params.gate:
            return "none", []
        outline, n = on_grid(scene, self.detector.grid), self.params.reference_images
        near = [p for p in self.accepted if p.outline.intersects(outline)]
        own = [p for p in near if p.platform == scene.platform][-n:]
        others = [p for p in near if p.platform != scene.platform][-n:]
        measured = self.found.biases.get((scene.relative_orbit, scene.platform), [])
        is_new = scene.platform != founder and len(measured) < self.params.offset_images
        if self.params.platform_offset and is_new and len(others) >= _MINIMUM:
            return "other", others
        return ("own", own) if len(own) >= _MINIMUM else ("none", [])

    def _basis(
        self,
        scene: Scene,
        against: str,
        passes: Sequence[_Accepted],
        corrections: dict[str, Correction],
    ) -> str:
        document = [
            _METHOD,
            self.params.model_dump(mode="json"),
            self.detector.masks.hash,
            scene.created.isoformat(),
            against,
            [
                [s.scene_id, s.created.isoformat(), c.move_y, c.move_x, c.offset_db]
                for p in passes
                for s in p.scenes
                for c in [corrections[s.scene_id]]
            ],
        ]
        return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:16]

    def _blocks(self, scene: Scene, passes: Sequence[_Accepted]) -> Iterator[Block]:
        """Blocks spread over a scene, beside the median of the reference's passes."""
        grid, orbit = self.detector.grid, scene.relative_orbit
        outline = on_grid(scene, grid)
        for window in sampled(bounding_window(outline, grid)):
            zones = self.detector.masks.read_zones(window)
            inside = rasterise([outline], grid, window) & (zones != OUTSIDE)
            if not inside.any():
                continue
            # Together: Zarr spends more on a request than on a chunk.
            names = [scene.scene_id, *(s.scene_id for p in passes for s in p.scenes)]
            reader = self.reader.holding({(orbit, name, "vh"): window for name in names})
            levels = []
            for p in passes:
                level = np.full(window.shape, np.nan, dtype=np.float32)
                for other in p.scenes:
                    values = reader.read(orbit, other.scene_id, "vh", window)
                    np.copyto(level, values, where=np.isnan(level))
                levels.append(level)
            image = reader.read(orbit, scene.scene_id, "vh", window)
            yield Block(to_db(image), median_db(levels, _MINIMUM), zones == MONITORED, inside)


def sampled(window: Window) -> list[Window]:
    """At most some 25 whole blocks spread evenly over a window; smaller ones in a small window."""
    if window.empty:
        return []
    side = _SIDE if min(window.shape) >= 3 * _SIDE else _SMALL_SIDE
    blocks = list(split(window, side))
    step = max(1, len(blocks) / _BLOCKS)
    return [blocks[int(k * step)] for k in range(min(_BLOCKS, len(blocks)))]
