"""The cube: every scene's gamma0 on the monitoring grid, one commit a scene.

An Icechunk repository with a Zarr 3 group for each relative orbit. Each scene is a layer of its
own; slices are merged when they are read, so the order of arrival leaves no trace. Nothing written
is seen before its commit, and a snapshot never changes.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import icechunk
import zarr
from odc.geo.geobox import GeoBox

from curupira.cube import layout
from curupira.cube.reader import CubeReader
from curupira.cube.storage import check_folder, is_url, storage, translated
from curupira.cube.writer import SceneWriter
from curupira.errors import InputError, StoreError

_MAIN = "main"
_KEEP = "keep-"
#: What Icechunk has written when it is killed while it makes a repository.
_BEGUN = frozenset({"refs", "snapshots"})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of the cube: its id, when it was written (aware UTC), and the scene it added."""

    snapshot_id: str
    written_at: datetime
    scene_id: str | None


@dataclass(frozen=True, slots=True)
class Expired:
    """What an expiry did: snapshots removed, and snapshots to keep that were gone already."""

    removed: frozenset[str]
    absent: frozenset[str]


class Cube:
    """The archive of a workspace. Open it with ``Cube.open``; one process writes at a time."""

    def __init__(self, path: str | Path, grid: GeoBox, repository: icechunk.Repository) -> None:
        self.path = path
        self.grid = grid
        self._repository = repository

    @classmethod
    def open(cls, path: str | Path, grid: GeoBox, *, create: bool = False) -> Cube:
        """Open a cube, or make an empty one.

        Parameters
        ----------
        path
            Local folder, or ``s3://bucket/prefix`` with credentials in the environment.
        grid
            The monitoring grid; that of the cube must be the same.
        create
            Make the cube where nothing, or an empty folder, is at the path.

        Raises
        ------
        StoreError
            If there is no cube, it has another grid or a newer format, or cannot be reached.
        ConfigError
            If the URL is of no known kind.
        """
        with translated(path):
            if create:
                _create(path, grid)
            check_folder(path)
            place = storage(path)
            if not icechunk.Repository.exists(place):
                raise layout.no_cube(path)
            cube = cls(path, grid, icechunk.Repository.open(place))
            session = cube._repository.readonly_session(_MAIN)
            try:
                attributes = zarr.open_group(session.store, mode="r").attrs.asdict()
            except FileNotFoundError as error:
                raise layout.no_cube(path) from error
        layout.check_root(attributes, grid, path)
        return cube

    @classmethod
    def check(cls, path: str | Path, grid: GeoBox) -> None:
        """Refuse what ``open`` with ``create`` would, and write nothing.

        Raises
        ------
        StoreError, ConfigError
            As ``open``.
        """
        if not is_url(path):
            if not os.path.lexists(path):
                return
            check_folder(path)
        with translated(path):
            place = storage(path)
            if icechunk.Repository.exists(place):
                commits = icechunk.Repository.open(place).ancestry(branch=_MAIN)
                begun = len(list(islice(commits, 2))) < 2
            else:
                begun = is_url(path) or {entry.name for entry in Path(path).iterdir()} <= _BEGUN
        # What a killed process has begun is no cube yet, but will be.
        if not begun:
            cls.open(path, grid)

    @contextmanager
    def scene_writer(self, orbit: int, scene_id: str, acquired: datetime) -> Iterator[SceneWriter]:
        """Write one scene in a ``with`` block; its end without an error commits.

        A scene id that the orbit holds already is replaced as a whole (a reprocessed scene). An
        error in the block leaves the cube as it was.

        Parameters
        ----------
        orbit
            Relative orbit number.
        scene_id
            Identity of the scene; any text.
        acquired
            Acquisition time, aware.

        Raises
        ------
        StoreError
            If the cube cannot be written; ``BusyError`` if another process wrote meanwhile.
        InputError
            If the time has no zone.
        """
        if acquired.tzinfo is None:
            raise InputError("the acquisition time has no time zone", where=scene_id)
        rows, columns = self.grid.shape
        with translated(self.path):
            session = self._repository.writable_session(_MAIN)
            root = zarr.open_group(session.store, mode="r+")
            writer = SceneWriter(root, (rows, columns), self.path, orbit, scene_id, acquired)
        yield writer
        with translated(self.path):
            writer.snapshot = session.commit(
                f"scene {scene_id}", metadata={"scene_id": scene_id, "orbit": orbit}
            )

    def reader(self, snapshot: str | None = None) -> CubeReader:
        """Reader of a snapshot; without one, of the newest, which it names and stays with.

        Raises
        ------
        StoreError
            If there is no such snapshot (never written, or expired).
        """
        with translated(self.path):
            if snapshot is None:
                return CubeReader(self.path, self._repository.lookup_branch(_MAIN))
            try:
                self._repository.lookup_snapshot(snapshot)
            except icechunk.IcechunkError as error:
                raise StoreError(
                    f"the cube has no snapshot {snapshot}",
                    where=self.path,
                    remedy="it may have expired; a longer keeping time is a setting of [cube]",
                ) from error
        return CubeReader(self.path, snapshot)

    def snapshots(self) -> list[Snapshot]:
        """Every state that can be read, newest first: the history, and what was kept by name."""
        with translated(self.path):
            found = {info.id: info for info in self._repository.ancestry(branch=_MAIN)}
            for tag in self._repository.list_tags():
                tagged = self._repository.lookup_tag(tag)
                found.setdefault(tagged, self._repository.lookup_snapshot(tagged))
        ordered = sorted(found.values(), key=lambda info: info.written_at, reverse=True)
        return [
            Snapshot(info.id, info.written_at, info.metadata.get("scene_id")) for info in ordered
        ]

    def expire(self, older_than: datetime, keep: Collection[str]) -> Expired:
        """Remove old snapshots, and free what only they, or writes that never ended, held.

        The newest snapshot stays whatever its age. No scene is lost: each is in the newest state,
        except earlier versions of reprocessed scenes. Not while a scene is being written.

        Parameters
        ----------
        older_than
            Snapshots written before this time go (aware).
        keep
            Ids that stay whatever their age (delivered runs). Old ones that an earlier call kept
            and this one does not name go.

        Raises
        ------
        StoreError
            If the cube cannot be written.
        InputError
            If the time has no zone.
        """
        if older_than.tzinfo is None:
            raise InputError("the time of expiry has no time zone", where=self.path)
        before = {s.snapshot_id: s.written_at for s in self.snapshots()}
        stay = {i for i, written_at in before.items() if i in keep or written_at >= older_than}
        with translated(self.path):
            self._tag(stay.intersection(keep))
            self._untag(stay)
            self._repository.expire_snapshots(older_than)
            self._repository.garbage_collect(older_than)
        after = {s.snapshot_id for s in self.snapshots()}
        return Expired(frozenset(before.keys() - after), frozenset(keep) - before.keys())

    def _kept(self) -> dict[str, str]:
        # Snapshot by tag. Icechunk's expiry spares what a tag names.
        tags = self._repository.list_tags()
        return {tag: self._repository.lookup_tag(tag) for tag in tags if tag.startswith(_KEEP)}

    def _tag(self, snapshots: set[str]) -> None:
        for snapshot in sorted(snapshots.difference(self._kept().values())):
            # The name of a deleted tag can never be used again, hence the random part.
            self._repository.create_tag(f"{_KEEP}{snapshot}-{secrets.token_hex(4)}", snapshot)

    def _untag(self, stay: set[str]) -> None:
        for tag, snapshot in self._kept().items():
            if snapshot not in stay:
                self._repository.delete_tag(tag)


def _create(path: str | Path, grid: GeoBox) -> None:
    # Makes what an empty cube lacks, also where a killed process had begun it; leaves all else.
    if not is_url(path):
        if not os.path.lexists(path):
            Path(path).mkdir(parents=True)
        check_folder(path)
        found = {entry.name for entry in Path(path).iterdir()}
        if not icechunk.Repository.exists(storage(path)):
            if found - _BEGUN:
                return
            for name in found:
                shutil.rmtree(Path(path, name))
    place = storage(path)
    if icechunk.Repository.exists(place):
        repository = icechunk.Repository.open(place)
    else:
        repository = icechunk.Repository.create(place)
    if len(list(islice(repository.ancestry(branch=_MAIN), 2))) > 1:
        return
    session = repository.writable_session(_MAIN)
    zarr.create_group(session.store, attributes=layout.root_attributes(grid))
    session.commit("empty cube")
