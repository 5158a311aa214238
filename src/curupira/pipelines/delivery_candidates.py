"""Mining candidates to their targets: a package is the whole list, made anew when it has changed.

A candidate touches no warning, so it is in no ledger of warnings: the packages are the ledger. The
newest one's manifest says which candidates were told in which state.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import shapely

from curupira import logs
from curupira.deliver.channel import persistently
from curupira.deliver.choose import Told
from curupira.deliver.package import Package, package_name, write_package
from curupira.deliver.params import NOT_EVALUATED
from curupira.deliver.transport import Journal
from curupira.pipelines.delivery_target import PACKAGE, Target
from curupira.pipelines.outputs import write_geojson, write_gpkg
from curupira.store import candidate as candidates
from curupira.store.tables import CandidateRow

log = logs.get(__name__)

_TOLD = "candidates"
#: Names of interpreters stay in the house.
_PRIVATE = "verdict_by"
#: Noted in a package's journal once all of it has arrived.
_ALL = "."


class CandidateTarget(Target):
    """One target of candidates during one delivery."""

    # Apart from those of warnings, which the target may have been one of before, or become.
    within = "candidates"

    def _plan(self) -> None:
        self.outcome.chosen = _changes(_state(self._rows()), self._last())
        self.outcome.left = self._waiting()

    def _sweep(self) -> None:
        """Remove what a killed delivery left half written."""
        for path in self.folder.iterdir():
            if path.is_dir() and path.name.startswith("."):
                shutil.rmtree(path)

    def _rows(self) -> list[CandidateRow]:
        """The candidates that this target gets."""
        area = self._area()
        with self.store.reading() as session:
            return [
                row
                for row in candidates.query(session)
                if self._wanted(row) and (area is None or shapely.intersects(area, row.geom))
            ]

    def _wanted(self, row: CandidateRow) -> bool:
        verdict = row.verdict.value if row.verdict else NOT_EVALUATED
        return (
            verdict in self.params.verdicts
            and row.probability >= self.params.min_confidence
            and row.area_ha >= self.params.min_area_ha
            and row.first_seen >= self.params.since
        )

    def _packages(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        found = [p for p in self.folder.iterdir() if PACKAGE.fullmatch(p.name) and p.is_dir()]
        # By time: the prefix before it may have been another one once.
        return sorted(found, key=lambda p: p.name.split("_")[1])

    def _last(self) -> dict[str, str]:
        packages = self._packages()
        return dict(Package.open(packages[-1]).manifest[_TOLD]) if packages else {}

    def _pack(self) -> None:
        rows, last = self._rows(), self._last()
        state = _state(rows)
        if state == last:
            return
        table = candidates.to_geodataframe(rows).drop(columns=_PRIVATE)
        created, notice = self.options.now(), self.workspace.attribution(candidates.years(rows))
        name = package_name(self.params.prefix, created, [*state.keys(), *state.values()])
        write_package(
            self.folder / name, self.name, created, lambda part: self._write(part, table, notice),
            {"attribution": notice, _TOLD: state},
        )  # fmt: skip
        self.outcome.chosen = _changes(state, last)

    def _write(self, part: Path, table: gpd.GeoDataFrame, notice: str) -> dict[str, str]:
        writers: dict[str, Any] = {
            "geojson": partial(write_geojson, notice=notice),
            "gpkg": partial(write_gpkg, layer="candidate", notice=notice),
        }
        for kind in self.params.formats:
            writers[kind](table, part / f"{self.params.prefix}-candidates.{kind}")
        return {f"{self.params.prefix}-candidates.{kind}": "data" for kind in self.params.formats}

    def _journal(self, name: str) -> Journal:
        return Journal(self.folder / f".{name}.sent")

    def _waiting(self) -> list[str]:
        return [p.name for p in self._packages() if _ALL not in self._journal(p.name).done()]

    def _send(self) -> None:
        self.outcome.left = self._waiting()
        for name in list(self.outcome.left):
            package = Package.open(self.folder / name)

            def attempt(package: Package = package) -> None:
                self._transmit(package)

            persistently(attempt, self.params.attempts, self.options.sleep, self.name)
            self._journal(name).note(_ALL)
            self.outcome.left.remove(name)
            self.outcome.sent.append(name)
            log.info("delivered", target=self.name, package=name)


def _state(rows: Sequence[CandidateRow]) -> dict[str, str]:
    """A hash of what is said about each candidate, by id."""
    columns = [name for name in candidates.COLUMNS if name != _PRIVATE]
    said = {r.candidate_id: "|".join(str(getattr(r, name)) for name in columns) for r in rows}
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in said.items()}


def _changes(now: dict[str, str], before: dict[str, str]) -> Counter[str]:
    kinds = [Told.NEW if c not in before else Told.UPDATE for c in now if now[c] != before.get(c)]
    gone = [Told.CORRECTION for c in before if c not in now]
    return Counter(kind.value for kind in [*kinds, *gone])
