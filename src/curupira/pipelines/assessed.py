"""Warnings with their verdicts: the agreement table, accuracy, residue by year, field visits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from curupira.codes import IntensityClass, Verdict, VerdictSource
from curupira.store import sample as samples
from curupira.store import search as searches
from curupira.store.search import Search
from curupira.units import prodes_year
from curupira.validate import agreement
from curupira.validate.agreement import Judged
from curupira.validate.verdicts import UNASSESSED

_COLUMNS = (
    *("warning_id", "intensity_class", "verdict", "verdict_source", "area_ha"),
    *("first_flag_date", "lon", "lat"),
)


@dataclass(frozen=True, slots=True)
class Assessed:
    """A warning with a verdict, and where and when it was first flagged."""

    warning_id: str
    judged: Judged
    first_flag: date
    in_field: bool
    lon: float
    lat: float


def assessed(session: Session, search: Search | None = None) -> list[Assessed]:
    """Warnings with a verdict, and how likely a warning of their stratum is to have one.

    That is None for those that were not drawn, and for all while a stratum waits for a verdict.

    Of every status: the next run closes what was rejected, and without it all would be true.
    """
    wanted = replace(search or Search(), status=(), merged=False)
    every = samples.strata(session, Search(), UNASSESSED)
    asked = {k: c.population for k, c in samples.strata(session, wanted, UNASSESSED).items()}
    share, usable = (
        agreement.judged_share({k: (c.population, getattr(c, n)) for k, c in every.items()}, asked)
        for n in ("judged", "assessed")
    )
    stratum = samples.taken(session)
    found = []
    for key, kind, verdict, source, area, flag, lon, lat in searches.columns(
        session, replace(wanted, judged=True), _COLUMNS
    ):
        likely = [p.get(stratum[key]) if key in stratum else None for p in (share, usable)]
        judged = Judged(IntensityClass(kind), Verdict(verdict), area, *likely)
        found.append(Assessed(key, judged, flag, source is VerdictSource.FIELD, lon, lat))
    return found


def agreement_json(judged: Sequence[Judged]) -> dict[str, Any]:
    """The agreement table as plain values."""
    return {
        "n": len(judged),
        "area_ha": round(sum(j.area_ha for j in judged), 4),
        "rows": [
            {
                "category": r.category.value,
                "intensity_class": None if r.intensity_class is None else r.intensity_class.value,
                "verdict": None if r.verdict is None else r.verdict.value,
                "n": r.n,
                "share_n": round(r.share_n, 6),
                "area_ha": round(r.area_ha, 4),
                "share_area": round(r.share_area, 6),
            }
            for r in agreement.agreement_table(judged)
        ],
    }


def progress_json(session: Session, search: Search | None = None) -> dict[str, Any]:
    """How many warnings were drawn for people, and what is known of them by now.

    ``judged`` have a verdict, ``assessed`` one that is neither cloud nor a missing reference;
    ``silent`` are the strata that no such verdict stands for: without them there is no estimate.
    """
    wanted = replace(search or Search(), status=(), merged=False)
    every = samples.strata(session, Search(), UNASSESSED)
    found = samples.strata(session, wanted, UNASSESSED)
    drawn = [count for stratum, count in found.items() if stratum.name != samples.AUTOMATIC]
    silent = agreement.silent(
        {k: (c.population, c.assessed) for k, c in every.items()},
        {k: c.population for k, c in found.items()},
    )
    return {
        "drawn": sum(c.taken for c in drawn),
        "judged": sum(c.judged for c in drawn),
        "assessed": sum(c.assessed for c in drawn),
        "silent": [f"{plan} {name}" for plan, name in silent],
    }


def accuracy_json(judged: Sequence[Judged]) -> dict[str, Any]:
    """User's accuracy by number and by area, the four ways; of a sample only."""
    sampled = [j for j in judged if j.probability is not None]
    return {
        name: {k: v.as_json() for k, v in agreement.user_accuracy(sampled, by_area=area).items()}
        for name, area in (("ua_count", False), ("ua_area", True))
    }


def field_accuracy_json(judged: Sequence[Judged]) -> dict[str, Any]:
    """The same of warnings that were visited, each counted once; without intervals.

    Nobody drew them: an interval would speak of warnings that they do not stand for.
    """
    found = accuracy_json([replace(j, probability=1.0, usable=1.0) for j in judged])
    return {
        name: {way: e | {"low": None, "high": None} for way, e in ways.items()}
        for name, ways in found.items()
    }


def by_year(found: Sequence[Assessed]) -> list[dict[str, Any]]:
    """Judged warnings by PRODES year of the first flag, and how much of them is residue.

    Residue is what an earlier year's clearing left, which the yearly map had not shown.
    """
    years: dict[int, list[Judged]] = defaultdict(list)
    for one in found:
        years[prodes_year(one.first_flag)].append(one.judged)
    rows = []
    for year, judged in sorted(years.items()):
        residue = [j for j in judged if j.verdict is Verdict.RESIDUE]
        area, of_residue = (sum(j.area_ha for j in some) for some in (judged, residue))
        rows.append(
            {
                "prodes_year": year,
                "n": len(judged),
                "area_ha": round(area, 4),
                "residue_n": len(residue),
                "residue_ha": round(of_residue, 4),
                "share_n": round(len(residue) / len(judged), 6),
                "share_area": round(of_residue / area, 6) if area else 0.0,
            }
        )
    return rows


def field_points(found: Sequence[Assessed]) -> list[dict[str, Any]]:
    """Where warnings were visited or overflown, and what that said (the paper's Figure 8)."""
    return [
        {
            "warning_id": one.warning_id,
            "lon": round(one.lon, 5),
            "lat": round(one.lat, 5),
            "verdict": one.judged.verdict.value,
            "category": one.judged.category.value,
        }
        for one in found
        if one.in_field
    ]
