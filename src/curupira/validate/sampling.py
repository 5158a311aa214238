"""Which of a day's warnings people look at, and how likely each was to be drawn. Pure.

Plans (inpe.md, "From radar warning to DETER table" and "The successor"; Doblas et al. 2022, 3.3):
``deter_r`` takes the 100 largest and up to 300 random ones; ``deter_rt`` the 50 largest, the
largest of every tile that has none yet, and random ones up to 50 of them; ``stratified`` draws at
random within classes of intensity and size. Only the last is made for unbiased accuracy, but the
inclusion probability of every warning is known in all three.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.codes import IntensityClass
from curupira.errors import ConfigError

#: Covered by an optical alert by more than this share, a warning is validated automatically.
AUTOMATIC_SHARE = 0.5
#: Area classes of the plan ``stratified``, ha: below, from, from.
SIZE_CLASSES_HA = (2.0, 10.0)
AUTOMATIC, CERTAIN, TILE, RANDOM = "automatic", "largest", "tile", "random"


class Plan(StrEnum):
    """Sampling plans."""

    DETER_R = "deter_r"
    DETER_RT = "deter_rt"
    STRATIFIED = "stratified"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A warning that may be drawn. ``covered``: share under optical alerts; ``tile``: its tile."""

    warning_id: str
    area_ha: float
    intensity_class: IntensityClass
    tile: str = ""
    covered: float = 0.0


@dataclass(frozen=True, slots=True)
class Draw:
    """What became of a candidate. ``probability``: of inclusion; 0 where it could not be drawn."""

    warning_id: str
    stratum: str
    probability: float
    drawn: bool
    blind: bool = False

    @property
    def automatic(self) -> bool:
        """Whether the optical layer validated it."""
        return self.stratum == AUTOMATIC


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of a plan: taken for sure, and at random."""

    largest: int
    random: int


SIZES = {
    Plan.DETER_R: Sizes(100, 300),
    Plan.DETER_RT: Sizes(50, 50),
    Plan.STRATIFIED: Sizes(0, 400),
}


def draw(
    candidates: Sequence[Candidate],
    plan: Plan,
    *,
    seed: int,
    blind_share: float = 0.0,
    size: int | None = None,
) -> list[Draw]:
    """Draw a day's sample; the result depends on the set of candidates and the seed alone.

    Parameters
    ----------
    blind_share
        Share of the drawn ones that a second interpreter judges without seeing the first vote.
    size
        Number of random ones; None takes the plan's.

    Raises
    ------
    ConfigError
        If the share or the size is out of range.
    """
    if not 0 <= blind_share <= 1 or (size is not None and size < 0):
        raise ConfigError(
            f"blind_share {blind_share}, size {size}",
            where="[serve]",
            remedy="give a share from 0 to 1 and a size of 0 or more",
        )
    rng = np.random.default_rng(seed)
    ordered = sorted(candidates, key=lambda c: (-c.area_ha, c.warning_id))
    found = [
        Draw(c.warning_id, AUTOMATIC, 1.0, False) for c in ordered if c.covered > AUTOMATIC_SHARE
    ]
    rest = [c for c in ordered if c.covered <= AUTOMATIC_SHARE]
    random = SIZES[plan].random if size is None else size
    if plan is Plan.STRATIFIED:
        found += _stratified(rest, random, rng)
    else:
        sure = {c.warning_id: CERTAIN for c in rest[: SIZES[plan].largest]}
        if plan is Plan.DETER_RT:
            extra = _one_a_tile(rest, sure)
            sure |= dict.fromkeys(extra, TILE)
            random = max(0, random - len(extra))
        found += [
            Draw(c.warning_id, sure[c.warning_id], 1.0, True) for c in rest if c.warning_id in sure
        ]
        found += _simple([c for c in rest if c.warning_id not in sure], RANDOM, random, rng)
    return _blinded(found, blind_share, rng)


def _one_a_tile(rest: Sequence[Candidate], sure: dict[str, str]) -> list[str]:
    """Largest warning of every tile that has none among the sure ones."""
    seen = {c.tile for c in rest if c.warning_id in sure}
    extra = []
    for c in rest:
        if c.tile not in seen:
            seen.add(c.tile)
            extra.append(c.warning_id)
    return extra


def _simple(
    members: Sequence[Candidate], stratum: str, n: int, rng: np.random.Generator
) -> list[Draw]:
    """Simple random sample without replacement: every member is as likely."""
    if not members:
        return []
    n = min(n, len(members))
    chosen = set(rng.choice(len(members), size=n, replace=False).tolist())
    return [
        Draw(c.warning_id, stratum, n / len(members), i in chosen) for i, c in enumerate(members)
    ]


def _stratified(rest: Sequence[Candidate], n: int, rng: np.random.Generator) -> list[Draw]:
    """Equal numbers from every class of intensity and size; what a small class cannot give goes on.

    Equal, not proportional: the rare large warnings carry most of the area.
    """
    strata: dict[str, list[Candidate]] = defaultdict(list)
    for c in rest:
        strata[stratum_of(c)].append(c)
    sizes = {name: len(members) for name, members in strata.items()}
    quota = allocate(sizes, n)
    found: list[Draw] = []
    for name in sorted(strata):
        found += _simple(strata[name], name, quota[name], rng)
    return found


def allocate(sizes: dict[str, int], n: int) -> dict[str, int]:
    """Share ``n`` out equally over strata, none getting more than it has."""
    quota = dict.fromkeys(sizes, 0)
    left = min(n, sum(sizes.values()))
    while left:
        hungry = sorted(name for name in sizes if quota[name] < sizes[name])
        each = left // len(hungry)
        # What is left over in the end goes to the first by name, one each.
        for name in hungry if each else hungry[:left]:
            more = min(max(each, 1), sizes[name] - quota[name])
            quota[name] += more
            left -= more
    return quota


def stratum_of(c: Candidate) -> str:
    """Class of intensity and size."""
    size = sum(c.area_ha >= limit for limit in SIZE_CLASSES_HA)
    return f"{c.intensity_class.value}_{('small', 'medium', 'large')[size]}"


def _blinded(found: list[Draw], share: float, rng: np.random.Generator) -> list[Draw]:
    drawn = [i for i, d in enumerate(found) if d.drawn]
    n = round(share * len(drawn))
    chosen = set(rng.choice(drawn, size=n, replace=False).tolist()) if n else set()
    return [
        Draw(d.warning_id, d.stratum, d.probability, d.drawn, blind=i in chosen)
        for i, d in enumerate(found)
    ]


def covered_share(
    geometries: Sequence[BaseGeometry], alerts: Sequence[BaseGeometry]
) -> list[float]:
    """Share of each geometry that lies under optical alerts; both in one CRS of equal areas."""
    if not alerts:
        return [0.0] * len(geometries)
    tree = shapely.STRtree(alerts)
    shares = []
    for geometry in geometries:
        hits = [alerts[int(i)] for i in tree.query(geometry, predicate="intersects")]
        common = shapely.intersection(geometry, shapely.union_all(hits)).area if hits else 0.0
        shares.append(float(common / geometry.area) if geometry.area else 0.0)
    return shares
