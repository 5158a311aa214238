"""Whether a scene can be used: complete files, in place, holding what ``[source]`` declares."""

from __future__ import annotations

import math

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.windows import Window as FileWindow
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window
from curupira.errors import InputError
from curupira.grid import LONLAT, project
from curupira.records import Scene
from curupira.sources.files import check_complete, open_raster, raster_grid
from curupira.sources.profiles import SourceParams
from curupira.sources.resample import FloatImage, check_band_number, file_window, read_values
from curupira.sources.values import ANGLES, linear_power

#: Medians of gamma0 and sigma0 that land and water can have (linear power): -40 to 10 dB.
LINEAR_MEDIAN = (1e-4, 10.0)
DB_MEDIAN = (-40.0, 10.0)
#: A local incidence angle in radians is below this; in degrees, no image is.
_RADIANS = 2.0
#: Pixels along a side of the sample that the value range is judged by.
_SAMPLE = 512
_ROWS = 1024


def check_scene(scene: Scene, grid: GeoBox, params: SourceParams) -> Window:
    """Check every image of a scene before anything is kept of it.

    Parameters
    ----------
    scene, grid, params
        What to check, the monitoring grid, and what the images are declared to hold.

    Returns
    -------
    Window
        Smallest window of the grid that holds the scene's images.

    Raises
    ------
    InputError
        Naming file and remedy: a needed polarisation or angle is absent; a file is missing, a web
        page, truncated or damaged; there is no or a wrong coordinate system; the image lies
        outside the area; it holds no valid pixel there; its bands differ in shape; its values are
        dB declared linear, linear declared dB, digital numbers, or radians.
    SourceError
        If a remote file cannot be opened.
    """
    for band in params.required:
        if band not in scene.assets:
            raise InputError(
                f"has no {band.upper()} image",
                where=scene.scene_id,
                remedy=f"correct [source] asset_{band} or polarisations, or leave the scene out",
            )
    window: Window | None = None
    first: tuple[str, GeoBox] | None = None
    for band in sorted(scene.assets):
        asset = scene.assets[band]
        with open_raster(asset.href) as dataset:
            check_band_number(dataset, asset.band)
            check_complete(dataset, asset.band)
            place = raster_grid(dataset)
            covered = _covered(dataset, place, grid, scene.footprint)
            if band not in ANGLES:
                first = _same_shape(first, dataset.name, place)
            _check_values(_sample(dataset, asset.band, grid, band, params), dataset, band, params)
            if band not in ANGLES:
                window = covered
    if window is None:
        raise InputError("has no image", where=scene.scene_id, remedy="see [source] asset_*")
    return window


def _same_shape(first: tuple[str, GeoBox] | None, name: str, place: GeoBox) -> tuple[str, GeoBox]:
    if first is None:
        return name, place
    if first[1] != place:
        raise InputError(
            f"{tuple(place.shape)} pixels at {_corner(place)}, but {first[0]} of the same scene "
            f"has {tuple(first[1].shape)} at {_corner(first[1])}",
            where=name,
            remedy="fetch both polarisations again",
        )
    return first


def _corner(place: GeoBox) -> str:
    return f"({place.affine.c:g}, {place.affine.f:g}) in {place.crs}"


def outline(place: GeoBox, target: str) -> BaseGeometry:
    """Outline of a raster in another system, with points along its edges, which may bend."""
    height, width = place.shape
    affine = place.affine
    ring = shapely.segmentize(box(0, 0, width, height), max(height, width) / 20)
    native = shapely.transform(
        ring,
        lambda p: np.column_stack(
            [
                affine.a * p[:, 0] + affine.b * p[:, 1] + affine.c,
                affine.d * p[:, 0] + affine.e * p[:, 1] + affine.f,
            ]
        ),
    )
    return project(native, str(place.crs), target)


