"""Stored chunks of a band, fetched many at a time and decoded by the thread that asked for them.

Zarr could do this, but sends each chunk through several tasks of its own threads: for chunks of a
millisecond that doubles the cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numcodecs import blosc
from zarr.abc.store import Store
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.sync import sync

from curupira.blocks import Window
from curupira.cube import codec, layout
from curupira.errors import StoreError

#: Chunks asked for at once: enough to hide what each waits, and at most 16 MB of packed codes.
_TOGETHER = 32


def read_layers(
    array: layout.ZarrArray, layers: Sequence[int], window: Window
) -> Iterator[codec.Codes]:
    """Codes (uint16) of some layers of a band in a window, ``(y, x)`` one after the other.

    Raises
    ------
    StoreError
        If a chunk cannot be decoded.
    """
    side = layout.CHUNK
    tiles = [
        Window(y, y + side, x, x + side)
        for y in range(window.y0 // side * side, window.y1, side)
        for x in range(window.x0 // side * side, window.x1, side)
    ]
    chunks = ((layer, tile.y0 // side, tile.x0 // side) for layer in layers for tile in tiles)
    stored = _fetched(array, chunks)
    for _ in layers:
        codes = np.empty(window.shape, np.uint16)
        for tile in tiles:
            part = tile.intersect(window)
            chunk = _decoded(*next(stored))
            codes[part.relative_to(window).slices] = chunk[part.relative_to(tile).slices]
        yield codes


def _fetched(
    array: layout.ZarrArray, chunks: Iterable[tuple[int, ...]]
) -> Iterator[tuple[str, Buffer | None]]:
    """Keys of chunks with what is stored there; None where a chunk is empty."""
    keys = (f"{array.path}/{array.metadata.encode_chunk_key(chunk)}" for chunk in chunks)
    while batch := list(islice(keys, _TOGETHER)):
        yield from zip(batch, sync(_fetch(array.store, batch)), strict=True)


async def _fetch(store: Store, keys: Sequence[str]) -> list[Buffer | None]:
    prototype = default_buffer_prototype()
    return await asyncio.gather(*(store.get(key, prototype) for key in keys))


def _decoded(key: str, packed: Buffer | None) -> codec.Codes:
    shape = layout.CHUNK, layout.CHUNK
    if packed is None:
        return np.zeros(shape, np.uint16)
    try:
        return np.frombuffer(blosc.decompress(packed.as_numpy_array()), np.uint16).reshape(shape)
    except (RuntimeError, ValueError) as error:
        raise StoreError(
            "a chunk of the cube is damaged",
            where=key,
            remedy="restore the cube from a copy, or ingest the scene again",
        ) from error
