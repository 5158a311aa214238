"""What the web application shows of images: map tiles, pictures, the series of a pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import shapely

from curupira.blocks import Window
from curupira.config import Workspace
from curupira.errors import InputError
from curupira.grid import LONLAT, SIRGAS_2000, project
from curupira.pipelines import publish
from curupira.pipelines.colouring import (
    COLOURS,
    coloured,
    composite,
    indices,
    outline,
    png,
    sampled,
)
from curupira.pipelines.entries import Frame
from curupira.pipelines.pictures import Gallery
from curupira.pipelines.products import BANDS, product_path
from curupira.pipelines.tilegrid import TILE, WORLD, TileAddress, least_zoom, window_of
from curupira.records import Acquisition, group_acquisitions
from curupira.report.mapparts import STRETCH_DB
from curupira.store import scene as scenes
from curupira.store.session import Store
from curupira.store.tables import WarningRow

MOSAIC = "mosaic"
#: A tile is made from at most this many pixels of the grid a side.
_MOST_PX = 2 * TILE
#: Radar tiles kept, some 100 kB each.
_KEPT_TILES = 512


@dataclass(frozen=True)
class Closeup:
    """A warning's surroundings: PNG, the days seen, the warning as an SVG path, the side."""

    png: bytes
    days: str
    outline: str
    side_m: float


class Viewer:
    """Pictures of a workspace for many readers; it follows the runs that go on beside it."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self.workspace, self.store = workspace, store
        self.grid = workspace.grid
        self._lock = Lock()
        self._kept: tuple[Any, Gallery, Callable[..., bytes | None]] | None = None

    def gallery(self) -> Gallery:
        """Images and products as the last run left them.

        Raises
        ------
        StoreError
            If there is no cube yet.
        """
        return self._current()[0]

    def _current(self) -> tuple[Gallery, Callable[..., bytes | None]]:
        """The gallery with its radar tiles, of which the last ones are kept until a run ends."""
        with self._lock:
            with self.store.reading() as session:
                found = scenes.latest(session)
                state = (scenes.counts(session), None if found is None else found.scene_id)
            if self._kept is None or self._kept[0] != state:
                now = datetime.now(UTC)
                with self.store.reading() as session:
                    known = group_acquisitions(scenes.ingested(session))
                gallery = publish.open_gallery(self.workspace, known, now)
                tiles = lru_cache(maxsize=_KEPT_TILES)(partial(_sar_tile, gallery))
                self._kept = (state, gallery, tiles)
            return self._kept[1:]

    def acquisitions(self) -> list[Acquisition]:
        """All acquisitions, newest first."""
        return list(reversed(self.gallery().known))

    def has_product(self, known: Acquisition) -> bool:
        """Whether the warning layers of an acquisition are on disk."""
        return product_path(self.workspace.folder, known.acquisition_id).is_file()

    def _product(self, acquisition_id: str) -> Path | None:
        # The name is looked up among the known ones: a request can name no other file.
        if acquisition_id not in {a.acquisition_id for a in self.gallery().known}:
            return None
        path = product_path(self.workspace.folder, acquisition_id)
        return path if path.is_file() else None

    def sar_tile(
        self,
        name: str,
        address: TileAddress,
        until: date | None = None,
        stretch: tuple[float, float] = STRETCH_DB["VH"],
    ) -> bytes | None:
        """Composite of an acquisition, or of the newest of every orbit; None if not known.

        ``stretch``: VH levels drawn as dark and bright, dB; VV's move with them.
        """
        return self._current()[1](name, address, until, stretch)

    def warm(self) -> None:
        """Open the cube, and draw the tile in the middle of the area that shows the whole of it."""
        west, south, east, north = self.workspace.area.bounds
        wide = max(east - west, north - south, 360 / 2**22)
        zoom = max(least_zoom(self.grid), min(22, int(math.log2(360 / wide))))
        middle = shapely.Point((west + east) / 2, (south + north) / 2)
        right, up, *_ = project(middle, LONLAT, "EPSG:3857").bounds
        step = 2 * WORLD / 2**zoom
        x, y = int((right + WORLD) // step), int((WORLD - up) // step)
        self.sar_tile(MOSAIC, TileAddress(zoom, x, y))

    def product_tile(self, acquisition_id: str, band: str, address: TileAddress) -> bytes | None:
        """Warning layer of an acquisition, coloured; grey where nothing was observed."""
        path = self._product(acquisition_id)
        if path is None or band not in COLOURS:
            return None
        x, y = address.centres(str(self.grid.crs))
        window = window_of(x, y, self.grid)
        out = np.zeros((TILE, TILE, 4), np.uint8)
        if window.empty:
            return png(out)
        step = max(1, math.ceil(max(window.shape) / _MOST_PX))
        gallery = self.gallery()
        codes = gallery.read_product(path, band, window)[::step, ::step]
        flags = gallery.read_product(path, "n_alerts", window)[::step, ::step]
        rows, cols, inside = indices(x, y, self.grid[window.slices].zoom_out(step), codes.shape)
        value, flag = codes[rows, cols], flags[rows, cols]
        return png(coloured(value, flag, inside, band))

    def judged(self, row: WarningRow) -> Acquisition | None:
        """The acquisition that confirmed a warning, else the last one that flagged it."""
        mark = row.history.get("confirming") or row.history.get("last") or (None,)
        return next((a for a in self.gallery().known if a.acquisition_id == mark[0]), None)

    def strongest(self, row: WarningRow) -> tuple[float, float]:
        """Longitude and latitude of a warning's pixel with the largest excess, as judged."""
        judged, frame = self.judged(row), Frame(self.grid)
        if judged is None:
            point = row.geom.representative_point()
            return point.x, point.y
        pixel = self.gallery().strongest_pixel(judged, frame.to_grid(row.geom))
        centre = self.grid[pixel.slices].extent.geom.centroid
        west, south, *_ = project(centre, str(self.grid.crs), LONLAT).bounds
        return west, south

    def closeups(self, row: WarningRow) -> dict[str, Closeup]:
        """A warning ``before`` its first flag and ``after``, as judged; empty where not seen."""
        gallery, frame = self.gallery(), Frame(self.grid)
        if row.relative_orbit is None:
            return {}
        place, judged = frame.to_grid(row.geom), self.judged(row)
        until = None if judged is None else judged.day
        pair = gallery.chip(place, row.relative_orbit, row.first_flag_date, until)
        shape = project(row.geom, SIRGAS_2000, str(self.grid.crs))
        found = {}
        for name, image in zip(("before", "after"), pair, strict=False):
            west, south, east, north = image.grid.boundingbox.bbox
            path = outline(shape, (west, south, east, north))
            days = image.date_text.replace(" to ", " – ")
            found[name] = Closeup(png(composite(image)), days, path, east - west)
        return found

    def series(
        self, lon: float, lat: float, orbit: int | None, on: date | None
    ) -> dict[str, Any] | None:
        """Every step of the pixel at a place, as ``detect.explain`` tells; None off the grid."""
        gallery = self.gallery()
        east, north, *_ = project(shapely.Point(lon, lat), LONLAT, str(self.grid.crs)).bounds
        box, r = self.grid.boundingbox, float(self.grid.resolution.x)
        row, col = _cell(box.top - north, r), _cell(east - box.left, r)
        if not (0 <= row < self.grid.shape.y and 0 <= col < self.grid.shape.x):
            return None
        known = [a for a in gallery.known if on is None or a.day <= on]
        orbits = sorted({a.relative_orbit for a in known})
        ours = [a for a in known if orbit is None or a.relative_orbit == orbit]
        answer: dict[str, Any] = {"lon": lon, "lat": lat, "orbit": orbit, "orbits": orbits}
        answer |= {"on": None, "points": [], "reason": "no images"}
        pixel = Window(row, row + 1, col, col + 1)
        reason = "no images"
        for last in _newest_of_orbits(ours):
            try:
                found = gallery.series(last, pixel)
            except InputError as error:
                reason = error.what
                continue
            if found.sizes["time"]:
                answer |= {"orbit": last.relative_orbit, "on": last.day.isoformat()}
                return answer | {"points": _points(found), "reason": None}
            reason = "too few images to learn from"
        return answer | {"reason": reason}


