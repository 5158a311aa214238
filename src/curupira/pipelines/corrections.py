"""What the quality gate found, applied whenever an image is read from the cube.

The cube keeps images as they came. A displaced one is read at the place where its ground lies, by
whole pixels; of a satellite that is brighter than the orbit's first one, the offset is taken off.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Self

import numpy as np
from odc.geo.geobox import GeoBox

from curupira.blocks import Window
from curupira.cube import codec
from curupira.cube.reader import CubeReader, Wanted
from curupira.preprocess.quality import QualityParams, platform_offset
from curupira.records import Acquisition, Scene


@dataclass(frozen=True, slots=True)
class Correction:
    """Pixels that an image lies too far down and right, and dB that it is too bright."""

    move_y: int = 0
    move_x: int = 0
    offset_db: float = 0.0

    @property
    def empty(self) -> bool:
        """Whether the image is read as it is."""
        return self == Correction()


#: Image without a correction.
AS_IT_IS = Correction()


@dataclass
class Findings:
    """What the gate knows of accepted scenes: moves, and biases against another satellite.

    ``biases``: by relative orbit and platform, the time of a pass and its bias in dB, in time
    order; of the orbit's first satellite there are none.
    """

    moves: dict[str, tuple[int, int]] = field(default_factory=dict)
    biases: defaultdict[tuple[int, str], list[tuple[datetime, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def correction(self, scene: Scene, at: datetime, params: QualityParams) -> Correction:
        """Correction of a scene as it was known at a time: later passes do not count."""
        move_y, move_x = self.moves.get(scene.scene_id, (0, 0))
        known = self.biases.get((scene.relative_orbit, scene.platform), [])
        offset = platform_offset([bias for when, bias in known if when <= at], params)
        return Correction(move_y, move_x, offset)

    def corrections(
        self, images: Iterable[Acquisition], at: datetime, params: QualityParams
    ) -> dict[str, Correction]:
        """Corrections by scene id of those scenes that need one."""
        found = {s.scene_id: self.correction(s, at, params) for a in images for s in a.scenes}
        return {name: c for name, c in found.items() if not c.empty}


def digest_with(digest: str, corrections: Mapping[str, Correction]) -> str:
    """An input hash that knows the corrections; without any, the hash as it was."""
    if not corrections:
        return digest
    listed = [[n, c.move_y, c.move_x, c.offset_db] for n, c in sorted(corrections.items())]
    return hashlib.sha256(f"{digest}{json.dumps(listed)}".encode()).hexdigest()


class CorrectedReader(CubeReader):
    """The cube at a snapshot, its images corrected. Picklable as its parent."""

    def __init__(
        self,
        path: str | Path,
        snapshot: str,
        shape: tuple[int, int],
        corrections: Mapping[str, Correction],
    ) -> None:
        super().__init__(path, snapshot)
        self.whole = Window(0, shape[0], 0, shape[1])
        self.corrections = dict(corrections)

    def __reduce__(self) -> tuple[object, ...]:
        shape = self.whole.shape
        return (CorrectedReader, (self.path, self.snapshot, shape, self.corrections))

    def holding(self, wanted: Mapping[Wanted, Window], *, rim: int = 0, most: int = 0) -> Self:
        """As ``CubeReader.holding``; a moved image is held where its ground lies."""
        moves = {name: max(abs(c.move_y), abs(c.move_x)) for name, c in self.corrections.items()}
        return super().holding(
            {
                # What is not wanted of an image, its move makes no more wanted.
                key: w if w.empty else w.grow(moves.get(key[1], 0), self.whole)
                for key, w in wanted.items()
            },
            rim=rim,
            most=most,
        )

    def read_codes(self, orbit: int, scene_id: str, band: str, window: Window) -> codec.Codes:
        """As ``CubeReader.read_codes``; what is moved in from beyond the grid is missing.

        Angles belong to the ground, not to the image: they are not corrected. Offsets are taken off
        in whole steps of the codes, 0.01 dB.
        """
        c = self.corrections.get(scene_id, AS_IT_IS)
        if c.empty or band in codec.ANGLE_BANDS:
            return super().read_codes(orbit, scene_id, band, window)
        moved = Window(
            window.y0 + c.move_y, window.y1 + c.move_y, window.x0 + c.move_x, window.x1 + c.move_x
        )
        held = moved.intersect(self.whole)
        out = np.zeros(window.shape, dtype=np.uint16)
        if not held.empty:
            out[held.relative_to(moved).slices] = super().read_codes(orbit, scene_id, band, held)
        # Estimated on VH: of VV nothing is known.
        if c.offset_db and band == "vh":
            out = codec.shift(out, -c.offset_db)
        return out


def corrected(
    reader: CubeReader, corrections: Mapping[str, Correction], grid: GeoBox
) -> CubeReader:
    """The reader of a cube on a grid with corrections; itself without any."""
    if not corrections:
        return reader
    shape = (grid.shape.y, grid.shape.x)
    return CorrectedReader(reader.path, reader.snapshot, shape, corrections)


def as_known(
    reader: CubeReader,
    rows: Sequence[tuple[Scene, Mapping[str, Any] | None]],
    params: QualityParams,
    grid: GeoBox,
) -> CubeReader:
    """The reader of a cube with every correction known by now, for looking at images.

    An evaluation does not know later passes: the first ones of a new satellite may have been read
    with another offset then.
    """
    if not rows:
        return reader
    images = Acquisition(tuple(scene for scene, _ in rows))
    newest = max(scene.acquired for scene in images.scenes)
    return corrected(reader, findings(rows).corrections([images], newest, params), grid)


def findings(rows: Iterable[tuple[Scene, Mapping[str, Any] | None]]) -> Findings:
    """Collect what is stored with accepted scenes."""
    found = Findings()
    passes: defaultdict[tuple[int, str, str], list[tuple[datetime, float]]] = defaultdict(list)
    for scene, quality in rows:
        if not quality:
            continue
        move = quality.get("move") or [0, 0]
        if any(move):
            found.moves[scene.scene_id] = (int(move[0]), int(move[1]))
        if quality.get("against") == "other" and quality.get("bias_db") is not None:
            key = (scene.relative_orbit, scene.platform, str(quality["pass"]))
            passes[key].append((scene.acquired, float(quality["bias_db"])))
    for (orbit, platform, _), slices in passes.items():
        when = min(moment for moment, _ in slices)
        found.biases[orbit, platform].append((when, median(b for _, b in slices)))
    for known in found.biases.values():
        known.sort()
    return found
