"""Which part of every image may be used: without the along-track edges of its scenes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window, split
from curupira.cube.layout import CHUNK
from curupira.detect.geometry import edge_eroded
from curupira.detect.reference import reference_level
from curupira.detect.seam import STRIP_M, SeamStrips, dark_along, strips_a_side
from curupira.pipelines.images import Detector, Image, bounding_window, on_grid, track
from curupira.pipelines.masks import MONITORED
from curupira.pipelines.reading import read_vh
from curupira.records import Acquisition
from curupira.units import from_db


def usable_images(
    acquisitions: Sequence[Acquisition], detector: Detector, window: Window | None = None
) -> list[Image]:
    """Cut the along-track edges off acquisitions' scenes (method.md 1A step 3, 1B row 17).

    With ``border = "noisy"`` an inner seam is cut as well in the images that are darker along it
    than beside it, measured against the median of all these images of their track. That is decided
    once for the whole seam, so that it depends on no tile.

    ``window``: all that is wanted of the images. Far from seams none has to be measured for it.
    """
    outlines = [[on_grid(s, detector.grid) for s in a.scenes] for a in acquisitions]

    def images(cuts: Iterable[set[int]]) -> list[Image]:
        return [
            _usable(a, o, cut, detector)
            for a, o, cut in zip(acquisitions, outlines, cuts, strict=True)
        ]

    uncut = images(set[int]() for _ in outlines)
    if detector.params.geometry.border != "noisy":
        return uncut
    if window is not None:
        both = zip(uncut, images(set(range(len(o))) for o in outlines), strict=True)
        if all(_agree(one, other, window, detector) for one, other in both):
            return uncut
    return images(_dark_seams(acquisitions, outlines, detector))


def _agree(one: Image, other: Image, window: Window, detector: Detector) -> bool:
    """Whether a window lies wholly within or wholly without both usable parts of each scene."""
    box = detector.grid[window.slices].extent.geom
    parts = [
        (a, b)
        for around, a, b in zip(one.windows, one.usable, other.usable, strict=True)
        if a is not None and b is not None and not around.intersect(window).empty
    ]
    return all(
        (a.covers(box) and b.covers(box)) or not (a.intersects(box) or b.intersects(box))
        for a, b in parts
    )


def _usable(
    acquisition: Acquisition, outlines: list[BaseGeometry], dark: set[int], detector: Detector
) -> Image:
    params = detector.params.geometry
    windows = tuple(bounding_window(o, detector.grid) for o in outlines)
    if params.border == "none" or not _sliced(acquisition):
        return Image(acquisition, windows, (None,) * len(outlines))
    last = len(outlines) - 1
    ends = [k for k in range(last) if params.border == "slice" or k in dark] + [last]
    usable: list[BaseGeometry] = []
    for end in ends:
        part = outlines[len(usable) : end + 1]
        whole = part[0] if len(part) == 1 else shapely.convex_hull(shapely.union_all(part))
        usable += [edge_eroded(whole, params.border_m)] * len(part)
    return Image(acquisition, windows, tuple(usable))


def _sliced(acquisition: Acquisition) -> bool:
    return all(s.slice_number is not None for s in acquisition.scenes)


def _dark_seams(
    acquisitions: Sequence[Acquisition], outlines: list[list[BaseGeometry]], detector: Detector
) -> list[set[int]]:
    """Of every acquisition, the scenes that end in a seam along which it is dark."""
    found: list[set[int]] = [set() for _ in acquisitions]
    for one in sorted({track(a) for a in acquisitions}):
        own = [k for k, a in enumerate(acquisitions) if track(a) == one]
        views = [_view(acquisitions[k], outlines[k], detector) for k in own]
        measured: dict[tuple[int, int], list[npt.NDArray[np.float32]]] = {}
        for window in _windows(views, detector):
            for number, seam, anomaly in _anomalies(views, window, detector):
                measured.setdefault((own[number], seam), []).append(anomaly)
        for (number, seam), parts in measured.items():
            if dark_along(np.concatenate(parts), detector.params.geometry):
                found[number].add(seam)
    return found


@dataclass(frozen=True)
class _View:
    """An image to be read whole, its outlines, and its seams by the scene before each."""

    image: Image
    outlines: list[BaseGeometry]
    seams: dict[int, BaseGeometry]


def _view(acquisition: Acquisition, outlines: list[BaseGeometry], detector: Detector) -> _View:
    windows = tuple(bounding_window(o, detector.grid) for o in outlines)
    image = Image(acquisition, windows, (None,) * len(outlines))
    pairs = enumerate(pairwise(outlines)) if _sliced(acquisition) else ()
    lines = {k: seam_line(*pair, detector.params.geometry.border_m) for k, pair in pairs}
    return _View(image, outlines, {k: line for k, line in lines.items() if not line.is_empty})


def seam_line(first: BaseGeometry, second: BaseGeometry, border_m: float) -> BaseGeometry:
    """Where one slice ends and the next goes on: the end of the first, but for its corners."""
    rim = shapely.convex_hull(shapely.union(first, second)).boundary
    meeting = first.boundary.intersection(second.buffer(border_m))
    return meeting.difference(rim.buffer(border_m))


def _windows(views: Sequence[_View], detector: Detector) -> Iterator[Window]:
    """Parts of the grid along the seams in which forest is monitored."""
    lines = {line.wkb: line for view in views for line in view.seams.values()}
    if not lines:
        return
    reach_m = strips_a_side(detector.params.geometry) * STRIP_M
    near = shapely.union_all([line.buffer(reach_m) for line in lines.values()])
    for tile in split(Window(0, detector.grid.shape.y, 0, detector.grid.shape.x), CHUNK):
        part = near.intersection(detector.grid[tile.slices].extent.geom)
        window = bounding_window(part, detector.grid)
        if not window.empty and (detector.masks.read_zones(window) == MONITORED).any():
            yield window


def _anomalies(
    views: Sequence[_View], window: Window, detector: Detector
) -> Iterator[tuple[int, int, npt.NDArray[np.float32]]]:
    """Number of the image and of the seam, and the anomaly of its cells, in a window."""
    power = np.full((len(views), *window.shape), np.nan, dtype=np.float32)
    for values, view in zip(power, views, strict=True):
        read_vh(detector, view.image, window, values)
    normal = from_db(reference_level(power, 1))
    normal[detector.masks.read_zones(window) != MONITORED] = np.nan
    seams: dict[bytes, list[tuple[int, int]]] = {}
    for number, view in enumerate(views):
        for k, line in view.seams.items():
            seams.setdefault(line.wkb, []).append((number, k))
    # Line by line: images whose outlines differ a little have as many lines as there are images.
    for wkb, same in seams.items():
        number, k = same[0]
        ahead = _ahead_m(shapely.from_wkb(wkb), views[number].outlines[k], window, detector)
        if ahead is None:
            continue
        origin = window.y0, window.x0
        strips = SeamStrips(ahead, normal, origin, detector.params.geometry)
        for number, k in same:
            yield number, k, strips.anomaly_db(power[number])


def _ahead_m(
    line: BaseGeometry, behind: BaseGeometry, window: Window, detector: Detector
) -> npt.NDArray[np.float64] | None:
    """Distance of a window's pixels from a seam, which is straight there; negative behind it.

    None for another seam than the one that the window lies along.
    """
    affine = detector.grid[window.slices].affine
    x = affine.c + affine.a * (np.arange(window.shape[1]) + 0.5)
    y = affine.f + affine.e * (np.arange(window.shape[0]) + 0.5)
    outline = shapely.box(x[0], y[-1], x[-1], y[0]).buffer(CHUNK * affine.a)
    piece = shapely.get_coordinates(line.intersection(outline))
    if not len(piece):
        return None
    middle = piece.mean(axis=0)
    along = np.linalg.svd(piece - middle)[2][0]
    across = np.array([-along[1], along[0]])
    if across @ (np.array(behind.centroid.coords[0]) - middle) > 0:
        across = -across
    return np.asarray(across[0] * (x - middle[0]) + across[1] * (y[:, np.newaxis] - middle[1]))
