"""Verdicts of people as inputs of the fold (product.md 3, points 3 and 6).

A warning that people rejected is closed before the first acquisition that was acquired after the
deciding vote; a vote later than every image closes it at the end of the run. So the result is a
function of images, preset, masks and votes, and a repeated fold gives the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from curupira.codes import ClosedReason, Status
from curupira.pipelines.entries import REJECTED_AT, SCORE, Frame, mark
from curupira.store import warning as warnings
from curupira.store.tables import WarningRow
from curupira.validate.verdicts import REJECTING, judged_confidence
from curupira.vectorise.match import Book, Entry, Mark, overlaps


@dataclass(frozen=True, slots=True)
class Ruling:
    """A rejection: of which warning, founded by what, where (grid CRS), and since when.

    ``applied``: the warning is closed for it.
    """

    warning_id: str
    founding: Mark
    geometry: BaseGeometry
    at: datetime
    applied: bool


@dataclass
class Rulings:
    """All rejections, waiting for their time within one pass of the fold."""

    every: Sequence[Ruling] = ()
    _spent: set[str] = field(default_factory=set)

    def apply(self, book: Book, until: datetime | None) -> list[Entry]:
        """Close what was rejected up to a time (None: ever); return what was closed."""
        closed = []
        for ruling in self.every:
            if ruling.warning_id in self._spent or (until is not None and ruling.at > until):
                continue
            self._spent.add(ruling.warning_id)
            found = _meant(book, ruling)
            if found is not None:
                found.close(ClosedReason.REJECTED)
                found.rejected_at = ruling.at
                closed.append(found)
        return closed

    @property
    def waiting(self) -> bool:
        """Whether a warning is open that people rejected."""
        return any(not ruling.applied for ruling in self.every)

    def change(self, acquired: datetime) -> bool:
        """Whether a rejection not applied yet came before an image that was evaluated."""
        return any(not ruling.applied and ruling.at <= acquired for ruling in self.every)

    def applied_after(self, acquired: datetime) -> bool:
        """Whether a warning is closed by a rejection that an image is older than."""
        return any(ruling.applied and ruling.at > acquired for ruling in self.every)

    def fresh(self) -> Rulings:
        """The same rejections for another pass."""
        return Rulings(self.every)


def _meant(book: Book, ruling: Ruling) -> Entry | None:
    """The open warning that a ruling is about: by its id, or by what founded it, and where."""
    for e in book.open_entries():
        if e.warning_id:
            if e.warning_id == ruling.warning_id:
                return e
        elif (e.founding.acquisition_id, e.founding.seq) == (
            ruling.founding.acquisition_id,
            ruling.founding.seq,
        ) and overlaps(e.geometry, ruling.geometry, book.pixel_area_m2):
            return e
    return None


def load(session: Session, frame: Frame) -> Rulings:
    """Rejections of open warnings, and those that warnings were closed for, by their time."""
    found = []
    for row in warnings.rejected(session, REJECTING):
        closed = row.status is Status.CLOSED
        at = row.history.get(REJECTED_AT) if closed else None
        moment = datetime.fromisoformat(at) if at else None
        if not closed and row.verdict in REJECTING:
            moment = row.verdict_at
        if moment is not None:
            founding = mark(row.history["founding"])
            shape = frame.to_grid(row.geom)
            found.append(Ruling(row.warning_id, founding, shape, moment, closed))
    return Rulings(sorted(found, key=lambda r: (r.at, r.warning_id)))


def judge(row: WarningRow) -> bool:
    """Bring a warning's confidence up to its verdict; whether that changed it.

    What the preset's score says stays in the history, and comes back with an undone verdict.
    """
    score = row.history.get(SCORE, row.confidence)
    judged = judged_confidence(row.verdict)
    wanted = score if judged is None else judged
    before = (row.confidence, SCORE in row.history)
    history = {k: v for k, v in row.history.items() if k != SCORE}
    row.history = history if judged is None else history | {SCORE: score}
    row.confidence = wanted
    return before != (row.confidence, SCORE in row.history)
