"""How large the pieces are that an acquisition is worked on in: regions read, blocks computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from curupira.blocks import Window, split
from curupira.cube.layout import CHUNK
from curupira.pipelines.images import RIM_SHARE, Detector, Image

#: Arrays of the stack's size alive at once in a block (stack, dB, stabilised, filtered, scratch).
COPIES = 6
#: Bytes a pixel of a block's results, and the results of a thread that wait to be written.
_RESULT_BYTES, _RESULTS = 32, 2
#: Side of a region in chunks of the cube. Regions are cut a halo's width before a chunk: one of
#: n x n chunks with its halo touches (n + 1)^2 of them, not (n + 2)^2, and 2 n + 1 of these are
#: mostly known from the regions above and to the left of it (`cube.chunks.Rims`).
_REGION_CHUNKS = 4
#: The same where Dask hands regions out: a worker that dies loses no more.
_TASK_CHUNKS = 2


def tile_size(detector: Detector, images: int) -> int:
    """Side of a block such that all threads' stacks together fit into a quarter of the memory."""
    budget = detector.memory / detector.threads / 4
    side = int((budget / (4 * COPIES * max(images, 1))) ** 0.5)
    return max(64, min(detector.tile_px, side))


def regions(detector: Detector, images: Sequence[Image], area: Window) -> Iterator[Window]:
    """Cut an area into the regions that are read at once."""
    return split(area, region_size(detector, images, area), -detector.params.halo)


def region_size(detector: Detector, images: Sequence[Image], area: Window) -> int:
    """Side of a region such that all threads' codes and results fit into the rest.

    Smaller, down to one chunk, where the area would not make two regions for each of several
    workers.
    """
    bands = max((len(s.assets) for i in images for s in i.acquisition.scenes), default=1)
    pixel = 2 * bands * len(images) + _RESULTS * _RESULT_BYTES
    share = 3 / 4 - RIM_SHARE
    side = int((detector.memory / detector.threads * share / pixel) ** 0.5)
    on_dask = detector.workers > detector.threads
    chunks = min(side // CHUNK, _TASK_CHUNKS if on_dask else _REGION_CHUNKS)
    if not chunks:
        tile = tile_size(detector, len(images))
        return max(side // tile, 1) * tile
    rows, columns = area.shape
    wanted = 2 * detector.workers if detector.workers > 1 else 0
    while chunks > 1 and rows * columns < wanted * (chunks * CHUNK) ** 2:
        chunks -= 1
    return chunks * CHUNK
