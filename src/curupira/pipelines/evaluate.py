"""From stored images to stored warnings: what a run does after its scenes are in the cube.

An ordinary step evaluates one acquisition and writes one transaction. When something arrives that
lies before acquisitions already evaluated, the fold is repeated from there in one transaction
(product.md 3, point 4): acquisitions whose inputs are unchanged keep their observations, the
others are detected again.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import numpy as np
from pyproj import CRS
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from curupira import __version__, logs
from curupira.blocks import Executor
from curupira.codes import Status
from curupira.config import Workspace
from curupira.cube.reader import CubeReader
from curupira.detect.periods import periods
from curupira.pipelines.entries import (
    Frame,
    entry,
    fill_row,
    observation,
    observation_row,
    withdraw,
)
from curupira.pipelines.overlay import Overlays, rank
from curupira.pipelines.products import product_path, product_sink, write_item
from curupira.pipelines.sar_mask import masking
from curupira.pipelines.warn import (
    Detection,
    Detector,
    bounding_window,
    detect_acquisition,
    footprint,
    input_hash,
    select_images,
)
from curupira.progress import Report
from curupira.records import Acquisition, group_acquisitions
from curupira.store import acquisition as acquisitions
from curupira.store import observation as observations
from curupira.store import scene as scenes
from curupira.store import warning as warnings
from curupira.store.session import Store
from curupira.store.tables import AcquisitionRow, WarningRow
from curupira.vectorise.attributes import area_ha
from curupira.vectorise.match import Book, Entry, reconcile
from curupira.vectorise.params import VectoriseParams

log = logs.get(__name__)


@dataclass
class Outcome:
    """What an acquisition showed, and which warnings its polygons belong to."""

    acquisition: Acquisition
    detection_start: date
    digest: str
    detection: Detection
    homes: dict[int, Entry] = field(default_factory=dict)

    def fold(self, book: Book, clock: datetime) -> list[Entry]:
        """Fold it into a book; return the warnings that changed."""
        changed, self.homes = book.apply(self.detection_start, self.detection.observations, clock)
        return changed


@dataclass
class Evaluator:
    """Evaluates what is due, on one workspace, during one run."""

    workspace: Workspace
    store: Store
    detector: Detector
    run_id: str
    run_blocks: Executor
    now: Callable[[], datetime]
    report: Report
    force: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    _book: Book | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.frame = Frame(self.detector.grid)
        self.overlays = Overlays(self.workspace)
        self.pixel_area_m2 = float(self.detector.grid.resolution.x) ** 2
        self.since = self.workspace.monitor.algorithm.monitor_since

    def use(self, reader: CubeReader) -> None:
        """Read images from this snapshot of the cube from now on."""
        self.detector = replace(self.detector, reader=reader)

    def evaluate(self, first: date | None, last: date | None) -> None:
        """Evaluate every acquisition that is due and acquired within [first, last]."""
        with self.store.reading() as session:
            known = group_acquisitions(scenes.ingested(session))
            rows = {row.acquisition_id: row for row in acquisitions.in_order(session)}
        learning_only = {a.acquisition_id for a in known if a.day < self.since}
        dirty = [
            row
            for row in rows.values()
            if row.dirty
            and (last is None or row.day <= last)
            and (first is None or row.day >= first or row.acquisition_id in learning_only)
        ]
        if not dirty:
            return
        # An acquisition without scenes was regrouped away; what followed it must be seen again.
        start = min(row.acquired for row in dirty)
        wanted = {row.acquisition_id for row in dirty}
        done = {i for i, row in rows.items() if row.evaluated_at and i not in learning_only}
        due = [
            a
            for a in known
            if a.acquired >= start
            and a.acquisition_id not in learning_only
            and a.acquisition_id in wanted | done
        ]
        if any(rows[i].acquired >= start for i in done):
            self._repeat(known, rows, dirty, due)
        else:
            self._advance(known, dirty, due)

    def _advance(
        self,
        known: Sequence[Acquisition],
        dirty: Sequence[AcquisitionRow],
        due: Sequence[Acquisition],
    ) -> None:
        """Go on from the warnings as they stand: one transaction an acquisition."""
        with self.store.transaction() as session:
            self._settle(session, [row for row in dirty if row.day < self.since])
            book = self._book or self._load_book(session, known)
        for n, acquisition in enumerate(due):
            if len(due) > 1:
                self.report(n, len(due), f"detect {acquisition.acquisition_id}")
            outcome = self._detect(acquisition, known, book)
            changed = outcome.fold(book, acquisition.created)
            with self.store.transaction() as session:
                self._write_warnings(session, changed, known)
                self._write_outcome(session, outcome)
                self._rank(session, acquisition.day)
            # Kept only after the commit: a failed transaction must not leave the fold ahead.
            self._book = book

    def _repeat(
        self,
        known: Sequence[Acquisition],
        rows: Mapping[str, AcquisitionRow],
        dirty: Sequence[AcquisitionRow],
        due: Sequence[Acquisition],
    ) -> None:
        """Fold again from the first changed acquisition on, and reconcile with what was issued."""
        self._book = None
        start, clock = min(r.acquired for r in dirty), max(r.created for r in dirty)
        with self.store.reading() as session:
            stored = {
                a.acquisition_id: self._stored(session, a, rows[a.acquisition_id])
                for a in known
                if a.day >= self.since and rows[a.acquisition_id].evaluated_at is not None
            }
        book = self._new_book()
        for acquisition in known:
            if acquisition.acquired < start and acquisition.acquisition_id in stored:
                stored[acquisition.acquisition_id].fold(book, acquisition.created)
        outcomes = []
        for n, acquisition in enumerate(due):
            self.report(n, len(due), f"re-evaluate {acquisition.acquisition_id}")
            outcome = self._detect(acquisition, known, book, stored.get(acquisition.acquisition_id))
            outcome.fold(book, max(acquisition.created, clock))
            outcomes.append(outcome)
        with self.store.transaction() as session:
            self._adopt(session, book, known, clock)
            for outcome in outcomes:
                self._write_outcome(session, outcome)
            for day in sorted({a.day for a in due}):
                self._rank(session, day)
            self._settle(session, dirty)

    def _settle(self, session: Session, rows: Sequence[AcquisitionRow]) -> None:
        """Nothing more is to be done for these: learned from only, evaluated, or without scenes."""
        for row in rows:
            if row.n_scenes == 0:
                acquisitions.remove(session, row.acquisition_id)
            else:
                acquisitions.get(session, row.acquisition_id).dirty = False

    def _detect(
        self,
        acquisition: Acquisition,
        known: Sequence[Acquisition],
        book: Book,
        stored: Outcome | None = None,
    ) -> Outcome:
        """Detect, unless the stored outcome was made from exactly the same inputs."""
        span, images = select_images(acquisition, known, self.detector.params)
        window = bounding_window(footprint(acquisition, self.detector.grid), self.detector.grid)
        sar_mask = masking(book, acquisition.day, window, self.detector)
        digest = input_hash(self.detector, images, sar_mask)
        if stored is not None and stored.digest == digest and not self.force:
            self.counts["reused"] += 1
            return stored
        tags = {"acquisition": acquisition.acquisition_id, "preset_hash": self.detector.preset.hash}
        path = product_path(self.workspace.folder, acquisition)
        with product_sink(path, self.detector.grid, window, tags) as sink:
            detection = detect_acquisition(
                self.detector, acquisition, images, sar_mask, self.run_blocks, sink.write
            )
        write_item(path, acquisition, self.detector.preset, __version__)
        self.counts["evaluated"] += 1
        log.info(
            "evaluated",
            acquisition=acquisition.acquisition_id,
            images=len(images),
            observations=len(detection.observations),
        )
        return Outcome(acquisition, span.detection[0], digest, detection)

    def _stored(self, session: Session, a: Acquisition, row: AcquisitionRow) -> Outcome:
        rows = observations.load(session, acquisition_ids=[a.acquisition_id])
        detection = Detection(
            [observation(o, a.day, self.frame) for o in rows],
            (row.observed_km2 or 0.0) + (row.unobserved_km2 or 0.0),
            row.masked_km2 or 0.0,
            row.unobserved_km2 or 0.0,
        )
        start = periods(a.day, self.detector.params.period).detection[0]
        return Outcome(a, start, row.input_hash or "", detection)

    def _new_book(self) -> Book:
        rule = VectoriseParams.from_preset(self.detector.preset).polygon.area_crs
        crs = CRS(str(self.detector.grid.crs))

        def area(geometry: BaseGeometry) -> float:
            return float(area_ha(np.array([geometry], dtype=object), crs, rule)[0])

        return Book(self.pixel_area_m2, area)

    def _load_book(self, session: Session, known: Sequence[Acquisition]) -> Book:
        book = self._new_book()
        order = {a.acquisition_id: n for n, a in enumerate(known)}
        entries = [entry(row, 0, self.frame) for row in warnings.for_matching(session)]
        entries.sort(key=lambda e: (order[e.founding.acquisition_id], e.founding.seq))
        for key, e in enumerate(entries):
            e.key = key
            book.add(e)
        return book

    def _write_warnings(
        self, session: Session, changed: Sequence[Entry], known: Sequence[Acquisition]
    ) -> None:
        """Insert new warnings, update the others."""
        ids = [e.warning_id for e in changed if e.warning_id]
        rows = {row.warning_id: row for row in warnings.query(session, ids=ids)}
        for e in changed:
            row = rows.get(e.warning_id)
            if row is None:
                e.warning_id = str(uuid.uuid4())
                row = WarningRow(
                    warning_id=e.warning_id,
                    preset=self.detector.preset.name,
                    preset_hash=self.detector.preset.hash,
                    run_id=self.run_id,
                    recorded_at=self.now(),
                )
                rows[e.warning_id] = row
                self.counts["issued"] += 1
            self._count(row, e)
        self._fill(session, changed, rows, known)

    def _count(self, row: WarningRow, e: Entry) -> None:
        if e.status is Status.CONFIRMED and row.status is not Status.CONFIRMED:
            self.counts["confirmed"] += 1
        if e.closed_reason is not None and row.closed_reason is None:
            self.counts[e.closed_reason.value] += 1

    def _fill(
        self,
        session: Session,
        changed: Sequence[Entry],
        rows: Mapping[str, WarningRow],
        known: Sequence[Acquisition],
    ) -> None:
        by_id = {a.acquisition_id: a for a in known}
        names = {e.key: e.warning_id for e in changed}
        for e in changed:
            row = rows[e.warning_id]
            merged_into = None if e.merged_into is None else names[e.merged_into]
            fill_row(row, e, self.frame, by_id, merged_into)
            self.overlays.fill(row)
            row.updated_at = self.now()
            session.add(row)

    def _adopt(
        self, session: Session, book: Book, known: Sequence[Acquisition], clock: datetime
    ) -> None:
        """Give the repeated fold's warnings their stored identities; withdraw the unsupported."""
        stored = [row for row in warnings.supported(session)]
        old = [entry(row, n, self.frame) for n, row in enumerate(stored)]
        fresh = [book.entries[key] for key in sorted(book.entries)]
        pairs = reconcile(old, fresh, self.pixel_area_m2)
        for e in fresh:
            before = old[pairs[e.key]] if e.key in pairs else None
            if before is not None:
                e.warning_id = before.warning_id
                e.issued_at = before.issued_at
                e.confirmed_at = before.confirmed_at or e.confirmed_at
        for position in sorted(set(range(len(old))) - set(pairs.values())):
            withdraw(stored[position], self.now())
            self.counts["withdrawn"] += 1
        self._write_warnings(session, fresh, known)

    def _write_outcome(self, session: Session, outcome: Outcome) -> None:
        detection = outcome.detection
        name = outcome.acquisition.acquisition_id
        observations.replace(
            session,
            name,
            [
                observation_row(o, outcome.homes[o.seq].warning_id, self.frame)
                for o in detection.observations
            ],
        )
        acquisitions.set_evaluated(
            session,
            name,
            input_hash=outcome.digest,
            evaluated_at=self.now(),
            run_id=self.run_id,
            observed_km2=detection.monitored_km2 - detection.unobserved_km2,
            masked_km2=detection.masked_km2,
            unobserved_km2=detection.unobserved_km2,
        )

    def _rank(self, session: Session, day: date) -> None:
        rank(warnings.last_seen_on(session, day))
