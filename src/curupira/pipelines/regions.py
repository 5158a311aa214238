"""How large the pieces are that an acquisition is worked on in: regions read, blocks computed.

``[compute] memory`` is shared: stacks of blocks a quarter, GDAL's blocks of files a thirty-second,
rims of read regions what they need (`reading.rim_bytes`), regions and their results the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

from curupira.blocks import Window, split
from curupira.cube.layout import CHUNK
from curupira.detect.baseline import by_rows
from curupira.pipelines.images import Detector, Image
from curupira.pipelines.reading import REGION_CHUNKS, code_bytes, rim_bytes

#: Arrays of the stack's size, halo included, alive at once in a block (bands, screened, filtered);
#: where images are screened and filtered by rows, of that of the images that are filtered.
COPIES, _COPIES_BY_ROWS = 4, 2.6
_BLOCK_SHARE, _CACHE_SHARE = 1 / 4, 1 / 32
#: Bytes a pixel of a block's results, and the results of a thread that wait to be written.
_RESULT_BYTES, _RESULTS = 32, 2
#: Chunks down and across of a region, the largest first. Regions are cut a halo's width before a
#: chunk: one of n x n chunks with its halo touches (n + 1)^2 of them, not (n + 2)^2, and 2 n + 1 of
#: these are mostly known from the regions above and to the left of it (`cube.chunks.Rims`).
_REGIONS = [(n, n) for n in range(REGION_CHUNKS, 0, -1)]
#: The same where Dask hands regions out, and how many codes one may have, halo apart: a second's
#: work. A worker that dies loses less, and that no region's rim is at its neighbour's worker costs
#: little as long as there are two chunks.
_TASKS, _TASK_CODES = [(2, 2), (1, 2), (1, 1)], 50e6


def cache_bytes(detector: Detector) -> int:
    """Bytes for blocks of rasters that GDAL has read or is to write."""
    return int(detector.memory * _CACHE_SHARE)


def tile_size(detector: Detector, images: Sequence[Image]) -> int:
    """Side of a block such that all threads' stacks together fit into their share of the memory."""
    budget = detector.memory / detector.threads * _BLOCK_SHARE
    angles = any("lia" in scene.assets for i in images for scene in i.acquisition.scenes)
    planes = planes_alive(detector, max(len(images), 1), angles=angles)
    side = int((budget / (4 * planes)) ** 0.5) - 2 * detector.params.halo
    return max(64, min(detector.tile_px, side))


def planes_alive(detector: Detector, images: int, *, angles: bool) -> float:
    """Float32 images of a block, halo included, that are in memory at once.

    ``angles``: whether they come with local incidence angles.
    """
    if not by_rows(detector.params):
        return COPIES * images
    period, history = detector.params.period, detector.params.evidence.evidence_history_images
    recent = period.detection_months / (period.detection_months + period.learning_months) * images
    # Both bands' codes are as large as one stack, angles are another.
    return (1 + angles) * images + _COPIES_BY_ROWS * min(images, history + ceil(recent))


def regions(detector: Detector, images: Sequence[Image], area: Window) -> Iterator[Window]:
    """Cut an area into the regions that are read at once."""
    return split(area, region_size(detector, images, area), -detector.params.halo)


def region_size(detector: Detector, images: Sequence[Image], area: Window) -> tuple[int, int]:
    """Rows and columns of a region such that all threads' codes and results fit into the rest.

    Fewer, down to one chunk, where the area would not make two regions for each of several workers.
    """
    rest = (1 - _BLOCK_SHARE - _CACHE_SHARE) * detector.memory - rim_bytes(detector, images)
    budget, halo = rest / detector.threads, 2 * detector.params.halo
    codes, results = code_bytes(detector, images), _RESULTS * _RESULT_BYTES
    shapes = [(down * CHUNK, across * CHUNK) for down, across in _shapes(detector, codes)]
    fitting = [
        s for s in shapes if codes * (s[0] + halo) * (s[1] + halo) + results * s[0] * s[1] <= budget
    ]
    if not fitting:
        tile = tile_size(detector, images)
        side = int((budget / (codes + results)) ** 0.5) - halo
        side = max(side // tile, 1) * tile
        return side, side
    wanted = 2 * detector.workers if detector.workers > 1 else 0
    enough = (s for s in fitting if area.shape[0] * area.shape[1] >= wanted * s[0] * s[1])
    return next(enough, fitting[-1])


def _shapes(detector: Detector, codes: int) -> list[tuple[int, int]]:
    """Chunks down and across that a region may have, by its bytes of codes a pixel."""
    if not detector.on_dask:
        return _REGIONS
    most = _TASK_CODES * 2 / CHUNK**2
    return [(n, m) for n, m in _TASKS if n * m * codes <= most] or _TASKS[-1:]
