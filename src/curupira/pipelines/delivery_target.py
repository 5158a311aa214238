"""Warnings to a target: choose, pack, send, and keep the ledger.

A package is written and entered into the ledger before anything is sent, and is never changed
afterwards. So a cut at any point is mended by sending the same package again, of which the channel
skips what has arrived; and a warning is in the ledger once for each state that a target is told.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import geopandas as gpd
import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from curupira import logs
from curupira.config import Workspace
from curupira.deliver import digest, feed, webhook
from curupira.deliver.channel import RefusedError, Secrets, persistently
from curupira.deliver.choose import Choice, Facts, choose, is_refused
from curupira.deliver.connect import open_channel
from curupira.deliver.frame import marked
from curupira.deliver.package import RAISED, TOLD, Contents, Package, build, made_at, package_name
from curupira.deliver.params import DeliveryParams
from curupira.deliver.transport import Journal, upload
from curupira.errors import BusyError, ConfigError, CurupiraError, DeliveryError
from curupira.pipelines.daily import utc_now
from curupira.pipelines.overlay import OF_LAYER
from curupira.pipelines.sensitive import SensitivePlaces
from curupira.sources.vector import read_area
from curupira.store import delivery as ledger
from curupira.store import edit as edits
from curupira.store import warning as warnings
from curupira.store.lock import file_lock
from curupira.store.session import Store
from curupira.store.tables import DeliveryRow, WarningRow

log = logs.get(__name__)

FOLDER = "deliveries"
#: Names of packages.
PACKAGE = re.compile(r"[A-Za-z0-9-]+_\d{8}T\d{12}Z_[0-9a-f]{8}")


@dataclass
class Outcome:
    """What came of one target: warnings chosen now, packages sent, packages left, and why."""

    target: str
    chosen: Counter[str] = field(default_factory=Counter)
    sent: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    error: CurupiraError | None = None


@dataclass(frozen=True)
class Options:
    """What ``deliver`` was asked for, and the world around it."""

    dry_run: bool = False
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


class Target:
    """One target of a workspace during one delivery."""

    #: Where its packages lie within the target's folder.
    within = ""

    def __init__(self, workspace: Workspace, store: Store, name: str, options: Options) -> None:
        self.workspace = workspace
        self.store = store
        self.name = name
        self.options = options
        self.params: DeliveryParams = workspace.monitor.delivery[name]
        self.folder = workspace.folder / FOLDER / name / self.within
        self.outcome = Outcome(name)

    def deliver(self) -> Outcome:
        """Choose, pack and send; what goes wrong is in the outcome."""
        try:
            if self.options.dry_run:
                self._plan()
                return self.outcome
            self.folder.mkdir(parents=True, exist_ok=True)
            with file_lock(self.folder):
                self._sweep()
                self._pack()
                self._send()
        except BusyError as error:
            self.outcome.error = DeliveryError(
                "another delivery to this target is under way",
                where=self.name,
                remedy=error.remedy,
            )
        except (ConfigError, DeliveryError) as error:
            self.outcome.error = error
            log.error("delivery incomplete", target=self.name, reason=str(error))
        return self.outcome

    def _plan(self) -> None:
        """Say what would go; nothing is written."""
        self.outcome.chosen = Counter(c.told.value for c, _ in self._choices())
        with self.store.reading() as session:
            self.outcome.left = ledger.packages(session, self.name, state=ledger.PACKED)

    def _sweep(self) -> None:
        """Remove what a killed delivery left before it was in the ledger; note what is missing."""
        with self.store.transaction(durable=True) as session:
            known = set(ledger.packages(session, self.name))
            for package in ledger.packages(session, self.name, state=ledger.PACKED):
                if not (self.folder / package).is_dir():
                    log.warning("package is missing", target=self.name, package=package)
                    ledger.settle(session, self.name, package, state=ledger.LOST)
        for path in self.folder.iterdir():
            inner = path.name.removeprefix(".").removesuffix(".part")
            if path.is_dir() and PACKAGE.fullmatch(inner) and path.name not in known:
                shutil.rmtree(path)

    def _choices(self) -> list[tuple[Choice, WarningRow]]:
        area = self._area()
        with self.store.reading() as session:
            rows = self._rows_of(session)
            told = ledger.last_told(session, self.name)
        found = [
            (choose(facts_of(row), told.get(row.warning_id), self.params, area), row)
            for row in rows
        ]
        return [(choice, row) for choice, row in found if choice is not None]

    def _rows_of(self, session: Session, ids: Collection[str] | None = None) -> list[WarningRow]:
        """Warnings as they are told. Feeds, which anybody may read, have no sensitive places."""
        rows = [row for row in warnings.query(session, ids=ids) if self._open(row)]
        return [row for row in edits.as_drawn(session, rows) if self._open(row)]

    def _open(self, row: WarningRow) -> bool:
        return self._sensitive is None or not self._sensitive.touch(row.geom)

    @cached_property
    def _sensitive(self) -> SensitivePlaces | None:
        return SensitivePlaces(self.workspace) if self.params.kind == "feed" else None

    def _area(self) -> BaseGeometry | None:
        if not self.params.area_file:
            return None
        area = shapely.union_all(read_area(self.workspace.path(self.params.area_file)))
        shapely.prepare(area)
        return area

    def _pack(self) -> None:
        """Write what is to be told as a package, and then into the ledger."""
        choices = self._choices()
        if not choices:
            return
        created = self.options.now()
        name = package_name(self.params.prefix, created, [c.digest for c, _ in choices])
        table = self._table([row for _, row in choices])
        table[TOLD] = [choice.told.value for choice, _ in choices]
        table[RAISED] = [choice.raised for choice, _ in choices]
        extra = self._messages(table, choices, name, created)
        build(self.folder / name, Contents(self.name, table, created, extra), self.params)
        with self.store.transaction(durable=True) as session:
            session.add_all(
                DeliveryRow(
                    target=self.name,
                    warning_id=choice.warning_id,
                    kind=choice.told.value,
                    state=ledger.PACKED,
                    package=name,
                    sha256=choice.digest,
                    attempts=0,
                    run_id=row.run_id,
                )
                for choice, row in choices
            )
        self.outcome.chosen = Counter(choice.told.value for choice, _ in choices)

    def _table(self, rows: Sequence[WarningRow]) -> gpd.GeoDataFrame:
        return marked(warnings.to_geodataframe(rows), simulated=self.workspace.simulated)

    def _messages(
        self,
        table: gpd.GeoDataFrame,
        choices: Sequence[tuple[Choice, WarningRow]],
        name: str,
        created: datetime,
    ) -> dict[str, bytes]:
        """Ready-made files of targets that are no plain folders of formats."""
        plain = table.drop(columns=[RAISED, "verdict_by"])
        if self.params.kind == "webhook":
            return webhook.messages(plain, target=self.name, package=name)
        if self.params.kind == "email":
            area = self.workspace.name
            return digest.digests(plain, self.params, package=name, created=created, area_name=area)
        if self.params.kind == "feed":
            return self._feeds([c.warning_id for c, _ in choices], created)
        return {}

    def _feeds(self, chosen: Sequence[str], created: datetime) -> dict[str, bytes]:
        with self.store.reading() as session:
            last = ledger.last_package(session, self.name)
            rows = self._rows_of(session, {*last, *chosen})
        table = self._table(rows).drop(columns="verdict_by")
        for layer in self.workspace.monitor.serve.sensitive_layers:
            table[list(OF_LAYER.get(layer, ()))] = None
        told = {name: made_at(package) for name, package in last.items()}
        refused = [f.warning_id for f in map(facts_of, rows) if is_refused(f, self.params)]
        updated = told | dict.fromkeys(chosen, created)
        return feed.feeds(table, updated, self.params, self.name, refused=refused)

    def _send(self) -> None:
        """Send packages, the oldest first: a later one may correct an earlier one."""
        with self.store.reading() as session:
            waiting = ledger.packages(session, self.name, state=ledger.PACKED)
        self.outcome.left = list(waiting)
        refused: RefusedError | None = None
        for name in waiting:
            package = Package.open(self.folder / name)
            with self.store.transaction() as session:
                ledger.attempted(session, self.name, name)

            def attempt(package: Package = package) -> None:
                self._transmit(package)

            try:
                persistently(attempt, self.params.attempts, self.options.sleep, self.name)
            except RefusedError as error:
                refused = error
                continue
            with self.store.transaction(durable=True) as session:
                ledger.settle(
                    session, self.name, name, state=ledger.SENT, sent_at=self.options.now()
                )
            self.outcome.left.remove(name)
            self.outcome.sent.append(name)
            log.info("delivered", target=self.name, package=name)
        if refused is not None:
            raise refused

    def _transmit(self, package: Package) -> None:
        base, secrets = self.workspace.folder, Secrets(self.options.environment)
        journal = Journal(self.folder / f".{package.name}.sent")
        if self.params.kind == "webhook":
            webhook.post(
                package,
                self.params,
                secrets,
                base=base,
                target=self.name,
                now=self.options.now(),
                journal=journal,
            )
        elif self.params.kind == "email":
            digest.send(package, self.params, secrets, base=base, target=self.name, journal=journal)
        else:
            with open_channel(self.params, base, secrets, self.name) as channel:
                upload(
                    channel,
                    package,
                    self.params,
                    target=self.name,
                    now=self.options.now(),
                    journal=journal,
                )


def facts_of(row: WarningRow) -> Facts:
    """What decides about a warning's delivery."""
    names = (row.uf, row.municipality, row.geocode, row.protected_area, row.indigenous_territory)
    return Facts(
        warning_id=row.warning_id,
        status=row.status,
        closed_reason=row.closed_reason,
        intensity_class=row.intensity_class,
        verdict=row.verdict,
        confidence=row.confidence,
        area_ha=row.area_ha,
        issued_at=row.issued_at,
        geometry=row.geom,
        names=frozenset(name for name in names if name),
    )
