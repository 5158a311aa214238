"""Patches around labelled points. Pure: scenes are read through a function they carry."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window
from curupira.errors import InputError
from curupira.grid import LONLAT
from curupira.mining.params import BandParams, PatchParams
from curupira.mining.scene import FloatArray, RadarScene, check_grid, missing_share, read_bands

#: Points nearer than this are one point.
_SAME_M = 1.0


@dataclass(frozen=True)
class Patch:
    """Bands ``(band, y, x)`` around a point, NaN missing, and where they lie."""

    point: int
    label: int
    scene: str
    bands: FloatArray
    grid: GeoBox


@dataclass
class Dropped:
    """How many patches were not made, by reason."""

    outside: int = 0
    edge: int = 0
    missing: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.outside + self.edge + self.missing

    @property
    def remedy(self) -> str:
        """What helps against the most frequent reason."""
        if self.missing >= max(self.outside, self.edge):
            return "take images that have data around the points"
        if self.edge > self.outside:
            return "set points farther from the edges of the scenes, or take wider scenes"
        return "check the points' CRS and the scenes"


def read_points(
    layer: gpd.GeoDataFrame, *, where: str, area: BaseGeometry | None = None
) -> gpd.GeoDataFrame:
    """Labelled points in lon/lat: ``point`` (number from 0), ``label`` (1 mine, 0 not), geometry.

    Parameters
    ----------
    layer
        Points or multipoints with a column ``label`` of 0 and 1, in any CRS. Points at one place
        count once.
    where
        The file, for messages.
    area
        Lon/lat; points outside it are left out.

    Raises
    ------
    InputError
        If a label is missing or no 0 or 1, a geometry is no point, one place has both labels, or
        one of the two classes is empty.
    """
    names = {str(name).lower(): name for name in layer.columns}
    if "label" not in names:
        raise InputError(
            "the points have no column label",
            where=where,
            remedy="add it: 1 for mines, 0 for other land",
        )
    frame = gpd.GeoDataFrame(
        {"label": _labels(layer[names["label"]], where)},
        geometry=layer.geometry.to_numpy(),
        crs=layer.crs,
    )
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)].explode(ignore_index=True)
    strange = sorted(set(frame.geom_type) - {"Point"})
    if strange:
        raise InputError(
            f"a geometry is a {strange[0]}, not a point",
            where=where,
            remedy="take centroids (QGIS: Vector > Geometry Tools > Centroids)",
        )
    frame = frame.to_crs(LONLAT)
    if not np.isfinite(frame.get_coordinates().to_numpy()).all():
        raise InputError(
            "a point cannot be placed on the globe", where=where, remedy="mend its CRS"
        )
    if area is not None:
        frame = frame[frame.intersects(area)]
    frame = _unique(frame, where)
    classes = set(frame["label"])
    if classes != {0, 1}:
        raise InputError(
            "there is no point in it"
            if not classes
            else f"every point has label {classes.pop()}: two classes are needed",
            where=where,
            remedy="give points with label 1 (mines) and with label 0 (other land)",
        )
    frame.insert(0, "point", np.arange(len(frame)))
    return frame


def _labels(column: pd.Series, where: str) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    bad = column[~numbers.isin([0, 1])]
    if len(bad):
        first = "nothing" if pd.isna(bad.iloc[0]) else f"{bad.iloc[0]}"
        raise InputError(
            f"{len(bad)} of {len(column)} points have no label 0 or 1 (the first: {first})",
            where=where,
            remedy="label every point: 1 for mines, 0 for other land",
        )
    return numbers.astype(int)


def _unique(frame: gpd.GeoDataFrame, where: str) -> gpd.GeoDataFrame:
    step = _SAME_M / 111_320
    keys = np.round(frame.get_coordinates().to_numpy() / step).astype(np.int64)
    place = pd.Series([f"{x} {y}" for x, y in keys], index=frame.index)
    if (frame.groupby(place)["label"].nunique() > 1).any():
        raise InputError(
            "one place is labelled both 0 and 1", where=where, remedy="delete one of the two points"
        )
    return frame[~place.duplicated()].reset_index(drop=True)


def patch_window(
    x: float, y: float, grid: GeoBox, size_px: int, shift: tuple[int, int] = (0, 0)
) -> Window:
    """Window of ``size_px`` pixels whose centre is nearest to a point of the grid's CRS.

    ``shift`` moves it by so many rows and columns.
    """
    column, row = ~grid.affine * (x, y)
    top, left = round(row - size_px / 2) + shift[0], round(column - size_px / 2) + shift[1]
    return Window(top, top + size_px, left, left + size_px)


def shift_of(scene: str, point: int, farthest: int) -> tuple[int, int]:
    """Rows and columns, ``farthest`` at most either way, as one draws them: always the same."""
    rng = np.random.default_rng([zlib.crc32(scene.encode()), point])
    rows, columns = rng.integers(-farthest, farthest, size=2, endpoint=True).tolist()
    return rows, columns


def extract(
    scene: RadarScene,
    points: gpd.GeoDataFrame,
    bands: BandParams,
    params: PatchParams,
    dropped: Dropped,
) -> Iterator[Patch]:
    """Cut one patch a point out of a scene, point by point.

    Parameters
    ----------
    scene
        In metres, with pixels of ``params.pixel_m``.
    points
        As ``read_points`` returns them.
    bands, params
        What a patch is.
    dropped
        Counts the points outside the scene, too near its edge, or with too many missing pixels.

    Raises
    ------
    InputError
        If the scene's grid does not suit.
    """
    check_grid(scene.grid, params.pixel_m, where=scene.name)
    placed = points.to_crs(str(scene.grid.crs))
    left, bottom, right, top = scene.grid.extent.boundingbox
    whole = scene.window
    rows = zip(placed["point"], placed["label"], placed.geometry, strict=True)
    for number, label, where in rows:
        if not (left <= where.x <= right and bottom <= where.y <= top):
            dropped.outside += 1
            continue
        shift = shift_of(scene.name, int(number), params.shift_px)
        window = patch_window(where.x, where.y, scene.grid, params.size_px, shift)
        if window.intersect(whole) != window:
            dropped.edge += 1
            continue
        image = read_bands(scene, window, bands)
        if missing_share(image) > params.missing_share:
            dropped.missing += 1
            continue
        yield Patch(int(number), int(label), scene.name, image, scene.grid[window.slices])
