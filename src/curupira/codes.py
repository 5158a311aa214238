"""Fixed vocabularies and the legal transitions between them."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Life of a warning: preliminary (CR1), confirmed (CR2), closed."""

    PRELIMINARY = "preliminary"
    CONFIRMED = "confirmed"
    CLOSED = "closed"


class ClosedReason(StrEnum):
    """Why a warning was closed."""

    EXPIRED = "expired"
    MERGED = "merged_into"
    WITHDRAWN = "withdrawn"
    REJECTED = "rejected"


#: Legal next states. Closed is final; a confirmed warning never becomes preliminary again.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PRELIMINARY: frozenset({Status.CONFIRMED, Status.CLOSED}),
    Status.CONFIRMED: frozenset({Status.CLOSED}),
    Status.CLOSED: frozenset(),
}


class IntensityClass(StrEnum):
    """DETER-R's classes: DEGRADATION is low, CLEAR_CUT is high intensity."""

    LOW = "low_intensity"
    HIGH = "high_intensity"


class Verdict(StrEnum):
    """The ten classes of the human audit (Doblas et al. 2022, Table 1)."""

    AUTOMATIC = "automatic"
    RECENT_DEFORESTATION = "recent_deforestation"
    RECENT_DEGRADATION = "recent_degradation"
    BURNT = "burnt"
    RESIDUE = "residue"
    WATER_FLOODED = "water_flooded"
    NON_FOREST = "non_forest"
    FALSE_POSITIVE = "false_positive"
    CLOUD = "cloud"
    NO_REFERENCE = "no_reference"


class VerdictSource(StrEnum):
    """Where a verdict was made."""

    DESK = "desk"
    FIELD = "field"


class VoteKind(StrEnum):
    """What an entry of the vote log does."""

    VOTE = "vote"
    UNDO = "undo"
    ADJUDICATION = "adjudication"


class Role(StrEnum):
    """What an account may do; each may do what those before it may."""

    VIEWER = "viewer"
    INTERPRETER = "interpreter"
    OPERATOR = "operator"

    def may(self, needed: Role) -> bool:
        """Whether this role includes another."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class SceneState(StrEnum):
    """What became of a scene."""

    INGESTED = "ingested"
    QUARANTINED = "quarantined"
    SUPERSEDED = "superseded"


class RunState(StrEnum):
    """Outcome of a run in the ledger."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    RETRACTED = "retracted"


class OrbitState(StrEnum):
    """Direction of a pass."""

    ASCENDING = "ascending"
    DESCENDING = "descending"


#: Codes of the integer layers.
NOT_OBSERVED = 255
