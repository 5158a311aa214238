"""A small simulated landscape: forest with square mines, as two-band GeoTIFFs in dB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry import Point, box

from curupira.cog import write_cog

CRS = "EPSG:32721"
LEFT, TOP = 500_000.0, 9_300_000.0
#: Row and column of the middle of each mine; a mine is 60 pixels a side.
MINES = [(130, 130), (130, 420), (130, 710), (430, 130), (430, 700), (720, 420), (720, 130)]
OTHERS = [(280, 280), (280, 560), (580, 280), (580, 560), (720, 720), (280, 780), (860, 280)]
SIZE, MINE = 900, 60
LOOKS = 4.4


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@dataclass(frozen=True)
class Land:
    """Files of one landscape."""

    folder: Path
    scenes: list[Path]
    points: Path
    mines: Path
    grid: GeoBox = field(repr=False)


def grid_of(rows: int, columns: int, *, pixel: float = 10.0, crs: str = CRS) -> GeoBox:
    affine = Affine.translation(LEFT, TOP) @ Affine.scale(pixel, -pixel)
    return GeoBox((rows, columns), affine, crs)


def radar(seed: int, *, looks: float = LOOKS) -> np.ndarray:
    """VV and VH in dB (2, y, x): forest at -6.5 and -13 dB, mines at -12 and -20 dB."""
    rng = np.random.default_rng(seed)
    level = np.empty((2, SIZE, SIZE))
    level[0], level[1] = -6.5, -13.0
    for row, column in MINES:
        half = MINE // 2
        place = np.s_[row - half : row + half, column - half : column + half]
        level[0][place], level[1][place] = -12.0, -20.0
    speckle = rng.gamma(looks, 1 / looks, level.shape)
    return (level + 10 * np.log10(speckle)).astype(np.float32)


def ground(row: float, column: float) -> Point:
    return Point(LEFT + 10 * column, TOP - 10 * row)


@pytest.fixture(scope="session")
def write_scene() -> Callable[..., Path]:
    def write(path: Path, bands: np.ndarray, grid: GeoBox, names=("VV", "VH")) -> Path:
        write_cog(path, bands, grid, nodata=float("nan"), descriptions=names)
        return path

    return write


@pytest.fixture(scope="session")
def land(tmp_path_factory: pytest.TempPathFactory, write_scene: Callable[..., Path]) -> Land:
    folder = tmp_path_factory.mktemp("land")
    grid = grid_of(SIZE, SIZE)
    days = ("20230123", "20230616")
    scenes = [
        write_scene(folder / f"s1_{day}.tif", radar(seed), grid) for seed, day in enumerate(days)
    ]
    points = gpd.GeoDataFrame(
        {"label": [1] * len(MINES) + [0] * len(OTHERS)},
        geometry=[ground(*place) for place in MINES + OTHERS],
        crs=CRS,
    )
    points.to_crs("EPSG:4674").to_file(folder / "points.gpkg")
    half = 10 * MINE / 2
    mines = [ground(*place) for place in MINES]
    outlines = [box(p.x - half, p.y - half, p.x + half, p.y + half) for p in mines]
    gpd.GeoDataFrame(geometry=outlines, crs=CRS).to_crs("EPSG:4326").to_file(
        folder / "mines.geojson"
    )
    return Land(folder, scenes, folder / "points.gpkg", folder / "mines.geojson", grid)


@pytest.fixture(scope="session")
def dates(tmp_path_factory: pytest.TempPathFactory, write_scene: Callable[..., Path]) -> list[Path]:
    """Three dates of the landscape, the last one first."""
    folder = tmp_path_factory.mktemp("dates")
    days = ("20230803", "20230123", "20230616")
    return [
        write_scene(folder / f"s1_{day}.tif", radar(10 + n), grid_of(SIZE, SIZE))
        for n, day in enumerate(days)
    ]
