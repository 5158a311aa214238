"""Stored chunks of a band, fetched many at a time and decoded by the thread that asked for them.

Zarr could do this, but sends each chunk through several tasks of its own threads: for chunks of a
millisecond that doubles the cost.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import google_crc32c
import numpy as np
from numcodecs import blosc
from zarr.abc.buffer import Buffer
from zarr.abc.store import Store
from zarr.buffer import default_buffer_prototype
from zarr.core.sync import sync

from curupira.blocks import Window
from curupira.cube import codec, layout
from curupira.errors import StoreError

#: Chunks asked for at once: enough to hide what each waits, and at most 16 MB of packed codes.
_TOGETHER = 32
#: Bytes of a chunk's checksum.
_CHECKSUM = 4


class Rims:
    """Last rows and columns of chunks that were read lately.

    A region that is cut a halo's width before a chunk begins with those of its neighbours' chunks:
    where they are still here, no chunk is decoded twice. For many threads; the oldest go first.

    Parameters
    ----------
    width
        Rows or columns of a chunk that are kept, 1 to ``CHUNK``.
    most
        Bytes that are kept.
    """

    def __init__(self, width: int, most: int) -> None:
        self._start, self._most = layout.CHUNK - width, most
        self._kept: OrderedDict[tuple[str, int], codec.Codes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def keep(self, key: str, axis: int, chunk: codec.Codes) -> None:
        """Keep the last rows (axis 0) or columns (axis 1) of a chunk."""
        rim = (chunk[self._start :] if axis == 0 else chunk[:, self._start :]).copy()
        with self._lock:
            self._drop(key, axis)
            self._kept[key, axis] = rim
            self._bytes += rim.nbytes
            while self._bytes > self._most:
                self._drop(*next(iter(self._kept)))

    def find(self, key: str, part: Window) -> codec.Codes | None:
        """A part of a chunk, in its own pixels, if it lies within what is kept.

        Columns are given once: only the next region begins with them. Rows are wanted a whole row
        of regions later, and would be gone by then if columns were kept as long.
        """
        with self._lock:
            for axis, first in enumerate((part.y0, part.x0)):
                rim = self._kept.get((key, axis)) if first >= self._start else None
                if rim is not None:
                    place = list(part.slices)
                    place[axis] = slice(first - self._start, place[axis].stop - self._start)
                    if axis == 1:
                        self._drop(key, axis)
                    return rim[tuple(place)]
        return None

    def _drop(self, key: str, axis: int) -> None:
        gone = self._kept.pop((key, axis), None)
        self._bytes -= 0 if gone is None else gone.nbytes


def read_layers(
    array: layout.ZarrArray,
    layers: Sequence[int],
    window: Window,
    targets: Iterable[codec.Codes],
    rims: Rims | None = None,
) -> Iterator[codec.Codes]:
    """Read some layers of a band in a window, one after the other, into arrays that are given.

    Parameters
    ----------
    targets
        uint16 ``(y, x)`` for the codes of each layer; yielded when it is full.
    rims
        What they hold is not decoded again; the window's own rims are added.

    Raises
    ------
    StoreError
        If a chunk cannot be decoded, or is not as it was written (its checksum; arrays made
        before there was one have none).
    """
    side = layout.CHUNK
    tiles = [
        Window(y, y + side, x, x + side)
        for y in range(window.y0 // side * side, window.y1, side)
        for x in range(window.x0 // side * side, window.x1, side)
    ]
    parts = _parts(array, layers, tiles, window, rims)
    for _, codes in zip(layers, targets, strict=False):
        for tile in tiles:
            codes[tile.intersect(window).relative_to(window).slices] = next(parts)
        yield codes


def _parts(
    array: layout.ZarrArray,
    layers: Sequence[int],
    tiles: Sequence[Window],
    window: Window,
    rims: Rims | None,
) -> Iterator[codec.Codes]:
    """What of each tile of each layer lies in the window."""
    side, ends = layout.CHUNK, (array.shape[1], array.shape[2])
    checked = layout.has_checksum(array)
    wanted = (
        (f"{array.path}/{array.metadata.encode_chunk_key(place)}", tile)
        for layer in layers
        for tile in tiles
        for place in [(layer, tile.y0 // side, tile.x0 // side)]
    )
    while batch := list(islice(wanted, _TOGETHER)):
        places = [tile.intersect(window).relative_to(tile) for _, tile in batch]
        known = [
            None if rims is None else rims.find(key, place)
            for (key, _), place in zip(batch, places, strict=True)
        ]
        missing = [key for (key, _), part in zip(batch, known, strict=True) if part is None]
        stored = iter(sync(_fetch(array.store, missing)))
        for (key, tile), place, part in zip(batch, places, known, strict=True):
            if part is not None:
                yield part
                continue
            chunk = _decoded(key, next(stored), checked)
            # Where the window ends with the chunk, the next region may begin with its end.
            if rims and tile.y1 == window.y1 < ends[0]:
                rims.keep(key, 0, chunk)
            if rims and tile.x1 == window.x1 < ends[1]:
                rims.keep(key, 1, chunk)
            yield chunk[place.slices]


async def _fetch(store: Store, keys: Sequence[str]) -> list[Buffer | None]:
    prototype = default_buffer_prototype()
    return await asyncio.gather(*(store.get(key, prototype) for key in keys))


def _decoded(key: str, packed: Buffer | None, checked: bool) -> codec.Codes:
    shape = layout.CHUNK, layout.CHUNK
    if packed is None:
        return np.zeros(shape, np.uint16)
    stored = packed.as_numpy_array()
    if checked:
        stored, checksum = stored[:-_CHECKSUM], stored[-_CHECKSUM:].tobytes()
        if google_crc32c.value(stored).to_bytes(_CHECKSUM, "little") != checksum:
            raise _damaged(key)
    try:
        return np.frombuffer(blosc.decompress(stored), np.uint16).reshape(shape)
    except (RuntimeError, ValueError) as error:
        raise _damaged(key) from error


def _damaged(key: str) -> StoreError:
    return StoreError(
        "a chunk of the cube is damaged",
        where=key,
        remedy="restore the cube from a back-up, or move its folder away: the next run then reads "
        "all scenes from the source again",
    )
