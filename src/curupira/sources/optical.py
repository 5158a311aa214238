"""Optical images beside the radar: found in a STAC catalogue, read tile by tile."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pystac
import rasterio
import requests
from pystac_client import Client
from pystac_client.conformance import ConformanceClasses
from pystac_client.exceptions import APIError
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT

from curupira.errors import ConfigError, SourceError
from curupira.sources.access import Access, access_for
from curupira.sources.http import Http
from curupira.sources.profiles import SourceParams

Bounds = tuple[float, float, float, float]
#: Items of an answer's page, items looked at in one search, and seconds that a server may take.
_PAGE, _MOST_ITEMS, _TIMEOUT_S = 100, 1000, 20
#: What the library raises of documents that are no STAC, or cannot be fetched.
_BROKEN = (pystac.STACTypeError, OSError, ValueError, KeyError, TypeError)
_WEB = ("https://", "http://")
_KEY = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")
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


@dataclass(frozen=True)
class OpticalSource:
    """Where images are.

    ``catalogue``: address or file, with ``{NAME}`` for an environment variable; ``collections``:
    none means all; ``asset`` holds the colours; ``token_url`` signs addresses on ``token_hosts``.
    """

    catalogue: str
    collections: tuple[str, ...]
    asset: str
    most_cloud: float
    token_url: str = ""
    token_hosts: tuple[str, ...] = ()

    @cached_property
    def access(self) -> Access:
        """How images are opened."""
        params = SourceParams(
            access="sas" if self.token_url else "none",
            token_url=self.token_url,
            token_hosts=self.token_hosts,
            timeout_s=_TIMEOUT_S,
            attempts=2,
        )
        return access_for(params, Http(params))


def find_images(
    source: OpticalSource, box: Bounds, since: date, until: date, *, newest: bool, most: int
) -> list[OpticalImage]:
    """Clear images that meet a lon/lat box on days from ``since`` to ``until``.

    An image that does not say its cloud is not left out. A server that sorts is asked no longer
    than until there are enough; of one that does not, every page is read, up to a limit.

    Parameters
    ----------
    newest
        From the newest backwards, else from the oldest on.
    most
        So many at most.

    Raises
    ------
    ConfigError
        If the catalogue's file does not exist.
    SourceError
        If the catalogue does not answer, or is none; or if it cannot sort and has too many.
    """
    if since > until:
        return []
    try:
        clear = _clear(_items(source, box, since, until, newest), source, since, until)
        return list(islice(clear, most))
    except (APIError, requests.RequestException, pystac.STACError, *_BROKEN) as error:
        # Not the message: it may hold the address with a key.
        raise SourceError(
            f"the optical catalogue cannot be read ({type(error).__name__})",
            where="[serve] optical_stac",
            remedy="look at the address, or try again later",
        ) from None


def _clear(
    items: Iterable[pystac.Item], source: OpticalSource, since: date, until: date
) -> Iterator[OpticalImage]:
    seen: set[str] = set()
    for item in items:
        image = _image(item, source)
        if image and since <= image.day <= until and image.image_id not in seen:
            seen.add(image.image_id)
            yield image


def _items(
    source: OpticalSource, box: Bounds, since: date, until: date, newest: bool
) -> Iterable[pystac.Item]:
    """Items in the order wanted, as far as they have a time."""
    if not source.catalogue.startswith(_WEB):
        if not Path(source.catalogue).is_file():
            raise ConfigError(
                "no such file",
                where="[serve] optical_stac",
                remedy="give a catalog.json or an address",
            )
        tree = pystac.Catalog.from_file(source.catalogue)
        wanted = (item for item in tree.get_items(recursive=True) if _wanted(item, source, box))
        return _sorted(wanted, newest)
    address = _KEY.sub(lambda m: os.environ.get(m.group(1), ""), source.catalogue)
    client = Client.open(address, timeout=_TIMEOUT_S)
    sorts = client.conforms_to(ConformanceClasses.SORT)
    # Not by cloud: a server would leave out what does not say any.
    found = client.search(
        collections=list(source.collections) or None,
        bbox=box,
        datetime=f"{since}/{until}",
        limit=_PAGE,
        sortby=("-" if newest else "+") + "properties.datetime" if sorts else None,
        max_items=_MOST_ITEMS + 1,
    ).items()
    if sorts:
        return found
    every = list(found)
    if len(every) > _MOST_ITEMS:
        raise SourceError(
            f"the optical catalogue has more than {_MOST_ITEMS} images here and cannot sort them",
            where="[serve] optical_stac",
            remedy="name fewer [serve] optical_collections",
        )
    return _sorted(every, newest)


def _sorted(items: Iterable[pystac.Item], newest: bool) -> list[pystac.Item]:
    days = [(day, item.id, item) for item in items if (day := _day(item)) is not None]
    return [item for *_, item in sorted(days, key=lambda d: d[:2], reverse=newest)]


def _wanted(item: pystac.Item, source: OpticalSource, box: Bounds) -> bool:
    if source.collections and item.collection_id not in source.collections:
        return False
    west, south, east, north = item.bbox or (-180.0, -90.0, 180.0, 90.0)
    return west <= box[2] and east >= box[0] and south <= box[3] and north >= box[1]


def _day(item: pystac.Item) -> date | None:
    moment = item.datetime or item.common_metadata.start_datetime
    return None if moment is None else moment.date()


def _image(item: pystac.Item, source: OpticalSource) -> OpticalImage | None:
    asset, day = item.assets.get(source.asset), _day(item)
    if asset is None or day is None:
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
    return OpticalImage(item.id, day, platform, share, href)


def read_picture(
    source: OpticalSource, href: str, bounds: Bounds, side: int
) -> npt.NDArray[np.uint8]:
    """A square of an image in EPSG:3857 as (y, x, 4) bytes; transparent where there is none.

    The file holds red, green and blue in 8 bits (or one band, drawn grey); its mask is kept.

    Raises
    ------
    SourceError
        If the file cannot be read or is not in 8 bits.
    """
    transform = from_bounds(*bounds, side, side)
    address = source.access.url(href)
    try:
        with (
            rasterio.Env(**_GDAL),
            rasterio.open(address) as file,
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
