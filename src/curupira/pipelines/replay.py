"""A past run once more: whether the stored images still give the stored polygons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import shapely
from sqlalchemy.orm import Session

from curupira.blocks import executor
from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.errors import ConfigError
from curupira.pipelines import masks
from curupira.pipelines.bookkeeping import Bookkeeper
from curupira.pipelines.daily import utc_now
from curupira.pipelines.entries import Frame
from curupira.pipelines.images import Detector
from curupira.pipelines.inputs import Archive
from curupira.pipelines.overlay import Overlays
from curupira.pipelines.rulings import load as load_rulings
from curupira.progress import Report, silent
from curupira.records import Observation
from curupira.store import acquisition as acquisitions
from curupira.store import run as runs
from curupira.store.quality import held
from curupira.store.session import Store
from curupira.store.tables import RunRow


@dataclass(frozen=True)
class Replayed:
    """One acquisition: polygons in the store, those not found again, and those found only now.

    ``same_inputs``: images, masks, preset and earlier warnings are those of the run.
    """

    acquisition_id: str
    polygons: int
    missing: int
    new: int
    same_inputs: bool

    @property
    def same(self) -> bool:
        """Whether it gave what it had given."""
        return not self.missing and not self.new


@dataclass(frozen=True)
class Replay:
    """What came of a run's acquisitions.

    ``expired``: the run's snapshot of the cube is gone, and the newest was read instead.
    """

    run_id: str
    found: list[Replayed]
    expired: bool

    @property
    def same(self) -> bool:
        """Whether all gave what they had given."""
        return all(one.same for one in self.found)


def replay(
    workspace: Workspace,
    run_id: str | None = None,
    *,
    report: Report = silent,
) -> Replay:
    """Detect again what a run evaluated, from its snapshot of the cube; no warning is changed.

    It holds the workspace as a run does. Acquisitions that a later run evaluated again belong to
    that run.

    Parameters
    ----------
    run_id
        The run; None takes the one that evaluated last.

    Raises
    ------
    ConfigError
        If there is no such run, preset or masks are not those of the run any more, or none of its
        acquisitions stands.
    StoreError
        If the store or the cube cannot be read.
    BusyError
        If a run holds the workspace.
    """
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.lock():
        with store.reading() as session:
            run = runs.get(session, run_id or _latest(session, workspace))
        cube = Cube.open(workspace.cube_path, workspace.grid)
        expired = run.cube_snapshot not in {s.snapshot_id for s in cube.snapshots()}
        mask_set = masks.load(workspace, utc_now())
        _check(run, workspace, mask_set)
        compute = workspace.monitor.compute
        reader = cube.reader(None if expired else run.cube_snapshot)
        detector = Detector.of(workspace, reader, mask_set, compute.scheduler)
        with store.reading() as session:
            # What came after the run is not in its snapshot.
            there = {name for orbit in reader.orbits() for name in reader.scene_ids(orbit)}
            scenes = [row for row in held(session) if row.scene.scene_id in there]
        with executor(compute.scheduler, compute.threads) as run_blocks:
            archive = Archive(workspace, detector, run_blocks, scenes, keep=False)
            found = _play(store, archive, run.run_id, report)
    return Replay(run.run_id, found, expired)


def _latest(session: Session, workspace: Workspace) -> str:
    """The run that evaluated an acquisition last."""
    rows = [r for r in acquisitions.in_order(session) if r.evaluated_at and r.run_id]
    if not rows:
        raise ConfigError(
            "nothing was evaluated yet", where=workspace.folder, remedy="use `curupira run`"
        )
    return str(max(rows, key=lambda row: (row.evaluated_at, row.acquired)).run_id)


def _check(run: RunRow, workspace: Workspace, mask_set: masks.MaskSet) -> None:
    """Refuse what cannot give the same for a reason that is known."""
    before: dict[str, Any] = run.masks or {}
    for what, then, today in (
        ("preset", run.preset_hash, workspace.preset.hash),
        ("masks", before.get("hash"), mask_set.hash),
    ):
        if then != today:
            raise ConfigError(
                f"the run had {what} {then}, the workspace has {today}",
                where=run.run_id,
                remedy="bring them back from the back-up, in a copy of the workspace",
            )


def _play(store: Store, archive: Archive, run_id: str, report: Report) -> list[Replayed]:
    """Fold what is stored, in time order, and detect the run's own acquisitions on the way."""
    monitor = archive.workspace.monitor
    keeper = Bookkeeper(
        archive.detector,
        Overlays(archive.workspace),
        run_id,
        utc_now,
        Counter(),
        since=monitor.algorithm.monitor_since,
    )
    with store.reading() as session:
        rows = {row.acquisition_id: row for row in acquisitions.in_order(session)}
        outcomes = [
            keeper.stored_outcome(session, a, rows[a.acquisition_id])
            for a in archive.known
            if a.day >= keeper.since and rows[a.acquisition_id].evaluated_at is not None
        ]
        rulings = load_rulings(session, keeper.frame)
    own = {o.acquisition.acquisition_id for o in outcomes} & {
        name for name, row in rows.items() if row.run_id == run_id
    }
    if not own:
        raise ConfigError(
            "none of its acquisitions stands",
            where=run_id,
            remedy="later runs evaluated them again, or it was retracted: replay a later run",
        )
    book = keeper.new_book(archive.known)
    found: list[Replayed] = []
    for outcome in outcomes:
        name = outcome.acquisition.acquisition_id
        rulings.apply(book, outcome.acquisition.acquired)
        if name in own:
            report(len(found), len(own), f"replay {name}")
            inputs = archive.inputs(outcome.acquisition, book)
            seen = archive.detect(inputs, lambda *_: None)
            before = _keys(outcome.detection.observations, keeper.frame)
            after = _keys(seen.observations, keeper.frame)
            found.append(
                Replayed(
                    name,
                    before.total(),
                    (before - after).total(),
                    (after - before).total(),
                    inputs.digest == outcome.digest,
                )
            )
        outcome.fold(book, outcome.acquisition.created)
    report(len(own), len(own), "replayed")
    return found


def _keys(observations: Sequence[Observation], frame: Frame) -> Counter[tuple[object, ...]]:
    """Polygons to be compared: on the pixel lattice, with what is counted of them."""
    return Counter(
        (
            shapely.normalize(frame.to_grid(frame.to_store(o.geometry))).wkb_hex,
            o.confirmed,
            o.intensity_class,
            o.n_pixels,
            o.first_flag,
            o.last_flag,
        )
        for o in observations
    )