def _sar_tile(
    gallery: Gallery,
    name: str,
    address: TileAddress,
    until: date | None,
    stretch: tuple[float, float],
) -> bytes | None:
    grid = gallery.detector.grid
    if name == MOSAIC:
        newest = {a.relative_orbit: a for a in gallery.known if until is None or a.day <= until}
        passes = sorted(newest.values(), key=lambda a: a.acquired, reverse=True)
    else:
        passes = [a for a in gallery.known if a.acquisition_id == name]
        if not passes:
            return None
    x, y = address.centres(str(grid.crs))
    window = window_of(x, y, grid)
    image = None if window.empty or not passes else gallery.image(passes, window, _MOST_PX)
    empty = np.zeros((TILE, TILE, 4), np.uint8)
    return png(empty if image is None else sampled(image, x, y, stretch))


def _cell(distance: float, step: float) -> int:
    return int(distance // step) if math.isfinite(distance) else -1


def _newest_of_orbits(known: Sequence[Acquisition]) -> list[Acquisition]:
    newest = {a.relative_orbit: a for a in known}
    return sorted(newest.values(), key=lambda a: a.acquired, reverse=True)


def _points(found: Any) -> list[dict[str, Any]]:
    times = [f"{str(t)[:19]}Z" for t in found["time"].to_numpy()]
    columns = {name: found[name].to_numpy().tolist() for name in found.data_vars}
    return [
        {"time": time} | {name: _plain(values[k]) for name, values in columns.items()}
        for k, time in enumerate(times)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


#: Names of the layers of a product.
PRODUCT_BANDS = tuple(name for name, _ in BANDS)
