"""From stored images to stored warnings: what a run does after its scenes are in the cube.

An ordinary step evaluates one acquisition and writes one transaction. When something arrives that
lies before acquisitions already evaluated, the fold is repeated from there in one transaction
(product.md 3, point 4): acquisitions whose inputs are unchanged keep their observations, the
others are detected again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from sqlalchemy.orm import Session

from curupira import __version__, logs
from curupira.blocks import Executor
from curupira.config import Workspace
from curupira.cube.reader import CubeReader
from curupira.errors import InputError
from curupira.pipelines.bookkeeping import Bookkeeper, Outcome
from curupira.pipelines.images import Detector, season_refusal, select_images
from curupira.pipelines.inputs import Archive
from curupira.pipelines.mine_warnings import MiningScores
from curupira.pipelines.overlay import Overlays
from curupira.pipelines.products import drop_product, product_path, product_sink, write_item
from curupira.pipelines.rulings import Rulings
from curupira.pipelines.rulings import load as load_rulings
from curupira.progress import Report
from curupira.records import Acquisition, group_acquisitions
from curupira.store import acquisition as acquisitions
from curupira.store.quality import held
from curupira.store.session import Store
from curupira.store.tables import AcquisitionRow
from curupira.vectorise.match import Book

log = logs.get(__name__)


@dataclass
class Evaluator:
    """Evaluates what is due, on one workspace, during one run.

    ``refused`` names the acquisitions of which the images' dates cannot carry the seasonal fit:
    they are published as not observed, and looked at again when that changes.
    """

    workspace: Workspace
    store: Store
    detector: Detector
    run_id: str
    run_blocks: Executor
    now: Callable[[], datetime]
    report: Report
    force: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    refused: dict[str, InputError] = field(default_factory=dict)
    _book: Book | None = field(default=None, init=False)
    _rulings: Rulings = field(default_factory=Rulings, init=False)

    def __post_init__(self) -> None:
        self.since = self.workspace.monitor.algorithm.monitor_since
        mining = MiningScores(self.workspace) if self.workspace.monitor.mining.model else None
        self.keeper = Bookkeeper(
            self.detector,
            Overlays(self.workspace),
            self.run_id,
            self.now,
            self.counts,
            mining,
            self.since,
        )

    def use(self, reader: CubeReader) -> None:
        """Read images from this snapshot of the cube from now on."""
        self.detector = replace(self.detector, reader=reader)

    def evaluate(self, first: date | None, last: date | None, *, again: bool = False) -> None:
        """Evaluate every acquisition that is due and acquired within [first, last].

        Parameters
        ----------
        first, last
            UTC days, both included; None: open.
        again
            Evaluate also what was evaluated before and has not changed.
        """
        with self.store.reading() as session:
            archive = Archive(self.workspace, self.detector, self.run_blocks, held(session))
            rows = {row.acquisition_id: row for row in acquisitions.in_order(session)}
            self._rulings = load_rulings(session, self.keeper.frame)
        known = archive.known
        learning_only = {a.acquisition_id for a in known if a.day < self.since}
        monitored = {a.acquisition_id for a in known} - learning_only
        mended = self._mended(known, rows)
        asked = self._asked(rows, first, last)
        dirty = [
            row
            for row in rows.values()
            if (
                row.dirty
                or row.acquisition_id in mended
                or (again and row.run_id)
                # Never judged: monitor_since was moved into the past.
                or (row.run_id is None and row.acquisition_id in monitored)
                or (row.evaluated_at and self._rulings.change(row.acquired))
            )
            and row.acquisition_id in asked
        ]
        if not dirty:
            return
        # What followed an acquisition without scenes must be seen again.
        start = min(row.acquired for row in dirty)
        wanted = {row.acquisition_id for row in dirty}
        done = {
            i
            for i, row in rows.items()
            # Without scenes, but evaluated once, also if that was retracted: warnings may name it.
            if (row.evaluated_at or (row.run_id and not row.n_scenes)) and i not in learning_only
        }
        due = [
            a
            for a in known
            if a.acquired >= start
            and a.acquisition_id not in learning_only
            and a.acquisition_id in wanted | done
        ]
        if any(rows[i].acquired >= start for i in done) or self._rulings.applied_after(start):
            self._repeat(archive, rows, dirty, due)
        else:
            self._advance(archive, dirty, due)

    def conclude(self) -> None:
        """At the end of a run: close what people rejected since, follow verdicts in rank.

        Whatever comes later is evaluated as if these rejections came at their own time.
        """
        with self.store.transaction() as session:
            rulings = load_rulings(session, self.keeper.frame)
            if rulings.waiting:
                known = group_acquisitions([r.scene for r in held(session) if r.accepted])
                closed = rulings.apply(self.keeper.load_book(session, known), None)
                self.keeper.write_warnings(session, closed, known)
            self.keeper.follow_verdicts(session)
        self._book = None

    def _asked(
        self, rows: Mapping[str, AcquisitionRow], first: date | None, last: date | None
    ) -> set[str]:
        """Acquisitions up to the last day: those learned from only, and from the first day on.

        One that lost its scenes, and what took its place, whatever the days: warnings name it.
        """
        gone = [acquisitions.around(row.acquired) for row in rows.values() if not row.n_scenes]
        return {
            row.acquisition_id
            for row in rows.values()
            if (
                (last is None or row.day <= last)
                and (first is None or row.day >= first or row.day < self.since)
            )
            or any(early < row.acquired < late for early, late in gone)
        }

    def _mended(
        self, known: Sequence[Acquisition], rows: Mapping[str, AcquisitionRow]
    ) -> frozenset[str]:
        """Acquisitions that were refused, and would not be now that preset or images changed."""
        return frozenset(
            a.acquisition_id
            for a in known
            if rows[a.acquisition_id].input_hash == ""
            and season_refusal(
                a, select_images(a, known, self.detector.params)[1], self.detector.params
            )
            is None
        )

    def _advance(
        self,
        archive: Archive,
        dirty: Sequence[AcquisitionRow],
        due: Sequence[Acquisition],
    ) -> None:
        """Go on from the warnings as they stand: one transaction an acquisition."""
        known = archive.known
        with self.store.transaction() as session:
            over = [row for row in dirty if row.day < self.since or not row.n_scenes]
            self._settle(session, over)
            book = self._book or self.keeper.load_book(session, known)
        for n, acquisition in enumerate(due):
            if len(due) > 1:
                self.report(n, len(due), f"detect {acquisition.acquisition_id}")
            rejected = self._rulings.apply(book, acquisition.acquired)
            outcome = self._detect(archive, acquisition, book)
            changed = outcome.fold(book, acquisition.created)
            with self.store.transaction() as session:
                self.keeper.write_warnings(session, [*rejected, *changed], known)
                self.keeper.write_outcome(session, outcome)
                self.keeper.rank_after(session, acquisition, [*rejected, *changed])
            # Kept only after the commit: a failed transaction must not leave the fold ahead.
            self._book = book

    def _repeat(
        self,
        archive: Archive,
        rows: Mapping[str, AcquisitionRow],
        dirty: Sequence[AcquisitionRow],
        due: Sequence[Acquisition],
    ) -> None:
        """Fold again from the first changed acquisition on, and reconcile with what was issued."""
        self._book, known = None, archive.known
        start, clock = min(r.acquired for r in dirty), max(r.created for r in dirty)
        with self.store.reading() as session:
            stored = {
                a.acquisition_id: self.keeper.stored_outcome(session, a, rows[a.acquisition_id])
                for a in known
                if a.day >= self.since and rows[a.acquisition_id].evaluated_at is not None
            }
        book = self.keeper.new_book(known)
        before = [o for o in stored.values() if o.acquisition.acquired < start]
        rulings = self._rulings.fresh()
        for outcome in before:
            rulings.apply(book, outcome.acquisition.acquired)
            outcome.fold(book, outcome.acquisition.created)
        outcomes = []
        for n, acquisition in enumerate(due):
            self.report(n, len(due), f"re-evaluate {acquisition.acquisition_id}")
            rulings.apply(book, acquisition.acquired)
            before_it = stored.get(acquisition.acquisition_id)
            outcome = self._detect(archive, acquisition, book, before_it)
            outcome.fold(book, max(acquisition.created, clock))
            outcomes.append(outcome)
        with self.store.transaction() as session:
            self.keeper.adopt(session, book, known)
            self.keeper.relink(session, before)
            for outcome in outcomes:
                self.keeper.write_outcome(session, outcome)
            self._settle(session, dirty)
            self.keeper.rank_all(session)

    def _settle(self, session: Session, rows: Sequence[AcquisitionRow]) -> None:
        """Nothing more is to be done for these: learned from only, evaluated, or without scenes."""
        for row in rows:
            if row.n_scenes == 0:
                acquisitions.remove(session, row.acquisition_id)
                drop_product(self.workspace.folder, row.acquisition_id)
            else:
                acquisitions.get(session, row.acquisition_id).dirty = False

    def _detect(
        self, archive: Archive, acquisition: Acquisition, book: Book, stored: Outcome | None = None
    ) -> Outcome:
        """Detect, unless the stored outcome was made from exactly the same inputs."""
        name, detector = acquisition.acquisition_id, self.detector
        inputs = archive.inputs(acquisition, book)
        if inputs.refusal is not None:
            self.refused.setdefault(name, inputs.refusal)
            log.warning("not evaluated", acquisition=name, reason=str(inputs.refusal))
        if stored is not None and inputs.digest == stored.digest != "" and not self.force:
            self.counts["reused"] += 1
            return stored
        notice = self.workspace.attribution([acquisition.acquired.year])
        tags = {"acquisition": name, "preset_hash": detector.preset.hash}
        tags["TIFFTAG_COPYRIGHT"] = notice
        path = product_path(self.workspace.folder, name)
        with product_sink(path, detector.grid, inputs.window, tags) as sink:
            detection = archive.detect(inputs, sink.write)
            sink.mark(detection.observations)
        write_item(path, acquisition, detector.preset, __version__, notice)
        self.counts["evaluated"] += 1
        log.info(
            "evaluated",
            acquisition=name,
            images=len(inputs.images),
            observations=len(detection.observations),
        )
        return Outcome(acquisition, inputs.detection_start, inputs.digest, detection)
