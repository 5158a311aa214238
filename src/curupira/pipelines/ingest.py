"""From the catalogue into the cube: one commit a scene; what cannot be used is quarantined."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from odc.geo.geobox import GeoBox

from curupira import logs
from curupira.blocks import parse_memory, split
from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.errors import CurupiraError, InputError, StoreError
from curupira.pipelines import sourcing
from curupira.records import Scene
from curupira.sources import catalogue
from curupira.sources.checks import check_scene
from curupira.sources.profiles import SourceParams
from curupira.sources.raster import read_band
from curupira.store import scene as scenes
from curupira.store.session import Store

log = logs.get(__name__)

#: Two versions of a scene differ by less than this in their time of acquisition.
SAME_TIME = timedelta(seconds=2)


@dataclass(frozen=True)
class Discovery:
    """What the source offers: usable scenes in time order, and the unusable with their reasons.

    ``older`` has the earlier versions of a scene, newest first: what to use should it be broken.
    """

    scenes: list[Scene]
    refused: list[tuple[str, str]]
    older: Mapping[str, list[Scene]]


def discover(workspace: Workspace, now: datetime, mark: sourcing.Mark | None = None) -> Discovery:
    """Read or search the source and keep what the monitor file asks for.

    ``mark`` is what an earlier run has found; None: everything is asked for again.

    Raises
    ------
    ConfigError, SourceError
        If the catalogue is missing or unreachable.
    """
    params = workspace.monitor.source
    refused: list[tuple[str, str]] = []

    def on_bad(scene_id: str, error: InputError) -> None:
        refused.append((scene_id, str(error)))

    everything = sourcing.offered(workspace, now, on_bad, mark)
    wanted = catalogue.select(everything, params, area=workspace.area, since=None, until=None)
    unique, duplicates = catalogue.drop_duplicates(wanted)
    # An older version of the same product is no fault; two products with one timestamp are.
    winners = {scene.scene_id for scene in unique}
    refused += [
        (scene.scene_id, reason)
        for scene, reason in duplicates
        if scene.scene_id not in winners and not reason.startswith("superseded")
    ]
    older = _older(unique, [s for s, reason in duplicates if reason.startswith("superseded")])
    return Discovery(sorted(unique, key=lambda s: (s.acquired, s.scene_id)), refused, older)


def _older(unique: Iterable[Scene], superseded: Iterable[Scene]) -> dict[str, list[Scene]]:
    near: defaultdict[tuple[str, int], list[Scene]] = defaultdict(list)
    for scene in unique:
        near[scene.platform, scene.relative_orbit].append(scene)
    older: defaultdict[str, list[Scene]] = defaultdict(list)
    for scene in sorted(superseded, key=lambda s: (s.created, s.scene_id), reverse=True):
        for winner in replaced_by(scene, near[scene.platform, scene.relative_orbit]):
            if winner.scene_id != scene.scene_id:
                older[winner.scene_id].append(scene)
    return dict(older)


def replaced_by(scene: Scene, others: Iterable[Scene]) -> list[Scene]:
    """Those of other scenes that are the same view of the ground, and stand instead of this one."""
    return [
        other
        for other in others
        if abs(other.acquired - scene.acquired) <= SAME_TIME
        and catalogue.drop_duplicates([scene, other])[0] == [other]
    ]


def nights(scenes: Iterable[Scene]) -> list[tuple[date, list[Scene]]]:
    """Scenes by the UTC day on which they were published: what a nightly run would have found."""
    by_day: dict[date, list[Scene]] = {}
    for scene in scenes:
        by_day.setdefault(scene.created.date(), []).append(scene)
    return [
        (day, sorted(by_day[day], key=lambda s: (s.acquired, s.scene_id))) for day in sorted(by_day)
    ]


def store_image(scene: Scene, grid: GeoBox, cube: Cube, params: SourceParams, memory: str) -> str:
    """Read a scene on the grid and commit it to the cube; return the snapshot's id.

    Raises
    ------
    InputError, SourceError
        If the scene cannot be used; the cube is as before.
    """
    window = check_scene(scene, grid, params)
    # float32 of two bands and their sources at twice the resolution, in a block.
    side = max(256, int((parse_memory(memory) / (4 * 2 * 5)) ** 0.5) // 512 * 512)
    with cube.scene_writer(scene.relative_orbit, scene.scene_id, scene.acquired) as writer:
        for block in split(window, side):
            for band in scene.assets:
                writer.write(band, block, read_band(scene, band, grid, block, params))
    return writer.snapshot


def try_store(
    scene: Scene,
    grid: GeoBox,
    cube: Cube,
    workspace: Workspace,
    on_bad: Callable[[Scene, CurupiraError], None],
) -> str | None:
    """Store a scene's image, or report why it cannot be used and return None."""
    monitor = workspace.monitor
    try:
        return sourcing.images(workspace).use(
            scene,
            lambda ready: store_image(ready, grid, cube, monitor.source, monitor.compute.memory),
        )
    except InputError as error:
        on_bad(scene, error)
        return None


def restore_images(
    workspace: Workspace, store: Store, cube: Cube, offered: Iterable[Scene]
) -> list[str]:
    """Read again what the store has as ingested and the cube has lost; return the scenes' ids.

    A cube may be emptied, or come from an older backup than the database. All of it must come back
    before anything is evaluated: without their history, warnings would seem unsupported.

    Raises
    ------
    StoreError
        If an image cannot be read again; those read until then stay in the cube.
    SourceError
        If the source does not answer.
    """
    reader = cube.reader()
    held = {scene_id for orbit in reader.orbits() for scene_id in reader.scene_ids(orbit)}
    with store.reading() as session:
        lost = [s for s in scenes.ingested(session) if s.scene_id not in held]
    now_at = {scene.scene_id: scene for scene in offered}
    monitor = workspace.monitor
    for scene in lost:
        log.warning("image lost from the cube is read again", scene=scene.scene_id)
        try:
            sourcing.images(workspace).use(
                now_at.get(scene.scene_id, scene),
                lambda ready: store_image(
                    ready, cube.grid, cube, monitor.source, monitor.compute.memory
                ),
            )
        except InputError as error:
            raise StoreError(
                f"the cube has lost {len(lost)} scenes, and {scene.scene_id} cannot be read again "
                f"({error.what})",
                where=cube.path,
                remedy="restore the cube from a backup, or bring back the images",
            ) from error
    return [scene.scene_id for scene in lost]
