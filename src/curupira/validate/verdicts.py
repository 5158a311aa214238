"""From the votes on a warning to its verdict. Pure.

Rules, in order: a field verdict outranks desk verdicts, the latest visit the earlier ones; an
adjudication ends a dispute, and overrules the field verdicts that were there before it; desk votes
that agree are the verdict; desk votes that differ leave the warning disputed, and undecided. Where
a blind second vote is due, the first alone decides nothing. Who could not tell, in the field or at
the desk, contradicts nobody; the optical layer's vote counts only until a person has told.
A vote that a later entry supersedes does not count. Sources: Doblas et al. 2022, section 3.3;
inpe.md (up to four interpreters); issue E, point 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from curupira.codes import Verdict, VerdictSource, VoteKind

#: Interpreter of what the optical layer validated.
AUTOMATIC = "automatic"
#: More interpreters than these do not vote on one warning.
MAX_INTERPRETERS = 4
#: There was no disturbance of forest: the warning is closed at the next run.
REJECTING = frozenset({Verdict.FALSE_POSITIVE, Verdict.NON_FOREST, Verdict.WATER_FLOODED})
#: The evidence decides nothing; such a warning counts as not assessed, never as false.
UNASSESSED = frozenset({Verdict.CLOUD, Verdict.NO_REFERENCE})
#: Why an interpreter rejects a warning, or cannot tell.
REASONS = (
    "cannot_tell",
    "no_change",
    "older_change",
    "seasonal",
    "flood",
    "water_level",
    "agriculture",
    "silviculture",
    "natural_non_forest",
    "terrain",
    "image_artefact",
    "other",
)
#: Confidence of a warning that people have judged.
CONFIDENCE_TRUE, CONFIDENCE_FALSE = 1.0, 0.0


class Vote(Protocol):
    """An entry of the vote log, as the store keeps it."""

    @property
    def vote_id(self) -> str: ...  # noqa: D102
    @property
    def interpreter(self) -> str: ...  # noqa: D102
    @property
    def source(self) -> VerdictSource: ...  # noqa: D102
    @property
    def verdict(self) -> Verdict: ...  # noqa: D102
    @property
    def voted_at(self) -> datetime: ...  # noqa: D102
    @property
    def supersedes(self) -> str | None: ...  # noqa: D102
    @property
    def kind(self) -> VoteKind | None: ...  # noqa: D102
    @property
    def context(self) -> Mapping[str, Any] | None: ...  # noqa: D102


V = TypeVar("V", bound=Vote)


class ReviewState(StrEnum):
    """How far the review of a warning is."""

    OPEN = "open"
    PENDING = "pending"
    AGREED = "agreed"
    DISPUTED = "disputed"
    ADJUDICATED = "adjudicated"
    FIELD = "field"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the votes on a warning say together; ``verdict`` is None until they are settled.

    ``at`` is when the vote that settled them was cast; ``by`` names the people, sorted.
    """

    state: ReviewState
    verdict: Verdict | None = None
    source: VerdictSource | None = None
    by: str | None = None
    at: datetime | None = None
    n_votes: int = 0

    @property
    def rejects(self) -> bool:
        """Whether the warning is to be closed."""
        return self.verdict in REJECTING


def standing(votes: Sequence[V]) -> list[V]:
    """Votes that count: not superseded, and no mere undoing, in time order."""
    gone = {vote.supersedes for vote in votes}
    return [v for v in votes if v.vote_id not in gone and v.kind is not VoteKind.UNDO]


def at_desk(votes: Sequence[V]) -> list[V]:
    """Plain votes at the desk: neither from the field, nor rulings, nor undoings."""
    other = (VoteKind.ADJUDICATION, VoteKind.UNDO)
    return [v for v in votes if v.source is VerdictSource.DESK and v.kind not in other]


def decide(votes: Sequence[Vote], *, blind: bool = False) -> Decision:
    """Verdict of a warning from its whole log, in time order.

    Parameters
    ----------
    blind
        Drawn for a blind second vote: until it is cast, the first decides nothing.
    """
    kept = standing(votes)
    people = len({v.interpreter for v in kept})
    outranking = _outranking(kept)
    if outranking is not None:
        state, last = outranking
        return Decision(state, last.verdict, last.source, last.interpreter, last.voted_at, people)
    desk = [v for v in kept if v.source is VerdictSource.DESK]
    if not desk:
        return Decision(ReviewState.OPEN)
    told = _told(desk)
    words = {v.verdict for v in told}
    if len(words) > 1:
        return Decision(ReviewState.DISPUTED, n_votes=people)
    second = next((v for v in desk if v.interpreter != desk[0].interpreter), None)
    if blind and second is None:
        return Decision(ReviewState.PENDING, n_votes=people)
    names = ", ".join(sorted({v.interpreter for v in told}))
    at = told[0].voted_at
    if blind and second is not None:
        at = max(at, second.voted_at)
    return Decision(ReviewState.AGREED, told[0].verdict, told[0].source, names, at, people)


def _outranking(kept: Sequence[V]) -> tuple[ReviewState, V] | None:
    """The field verdict or the adjudication that the desk votes do not matter beside."""
    ruled = [i for i, v in enumerate(kept) if v.kind is VoteKind.ADJUDICATION]
    # In the order of the visits: the files of one may come in after those of a later one.
    field = sorted(
        (v for v in kept[ruled[-1] + 1 if ruled else 0 :] if v.source is VerdictSource.FIELD),
        key=lambda v: (str((v.context or {}).get("visited_on") or ""), v.voted_at),
    )
    seen = [v for v in field if v.verdict not in UNASSESSED]
    if seen:
        return ReviewState.FIELD, seen[-1]
    if ruled:
        return ReviewState.ADJUDICATED, kept[ruled[-1]]
    if field and all(v.source is VerdictSource.FIELD or v.verdict in UNASSESSED for v in kept):
        return ReviewState.FIELD, field[-1]
    return None


def _told(desk: Sequence[V]) -> list[V]:
    """Votes that are compared: of people, then of the optical layer, then who could not tell."""
    told = [v for v in desk if v.verdict not in UNASSESSED]
    people = [v for v in told if v.interpreter != AUTOMATIC]
    return people or told or list(desk)


def judged_confidence(verdict: Verdict | None) -> float | None:
    """Confidence that a verdict gives a warning; None where it gives none."""
    if verdict is None or verdict in UNASSESSED:
        return None
    return CONFIDENCE_FALSE if verdict in REJECTING else CONFIDENCE_TRUE
