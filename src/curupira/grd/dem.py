"""Heights on the target grid: DEM files reprojected, and from the geoid to the ellipsoid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyproj
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader

from curupira.errors import InputError
from curupira.grd.lattice import expanded, groups, opened, resampled
from curupira.grd.tie import to_lonlat

Float32 = npt.NDArray[np.float32]
OnGap = Literal["fill", "refuse"]

#: EGM96 at 15 minutes, whose heights SRTM and many others have.
EGM96: Final = Path(__file__).parents[1] / "data" / "geoid" / "egm96_15.tif"
#: PROJ's grid of EGM2008, used where it is installed (projsync --file us_nga_egm08_25.tif).
_EGM2008_GRID: Final = "us_nga_egm08_25.tif"
#: No ground of the Earth lies outside.
_HEIGHTS_M: Final = (-1000.0, 9500.0)
_SUFFIXES: Final = (".tif", ".tiff", ".vrt", ".hgt", ".dt2", ".dt1", ".bil")


@dataclass(frozen=True)
class Dem:
    """A height model in one or several files.

    Parameters
    ----------
    files
        Rasters of one band in metres; where they overlap the first one counts.
    geoid
        Raster of the geoid's height above the ellipsoid (m), or None where the files' heights are
        above the ellipsoid.
    on_gap
        What a place without a height does: ``fill`` takes the geoid (sea level) and flags it,
        ``refuse`` is an error (``refuse_gap``).
    """

    files: tuple[str, ...]
    geoid: Path | None
    on_gap: OnGap = "fill"

    @property
    def geoid_name(self) -> str:
        """For the record."""
        return "none: heights above the ellipsoid" if self.geoid is None else self.geoid.name


def open_dem(path: str | Path, *, geoid: str = "auto", on_gap: OnGap = "fill") -> Dem:
    """Find a DEM's files and the surface its heights are above.

    Parameters
    ----------
    path
        A raster (also an address that GDAL reads), or a folder of them.
    geoid
        ``auto``: none if the files say that their heights are ellipsoidal, else EGM2008 if they say
        so and PROJ has its grid, else EGM96; ``egm96``; ``none``; or the path of a raster.
    on_gap
        See ``Dem``.

    Raises
    ------
    InputError
        If there is nothing, or it is no raster of heights with a coordinate reference system.
    """
    files = tuple(_find(path))
    for name in files:
        with opened(name) as source:
            _check(source, name)
    return Dem(files, _geoid(files[0], geoid), on_gap)


def read_heights(dem: Dem, box: GeoBox) -> tuple[Float32, npt.NDArray[np.bool_]]:
    """Heights above the ellipsoid on a grid.

    Parameters
    ----------
    dem
        Its files are resampled by cubic convolution where they are coarser than the grid (slopes
        stay smooth), bilinearly where they are about as fine, and averaged where they are finer.
    box
        The grid; any coordinate reference system.

    Returns
    -------
    height_m, gap
        ``(y, x)`` float32 metres without NaN (the geoid in gaps), and where no file had a height.

    Raises
    ------
    InputError
        If there are heights that no ground has.
    """
    height = np.full(box.shape, np.nan, dtype=np.float32)
    known = False
    for group in groups(dem.files, box):
        part = resampled(group, box)
        height = np.where(np.isnan(height), part, height) if known else part
        known = True
        if not np.isnan(height).any():
            break
    gap = np.isnan(height)
    low, high = float(np.nanmin(height, initial=0)), float(np.nanmax(height, initial=0))
    if not (_HEIGHTS_M[0] < low and high < _HEIGHTS_M[1]):
        raise InputError(
            f"heights of {low:.0f} to {high:.0f} m",
            where=dem.files[0],
            remedy="give heights in metres, and declare the value that means missing",
        )
    if gap.any():
        height[gap] = 0
    if dem.geoid is not None:
        height += geoid_height(dem.geoid, box)
    return height, gap


def refuse_gap(dem: Dem, gap: npt.NDArray[np.bool_]) -> None:
    """Refuse a grid with places without a height.

    Raises
    ------
    InputError
        If there is one.
    """
    if gap.any():
        raise InputError(
            f"{100 * gap.mean():.1f} % of a part of the target grid has no height",
            where=dem.files[0],
            remedy="give a DEM that covers the scene, or fill gaps with sea level "
            "(they are flagged in the mask)",
        )


def geoid_height(path: Path, box: GeoBox) -> Float32:
    """Height (m) of a geoid above the ellipsoid on a grid, bilinear; ``(y, x)`` float32.

    Raises
    ------
    InputError
        If the raster does not cover the grid.
    """
    values, (left, top, step_x, step_y) = _geoid_raster(str(path))
    # The geoid is smooth: every 16th pixel is exact enough, the rest is bilinear between.
    rows, columns = box.shape
    y = np.linspace(0, rows - 1, max(2, -(-rows // 16) + 1))
    x = np.linspace(0, columns - 1, max(2, -(-columns // 16) + 1))
    longitude, latitude = to_lonlat(box, *np.meshgrid(x, y))
    column = (longitude - left) / step_x - 0.5
    row = (latitude - top) / step_y - 0.5
    coarse = _bilinear(values, row, column)
    if not np.isfinite(coarse).all():
        raise InputError(
            "the geoid does not cover the target grid", where=path, remedy="give a larger one"
        )
    return expanded(coarse.astype(np.float32), (rows, columns))


def _bilinear(values: npt.NDArray[Any], row: Any, column: Any) -> npt.NDArray[np.float64]:
    rows, columns = values.shape
    inside = (row >= -1e-6) & (row <= rows - 1 + 1e-6)
    inside &= (column >= -1e-6) & (column <= columns - 1 + 1e-6)
    row, column = np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)
    i = np.minimum(row.astype(int), max(rows - 2, 0))
    j = np.minimum(column.astype(int), max(columns - 2, 0))
    k, n = np.minimum(i + 1, rows - 1), np.minimum(j + 1, columns - 1)
    v, u = row - i, column - j
    upper = values[i, j] * (1 - u) + values[i, n] * u
    lower = values[k, j] * (1 - u) + values[k, n] * u
    return np.where(inside, upper * (1 - v) + lower * v, np.nan)


@lru_cache(maxsize=2)
def _geoid_raster(
    path: str,
) -> tuple[npt.NDArray[np.float32], tuple[float, float, float, float]]:
    with opened(path) as source:
        _check(source, path)
        if not source.crs.is_geographic:
            raise InputError("a geoid is in longitude and latitude", where=path)
        values = source.read(1, masked=True).astype(np.float32).filled(np.nan)
        values = values * source.scales[0] + source.offsets[0]
        t = source.transform
    return np.asarray(values, dtype=np.float32), (t.c, t.f, t.a, t.e)


def _geoid(first: str, wanted: str) -> Path | None:
    if wanted == "none":
        return None
    if wanted == "egm96":
        return EGM96
    if wanted != "auto":
        _geoid_raster(wanted)
        return Path(wanted)
    with opened(first) as source:
        crs = pyproj.CRS.from_user_input(source.crs.to_wkt())
    if len(crs.axis_info) == 3 and not crs.is_compound:
        return None
    vertical = next((c.name for c in crs.sub_crs_list if c.is_vertical), "")
    if "EGM2008" in vertical:
        for folder in _proj_folders():
            if (Path(folder) / _EGM2008_GRID).exists():
                return Path(folder) / _EGM2008_GRID
    return None if "ellips" in vertical.lower() else EGM96


def _proj_folders() -> tuple[str, str]:
    from pyproj import datadir

    user: str = datadir.get_user_data_dir()  # type: ignore[attr-defined]
    return datadir.get_data_dir(), user


def _find(path: str | Path) -> Sequence[str]:
    folder = Path(path)
    if not folder.is_dir():
        return [str(path)]
    files = sorted(str(p) for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not files:
        raise InputError("no height model in the folder", where=path, remedy="give GeoTIFFs")
    return files


def _check(source: DatasetReader, name: str) -> None:
    if source.crs is None:
        raise InputError(
            "the height model has no coordinate reference system",
            where=name,
            remedy="assign it, for example with gdal_edit -a_srs",
        )
    if source.count != 1:
        raise InputError(f"a height model has one band, not {source.count}", where=name)
