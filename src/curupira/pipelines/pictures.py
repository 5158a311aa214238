"""What a report shows of images, masks and products: read block by block, reduced on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import xarray as xr
from rasterio.windows import Window as RasterWindow
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window
from curupira.detect.explain import explain
from curupira.detect.threshold import threshold_db
from curupira.pipelines.images import Detector, bounding_window, rasterise, select_images, track
from curupira.pipelines.masks import MONITORED
from curupira.pipelines.products import BANDS, NODATA, product_path
from curupira.pipelines.reading import read_block
from curupira.pipelines.seen import Seen
from curupira.pipelines.usable import usable_images
from curupira.records import Acquisition
from curupira.report import SarImage, ThresholdMap

FloatImage = npt.NDArray[np.float32]

#: A picture has no side longer than this, pixels.
PICTURE_PX = 800
#: Nor has the picture of one warning.
CHIP_PX = 160
#: Ground around a warning, and least side of its picture, pixels of the grid.
_CHIP_MARGIN, _CHIP_LEAST = 12, 48
#: Side of the blocks that pictures are read in, pixels of the grid.
_BLOCK_PX = 1024
#: Orbits that ended longer than this before the newest image do not fill its gaps.
_FRESH = timedelta(days=60)
#: Passes of one orbit that a chip is made of, where the newest do not cover it.
_CHIP_PASSES = 3
_ORDER = {name: n for n, (name, _) in enumerate(BANDS, start=1)}


@dataclass(frozen=True)
class Gallery:
    """Pictures of one workspace. ``known``: acquisitions in time order; ``folder``: products."""

    folder: Path
    detector: Detector
    known: Sequence[Acquisition]

    @property
    def whole(self) -> Window:
        """The whole grid."""
        return Window(0, self.detector.grid.shape.y, 0, self.detector.grid.shape.x)

    def composite(self, before: date | None = None) -> SarImage | None:
        """The newest image (before a day), gaps filled from other orbits; None without images.

        Orbits with many images go first, so that two composites show the same orbit at a place.
        """
        passes = [a for a in self.known if before is None or a.day < before]
        if not passes:
            return None
        often = Counter(track(a) for a in self.known)
        newest = {track(a): a for a in passes}
        fresh = [a for a in newest.values() if passes[-1].acquired - a.acquired <= _FRESH]
        order = sorted(fresh, key=lambda a: (-often[track(a)], track(a)))
        return self.image(order, self.whole, PICTURE_PX)

    def chip(
        self, geometry: BaseGeometry, orbit: int, first_flag: date, until: date | None = None
    ) -> list[SarImage]:
        """A warning (grid CRS) before its first flag and since, on its orbit; empty where unseen.

        ``until``: day of the second picture; None shows the newest.
        """
        box = bounding_window(geometry, self.detector.grid)
        side = max(*box.shape, _CHIP_LEAST - 2 * _CHIP_MARGIN) + 2 * _CHIP_MARGIN
        y, x = (box.y0 + box.y1) // 2, (box.x0 + box.x1) // 2
        window = Window(y - side // 2, y + side // 2, x - side // 2, x + side // 2)
        window = window.intersect(self.whole)
        passes = [a for a in reversed(self.known) if a.relative_orbit == orbit]
        pair = (
            self.image(group[:_CHIP_PASSES], window, CHIP_PX)
            for group in (
                [a for a in passes if a.day < first_flag],
                [a for a in passes if until is None or a.day <= until],
            )
        )
        found = [image for image in pair if image is not None]
        return found if len(found) == 2 else []

    def image(self, passes: Sequence[Acquisition], window: Window, most_px: int) -> SarImage | None:
        """Mean power of passes in a window, the earlier of the list first; None where all is NaN.

        Without VV, that is NaN throughout.
        """
        step = _step(window, most_px)
        used: set[date] = set()

        def mosaic(band: str) -> Callable[[Window], FloatImage]:
            def read(block: Window) -> FloatImage:
                values = np.full(block.shape, np.nan, dtype=np.float32)
                for a in passes:
                    for scene in a.scenes:
                        if band not in scene.assets or not np.isnan(values).any():
                            continue
                        more = self.detector.reader.read(
                            scene.relative_orbit, scene.scene_id, band, block
                        )
                        gaps = np.isnan(values) & ~np.isnan(more)
                        if gaps.any():
                            used.add(a.day)
                            values[gaps] = more[gaps]
                return values

            return read

        vh, vv = (reduced(mosaic(band), window, step) for band in ("vh", "vv"))
        if not used:
            return None
        days = sorted({min(used).isoformat(), max(used).isoformat()})
        return SarImage(vh, vv, self.detector.grid[window.slices].zoom_out(step), " to ".join(days))

    def threshold(self) -> ThresholdMap:
        """Mean drop that raises a flag, over the monitored pixels; NaN elsewhere."""
        masks, params = self.detector.masks, self.detector.params.threshold
        step = _step(self.whole, PICTURE_PX)

        def read(block: Window) -> FloatImage:
            drop = threshold_db(masks.read_distance(block), params)
            watched = masks.read_zones(block) == MONITORED
            return np.where(watched, drop, np.float32(np.nan))

        values = reduced(read, self.whole, step)
        return ThresholdMap(values, self.detector.grid.zoom_out(step))

    def unobserved_km2(self) -> float:
        """Monitored ground that the newest products of all orbits together do not show.

        What a product leaves out for it was warned of, rims and the backlog included, was observed.
        So, until it is seen again, is ground that the masks of that time left out and today's do
        not: a product's code is the same for both.
        """
        newest = {track(a): product_path(self.folder, a.acquisition_id) for a in self.known}
        paths = [path for path in newest.values() if path.is_file()]
        count = 0
        for block in _blocks(self.whole, 1):
            blind = self.detector.masks.read_zones(block) == MONITORED
            for path in paths:
                if blind.any():
                    blind &= self.read_product(path, "n_alerts", block) == NODATA
                    blind &= self.read_product(path, "seen", block) != Seen.MASKED
            count += int(blind.sum())
        return count * float(self.detector.grid.resolution.x) ** 2 / 1e6

    def read_product(self, path: Path, band: str, window: Window) -> npt.NDArray[np.int16]:
        """Codes of a product's band in a window of the grid; ``NODATA`` beyond the product."""
        codes = np.full(window.shape, NODATA, dtype=np.int16)
        box, r = self.detector.grid.boundingbox, float(self.detector.grid.resolution.x)
        with rasterio.open(path) as source:
            y = round((box.top - source.transform.f) / r)
            x = round((source.transform.c - box.left) / r)
            there = Window(y, y + source.height, x, x + source.width)
            common = window.intersect(there)
            if not common.empty:
                place = RasterWindow.from_slices(*common.relative_to(there).slices)
                codes[common.relative_to(window).slices] = source.read(_ORDER[band], window=place)
        return codes

    def strongest_pixel(self, acquisition: Acquisition, geometry: BaseGeometry) -> Window:
        """Flagged pixel of the largest excess within a geometry (grid CRS).

        A pixel within it where the acquisition's product is gone, or flags nothing there.
        """
        grid = self.detector.grid
        window = bounding_window(geometry, grid)
        path = product_path(self.folder, acquisition.acquisition_id)
        if path.is_file():
            flagged = self.read_product(path, "n_alerts", window) > 0
            flagged &= rasterise([geometry], grid, window)
            excess = self.read_product(path, "excess_db", window)
            if flagged.any():
                score = np.where(flagged, excess, np.iinfo(np.int16).min)
                y, x = (int(i) for i in np.unravel_index(np.argmax(score), score.shape))
                return _pixel(window.y0 + y, window.x0 + x)
        point = bounding_window(geometry.representative_point(), grid)
        return _pixel(point.y0, point.x0)

    def series(self, acquisition: Acquisition, pixel: Window) -> xr.Dataset:
        """A pixel explained as the acquisition saw it, from the images that its detection used.

        What ``[rain]`` left out of them is shown all the same.

        Raises
        ------
        InputError
            If the pixel was never observed.
        """
        detector = self.detector
        _, images = select_images(acquisition, self.known, detector.params)
        stack = read_block(detector, usable_images(images, detector, pixel), pixel)
        distance = detector.masks.read_distance(pixel)
        pixels = xr.DataArray(
            stack.vh,
            dims=("time", "y", "x"),
            coords={"time": stack.times, "relative_orbit": ("time", stack.orbit)},
        )
        return explain(
            pixels,
            acquisition.day,
            detector.preset,
            distance_m=None if distance is None else float(distance[0, 0]),
        )


