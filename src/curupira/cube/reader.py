"""Reading the cube at one snapshot."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import Self, TypeAlias

import icechunk
import numpy as np
import zarr

from curupira.blocks import Window
from curupira.cube import codec, layout
from curupira.cube.chunks import Rims, read_layers
from curupira.cube.storage import check_folder, storage, translated
from curupira.errors import StoreError

#: Relative orbit, scene and band.
Wanted: TypeAlias = tuple[int, str, str]


@lru_cache(maxsize=1)
def _rims(path: str, snapshot: str, width: int, most: int) -> Rims:
    # One of a process: tasks of Dask share it although each brings a reader of its own.
    return Rims(width, most)


class CubeReader:
    """The cube as one snapshot holds it; later commits do not show.

    May be pickled (it is opened again where it arrives, on first use) and used by many threads.

    Parameters
    ----------
    path
        Local folder or object-store URL.
    snapshot
        Id of the snapshot.
    """

    def __init__(self, path: str | Path, snapshot: str) -> None:
        self.path = path
        self.snapshot = snapshot
        self._lock = threading.Lock()
        self._root: zarr.Group | None = None
        self._arrays: dict[tuple[int, str], layout.ZarrArray] = {}
        self._layers: dict[int, dict[str, int]] = {}
        self._held: dict[Wanted, tuple[Window, codec.Codes]] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return (CubeReader, (self.path, self.snapshot))

    def orbits(self) -> list[int]:
        """Relative orbits that hold scenes."""
        with translated(self.path):
            return sorted(int(name.removeprefix("orbit_")) for name in self._open().group_keys())

    def bands(self, orbit: int) -> list[str]:
        """Bands of an orbit; none where it holds no scene."""
        with translated(self.path):
            group = self._group(orbit)
            return [] if group is None else sorted(group.array_keys())

    def acquired(self, orbit: int) -> dict[str, datetime]:
        """Acquisition time (aware UTC) by scene id, in order of time; empty without scenes."""
        with translated(self.path):
            scenes = layout.scenes(self._group(orbit))
        moments = sorted((datetime.fromisoformat(time), scene) for scene, time in scenes.items())
        return {scene: moment for moment, scene in moments}

    def scene_ids(self, orbit: int) -> list[str]:
        """Scenes of a relative orbit in order of acquisition time."""
        return list(self.acquired(orbit))

    def read_codes(self, orbit: int, scene_id: str, band: str, window: Window) -> codec.Codes:
        """Codes (uint16, see ``codec``) of one scene in a window, ``(y, x)``; 0 is missing.

        Raises
        ------
        StoreError
            If the cube has no such scene or band, or cannot be read.
        InputError
            If the window is not within the grid.
        """
        around, held = self._held.get((orbit, scene_id, band), (window, None))
        if held is not None and window.intersect(around) == window:
            return held[window.relative_to(around).slices]
        with translated(self.path):
            array, layers = self._band(orbit, band, window)
            layer = self._layer(layers, orbit, scene_id)
            (codes,) = read_layers(array, [layer], window, [np.empty(window.shape, np.uint16)])
        return codes

    def holding(self, wanted: Mapping[Wanted, Window], *, rim: int = 0, most: int = 0) -> Self:
        """This reader, with the codes of some windows in memory: 2 bytes a pixel.

        Reading within such a window then costs no decompression. A stored chunk has 512 x 512
        pixels: reading a region once, not block by block with halos, decodes each about once.

        Parameters
        ----------
        wanted
            The windows.
        rim
            Where they end with a chunk, so many of its last rows and columns stay in memory, for
            later windows of this process that begin there; up to a chunk, 0 none.
        most
            Bytes of all these rims together; the oldest go.

        Raises
        ------
        StoreError
            If the cube has no such scene or band, or cannot be read.
        InputError
            If a window is not within the grid.
        """
        together: defaultdict[tuple[int, str, Window], list[str]] = defaultdict(list)
        for (orbit, scene_id, band), window in wanted.items():
            if not window.empty:
                together[orbit, band, window].append(scene_id)
        held: dict[Wanted, tuple[Window, codec.Codes]] = {}
        rims = _rims(str(self.path), self.snapshot, rim, most) if 0 < rim <= layout.CHUNK else None
        with translated(self.path):
            for (orbit, band, window), scenes in together.items():
                array, layers = self._band(orbit, band, window)
                numbers = [self._layer(layers, orbit, s) for s in scenes]
                # Of one piece: large enough for the system to take it back as soon as it is free.
                codes = np.empty((len(scenes), *window.shape), np.uint16)
                images = read_layers(array, numbers, window, codes, rims)
                for scene_id, image in zip(scenes, images, strict=True):
                    held[orbit, scene_id, band] = window, image
        # As copy.copy, which would forget the open cube: pickling does.
        clone = object.__new__(type(self))
        clone.__dict__ = {**self.__dict__, "_held": held}
        return clone

    def read(self, orbit: int, scene_id: str, band: str, window: Window) -> codec.Float32:
        """One scene in a window: float32 ``(y, x)``, linear gamma0 or degrees, NaN missing.

        Raises
        ------
        StoreError
            If the cube has no such scene or band, or cannot be read.
        InputError
            If the window is not within the grid.
        """
        codes = self.read_codes(orbit, scene_id, band, window)
        values: codec.Float32 = codec.look_up(codes, codec.band_table(band))
        return values

    def read_stack(
        self, orbit: int, scene_ids: Sequence[Sequence[str]], band: str, window: Window
    ) -> codec.Float32:
        """Stack of acquisitions in a window: float32 ``(time, y, x)``, NaN missing.

        Parameters
        ----------
        orbit, band, window
            What to read; linear gamma0, or degrees for ``lia`` and ``angle``.
        scene_ids
            One inner sequence an acquisition, its scenes in time order: a later scene fills the
            NaN of the earlier ones (product.md 3, point 1). An empty one gives NaN.

        Raises
        ------
        StoreError
            If the cube has no such scene or band, or cannot be read.
        InputError
            If the window is not within the grid.
        """
        out = np.full((len(scene_ids), *window.shape), np.nan, np.float32)
        table = codec.band_table(band)
        with translated(self.path):
            array, layers = self._band(orbit, band, window)
            wanted = [
                (self._layer(layers, orbit, scene_id), time)
                for time, scenes in enumerate(scene_ids)
                for scene_id in scenes
            ]
            codes = repeat(np.empty(window.shape, np.uint16))
            images = read_layers(array, [layer for layer, _ in wanted], window, codes)
            for image, (_, time) in zip(images, wanted, strict=True):
                codec.fill_missing(image, table, out[time])
        return out

    def _open(self) -> zarr.Group:
        with self._lock:
            if self._root is None:
                check_folder(self.path)
                repository = icechunk.Repository.open(storage(self.path))
                session = repository.readonly_session(snapshot_id=self.snapshot)
                self._root = zarr.open_group(session.store, mode="r")
            return self._root

    def _group(self, orbit: int) -> zarr.Group | None:
        group = self._open().get(layout.group_name(orbit))
        return group if isinstance(group, zarr.Group) else None

    def _band(
        self, orbit: int, band: str, window: Window
    ) -> tuple[layout.ZarrArray, dict[str, int]]:
        key = (orbit, band)
        if key not in self._arrays:
            group = self._group(orbit)
            if group is None or band not in group:
                raise StoreError(
                    f"the cube holds no band {band!r} of relative orbit {orbit}",
                    where=self.path,
                    remedy=f"it holds {', '.join(self.bands(orbit)) or 'nothing'} there",
                )
            found = group[band]
            if not isinstance(found, zarr.Array):
                raise StoreError(f"{band} is no array", where=self.path)
            # Two threads may both arrive here: they store equal things, the array last.
            self._layers[orbit] = {scene: n for n, scene in enumerate(layout.scenes(group))}
            self._arrays[key] = found
        array = self._arrays[key]
        layout.check_window(window, (array.shape[1], array.shape[2]), self.path)
        return array, self._layers[orbit]

    def _layer(self, layers: dict[str, int], orbit: int, scene_id: str) -> int:
        try:
            return layers[scene_id]
        except KeyError:
            raise StoreError(
                f"the cube holds no scene {scene_id} of relative orbit {orbit}",
                where=self.path,
                remedy="ingest it again",
            ) from None
