"""The districts benchmark sees the pixels that the cube would hold of the files."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from benchmark_scripts import benchmark

from curupira.blocks import Window
from curupira.config import Workspace
from curupira.cube.codec import decode, encode
from curupira.pipelines import workspace
from curupira.simulate.district import simulate_district
from curupira.sources.catalogue import read_catalogue
from curupira.sources.raster import read_band

ASKED = {"size_km": 2.0, "revisit_days": 24, "seed": 5, "scenario": "default"}


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return benchmark("districts")


def test_images_in_memory_are_those_of_the_files(bench: ModuleType, tmp_path: Path) -> None:
    workspace.simulate(tmp_path / "w", **ASKED, years=2.6, preset="deter_r")
    opened = Workspace.open(tmp_path / "w")
    scenes, images = bench.render(simulate_district(**ASKED, years=2.6))
    assets = {"vh": "vh", "vv": "vv", "lia": "lia"}
    written = read_catalogue(
        opened.path(opened.monitor.source.catalogue), assets, on_bad=lambda *_: None
    )
    assert [s.scene_id for s in scenes] == [s.scene_id for s in written]
    whole = Window(0, opened.grid.shape.y, 0, opened.grid.shape.x)
    for scene in written[::12]:
        for band in ("vh", "vv"):
            read = read_band(scene, band, opened.grid, whole, opened.monitor.source)
            held = images.read(scene.relative_orbit, scene.scene_id, band, whole)
            # Where the mean of four pixels lies between two steps, either may be taken.
            steps = 10 * np.log10(held / decode(encode(read))) / 0.01
            assert np.abs(steps).max() < 1.01
            assert (np.abs(steps) > 0.5).mean() < 1e-3
