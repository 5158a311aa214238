"""Cloud-optimised GeoTIFFs, written beside and then renamed."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile

from curupira.errors import ConfigError, InputError, StoreError

_BLOCK = 512
#: Bytes of a file's name: what systems allow, less what is added beside it.
_LONGEST_NAME = 255 - 25


def write_cog(
    path: Path,
    bands: npt.NDArray[Any],
    grid: GeoBox,
    *,
    nodata: float | None,
    descriptions: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write ``bands`` as a Cloud Optimised GeoTIFF, atomically.

    Parameters
    ----------
    path
        The file; its folder is made. An existing file is replaced only by a complete one.
    bands
        ``(band, y, x)``, any type that GeoTIFF knows; bool is written as uint8.
    grid
        Where the pixels lie; its shape is ``(y, x)``.
    nodata
        Value that means missing (``nan`` for floats), or None.
    descriptions
        One text a band, or none at all.
    tags
        Provenance for the file's metadata.

    Raises
    ------
    InputError
        If the array's shape is not the grid's, or the descriptions do not match the bands.
    StoreError
        If the disk refuses (full, read-only, no permission).

    Notes
    -----
    Deflate with a predictor; overviews are averages for floats (linear power stays linear power)
    and nearest pixels for integers, whose codes have no mean.
    """
    if bands.ndim != 3 or tuple(bands.shape[1:]) != tuple(grid.shape):
        raise InputError(
            f"array {bands.shape} does not lie on a grid of {tuple(grid.shape)}", where=path
        )
    if descriptions and len(descriptions) != bands.shape[0]:
        raise InputError(f"{len(descriptions)} descriptions for {bands.shape[0]} bands", where=path)
    if bands.dtype == np.bool_:
        bands = bands.astype(np.uint8)
    write_atomic(Path(path), _encode(bands, grid, nodata, descriptions, tags or {}))


def _encode(
    bands: npt.NDArray[Any],
    grid: GeoBox,
    nodata: float | None,
    descriptions: Sequence[str],
    tags: Mapping[str, str],
) -> bytes:
    floating = np.issubdtype(bands.dtype, np.floating)
    # In memory first: GDAL reports a full disk late or not at all, Python's own writing does.
    with MemoryFile() as memory:
        with memory.open(
            driver="COG",
            count=bands.shape[0],
            height=bands.shape[1],
            width=bands.shape[2],
            dtype=bands.dtype.name,
            crs=str(grid.crs),
            transform=grid.affine,
            nodata=nodata,
            compress="DEFLATE",
            predictor="YES",
            blocksize=_BLOCK,
            overview_resampling="AVERAGE" if floating else "NEAREST",
            bigtiff="IF_SAFER",
        ) as target:
            target.write(bands)
            target.update_tags(**tags)
            for number, text in enumerate(descriptions, start=1):
                target.set_band_description(number, text)
        return bytes(memory.getbuffer())


def refuse_device(path: Path) -> None:
    """Raise ``ConfigError`` for what a rename would destroy: ``/dev/stdout``, a pipe, a socket.

    And for a name that is too long for the file that is written beside it.
    """
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise ConfigError(
            "the name is too long",
            where=path,
            remedy=f"give a name of at most {_LONGEST_NAME} bytes",
        )
    # Links to the process's own streams are files where these are: to be replaced no more.
    device = path.absolute().parent in (Path("/dev"), Path("/dev/fd"))
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = stat.S_IFREG  # Nothing there, or out of reach: who writes is told.
    if device or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ConfigError("is no ordinary file", where=path, remedy="name a file to write")


def reason(error: Exception) -> str:
    """Why a disk refused, in few words: GDAL repeats pages of SQL before SQLite's."""
    text = getattr(error, "strerror", None) or str(error)
    return str(text).rpartition(") failed: ")[2]


def write_atomic(path: Path, content: bytes) -> None:
    """Write a whole file beside ``path``, then rename: readers see the old or the new one.

    Raises
    ------
    ConfigError
        If there is a device or a pipe, or the name is too long.
    StoreError
        If the disk refuses; nothing is left behind and an existing file stays as it was.
    """
    refuse_device(path)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise StoreError(
            f"cannot write ({reason(error)})",
            where=path,
            remedy="free space, or make the folder writable",
        ) from error
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
