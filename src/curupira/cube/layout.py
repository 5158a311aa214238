"""How a cube is laid out in Zarr: names, attributes, and the record of its grid. Pure.

::

    /                 attributes: format, format_version, grid
    /orbit_022        attributes: scene_ids, acquired (one entry a layer)
    /orbit_022/vh     uint16 (scene, y, x), chunks (1, 512, 512), 0 = missing, empty chunks absent;
                      each chunk ends with its checksum (arrays made before 22 November 2026: none)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import zarr
from affine import Affine
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from zarr.codecs import BloscCodec, Crc32cCodec

from curupira.blocks import Window
from curupira.cube import codec
from curupira.errors import InputError, StoreError

FORMAT = "curupira cube"
ZarrArray: TypeAlias = zarr.Array[Any]
#: Raise when an older program would misread the cube.
FORMAT_VERSION = 1
CHUNK = 512
DIMENSIONS = ("scene", "y", "x")
#: Decodes about 30 % faster than zstd for 2 to 6 % more bytes (benchmarks/quantisation.py).
COMPRESSOR = BloscCodec(typesize=2, cname="lz4", clevel=5, shuffle="bitshuffle")
#: A damaged chunk may well unpack, into other numbers (benchmarks/checksum.py).
COMPRESSORS = (COMPRESSOR, Crc32cCodec())


def group_name(orbit: int) -> str:
    """Zarr group of a relative orbit."""
    return f"orbit_{orbit:03d}"


def scenes(group: zarr.Group | None) -> dict[str, str]:
    """Acquisition time (ISO 8601) by scene id, in the order of the layers."""
    if group is None or "scene_ids" not in group.attrs:
        return {}
    attributes: Mapping[str, Any] = group.attrs.asdict()
    return dict(zip(attributes["scene_ids"], attributes["acquired"], strict=True))


def has_checksum(array: ZarrArray) -> bool:
    """Whether each chunk of a band ends with four bytes of checksum (CRC-32C, little-endian)."""
    return any(isinstance(step, Crc32cCodec) for step in array.compressors)


def band_attributes(band: str) -> dict[str, Any]:
    """CF attributes by which other programs decode a band to dB or degrees."""
    if band in codec.ANGLE_BANDS:
        return {
            "units": "degree",
            "scale_factor": codec.STEP_DEG,
            "add_offset": -codec.STEP_DEG,
        }
    return {
        "units": "dB",
        "scale_factor": codec.STEP_DB,
        "add_offset": codec.MIN_DB - codec.STEP_DB,
    }


def root_attributes(grid: GeoBox) -> dict[str, Any]:
    """Attributes of the cube's root."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "grid": {
            "crs": str(grid.crs),
            "transform": list(grid.transform)[:6],
            "shape": list(grid.shape),
            "resolution": abs(grid.resolution.x),
        },
    }


def no_cube(where: object) -> StoreError:
    """Error for a place that holds something else."""
    return StoreError(
        "this is no cube of Curupira", where=where, remedy="give [cube] path an empty folder"
    )


def check_root(attributes: Mapping[str, Any], grid: GeoBox, where: object) -> None:
    """Refuse a foreign repository, a newer format, and another grid.

    Raises
    ------
    StoreError
        If the cube cannot be used with this program or on this grid.
    """
    if attributes.get("format") != FORMAT:
        raise no_cube(where)
    version = attributes["format_version"]
    if version > FORMAT_VERSION:
        raise StoreError(
            f"the cube has format version {version}, this program knows {FORMAT_VERSION}",
            where=where,
            remedy="install a newer Curupira",
        )
    stored = attributes["grid"]
    if not _same_grid(stored, grid):
        raise StoreError(
            f"the cube's grid is {_describe(stored)}, the workspace's is "
            f"{_describe(root_attributes(grid)['grid'])}",
            where=where,
            remedy="undo the change of [area] or [grid], or give [cube] path an empty folder",
        )


def check_window(window: Window, grid_shape: tuple[int, int], where: object) -> None:
    """Refuse a window that is empty or not within the grid.

    Raises
    ------
    InputError
        Because Zarr would clip it silently.
    """
    whole = Window(0, grid_shape[0], 0, grid_shape[1])
    if window.empty or window.intersect(whole) != window:
        raise InputError(
            f"{window} is not within the grid of {grid_shape[0]} x {grid_shape[1]} pixels",
            where=where,
        )


def _same_grid(stored: Mapping[str, Any], grid: GeoBox) -> bool:
    # A hundredth of a pixel: far above rounding, far below a shift that matters.
    tolerance = abs(grid.resolution.x) / 100
    return (
        CRS(stored["crs"]) == grid.crs
        and tuple(stored["shape"]) == tuple(grid.shape)
        and Affine(*stored["transform"]).almost_equals(grid.transform, precision=tolerance)
    )


def _describe(grid: Mapping[str, Any]) -> str:
    rows, columns = grid["shape"]
    x, y = grid["transform"][2], grid["transform"][5]
    return (
        f"{rows} x {columns} pixels of {grid['resolution']:g} m from ({x:g}, {y:g}), {grid['crs']}"
    )
