"""Reading the images of a stack: windows held in memory, and blocks of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window
from curupira.cube.layout import CHUNK
from curupira.detect.block import StackBlock
from curupira.detect.geometry import angle_mask
from curupira.pipelines.images import (
    Detector,
    Image,
    baseline_orbits,
    looks_east,
    rasterise,
    times_of,
)
from curupira.records import Scene

#: float32, or codes of the cube (uint16).
Values = npt.NDArray[Any]

#: Most of the memory that rims of read regions may take, which neighbouring regions begin with.
_RIM_SHARE = 3 / 16
#: Side of a region in chunks of the cube.
REGION_CHUNKS = 4


def hold(detector: Detector, images: Sequence[Image], window: Window) -> Detector:
    """The detector, with all that ``read_block`` reads within a window in memory, undecoded."""
    wanted = {
        (scene.relative_orbit, scene.scene_id, band): around.intersect(window)
        for image in images
        for scene, around, _ in _views(image)
        for band in scene.assets
        if band != "vv" or detector.params.needs_vv
    }
    rim, most = 2 * detector.params.halo, rim_bytes(detector, images)
    return replace(detector, reader=detector.reader.holding(wanted, rim=rim, most=most))


def code_bytes(detector: Detector, images: Sequence[Image]) -> int:
    """Bytes of a pixel of all images as the cube has them."""
    bands = max((len(s.assets) for i in images for s in i.acquisition.scenes), default=1)
    return 2 * bands * len(images)


def rim_bytes(detector: Detector, images: Sequence[Image]) -> int:
    """Bytes of the rims that ``hold`` keeps: of a row of regions, and of those under way.

    At most `_RIM_SHARE` of the memory; with less than they need, chunks are read again.
    """
    width = max((w.x1 - w.x0 for i in images for w in i.windows), default=0)
    length = width + (detector.threads + 1) * REGION_CHUNKS * CHUNK
    needed = code_bytes(detector, images) * 2 * detector.params.halo * length
    return min(needed, int(detector.memory * _RIM_SHARE))


def read_block(
    detector: Detector, images: Sequence[Image], window: Window, *, codes: bool = False
) -> StackBlock:
    """Read the stack of a window; of one pass, a later slice fills the gaps of an earlier one.

    With ``codes`` power stays as the cube has it, two bytes a pixel: no copy in float is made.
    """
    shape = (len(images), *window.shape)
    names = ("vh", "vv") if detector.params.needs_vv else ("vh",)
    power = np.uint16 if codes else np.float32
    stacks: dict[str, Values] = {name: np.empty(shape, dtype=power) for name in names}
    near = [s for i in images for s, around, _ in _views(i) if not around.intersect(window).empty]
    if any("lia" in scene.assets for scene in near):
        stacks["lia"] = np.empty(shape, dtype=np.float32)
    for k, image in enumerate(images):
        _read_image(detector, image, window, {name: stack[k] for name, stack in stacks.items()})
    return StackBlock(
        vh=stacks["vh"],
        times=times_of([i.acquisition for i in images]),
        vv=stacks.get("vv"),
        lia_deg=stacks.get("lia"),
        orbit=baseline_orbits([i.acquisition for i in images]),
        looks_east=np.array([looks_east(i.acquisition) for i in images]),
        origin=(window.y0, window.x0),
    )


def read_vh(detector: Detector, image: Image, window: Window, out: Values) -> None:
    """Fill a window with the VH of one acquisition; what no scene shows is missing."""
    _read_image(detector, image, window, {"vh": out})


def _views(image: Image) -> Iterator[tuple[Scene, Window, BaseGeometry | None]]:
    return zip(image.acquisition.scenes, image.windows, image.usable, strict=True)


def _read_image(
    detector: Detector, image: Image, window: Window, out: Mapping[str, Values]
) -> None:
    """Fill the bands of one acquisition; what no scene shows is NaN, or code 0."""
    blank = True
    for scene, around, usable in _views(image):
        part = around.intersect(window)
        good = False if part.empty else _good_pixels(detector, scene, usable, part)
        if good is False:
            continue
        if image.dry and detector.rain is not None:
            day = image.acquisition.day
            good = good & ~detector.rain.falls(day, detector.grid[part.slices])
        if blank and part == window and (good is True or good.all()):
            # Most blocks of most images: all of it, and nothing to look for first.
            for name, values in out.items():
                if name == "vh" or name in scene.assets:
                    values[:] = _read(detector, scene, name, part, values.dtype)
                else:
                    values.fill(_missing(values.dtype))
            blank = False
            continue
        if blank:
            _clear(out)
            blank = False
        place = part.relative_to(window).slices
        vh = out["vh"][place]
        gaps = good & (vh == 0 if vh.dtype == np.uint16 else np.isnan(vh))
        for name in out if gaps.any() else ():
            if name == "vh" or name in scene.assets:
                values = _read(detector, scene, name, part, out[name].dtype)
                np.copyto(out[name][place], values, where=gaps)
    if blank:
        _clear(out)


def _read(detector: Detector, scene: Scene, name: str, part: Window, kind: np.dtype[Any]) -> Values:
    """One band of a scene as the cube's codes, or decoded."""
    read = detector.reader.read_codes if kind == np.uint16 else detector.reader.read
    return read(scene.relative_orbit, scene.scene_id, name, part)


def _missing(kind: np.dtype[Any]) -> float:
    return 0 if kind == np.uint16 else np.nan


def _clear(out: Mapping[str, Values]) -> None:
    for values in out.values():
        values.fill(_missing(values.dtype))


def _good_pixels(
    detector: Detector, scene: Scene, usable: BaseGeometry | None, part: Window
) -> npt.NDArray[np.bool_] | bool:
    """Which pixels of a window a scene may be used in; True: all, False: not one."""
    angles = "angle" in scene.assets
    good: npt.NDArray[np.bool_] | bool = within_angles(detector, scene, part) if angles else True
    if usable is None:
        return good
    affine = detector.grid.affine
    (west, north), (east, south) = affine * (part.x0, part.y0), affine * (part.x1, part.y1)
    outline = shapely.box(west, south, east, north)
    if not usable.intersects(outline):
        return False
    # Burning a polygon costs as much as detecting; most blocks lie within.
    return good if usable.covers(outline) else good & rasterise([usable], detector.grid, part)


def within_angles(detector: Detector, scene: Scene, window: Window) -> npt.NDArray[np.bool_]:
    """Where a scene's ellipsoid incidence angle, if it has one, lies within the limits."""
    if "angle" not in scene.assets:
        return np.ones(window.shape, dtype=bool)
    angle = detector.reader.read(scene.relative_orbit, scene.scene_id, "angle", window)
    return angle_mask(angle, detector.params.geometry)
