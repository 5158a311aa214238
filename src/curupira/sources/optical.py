"""Optical images beside the radar: found in a STAC catalogue, read tile by tile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pystac
import rasterio
import requests
from pystac_client import Client
from pystac_client.exceptions import APIError
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT

from curupira.errors import ConfigError, SourceError

Bounds = tuple[float, float, float, float]
#: Items read of one search, and seconds that a server may take.
_MOST_ITEMS, _TIMEOUT_S = 200, 20
#: What the library raises of documents that are no STAC, or cannot be fetched.
_BROKEN = (pystac.STACTypeError, OSError, ValueError, KeyError, TypeError)
_WEB = ("https://", "http://")
_GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_TIMEOUT": str(_TIMEOUT_S),
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
}


@dataclass(frozen=True, slots=True)
class OpticalImage:
    """One image with a true-colour file; ``cloud`` is a percentage, None where not said."""

    image_id: str
    day: date
    platform: str
    cloud: float | None
    href: str


@dataclass(frozen=True, slots=True)
class OpticalSource:
    """Where images are: address or file of the catalogue, collections (none: all), asset, cloud."""

    catalogue: str
    collections: tuple[str, ...]
    asset: str
    most_cloud: float


def find_images(source: OpticalSource, box: Bounds, since: date, until: date) -> list[OpticalImage]:
    """Images that meet a lon/lat box on days from ``since`` to ``until``, oldest first.

    Raises
    ------
    ConfigError
        If the catalogue's file does not exist.
    SourceError
        If the catalogue does not answer, or is none.
    """
    try:
        found = [_image(item, source) for item in _items(source, box, since, until)]
    except (APIError, requests.RequestException, pystac.STACError, *_BROKEN) as error:
        # Not the message: it may hold the address with a key.
        raise SourceError(
            f"the optical catalogue cannot be read ({type(error).__name__})",
            where="[serve] optical_stac",
            remedy="look at the address, or try again later",
        ) from None
    kept = {image.image_id: image for image in found if image and since <= image.day <= until}
    return sorted(kept.values(), key=lambda image: (image.day, image.image_id))


def _items(
    source: OpticalSource, box: Bounds, since: date, until: date
) -> Iterator[pystac.Item] | Iterable[pystac.Item]:
    if source.catalogue.startswith(_WEB):
        client = Client.open(source.catalogue, timeout=_TIMEOUT_S)
        return client.search(
            collections=list(source.collections) or None,
            bbox=box,
            datetime=f"{since}/{until}",
            query={"eo:cloud_cover": {"lte": source.most_cloud}},
            max_items=_MOST_ITEMS,
        ).items()
    if not Path(source.catalogue).is_file():
        raise ConfigError(
            "no such file", where="[serve] optical_stac", remedy="give a catalog.json or an address"
        )
    tree = pystac.Catalog.from_file(source.catalogue)
    return (item for item in tree.get_items(recursive=True) if _wanted(item, source, box))


def _wanted(item: pystac.Item, source: OpticalSource, box: Bounds) -> bool:
    if source.collections and item.collection_id not in source.collections:
        return False
    west, south, east, north = item.bbox or (-180.0, -90.0, 180.0, 90.0)
    return west <= box[2] and east >= box[0] and south <= box[3] and north >= box[1]


def _image(item: pystac.Item, source: OpticalSource) -> OpticalImage | None:
    asset = item.assets.get(source.asset)
    moment = item.datetime or item.common_metadata.start_datetime
    if asset is None or moment is None:
        return None
    href = asset.get_absolute_href() or asset.href
    cloud = item.properties.get("eo:cloud_cover")
    if isinstance(cloud, int | float) and cloud > source.most_cloud:
        return None
    # A server's answer opens web addresses only, never a file of this machine.
    if not href.startswith(_WEB) and ("://" in href or source.catalogue.startswith(_WEB)):
        return None
    platform = str(item.properties.get("platform") or item.collection_id or "optical")
    share = float(cloud) if isinstance(cloud, int | float) else None
    return OpticalImage(item.id, moment.date(), platform, share, href)


def read_picture(href: str, bounds: Bounds, side: int) -> npt.NDArray[np.uint8]:
    """A square of an image in EPSG:3857 as (y, x, 4) bytes; transparent where there is none.

    The file holds red, green and blue in 8 bits (or one band, drawn grey); its mask is kept.

    Raises
    ------
    SourceError
        If the file cannot be read or is not in 8 bits.
    """
    transform = from_bounds(*bounds, side, side)
    try:
        with (
            rasterio.Env(**_GDAL),
            rasterio.open(href) as file,
            WarpedVRT(
                file,
                crs="EPSG:3857",
                transform=transform,
                width=side,
                height=side,
                resampling=Resampling.bilinear,
                add_alpha=ColorInterp.alpha not in file.colorinterp,
            ) as seen,
        ):
            if file.dtypes[0] != "uint8":
                raise SourceError(
                    f"the optical image has {file.dtypes[0]}, not 8-bit colours",
                    where="[serve] optical_asset",
                    remedy="name the true-colour asset",
                )
            bands = [1, 2, 3] if file.count >= 3 else [1, 1, 1]
            colours = seen.read(bands)
            alpha = seen.dataset_mask()
    except RasterioError as error:
        raise SourceError(
            f"the optical image cannot be read ({type(error).__name__})",
            where="optical image",
            remedy="try again later",
        ) from None
    return np.dstack([*colours, alpha]).astype(np.uint8)
