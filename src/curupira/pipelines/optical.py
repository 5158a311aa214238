"""Optical evidence for a warning: the nearest clear images before and after its first flag."""

from __future__ import annotations

from collections import OrderedDict
from datetime import date, timedelta
from functools import lru_cache
from threading import Lock
from typing import Any

from curupira.config import Workspace
from curupira.pipelines.colouring import png
from curupira.pipelines.viewing import TILE, WORLD, TileAddress
from curupira.sources.optical import (
    Bounds,
    OpticalImage,
    OpticalSource,
    find_images,
    read_picture,
)

#: Images offered on each side of the first flag; days looked at on each side.
MOST, REACH_DAYS = 4, 400
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
        )
        self._lock = Lock()
        self._known: OrderedDict[str, str] = OrderedDict()
        self._find = lru_cache(maxsize=256)(self._search)
        self._picture = lru_cache(maxsize=_KEPT_TILES)(_picture)

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
        found = self._find(box, flagged, today)
        before = [image for image in reversed(found) if image.day < flagged][:MOST]
        since = [image for image in found if image.day >= flagged]
        after = since[:MOST] + [image for image in since[-2:] if image not in since[:MOST]]
        with self._lock:
            for image in (*before, *after):
                self._known[image.image_id] = image.href
                self._known.move_to_end(image.image_id)
            while len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return {
            name: [_json(i) for i in some] for name, some in (("before", before), ("after", after))
        }

    def _search(self, box: Bounds, flagged: date, today: date) -> tuple[OpticalImage, ...]:
        reach = timedelta(days=REACH_DAYS)
        return tuple(find_images(self.source, box, flagged - reach, min(flagged + reach, today)))

    def tile(self, image_id: str, address: TileAddress) -> bytes | None:
        """A map tile of an image that was offered; None of any other."""
        with self._lock:
            href = self._known.get(image_id)
        return None if href is None else self._picture(href, address)


def _picture(href: str, address: TileAddress) -> bytes:
    step = 2 * WORLD / 2**address.z
    west, north = -WORLD + address.x * step, WORLD - address.y * step
    return png(read_picture(href, (west, north - step, west + step, north), TILE))


def _json(image: OpticalImage) -> dict[str, Any]:
    return {
        "image_id": image.image_id,
        "day": image.day.isoformat(),
        "platform": image.platform,
        "cloud": image.cloud,
    }
