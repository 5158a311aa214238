"""Agreement of warnings with their verdicts, and the accuracy that a sample of them gives. Pure.

The categories follow Table 1 of Doblas et al. 2022 in kind: what the class of the warning and the
class of the audit say together is agreement, minor or major disagreement, or nothing (not
assessed). Our sources quote the table's totals (method.md 1B row 28), not its cells: the
assignment below is our reading, one table, and is printed beside every figure made with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from curupira.codes import IntensityClass, Verdict
from curupira.validate.scores import Z95, wilson
from curupira.validate.verdicts import REJECTING, UNASSESSED

#: A stratum: day, plan, name.
K = TypeVar("K", bound=tuple[date, str, str])


class Category(StrEnum):
    """What warning and audit say together."""

    AGREEMENT = "agreement"
    MINOR = "minor"
    MAJOR = "major"
    UNASSESSED = "unassessed"


_HIGH = {
    Verdict.AUTOMATIC: Category.AGREEMENT,
    Verdict.RECENT_DEFORESTATION: Category.AGREEMENT,
    Verdict.RECENT_DEGRADATION: Category.MINOR,
    Verdict.BURNT: Category.MINOR,
    Verdict.RESIDUE: Category.MINOR,
}
_LOW = _HIGH | {
    Verdict.RECENT_DEGRADATION: Category.AGREEMENT,
    Verdict.BURNT: Category.AGREEMENT,
}
_SAME = dict.fromkeys(REJECTING, Category.MAJOR) | dict.fromkeys(UNASSESSED, Category.UNASSESSED)
#: Category by the warning's class and the audit's.
CATEGORIES: Mapping[IntensityClass, Mapping[Verdict, Category]] = {
    IntensityClass.HIGH: _HIGH | _SAME,
    IntensityClass.LOW: _LOW | _SAME,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A warning with its verdict.

    ``probability`` is that of being judged, ``usable`` that of a verdict which assesses it: cloud
    and missing references say nothing. None: not known.
    """

    intensity_class: IntensityClass
    verdict: Verdict
    area_ha: float
    probability: float | None = None
    usable: float | None = None

    @property
    def category(self) -> Category:
        """Agreement category."""
        return CATEGORIES[self.intensity_class][self.verdict]


@dataclass(frozen=True, slots=True)
class Row:
    """Count and area of one verdict (None: a total) within one category, shares of the total."""

    verdict: Verdict | None
    category: Category
    intensity_class: IntensityClass | None
    n: int
    area_ha: float
    share_n: float
    share_area: float


def agreement_table(judged: Sequence[Judged]) -> list[Row]:
    """The layout of the paper's Table 2: each verdict by class, then totals by category.

    Shares are of all judged warnings, unassessed ones included, as the paper's are.
    """
    total_n, total_area = len(judged), sum(j.area_ha for j in judged)

    def row(
        verdict: Verdict | None,
        category: Category,
        kind: IntensityClass | None,
        members: Sequence[Judged],
    ) -> Row:
        area = sum(j.area_ha for j in members)
        return Row(
            verdict,
            category,
            kind,
            len(members),
            area,
            len(members) / total_n if total_n else 0.0,
            area / total_area if total_area else 0.0,
        )

    rows = []
    for category in Category:
        for kind in IntensityClass:
            for verdict in Verdict:
                if CATEGORIES[kind][verdict] is category:
                    members = [
                        j for j in judged if (j.intensity_class, j.verdict) == (kind, verdict)
                    ]
                    rows.append(row(verdict, category, kind, members))
        rows.append(row(None, category, None, [j for j in judged if j.category is category]))
    return rows


