"""What an acquisition saw of the ground, whatever the tiles that it was worked on in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox
from watching import detector_on, scene_at

from curupira.blocks import Window, executor
from curupira.cube.archive import Cube
from curupira.detect.exceedance import NO_FLAG
from curupira.detect.layers import Layers
from curupira.grid import LONLAT, project
from curupira.pipelines.images import Detector
from curupira.pipelines.masks import MASKED, MONITORED
from curupira.pipelines.seen import Seen, SeenLayers
from curupira.pipelines.warn import detect_acquisition
from curupira.records import Acquisition
from curupira.units import flag_days

CRS = "EPSG:32721"
IMAGES, ROWS, COLUMNS = 14, 64, 256
WHOLE = Window(0, ROWS, 0, COLUMNS)
#: The last image ends here, and then what is watched.
SEEN, WATCHED = 60, 100


def test_days_since_are_of_watched_ground_and_know_no_tiles(tmp_path: Path) -> None:
    bounds = (500_000, 9_500_000 - 20 * ROWS, 500_000 + 20 * COLUMNS, 9_500_000)
    grid = GeoBox.from_bbox(bounds, crs=CRS, resolution=20)
    cube = Cube.open(tmp_path / "cube", grid, create=True)
    outline = project(grid.extent.geom, CRS, LONLAT)
    known = []
    for n in range(IMAGES):
        moment = datetime(2022, 1, 3, 9, 30, tzinfo=UTC) + timedelta(days=24 * n)
        power = np.full(WHOLE.shape, 0.04, dtype=np.float32)
        power[:, SEEN if n == IMAGES - 1 else COLUMNS :] = np.nan
        with cube.scene_writer(83, f"image_{n}", moment) as writer:
            writer.write("vh", WHOLE, power)
        known.append(Acquisition((scene_at(f"image_{n}", moment, outline),)))
    zones = np.full((ROWS, COLUMNS), MONITORED, dtype=np.uint8)
    zones[:, WATCHED:] = MASKED
    detector = detector_on(cube, zones, tmp_path)

    whole, tiled = (last_days(replace(detector, tile_px=side), known) for side in (512, 64))
    np.testing.assert_array_equal(tiled, whole)
    expected = np.full(WHOLE.shape, NO_FLAG)
    expected[:, :WATCHED] = flag_days(known[-2].day)
    expected[:, :SEEN] = flag_days(known[-1].day)
    np.testing.assert_array_equal(whole, expected)


def last_days(detector: Detector, known: list[Acquisition]) -> np.ndarray:
    """Day of the newest image of every pixel, as the last acquisition's product has it."""
    days = np.zeros(WHOLE.shape, dtype=np.int32)

    def on_block(window: Window, _: Layers, seen: SeenLayers) -> None:
        days[window.slices] = seen.last_days
        assert ((seen.code == Seen.MASKED) <= (seen.last_days == NO_FLAG)).all()

    with executor(workers=1) as run:
        detect_acquisition(detector, known[-1], known, [], run, on_block)
    return days
