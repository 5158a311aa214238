"""Opening rasters: whatever is wrong with a file becomes a clear error."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader

from curupira.errors import InputError, SourceError
from curupira.stac import is_remote

_AGAIN = "fetch the file again"
_HTML = (b"<!doctype", b"<html", b"<?xml", b"<head")


@contextmanager
def open_raster(href: str) -> Iterator[DatasetReader]:
    """Open a raster; errors of reading it inside the block are made clear as well.

    Raises
    ------
    InputError
        If the file is missing, empty, a web page, no raster, or damaged.
    SourceError
        If a remote file cannot be opened.
    """
    if not is_remote(href):
        _check_file(Path(href))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = rasterio.open(href)
    except RasterioIOError as error:
        if is_remote(href):
            raise SourceError(
                f"cannot be opened ({error})", where=href, remedy="check link and access"
            ) from error
        raise InputError(
            "is no raster that can be read, or its header is damaged", where=href, remedy=_AGAIN
        ) from error
    with dataset:
        try:
            yield dataset
        except RasterioError as error:
            if is_remote(href):
                raise SourceError(
                    f"breaks off while it is read ({_cause(error)})",
                    where=href,
                    remedy="try again later",
                ) from error
            raise InputError(
                f"its pixels cannot be read ({_cause(error)})", where=href, remedy=_AGAIN
            ) from error


def _cause(error: BaseException) -> str:
    return str(error.__cause__ or error).splitlines()[0]


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            head = stream.read(256)
    except FileNotFoundError as error:
        raise InputError("the file is missing", where=path, remedy=_AGAIN) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path) from error
    if not head:
        raise InputError("the file is empty", where=path, remedy=_AGAIN)
    # Providers answer a bad login with a page that looks like success.
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if path.suffix.lower() in (".tif", ".tiff") and start.startswith(_HTML):
        raise InputError(
            "is a web page saved as GeoTIFF",
            where=path,
            remedy="check the login to the provider and fetch the file again",
        )


def raster_grid(dataset: DatasetReader) -> GeoBox:
    """Where the pixels of an open raster lie.

    Raises
    ------
    InputError
        If it has no coordinate reference system or no position.
    """
    if dataset.crs is None or dataset.transform.is_identity:
        raise InputError(
            "has no coordinate reference system"
            if dataset.crs is None
            else "has no position on the ground",
            where=dataset.name,
            remedy="geocode the image first, or give the file its system (gdal_edit.py -a_srs)",
        )
    return GeoBox((dataset.height, dataset.width), dataset.transform, dataset.crs.to_string())


def check_complete(dataset: DatasetReader, band: int) -> None:
    """Refuse a local GeoTIFF of which the end is missing.

    The file's own index says where every block of the band lies; one beyond the end of the file
    was cut off. No pixel is decoded.

    Raises
    ------
    InputError
        If a block is missing.
    """
    if is_remote(dataset.name) or dataset.driver != "GTiff":
        return
    size = os.path.getsize(dataset.name)
    rows, columns = dataset.block_shapes[band - 1]
    for y in range(-(-dataset.height // rows)):
        for x in range(-(-dataset.width // columns)):
            # GDAL reports neither for a block that was never written: nodata, not damage.
            offset = dataset.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", bidx=band)
            length = dataset.get_tag_item(f"BLOCK_SIZE_{x}_{y}", "TIFF", bidx=band)
            if offset and length and int(offset) + int(length) > size:
                raise InputError(
                    "the file is truncated: its end is missing",
                    where=dataset.name,
                    remedy=_AGAIN,
                )
