"""The simulator's cause rasters: what lay under a warning on its flagged days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from affine import Affine
from shapely.geometry.base import BaseGeometry

#: A cause holds if its raster covers this share of the warning.
COVERED = 0.5
#: At most so many points stand for a warning's area.
_POINTS = 2500
_PITCH_M = 20.0
#: Covers of the land that explain a false warning.
COVER_CAUSES = {
    "flooded_forest": "flood",
    "pond": "flood",
    "river": "flood",
    "sandbar": "flood",
    "stream": "flood",
    "savanna": "season",
    "pasture": "season",
    "secondary": "season",
    "road": "season",
}
#: ``CAUSE_SCENE.tif``: the scene's name holds its acquisition time.
_NAME = re.compile(r"^(rain|wet|border)_.*?(\d{8})T\d{6}")


@dataclass(frozen=True)
class _Raster:
    values: npt.NDArray[np.integer]
    inverse: Affine

    @classmethod
    def read(cls, path: Path) -> _Raster:
        with rasterio.open(path) as source:
            return cls(source.read(1), ~source.transform)

    def at(self, xy: npt.NDArray[np.float64]) -> npt.NDArray[np.integer]:
        """Values at points ``(n, 2)`` of the raster's system; points outside are left out."""
        a, b, c0, d, e, f, *_ = self.inverse
        columns, rows = (a * xy[:, 0] + b * xy[:, 1] + c0, d * xy[:, 0] + e * xy[:, 1] + f)
        r, c = np.floor(rows).astype(int), np.floor(columns).astype(int)
        inside = (r >= 0) & (c >= 0) & (r < self.values.shape[0]) & (c < self.values.shape[1])
        return np.asarray(self.values[r[inside], c[inside]])


@dataclass(frozen=True)
class CauseRasters:
    """The folder ``truth/`` of a simulated workspace; may be missing or hold only some causes."""

    folder: Path

    @cached_property
    def _dated(self) -> dict[tuple[str, date], list[Path]]:
        found: dict[tuple[str, date], list[Path]] = {}
        for path in sorted(self.folder.glob("*.tif")):
            named = _NAME.match(path.name)
            if named:
                day = date.fromisoformat(named[2])
                found.setdefault((named[1], day), []).append(path)
        return found

    @cached_property
    def _cover(self) -> tuple[_Raster, dict[int, str]] | None:
        path = self.folder / "cover.tif"
        if not path.is_file():
            return None
        with rasterio.open(path) as source:
            text = source.tags().get("classes", "")
        pairs = (pair.split("=") for pair in text.split(",") if "=" in pair)
        return _Raster.read(path), {int(code): name for code, name in pairs}

    def cause(self, geometry: BaseGeometry, first: date, last: date) -> str | None:
        """Cause of a false warning flagged between two days, or None if no raster explains it.

        Geometry in the rasters' system. Weather first: it is bound to the day.
        """
        xy = _points(geometry)
        for (cause, day), paths in self._dated.items():
            if first <= day <= last and any(self._covers(path, xy) for path in paths):
                return cause
        if self._cover is None:
            return None
        raster, names = self._cover
        under = raster.at(xy)
        for code, name in names.items():
            if name in COVER_CAUSES and under.size and (under == code).mean() >= COVERED:
                return COVER_CAUSES[name]
        return None

    def _covers(self, path: Path, xy: npt.NDArray[np.float64]) -> bool:
        under = self._mask(path).at(xy)
        return bool(under.size and (under != 0).mean() >= COVERED)

    @cached_property
    def _masks(self) -> dict[Path, _Raster]:
        return {}

    def _mask(self, path: Path) -> _Raster:
        return self._masks.setdefault(path, _Raster.read(path))


def _points(geometry: BaseGeometry) -> npt.NDArray[np.float64]:
    """Points on a lattice within a shape; at least one."""
    west, south, east, north = geometry.bounds
    pitch = max(_PITCH_M, ((east - west) * (north - south) / _POINTS) ** 0.5)
    x, y = np.meshgrid(
        np.arange(west + pitch / 2, east, pitch), np.arange(south + pitch / 2, north, pitch)
    )
    inside = shapely.contains_xy(geometry, x.ravel(), y.ravel())
    xy = np.column_stack([x.ravel()[inside], y.ravel()[inside]])
    if len(xy):
        return xy
    point = geometry.representative_point()
    return np.array([[point.x, point.y]])
