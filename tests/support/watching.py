"""Detection on a cube of one's own: its scenes, and a detector without a workspace."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from curupira import presets
from curupira.codes import OrbitState
from curupira.cog import write_cog
from curupira.cube.archive import Cube
from curupira.pipelines.images import Detector
from curupira.pipelines.masks import ZONES, MaskSet
from curupira.records import Asset, Scene

ORBIT = 83


def scene_at(name: str, moment: datetime, footprint: BaseGeometry, **more: Any) -> Scene:
    """A scene that was put into the cube by hand."""
    return Scene(
        scene_id=name,
        platform="sentinel-1a",
        acquired=moment,
        created=moment,
        relative_orbit=ORBIT,
        orbit_state=OrbitState.DESCENDING,
        footprint=footprint,
        assets={"vh": Asset("nowhere.tif")},
        **more,
    )


def detector_on(
    cube: Cube,
    zones: npt.NDArray[np.uint8],
    folder: Path,
    *,
    preset: str = "deter_r",
    tile_px: int = 512,
    memory: int = 500_000_000,
) -> Detector:
    """A detector of one thread on a cube, where ``zones (y, x)`` say what is monitored."""
    grid: GeoBox = cube.grid
    write_cog(folder / ZONES, zones[np.newaxis], grid, nodata=None)
    return Detector(
        grid=grid,
        preset=presets.load(preset),
        reader=cube.reader(),
        masks=MaskSet(folder, {"has_distance": False}),
        config_hash="",
        tile_px=tile_px,
        memory=memory,
        threads=1,
    )