def reduced(read: Callable[[Window], FloatImage], window: Window, step: int) -> FloatImage:
    """Mean of every ``step`` x ``step`` pixels of what ``read`` gives; NaN are left out.

    The window is read in blocks; its last row and column may hold the mean of fewer pixels.
    """
    rows, columns = (-(-side // step) for side in window.shape)
    out = np.full((rows, columns), np.nan, dtype=np.float32)
    for block in _blocks(window, step):
        values = read(block)
        height, width = (-(-side // step) for side in block.shape)
        padded = np.full((height * step, width * step), np.nan, dtype=np.float32)
        padded[: values.shape[0], : values.shape[1]] = values
        cells = padded.reshape(height, step, width, step)
        count = np.isfinite(cells).sum(axis=(1, 3))
        total = np.nansum(cells, axis=(1, 3), dtype=np.float64)
        y, x = (block.y0 - window.y0) // step, (block.x0 - window.x0) // step
        target = out[y : y + height, x : x + width]
        np.divide(total, count, out=target, where=count > 0, casting="unsafe")
    return out


def _blocks(window: Window, step: int) -> Iterator[Window]:
    # From the window's own corner, so that no cell of a reduced picture is cut.
    side = max(1, _BLOCK_PX // step) * step
    for y in range(window.y0, window.y1, side):
        for x in range(window.x0, window.x1, side):
            yield Window(y, y + side, x, x + side).intersect(window)


def _step(window: Window, most_px: int) -> int:
    return max(1, -(-max(window.shape) // most_px))


def _pixel(y: int, x: int) -> Window:
    return Window(y, y + 1, x, x + 1)
