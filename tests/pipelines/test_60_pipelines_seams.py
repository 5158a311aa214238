"""Passes of three slices: each seam is judged by itself, and only where somebody looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from odc.geo.geobox import GeoBox
from watching import detector_on, scene_at

from curupira.blocks import Window
from curupira.cube.archive import Cube
from curupira.cube.reader import CubeReader
from curupira.grid import LONLAT, project
from curupira.pipelines.images import Detector, rasterise
from curupira.pipelines.masks import MONITORED
from curupira.pipelines.usable import usable_images
from curupira.records import Acquisition

CRS = "EPSG:32721"
IMAGES, ROWS, COLUMNS = 12, 1300, 200
WEST, NORTH = 500_000, 9_500_000
WHOLE = Window(0, ROWS, 0, COLUMNS)
#: Rows of the two seams, 22 km apart, and the image that is dark along the second.
SEAMS, NOISY = (100, 1200), 7


@pytest.fixture(scope="module")
def passes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Detector, list[Acquisition]]:
    """Images of which the outlines of no two are the same."""
    folder = tmp_path_factory.mktemp("passes")
    bounds = (WEST, NORTH - 20 * ROWS, WEST + 20 * COLUMNS, NORTH)
    cube = Cube.open(folder / "cube", GeoBox.from_bbox(bounds, crs=CRS, resolution=20), create=True)
    rng = np.random.default_rng(3)
    power = rng.gamma(9, 0.05 / 9, WHOLE.shape).astype(np.float32)
    known = []
    for n in range(IMAGES):
        image = np.roll(power, 31 * n, axis=0)
        if n == NOISY:
            image[SEAMS[1] - 15 : SEAMS[1] + 15] *= 0.05
        ends = (-3000, *SEAMS, ROWS + 3000)
        scenes = []
        for k in range(3):
            moment = datetime(2022, 1, 3, 9, 30, 25 * k, tzinfo=UTC) + timedelta(days=24 * n)
            part = Window(max(ends[k], 0), min(ends[k + 1], ROWS), 0, COLUMNS)
            with cube.scene_writer(83, f"image_{n}_{k}", moment) as writer:
                writer.write("vh", part, image[part.slices])
            place = outline(ends[k], ends[k + 1], shift_m=n)
            scenes.append(scene_at(f"image_{n}_{k}", moment, place, slice_number=k + 1))
        known.append(Acquisition(tuple(scenes)))
    zones = np.full(WHOLE.shape, MONITORED, dtype=np.uint8)
    return detector_on(cube, zones, folder, preset="curupira"), known


def outline(first: int, last: int, shift_m: float) -> Any:
    """Longitude and latitude of a slice from row to row, 60 km wide."""
    middle = WEST + 10 * COLUMNS + shift_m
    box = shapely.box(
        middle - 30_000, NORTH - 20 * last - shift_m, middle + 30_000, NORTH - 20 * first - shift_m
    )
    return project(shapely.segmentize(box, 2000), CRS, LONLAT)


def usable(detector: Detector, image: Any, window: Window = WHOLE) -> npt.NDArray[np.bool_]:
    parts = [rasterise([part], detector.grid, window) for part in image.usable]
    return np.logical_or.reduce(parts)


class Counting(CubeReader):
    """A reader that knows how often it was asked."""

    asked = 0

    def read_codes(self, *place: Any) -> Any:
        """As any reader."""
        self.asked += 1
        return super().read_codes(*place)


def test_one_of_two_seams_is_cut_in_one_image(passes: tuple[Detector, list[Acquisition]]) -> None:
    detector, known = passes
    rows = np.arange(ROWS)[:, np.newaxis]
    for n, image in enumerate(usable_images(known, detector)):
        found = usable(detector, image)
        if n != NOISY:
            assert found.all()
            continue
        assert not found[np.broadcast_to(abs(rows - SEAMS[1]) < 48, WHOLE.shape)].any()
        assert found[np.broadcast_to(abs(rows - SEAMS[1]) > 52, WHOLE.shape)].all()


def test_a_pixel_far_from_seams_costs_no_measuring_and_one_beside_is_the_same(
    passes: tuple[Detector, list[Acquisition]],
) -> None:
    detector, known = passes
    reader = Counting(detector.reader.path, detector.reader.snapshot)
    detector = replace(detector, reader=reader)
    whole = usable_images(known, detector)
    assert reader.asked
    for row, near in ((5, False), (SEAMS[0], True), (650, False), (SEAMS[1] + 40, True)):
        pixel, reader.asked = Window(row, row + 1, 90, 91), 0
        for one, same in zip(usable_images(known, detector, pixel), whole, strict=True):
            np.testing.assert_array_equal(
                usable(detector, one, pixel), usable(detector, same, pixel)
            )
        assert bool(reader.asked) is near
