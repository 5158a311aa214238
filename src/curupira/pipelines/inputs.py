"""What decides about an acquisition's observations, found before anything is detected."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import shapely
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Executor, Window
from curupira.config import Workspace
from curupira.detect.frozen import check_frozen
from curupira.detect.layers import Layers
from curupira.errors import InputError
from curupira.pipelines import frozen
from curupira.pipelines.backlog import backlog
from curupira.pipelines.corrections import Correction, corrected, digest_with, findings
from curupira.pipelines.images import (
    Detector,
    bounding_window,
    footprint,
    has_baseline,
    input_hash,
    season_refusal,
    select_images,
)
from curupira.pipelines.sar_mask import masking
from curupira.pipelines.seen import SeenLayers
from curupira.pipelines.warn import Detection, detect_acquisition
from curupira.records import Acquisition, group_acquisitions
from curupira.store.quality import Held
from curupira.vectorise.match import Book

OnBlock = Callable[[Window, Layers, SeenLayers], None]


@dataclass(frozen=True)
class Inputs:
    """Everything that an acquisition is judged by. ``digest`` names it, whatever the order.

    ``refusal``: why the dates of its images cannot carry the seasonal fit; then there are no
    images, nothing is observed, and the digest is empty. ``first``: in frozen mode the inputs of
    the acquisition that the state is of; ``images`` then are those of the detection period.
    """

    acquisition: Acquisition
    detection_start: date
    window: Window
    images: Sequence[Acquisition]
    sar_mask: Sequence[BaseGeometry]
    corrections: Mapping[str, Correction]
    digest: str
    refusal: InputError | None
    first: Inputs | None = None


@dataclass
class Archive:
    """The accepted images of a workspace, and detection on them.

    ``held``: the scenes in the cube with the gate's word on each. ``keep``: whether the backlog,
    once found, is written beside the masks.
    """

    workspace: Workspace
    detector: Detector
    run_blocks: Executor
    held: Sequence[Held]
    keep: bool = True
    known: list[Acquisition] = field(init=False)
    _old: list[BaseGeometry] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        accepted = [row for row in self.held if row.accepted]
        self.known = group_acquisitions([row.scene for row in accepted])
        if self.workspace.monitor.algorithm.frozen_days:
            check_frozen(self.detector.params)
        self._findings = findings((row.scene, row.quality) for row in accepted)

    def inputs(self, acquisition: Acquisition, book: Book) -> Inputs:
        """Inputs of one acquisition, after what came before it was folded into a book."""
        detector, known = self.detector, self.known
        span, images = select_images(acquisition, known, detector.params)
        window = bounding_window(footprint(acquisition, detector.grid), detector.grid)
        sar_mask = masking(book, acquisition.day, window, detector)
        sar_mask += self._old_news(window)
        corrections = self._corrections(images, acquisition.acquired)
        first = self._first(acquisition)
        if first is None:
            refusal = season_refusal(acquisition, images, detector.params)
        else:
            refusal, images = first.refusal, frozen.within(images, span.detection[0])
        if refusal is None:
            digest = digest_with(input_hash(detector, images, sar_mask), corrections)
            if first is not None:
                digest = hashlib.sha256(f"{digest}{first.digest}".encode()).hexdigest()
        else:
            # Without a digest the result is never used again.
            images, digest = [], ""
        return Inputs(
            acquisition,
            span.detection[0],
            window,
            images,
            sar_mask,
            corrections,
            digest,
            refusal,
            first,
        )

    def _first(self, acquisition: Acquisition) -> Inputs | None:
        """What the state of an acquisition is made from; None where nothing is frozen."""
        detector, algorithm = self.detector, self.workspace.monitor.algorithm
        days, since = algorithm.frozen_days, algorithm.monitor_since
        if not days:
            return None
        first = acquisition
        for other in frozen.candidates(acquisition, self.known, days, since):
            _, images = select_images(other, self.known, detector.params)
            if has_baseline(other, images, detector.params):
                first = other
                break
        span, images = select_images(first, self.known, detector.params)
        corrections = self._corrections(images, first.acquired)
        window = bounding_window(footprint(first, detector.grid), detector.grid)
        refusal = season_refusal(first, images, detector.params)
        # A state is what is learned from the past: rain decides about images of the detection.
        dry = replace(detector, rain=None)
        digest = digest_with(input_hash(dry, images, []), corrections)
        return Inputs(first, span.detection[0], window, images, [], corrections, digest, refusal)

    def detect(self, inputs: Inputs, on_block: OnBlock) -> Detection:
        """Compare an acquisition with its past, its images corrected as the gate says."""
        state = None
        if inputs.first is not None and inputs.images:
            state = frozen.ensure(
                self.workspace.folder,
                self._reading(inputs.first),
                inputs.first.acquisition,
                inputs.first.images,
                inputs.first.digest,
                self.run_blocks,
            )
        return detect_acquisition(
            self._reading(inputs),
            inputs.acquisition,
            inputs.images,
            inputs.sar_mask,
            self.run_blocks,
            on_block,
            state,
        )

    def _reading(self, inputs: Inputs) -> Detector:
        reader = corrected(self.detector.reader, inputs.corrections, self.detector.grid)
        return replace(self.detector, reader=reader)

    def _corrections(self, images: Sequence[Acquisition], at: datetime) -> Mapping[str, Correction]:
        return self._findings.corrections(images, at, self.workspace.monitor.quality)

    def _old_news(self, window: Window) -> list[BaseGeometry]:
        """What was disturbed before monitoring began, within a window."""
        if self._old is None:
            monitor = self.workspace.monitor
            folder = self.workspace.path(monitor.masks.output)
            since = monitor.algorithm.monitor_since
            self._old = backlog(
                self.detector,
                self.known,
                since,
                self.run_blocks,
                folder,
                self._corrections,
                keep=self.keep,
            )
        box = shapely.box(*self.detector.grid[window.slices].boundingbox)
        return [geometry for geometry in self._old if geometry.intersects(box)]
