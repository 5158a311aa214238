"""Pending scenes into cube and store: recorded, quarantined, or put off for another try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from curupira import logs
from curupira.codes import SceneState
from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.errors import CurupiraError, SourceError
from curupira.pipelines.ingest import SAME_TIME, Discovery, replaced_by, try_store
from curupira.records import Scene
from curupira.store import scene as scenes
from curupira.store.quality import held
from curupira.store.session import Store

log = logs.get(__name__)

#: So many scenes in a row that a source fails to give are the source's failure, not the scenes'.
OUTAGE = 3


@dataclass
class Intake:
    """Takes scenes in, during one run under the workspace's lock.

    ``quarantined`` collects those newly quarantined, with their reasons.
    """

    workspace: Workspace
    store: Store
    run_id: str
    now: Callable[[], datetime]
    counts: Counter[str]
    quarantined: list[tuple[str, str]]
    _failed: int = 0
    _most: int = OUTAGE

    def pending(self, found: Discovery, *, until: date | None, force: bool) -> list[Scene]:
        """Scenes up to a day that the store does not have in this version, or is to try again."""
        wanted = [s for s in found.scenes if until is None or s.acquired.date() <= until]
        with self.store.reading() as session:
            new = {s.scene_id for s in scenes.pending(session, wanted, now=self.now())}
            if force:
                new |= {row.scene_id for row in scenes.quarantined(session)}
        pending = [s for s in wanted if s.scene_id in new]
        self._most = min(OUTAGE, max(1, len(pending)))
        return pending

    def refuse(self, refused: Sequence[tuple[str, str]]) -> None:
        """Note catalogue items that cannot be read, once."""
        with self.store.transaction() as session:
            known = scenes.known(session)
            for scene_id, reason in refused:
                if scene_id not in known:
                    scenes.quarantine_item(
                        session,
                        scene_id,
                        reason=reason,
                        recorded_at=self.now(),
                        run_id=self.run_id,
                    )
                    self.quarantined.append((scene_id, reason))

    def take(self, versions: Sequence[Scene], cube: Cube) -> None:
        """Take in the first version of a scene that can be used; quarantine those before it.

        A scene that its source fails to give is put off, and tried again by the next runs.

        Raises
        ------
        SourceError
            If the source has failed for several scenes in a row: it is down.
        """
        for scene in versions:
            if scene is not versions[0] and self._is_known(scene):
                break
            try:
                snapshot = try_store(scene, cube.grid, cube, self.workspace, self._quarantine)
            except SourceError as error:
                self._failed += 1
                if self._failed >= self._most:
                    raise
                self._put_off(scene, error)
                break
            self._failed = 0
            if snapshot is not None:
                self._record(scene, snapshot)
                self.counts["scenes"] += 1
                break

    def _is_known(self, scene: Scene) -> bool:
        with self.store.reading() as session:
            return not scenes.pending(session, [scene])

    def _record(self, scene: Scene, snapshot: str) -> None:
        """Note an ingested scene; what it replaces under another name leaves its acquisition."""
        with self.store.transaction() as session:
            scenes.record(
                session,
                scene,
                state=SceneState.INGESTED,
                recorded_at=self.now(),
                cube_snapshot=snapshot,
                run_id=self.run_id,
            )
            for row in held(
                session,
                relative_orbits=[scene.relative_orbit],
                since=scene.acquired - SAME_TIME,
                until=scene.acquired + SAME_TIME,
            ):
                if row.scene.scene_id != scene.scene_id and replaced_by(row.scene, [scene]):
                    scenes.supersede(
                        session,
                        row.scene.scene_id,
                        reason=f"superseded by {scene.scene_id}",
                        recorded_at=self.now(),
                    )

    def _quarantine(self, scene: Scene, error: CurupiraError) -> None:
        self.quarantined.append((scene.scene_id, str(error)))
        self._keep_out(scene, error, None)

    def _put_off(self, scene: Scene, error: SourceError) -> None:
        with self.store.reading() as session:
            before = scenes.known(session).get(scene.scene_id)
        if before is not None and before.retry_until is not None:
            # Known already: the end of the tries does not move.
            self._keep_out(scene, error, before.retry_until)
            return
        self.quarantined.append((scene.scene_id, str(error)))
        days = timedelta(days=self.workspace.monitor.quality.retry_days)
        self._keep_out(scene, error, self.now() + days)

    def _keep_out(self, scene: Scene, error: CurupiraError, retry_until: datetime | None) -> None:
        log.warning("quarantined", scene=scene.scene_id, reason=str(error))
        with self.store.transaction() as session:
            scenes.record(
                session,
                scene,
                state=SceneState.QUARANTINED,
                recorded_at=self.now(),
                reason=str(error),
                run_id=self.run_id,
                retry_until=retry_until,
            )
