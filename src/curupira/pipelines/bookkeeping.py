"""Between the fold's book and the store: loading warnings, writing what changed, reconciling."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
from pyproj import CRS
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from curupira.codes import ClosedReason, Status
from curupira.detect.periods import periods
from curupira.pipelines.entries import (
    Frame,
    entry,
    fill_row,
    observation,
    observation_row,
    withdraw,
)
from curupira.pipelines.images import Detector
from curupira.pipelines.mine_warnings import MiningScores
from curupira.pipelines.overlay import Overlays, rank
from curupira.pipelines.rulings import judge
from curupira.pipelines.sar_mask import news_after
from curupira.pipelines.warn import Detection
from curupira.records import Acquisition
from curupira.store import acquisition as acquisitions
from curupira.store import observation as observations
from curupira.store import warning as warnings
from curupira.store.tables import AcquisitionRow, WarningRow
from curupira.vectorise.attributes import area_ha
from curupira.vectorise.match import Book, Entry
from curupira.vectorise.params import VectoriseParams
from curupira.vectorise.reconcile import reconcile


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


@dataclass(frozen=True)
class Bookkeeper:
    """Keeps the store in step with the fold, within the caller's transactions."""

    detector: Detector
    overlays: Overlays
    run_id: str
    now: Callable[[], datetime]
    counts: Counter[str]
    mining: MiningScores | None = None
    since: date = date.min

    @property
    def frame(self) -> Frame:
        """Where geometries live."""
        return Frame(self.detector.grid)

    @property
    def pixel_area_m2(self) -> float:
        """Area of a grid pixel."""
        return float(self.detector.grid.resolution.x) ** 2

    def new_book(self, known: Sequence[Acquisition]) -> Book:
        """An empty book that measures areas by the preset's rule.

        ``known``: all acquisitions.
        """
        rule = VectoriseParams.from_preset(self.detector.preset).polygon.area_crs
        crs = CRS(str(self.detector.grid.crs))

        def area(geometry: BaseGeometry) -> float:
            return float(area_ha(np.array([geometry], dtype=object), crs, rule)[0])

        return Book(self.pixel_area_m2, area, news_after(self.detector.preset, known, self.since))

    def load_book(self, session: Session, known: Sequence[Acquisition]) -> Book:
        """Warnings that the next acquisition depends on, in the order of their founding."""
        book = self.new_book(known)
        order = {a.acquisition_id: n for n, a in enumerate(known)}
        entries = [entry(row, 0, self.frame) for row in warnings.for_matching(session)]
        entries.sort(key=lambda e: (order[e.founding.acquisition_id], e.founding.seq))
        for key, e in enumerate(entries):
            e.key = key
            book.add(e)
        return book

    def stored_outcome(self, session: Session, a: Acquisition, row: AcquisitionRow) -> Outcome:
        """Outcome of an acquisition as it was evaluated before."""
        rows = observations.load(session, acquisition_ids=[a.acquisition_id])
        detection = Detection(
            [observation(o, a.day, self.frame) for o in rows],
            (row.observed_km2 or 0.0) + (row.unobserved_km2 or 0.0),
            row.masked_km2 or 0.0,
            row.unobserved_km2 or 0.0,
        )
        start = periods(a.day, self.detector.params.period).detection[0]
        return Outcome(a, start, row.input_hash or "", detection)

    def write_warnings(
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
            if self.mining is not None and row.status is not Status.CLOSED:
                seen = by_id[(e.confirming or e.founding).acquisition_id]
                row.mining_score = self.mining.score(e.geometry, seen, known)
            judge(row)
            row.updated_at = self.now()
            if row.status is Status.CLOSED:
                row.priority = None
            session.add(row)

    def adopt(self, session: Session, book: Book, known: Sequence[Acquisition]) -> None:
        """Give a repeated fold's warnings their stored identities; withdraw the unsupported."""
        stored = warnings.supported(session)
        old = [entry(row, n, self.frame) for n, row in enumerate(stored)]
        fresh = [book.entries[key] for key in sorted(book.entries)]
        pairs = reconcile(old, fresh, self.pixel_area_m2)
        for e in fresh:
            if e.key in pairs:
                _identify(e, old[pairs[e.key]])
        for position in sorted(set(range(len(old))) - set(pairs.values())):
            withdraw(stored[position], self.now())
            self.counts["withdrawn"] += 1
        self.write_warnings(session, fresh, known)

    def write_outcome(self, session: Session, outcome: Outcome) -> None:
        """Replace an acquisition's observations, and note that it is evaluated."""
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

    def relink(self, session: Session, outcomes: Sequence[Outcome]) -> None:
        """Let observations from before a repeated fold name the warnings they now belong to."""
        homes = {o.acquisition.acquisition_id: o.homes for o in outcomes if o.homes}
        for row in observations.load(session, acquisition_ids=list(homes)):
            row.warning_id = homes[row.acquisition_id][row.seq].warning_id

    def follow_verdicts(self, session: Session) -> None:
        """Bring every open warning's confidence up to its verdict, and the ranks of its day."""
        if any([judge(row) for row in warnings.open_ones(session)]):  # noqa: C419 (every one)
            self.rank_all(session)

    def rank_after(self, session: Session, acquisition: Acquisition, changed: list[Entry]) -> None:
        """Rank the acquisition's day, and the days that its warnings were last seen on before."""
        days = {acquisition.day} | {e.last.day for e in changed}
        days |= {e.history[-2][0] for e in changed if len(e.history) > 1}
        self._rank(session, days)

    def rank_all(self, session: Session) -> None:
        """Rank every day on which an open warning was last seen."""
        seen = {row.last_seen for row in warnings.open_ones(session)}
        self._rank(session, {day for day in seen if day is not None})

    def _rank(self, session: Session, days: set[date]) -> None:
        session.flush()
        for day in sorted(days):
            rank(warnings.last_seen_on(session, day))


def _identify(e: Entry, before: Entry) -> None:
    """Let a warning of the fold be one that was issued before."""
    e.warning_id = before.warning_id
    e.issued_at = before.issued_at
    e.confirmed_at = before.confirmed_at or e.confirmed_at
    if before.closed_reason is ClosedReason.REJECTED:
        e.status, e.closed_reason, e.merged_into = Status.CLOSED, ClosedReason.REJECTED, None
        e.rejected_at = before.rejected_at