@dataclass(frozen=True, slots=True)
class UserAccuracy:
    """Share of true warnings with its 95 % interval; None where nothing can be said."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def as_json(self) -> dict[str, float | int | None]:
        """The object of product.md section 8."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def judged_share(counted: Mapping[K, tuple[int, int]], asked: Mapping[K, int]) -> dict[K, float]:
    """Probability of a warning to be judged, by the stratum of the day it was drawn on.

    In place of the design's: of what was drawn, much may wait for its verdict, and queues begin
    with the largest. Within a stratum those judged stand for all. A day's stratum without any
    verdict is stood for by the strata of its name and plan on other days (collapsed strata).

    Parameters
    ----------
    counted
        All warnings of each stratum, and how many of them are judged; or how many have a verdict
        that assesses them, for estimates that leave out the others: they are non-response, and
        those assessed stand for them, stratum by stratum.
    asked
        Those of the warnings that the estimate is about.

    Returns
    -------
    dict
        Empty while there is a stratum that no verdict stands for: nothing can be said.
    """
    served, waiting = _pools(counted, asked)
    if any(not served[pool] for pool in waiting):
        return {}
    return {
        key: judged / n * served[key[1:]] / (served[key[1:]] + waiting[key[1:]])
        for key, (n, judged) in counted.items()
        if key in asked and judged
    }


def silent(counted: Mapping[K, tuple[int, int]], asked: Mapping[K, int]) -> list[tuple[str, str]]:
    """Plan and name of the strata that no verdict stands for; as ``judged_share``."""
    served, waiting = _pools(counted, asked)
    return sorted(pool for pool in waiting if not served[pool])


def _pools(
    counted: Mapping[K, tuple[int, int]], asked: Mapping[K, int]
) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    served: Counter[tuple[str, str]] = Counter()
    waiting: Counter[tuple[str, str]] = Counter()
    for key, n in asked.items():
        (served if counted[key][1] else waiting)[key[1:]] += n
    return served, waiting


def user_accuracy(judged: Sequence[Judged], *, by_area: bool) -> dict[str, UserAccuracy]:
    """User's accuracy, given the four ways that method.md section 5 asks for.

    Keys: ``excluded``, ``counted_false``, ``counted_true`` say what is done with unassessed
    warnings; ``without_automatic`` leaves out the automatic matches as well as the unassessed.
    Weights are inverse probabilities of being judged (``judged_share``), where unassessed warnings
    are left out of a verdict that assesses; a warning of unknown probability counts once. While
    there is a stratum without such a verdict, the two that leave them out have no value.

    Notes
    -----
    Ratio of two Horvitz-Thompson totals; variance by linearisation for Poisson-like inclusion,
    ``sum (1 - p) (e / p)^2`` with the residuals ``e = x (true - R)``, plus nothing for those taken
    for sure: over a census the interval closes (the textbook form). Of a sample it would close as
    well where all are true (or none), and be too short where nearly all are: Wilson's interval for
    Kish's effective number stands where it is wider.
    """
    kept = _assessed(judged)
    manual = [j for j in kept if j.verdict is not Verdict.AUTOMATIC]
    return {
        "excluded": _ratio(kept, True, by_area),
        "counted_false": _ratio(judged, False, by_area),
        "counted_true": _ratio(judged, True, by_area),
        "without_automatic": _ratio(manual, True, by_area),
    }


def _assessed(judged: Sequence[Judged]) -> list[Judged]:
    kept = [j for j in judged if j.category is not Category.UNASSESSED]
    if any(j.usable is None and j.probability is not None for j in kept):
        return []
    return [replace(j, probability=j.usable) for j in kept]


def _ratio(judged: Sequence[Judged], unassessed_true: bool, by_area: bool) -> UserAccuracy:
    if not judged:
        return UserAccuracy(None, None, None, 0)
    wrong = (Category.MAJOR,) if unassessed_true else (Category.MAJOR, Category.UNASSESSED)
    true = np.array([j.category not in wrong for j in judged], dtype=np.float64)
    x = np.array([j.area_ha if by_area else 1.0 for j in judged])
    p = np.array([j.probability or 1.0 for j in judged])
    total = float((x / p).sum())
    if total <= 0:
        return UserAccuracy(None, None, None, len(judged))
    value = float((x * true / p).sum()) / total
    residual: npt.NDArray[np.float64] = x * (true - value)
    se = float(np.sqrt(((1 - p) * (residual / p) ** 2).sum())) / total
    low, high = max(0.0, value - Z95 * se), min(1.0, value + Z95 * se)
    if (p < 1).any():
        bounds = wilson(value, total**2 / float(((x / p) ** 2).sum()))
        low, high = min(low, bounds[0]), max(high, bounds[1])
    return UserAccuracy(value, low, high, len(judged))
