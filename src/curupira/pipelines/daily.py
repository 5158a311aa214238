"""The daily routine: discover, ingest, evaluate, keep the ledger (product.md section 3)."""

from __future__ import annotations

import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version as library_version

import rasterio

from curupira import __version__, logs
from curupira.blocks import Executor, check_scheduler, executor, parse_memory
from curupira.codes import RunState
from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.detect.params import DetectParams
from curupira.errors import InputError
from curupira.pipelines import masks, sourcing
from curupira.pipelines.evaluate import Evaluator
from curupira.pipelines.images import Detector
from curupira.pipelines.ingest import Discovery, discover, nights, restore_images
from curupira.pipelines.intake import Intake
from curupira.pipelines.leftovers import sweep
from curupira.pipelines.quality import Gate
from curupira.pipelines.regions import cache_bytes
from curupira.presets import Preset
from curupira.progress import Report, silent
from curupira.records import Scene
from curupira.store import run as runs
from curupira.store.session import Store

log = logs.get(__name__)

#: Libraries whose versions the ledger keeps.
LIBRARIES = ("numpy", "numba", "rasterio", "zarr", "icechunk", "shapely", "sqlalchemy")


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class RunOptions:
    """What a run was asked for. Dates are UTC acquisition dates, both included."""

    since: date | None = None
    until: date | None = None
    scheduler: str | None = None
    dry_run: bool = False
    force: bool = False