def _covered(
    dataset: DatasetReader, place: GeoBox, grid: GeoBox, footprint: BaseGeometry
) -> Window:
    lonlat = outline(place, LONLAT)
    if not np.isfinite(lonlat.bounds).all() or not lonlat.intersects(footprint):
        raise InputError(
            f"lies at {_degrees(lonlat)}, the catalogue says {_degrees(footprint)}: "
            f"its coordinate system {place.crs} is wrong",
            where=dataset.name,
            remedy="fetch the file again, or correct its system",
        )
    west, south, east, north = outline(place, str(grid.crs)).bounds
    affine = grid.affine
    window = Window(
        math.floor((north - affine.f) / affine.e + 1e-6),
        math.ceil((south - affine.f) / affine.e - 1e-6),
        math.floor((west - affine.c) / affine.a + 1e-6),
        math.ceil((east - affine.c) / affine.a - 1e-6),
    ).intersect(Window(0, grid.shape[0], 0, grid.shape[1]))
    if window.empty:
        raise InputError(
            f"lies outside the area, at {_degrees(lonlat)}",
            where=dataset.name,
            remedy="leave it out, or enlarge [area]",
        )
    return window


def _degrees(shape: BaseGeometry) -> str:
    west, south, east, north = shape.bounds
    return f"{west:.2f}..{east:.2f} E {south:.2f}..{north:.2f} N"


def _sample(
    dataset: DatasetReader, number: int, grid: GeoBox, band: str, params: SourceParams
) -> FloatImage:
    """Valid raw values of a sample of the image within the area."""
    window = file_window(raster_grid(dataset), grid)
    if window is None:
        raise InputError("lies outside the area", where=dataset.name, remedy="enlarge [area]")
    shape = min(window.height, _SAMPLE), min(window.width, _SAMPLE)
    raw = dataset.read(
        number, window=window, out_shape=shape, masked=True, resampling=Resampling.nearest
    )
    values = raw.astype(np.float32).filled(np.nan)
    values = values * np.float32(dataset.scales[number - 1]) + np.float32(
        dataset.offsets[number - 1]
    )
    found = _present(values, band)
    if found.size == 0:
        found = _search(dataset, number, window, band)
    if found.size == 0:
        raise InputError(
            f"holds no valid {band.upper()} pixel within the area: all are NaN or no-data",
            where=dataset.name,
            remedy="fetch it again, or leave it out",
        )
    return found


def _present(values: FloatImage, band: str) -> FloatImage:
    # Zero is the border of Sentinel-1 products, in every unit; an angle may be zero.
    there = np.isfinite(values) if band in ANGLES else np.isfinite(values) & (values != 0)
    return values[there]


def _search(dataset: DatasetReader, number: int, window: FileWindow, band: str) -> FloatImage:
    """Look at every pixel: a thinned sample may miss the few that are valid."""
    end = window.row_off + window.height
    for row in range(window.row_off, end, _ROWS):
        strip = FileWindow(window.col_off, row, window.width, min(_ROWS, end - row))
        found = _present(read_values(dataset, number, strip), band)
        if found.size:
            return found
    return np.empty(0, dtype=np.float32)


def _check_values(
    values: FloatImage, dataset: DatasetReader, band: str, params: SourceParams
) -> None:
    median = float(np.median(values))
    if band in ANGLES:
        problem, remedy = _angle_problem(values)
    elif params.scale == "linear":
        problem, remedy = _linear_problem(values, median)
    else:
        problem, remedy = _db_problem(values, median)
    if problem:
        raise InputError(
            f"{band.upper()} {problem} (median {median:.4g})", where=dataset.name, remedy=remedy
        )


def _angle_problem(values: FloatImage) -> tuple[str, str]:
    if values.max() < _RADIANS:
        return "is in radians, not degrees", "convert it, or leave the asset out"
    if values.min() < 0 or values.max() > 180:
        return "holds values that are no angles in degrees", "correct [source] asset_lia"
    return "", ""


def _linear_problem(values: FloatImage, median: float) -> tuple[str, str]:
    if median < 0:
        return "is in dB but declared linear", 'write scale = "db" in [source]'
    if median > LINEAR_MEDIAN[1]:
        return "holds digital numbers or amplitude, not calibrated power", "calibrate it first"
    if median < LINEAR_MEDIAN[0] or not np.isfinite(linear_power(values, "linear")).any():
        return "is too weak to be calibrated power", "check its unit"
    return "", ""


def _db_problem(values: FloatImage, median: float) -> tuple[str, str]:
    if values.min() >= 0 and median <= LINEAR_MEDIAN[1]:
        return "is linear power but declared dB", 'write scale = "linear" in [source]'
    if not DB_MEDIAN[0] <= median <= DB_MEDIAN[1]:
        return "holds values that are no backscatter in dB", "check its unit"
    return "", ""
