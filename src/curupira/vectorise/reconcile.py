"""Which warning of a repeated fold is which of the stored ones (product.md 3, points 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence

import shapely

from curupira.codes import TRANSITIONS, ClosedReason
from curupira.vectorise.match import Entry


def reconcile(old: Sequence[Entry], new: Sequence[Entry], pixel_area_m2: float) -> dict[int, int]:
    """Tell which warning of a repeated fold is which of the stored ones.

    Partners share a pixel or more, and the stored one may legally become what the new one is. A
    new warning asks for the stored one of the same founding acquisition first, then for the oldest
    (several warnings that became one: the oldest keeps its identity); asked by several, a stored
    one goes to that which covers most of it (a split: the largest part keeps the identity).

    Returns
    -------
    dict
        Key of the new entry -> position in ``old``. An old entry without a partner is no longer
        supported.

    Notes
    -----
    A stable matching: no two would rather have each other than what they got, and it does not
    depend on the order in which they are asked.
    """
    wishes, shares = _wishes(old, new, pixel_area_m2)
    holder: dict[int, int] = {}
    asking = sorted(wishes, reverse=True)
    while asking:
        key = asking.pop()
        while wishes[key]:
            j = wishes[key].pop()
            rival = holder.get(j)
            if rival is None or (-shares[key, j], key) < (-shares[rival, j], rival):
                holder[j] = key
                if rival is not None:
                    asking.append(rival)
                break
    return {key: j for j, key in holder.items()}


def _wishes(
    old: Sequence[Entry], new: Sequence[Entry], pixel_area_m2: float
) -> tuple[dict[int, list[int]], dict[tuple[int, int], float]]:
    """Stored warnings that each new one may be, the most wanted last; and their common areas."""
    tree = shapely.STRtree([e.geometry for e in old])
    wishes: dict[int, list[int]] = {}
    shares: dict[tuple[int, int], float] = {}
    for entry in new:
        found = []
        for j in tree.query(entry.geometry, predicate="intersects"):
            before = old[int(j)]
            common = float(shapely.intersection(entry.geometry, before.geometry).area)
            if common >= 0.99 * pixel_area_m2 and _may_become(before, entry):
                same = before.founding.acquisition_id == entry.founding.acquisition_id
                shares[entry.key, int(j)] = common
                found.append((not same, before.founding.day, -common, int(j)))
        wishes[entry.key] = [j for *_, j in sorted(found, reverse=True)]
    return wishes, shares


def _may_become(before: Entry, after: Entry) -> bool:
    if before.closed_reason is ClosedReason.REJECTED:
        # A verdict stands, whatever later images say.
        return True
    if before.status is after.status:
        return before.closed_reason == after.closed_reason
    if after.closed_reason is ClosedReason.EXPIRED and before.confirmed_at is not None:
        return False
    return after.status in TRANSITIONS[before.status]
