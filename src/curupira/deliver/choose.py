"""Which warnings a target gets, and as what: new, update or correction. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.codes import ClosedReason, IntensityClass, Status, Verdict
from curupira.deliver.frame import DECIMALS
from curupira.deliver.params import NOT_EVALUATED, DeliveryParams


class Told(StrEnum):
    """What a target is told about a warning."""

    NEW = "new"
    UPDATE = "update"
    CORRECTION = "correction"


#: Closed for these reasons, a warning that a target has got is taken back.
_WRONG = (ClosedReason.WITHDRAWN, ClosedReason.REJECTED)


@dataclass(frozen=True)
class Facts:
    """What decides about a warning; ``names`` are its state, municipality and territories."""

    warning_id: str
    status: Status
    closed_reason: ClosedReason | None
    intensity_class: IntensityClass
    verdict: Verdict | None
    confidence: float | None
    area_ha: float
    issued_at: datetime
    geometry: BaseGeometry
    names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Choice:
    """One warning to be told of.

    ``digest`` is the state that is told; ``raised`` that it was told as preliminary before and is
    confirmed now.
    """

    warning_id: str
    told: Told
    digest: str
    raised: bool = False


def choose(
    facts: Facts, last: str | None, params: DeliveryParams, area: BaseGeometry | None
) -> Choice | None:
    """Decide about one warning.

    Parameters
    ----------
    facts
        The warning as it stands.
    last
        Digest of what the target was told last; None if nothing yet.
    params
        The target's rule.
    area
        Polygons that a new warning must touch (lon/lat); None: no limit.

    Returns
    -------
    Choice or None
        None where the target needs not hear of it: not selected, or nothing changed. What has been
        told once is kept up to date whatever the rule: a change of status, class or geometry is an
        update; withdrawal, rejection or a verdict that the rule does not pass is a correction.
    """
    if last is None and not (passes_verdict(facts, params) and _selected(facts, params, area)):
        return None
    refused = is_refused(facts, params)
    digest = digest_of(facts, refused=refused)
    if last is None:
        return Choice(facts.warning_id, Told.NEW, digest)
    if digest == last:
        return None
    wrong = facts.closed_reason in _WRONG or refused
    raised = facts.status is Status.CONFIRMED and last.startswith(f"{Status.PRELIMINARY}-")
    return Choice(facts.warning_id, Told.CORRECTION if wrong else Told.UPDATE, digest, raised)


def is_refused(facts: Facts, params: DeliveryParams) -> bool:
    """Whether a verdict keeps a warning from a target."""
    return facts.verdict is not None and not passes_verdict(facts, params)


def passes_verdict(facts: Facts, params: DeliveryParams) -> bool:
    """Whether verdict and class let a warning pass; without one only the unvalidated classes."""
    if facts.verdict is None:
        classes = params.unvalidated_classes
        return NOT_EVALUATED in params.verdicts and facts.intensity_class in classes
    return facts.verdict.value in params.verdicts and facts.intensity_class in params.classes


def _selected(facts: Facts, params: DeliveryParams, area: BaseGeometry | None) -> bool:
    return (
        facts.status in params.statuses
        and facts.closed_reason not in _WRONG
        and (facts.confidence or 0.0) >= params.min_confidence
        and facts.area_ha >= params.min_area_ha
        and facts.issued_at.astimezone(UTC).date() >= params.since
        and (not params.areas or not facts.names.isdisjoint(params.areas))
        and (area is None or bool(area.intersects(facts.geometry)))
    )


def digest_of(facts: Facts, *, refused: bool) -> str:
    """Status, and SHA-256 of what is worth telling: status, class, geometry to a centimetre."""
    shape = shapely.normalize(
        shapely.transform(facts.geometry, lambda xy: np.round(xy, DECIMALS) + 0.0)
    )
    words = (facts.status, facts.closed_reason or "", facts.intensity_class, str(refused))
    told = hashlib.sha256("|".join(words).encode() + shapely.to_wkb(shape)).hexdigest()
    return f"{facts.status}-{told}"