@dataclass
class RunSummary:
    """What a run did.

    ``quarantined`` lists newly quarantined scenes with their reasons; ``refused`` the acquisitions
    that could not be evaluated in this run, and why.
    """

    run_id: str
    pending: list[Scene]
    counts: Counter[str] = field(default_factory=Counter)
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    refused: dict[str, InputError] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0; 7 where an acquisition could not be evaluated; 4 where a scene was quarantined."""
        if self.refused:
            return InputError.exit_code
        return 4 if self.quarantined else 0


def run(
    workspace: Workspace,
    options: RunOptions,
    *,
    now: Callable[[], datetime] = utc_now,
    report: Report = silent,
) -> RunSummary:
    """Bring a workspace up to date: everything pending, played as if run nightly.

    Raises
    ------
    BusyError
        If another run holds the workspace.
    ConfigError, SourceError, StoreError
        Before anything is changed, or with every finished scene and acquisition kept.
    """
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=True)
    with store, store.lock():
        return Run(workspace, store, options, now, report).play()


class Run:
    """One invocation under the workspace's lock."""

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        options: RunOptions,
        now: Callable[[], datetime],
        report: Report,
    ) -> None:
        self.workspace = workspace
        self.store = store
        self.options = options
        self.now = now
        self.report = report
        self.summary = RunSummary(str(uuid.uuid4()), [])
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def play(self) -> RunSummary:
        """Find what is pending and, unless this is a dry run, work it off night by night."""
        compute = self.workspace.monitor.compute
        scheduler = compute.scheduler if self.options.scheduler is None else self.options.scheduler
        self._check(scheduler)
        with self.store.reading() as session:
            mark = None if self.options.force else sourcing.read_mark(session)
        found = discover(self.workspace, self.now(), mark)
        intake = Intake(
            self.workspace,
            self.store,
            self.summary.run_id,
            self.now,
            self.summary.counts,
            self.summary.quarantined,
        )
        self.summary.pending = intake.pending(
            found, until=self.options.until, force=self.options.force
        )
        if not self.options.dry_run:
            self._work(found, intake, scheduler)
        return self.summary

    def _check(self, scheduler: str) -> None:
        """Find out now, in a dry run too, what would else stop it after hours of download."""
        workspace = self.workspace
        # An unknown preset is refused here as well.
        DetectParams.from_preset(workspace.preset)
        parse_memory(workspace.monitor.compute.memory)
        check_scheduler(scheduler)
        Cube.check(workspace.cube_path, workspace.grid)

    def _work(self, found: Discovery, intake: Intake, scheduler: str) -> None:
        sweep(self.workspace)
        cube = Cube.open(self.workspace.cube_path, self.workspace.grid, create=True)
        mask_set = masks.load(self.workspace, self.now())
        self._begin(self.workspace.preset, mask_set)
        try:
            intake.refuse(found.refused)
            detector = Detector.of(self.workspace, cube.reader(), mask_set, scheduler)
            # GDAL would keep a twentieth of the machine's memory for blocks of files.
            cache = rasterio.Env(GDAL_CACHEMAX=cache_bytes(detector))
            threads = self.workspace.monitor.compute.threads
            with cache, executor(scheduler, threads) as run_blocks:
                self._nights(found, cube, detector, run_blocks, intake)
            if self.options.until is None:
                with self.store.transaction() as session:
                    sourcing.write_mark(session, self.workspace, found.scenes)
        except BaseException as error:
            self._close(cube, RunState.FAILED, str(error))
            raise
        self._close(cube, RunState.DONE, None)

    def _begin(self, preset: Preset, mask_set: masks.MaskSet) -> None:
        """Open the entry in the ledger."""
        with self.store.transaction() as session:
            sourcing.keep_product(session, self.workspace.monitor.source)
            runs.start(
                session,
                run_id=self.summary.run_id,
                command=" ".join(sys.argv),
                version=__version__,
                started_at=self.now(),
                since=self.options.since,
                until=self.options.until,
                versions={name: library_version(name) for name in LIBRARIES},
                preset=preset.name,
                preset_hash=preset.hash,
                masks=mask_set.record,
            )

    def _nights(
        self,
        found: Discovery,
        cube: Cube,
        detector: Detector,
        run_blocks: Executor,
        intake: Intake,
    ) -> None:
        evaluator = Evaluator(
            workspace=self.workspace,
            store=self.store,
            detector=detector,
            run_id=self.summary.run_id,
            run_blocks=run_blocks,
            now=self.now,
            report=self.report,
            force=self.options.force,
            counts=self.summary.counts,
            refused=self.summary.refused,
        )
        restored = restore_images(self.workspace, self.store, cube, found.scenes)
        self.summary.counts["restored"] += len(restored)
        done, total = 0, len(self.summary.pending)
        # A run that was killed may have left images without an evaluation.
        self._evaluate(evaluator, cube, again=self.options.force)
        for _, batch in nights(self.summary.pending):
            for scene in batch:
                self.report(done, total, f"ingest {scene.scene_id}")
                started = time.monotonic()
                intake.take([scene, *found.older.get(scene.scene_id, [])], cube)
                self.seconds["ingest"] += time.monotonic() - started
                done += 1
            self._evaluate(evaluator, cube, orbits={scene.relative_orbit for scene in batch})
        evaluator.conclude()
        self.report(total, total, "ingested")

    def _evaluate(
        self,
        evaluator: Evaluator,
        cube: Cube,
        *,
        orbits: Collection[int] | None = None,
        again: bool = False,
    ) -> None:
        """Judge the images of some orbits (None: all), then evaluate what is due."""
        started = time.monotonic()
        evaluator.use(cube.reader())
        self._gate(evaluator.detector).run(orbits)
        self.seconds["quality"] += time.monotonic() - started
        started = time.monotonic()
        evaluator.evaluate(self.options.since, self.options.until, again=again)
        self.seconds["evaluate"] += time.monotonic() - started

    def _gate(self, detector: Detector) -> Gate:
        def on_bad(scene_id: str, reason: str) -> None:
            self.summary.quarantined.append((scene_id, reason))

        return Gate(self.store, detector, self.workspace.monitor.quality, self.now, on_bad)

    def _close(self, cube: Cube, state: RunState, message: str | None) -> None:
        self.summary.counts["quarantined"] = len(self.summary.quarantined)
        snapshot = cube.reader().snapshot
        with self.store.transaction() as session:
            runs.finish(
                session,
                self.summary.run_id,
                state=state,
                finished_at=self.now(),
                cube_snapshot=snapshot,
                counts=dict(self.summary.counts),
                timings={k: round(v, 3) for k, v in self.seconds.items()},
                message=message,
            )
            stay = {snapshot} | runs.delivered_snapshots(session)
        keep = self.workspace.monitor.cube.keep_snapshots_days
        if state is RunState.DONE:
            cube.expire(self.now() - timedelta(days=keep), stay)
