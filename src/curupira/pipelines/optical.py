"""Optical evidence for a warning: the nearest clear images before and after its first flag."""

from __future__ import annotations

from collections import OrderedDict
from datetime import date, timedelta
from functools import lru_cache, partial
from threading import Lock
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from curupira.config import Workspace
from curupira.grid import LONLAT, project
from curupira.pipelines.colouring import outline, png
from curupira.pipelines.tilegrid import TILE, WORLD, TileAddress
from curupira.sources.optical import (
    Bounds,
    OpticalImage,
    OpticalSource,
    find_images,
    read_picture,
)

#: Images offered on each side of the first flag; days looked at on each side.
MOST, REACH_DAYS = 4, 400
#: The newest images offered as well.
LATEST = 2
#: Ground around a warning in its picture, metres.
CHIP_MARGIN_M = 400.0
#: Images that tiles may be asked of, and tiles kept.
_KNOWN, _KEPT_TILES = 2000, 512


class Optical:
    """Optical images of a workspace's catalogue; only those that were offered can be opened."""

    def __init__(self, workspace: Workspace) -> None:
        params = workspace.monitor.serve
        place = params.optical_stac
        local = place and "://" not in place
        self.source = OpticalSource(
            str(workspace.path(place)) if local else place,
            params.optical_collections,
            params.optical_asset,
            params.optical_cloud,
            params.optical_token_url,
            params.optical_token_hosts,
        )
        self._lock = Lock()
        self._known: OrderedDict[str, str] = OrderedDict()
        self._find = lru_cache(maxsize=256)(self._search)
        self._picture = lru_cache(maxsize=_KEPT_TILES)(partial(_picture, self.source))

    @property
    def configured(self) -> bool:
        """Whether a catalogue is named."""
        return bool(self.source.catalogue)

    def around(self, box: Bounds, flagged: date, today: date) -> dict[str, list[dict[str, Any]]]:
        """The nearest clear images before the first flag and since, nearest first; the newest two.

        Raises
        ------
        SourceError, ConfigError
            If the catalogue cannot be read.
        """
        before, after = self._find(box, flagged, today)
        with self._lock:
            for image in (*before, *after):
                self._known[image.image_id] = image.href
                self._known.move_to_end(image.image_id)
            while len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return {
            name: [_json(i) for i in some] for name, some in (("before", before), ("after", after))
        }

    def _search(
        self, box: Bounds, flagged: date, today: date
    ) -> tuple[list[OpticalImage], list[OpticalImage]]:
        reach, a_day = timedelta(days=REACH_DAYS), timedelta(days=1)
        last = min(flagged + reach, today)
        find = partial(find_images, self.source, box)
        before = find(flagged - reach, flagged - a_day, newest=True, most=MOST)
        since = find(flagged, last, newest=False, most=MOST)
        latest = [one for one in find(flagged, last, newest=True, most=LATEST) if one not in since]
        return before, since + latest[::-1]

    def tile(self, image_id: str, address: TileAddress) -> bytes | None:
        """A map tile of an image that was offered; None of any other."""
        step = 2 * WORLD / 2**address.z
        west, north = -WORLD + address.x * step, WORLD - address.y * step
        return self._drawn(image_id, (west, north - step, west + step, north))

    def chip(self, image_id: str, box: Bounds) -> bytes | None:
        """A square around a lon/lat box, of an image that was offered; None of any other."""
        return self._drawn(image_id, _square(box))

    def _drawn(self, image_id: str, bounds: Bounds) -> bytes | None:
        with self._lock:
            href = self._known.get(image_id)
        return None if href is None else self._picture(href, bounds)


def chip_outline(geometry: BaseGeometry) -> str:
    """A warning (lon/lat) as an SVG path over the picture that ``Optical.chip`` makes of it."""
    return outline(project(geometry, LONLAT, "EPSG:3857"), _square(geometry.bounds))


def _square(box: Bounds) -> Bounds:
    """Bounds of the picture around a lon/lat box, Web Mercator."""
    west, south, east, north = project(shapely.box(*box), LONLAT, "EPSG:3857").bounds
    x, y = (west + east) / 2, (south + north) / 2
    half = max(east - west, north - south) / 2 + CHIP_MARGIN_M
    return (x - half, y - half, x + half, y + half)


def _picture(source: OpticalSource, href: str, bounds: Bounds) -> bytes:
    return png(read_picture(source, href, bounds, TILE))


def _json(image: OpticalImage) -> dict[str, Any]:
    return {
        "image_id": image.image_id,
        "day": image.day.isoformat(),
        "platform": image.platform,
        "cloud": image.cloud,
    }
