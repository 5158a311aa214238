"""What the web application shows of images: map tiles, pictures, the series of a pixel."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from PIL import Image as Pillow
from pyproj import Transformer

from curupira.blocks import Window
from curupira.config import Workspace
from curupira.errors import InputError
from curupira.grid import LONLAT, project
from curupira.pipelines import publish
from curupira.pipelines.entries import Frame
from curupira.pipelines.pictures import Gallery
from curupira.pipelines.products import BANDS, NODATA, product_path
from curupira.records import Acquisition, group_acquisitions
from curupira.report import SarImage
from curupira.report.mapparts import STRETCH_DB
from curupira.store import scene as scenes
from curupira.store.session import Store
from curupira.store.tables import WarningRow
from curupira.units import to_db

#: Side of a map tile, pixels; half the circumference of the Web Mercator world, metres.
TILE, WORLD = 256, 20037508.342789244
MOSAIC = "mosaic"
#: A tile is made from at most this many pixels of the grid a side.
_MOST_PX = 2 * TILE
_COLOURS = {
    "n_alerts": ((255, 233, 74), (255, 106, 19), (178, 24, 43)),
    "first_flag_days": ((69, 117, 180), (254, 224, 144), (215, 48, 39)),
    "excess_db": ((255, 255, 204), (253, 141, 60), (128, 0, 38)),
    "confidence": ((237, 248, 177), (65, 182, 196), (8, 29, 88)),
}
_RANGES = {"n_alerts": (1, 6), "excess_db": (0, 600), "confidence": (0, 100)}
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TileAddress:
    """Column and row of a Web Mercator tile."""

    z: int
    x: int
    y: int

    @property
    def valid(self) -> bool:
        """Whether the world has such a tile."""
        return 0 <= self.z <= 22 and 0 <= self.x < 2**self.z and 0 <= self.y < 2**self.z

    def centres(self, crs: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Coordinates of the tile's pixel centres in a reference system, ``(y, x)`` each."""
        step = 2 * WORLD / 2**self.z / TILE
        along = (np.arange(TILE) + 0.5) * step
        x = -WORLD + self.x * TILE * step + along
        y = WORLD - self.y * TILE * step - along
        xx, yy = np.meshgrid(x, y)
        found = _to_grid(crs).transform(xx, yy)
        return np.asarray(found[0]), np.asarray(found[1])


@lru_cache(maxsize=8)
def _to_grid(crs: str) -> Transformer:
    return Transformer.from_crs("EPSG:3857", crs, always_xy=True)


class Viewer:
    """Pictures of a workspace for many readers; it follows the runs that go on beside it."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self.workspace, self.store = workspace, store
        self.grid = workspace.grid
        self._lock = Lock()
        self._gallery: tuple[Any, Gallery] | None = None

    def gallery(self) -> Gallery:
        """Images and products as the last run left them.

        Raises
        ------
        StoreError
            If there is no cube yet.
        """
        with self._lock:
            with self.store.reading() as session:
                found = scenes.latest(session)
                state = (scenes.counts(session), None if found is None else found.scene_id)
            if self._gallery is None or self._gallery[0] != state:
                now = datetime.now(UTC)
                with self.store.reading() as session:
                    known = group_acquisitions(scenes.ingested(session))
                self._gallery = (state, publish.open_gallery(self.workspace, known, now))
            return self._gallery[1]

    def acquisitions(self) -> list[Acquisition]:
        """All acquisitions, newest first."""
        return list(reversed(self.gallery().known))

    def has_product(self, acquisition_id: str) -> bool:
        """Whether the warning layers of an acquisition are on disk."""
        return self._product(acquisition_id) is not None

    def _product(self, acquisition_id: str) -> Path | None:
        # The name is looked up among the known ones: a request can name no other file.
        if acquisition_id not in {a.acquisition_id for a in self.gallery().known}:
            return None
        path = product_path(self.workspace.folder, acquisition_id)
        return path if path.is_file() else None

    def sar_tile(self, name: str, address: TileAddress, until: date | None) -> bytes | None:
        """Composite of an acquisition, or of the newest of every orbit; None if not known."""
        gallery = self.gallery()
        if name == MOSAIC:
            newest = {a.relative_orbit: a for a in gallery.known if until is None or a.day <= until}
            passes = sorted(newest.values(), key=lambda a: a.acquired, reverse=True)
        else:
            passes = [a for a in gallery.known if a.acquisition_id == name]
            if not passes:
                return None
        x, y = address.centres(str(self.grid.crs))
        window = _window(x, y, self.grid)
        image = None if window.empty or not passes else gallery.image(passes, window, _MOST_PX)
        return _png(np.zeros((TILE, TILE, 4), np.uint8) if image is None else _sampled(image, x, y))

    def product_tile(self, acquisition_id: str, band: str, address: TileAddress) -> bytes | None:
        """Warning layer of an acquisition, coloured; grey where nothing was observed."""
        path = self._product(acquisition_id)
        if path is None or band not in _COLOURS:
            return None
        x, y = address.centres(str(self.grid.crs))
        window = _window(x, y, self.grid)
        out = np.zeros((TILE, TILE, 4), np.uint8)
        if window.empty:
            return _png(out)
        step = max(1, math.ceil(max(window.shape) / _MOST_PX))
        gallery = self.gallery()
        codes = gallery.read_product(path, band, window)[::step, ::step]
        flags = gallery.read_product(path, "n_alerts", window)[::step, ::step]
        rows, cols, inside = _indices(x, y, self.grid[window.slices].zoom_out(step), codes.shape)
        value, flag = codes[rows, cols], flags[rows, cols]
        return _png(_coloured(value, flag, inside, band))

    def chip(self, row: WarningRow, which: str) -> bytes | None:
        """A warning's surroundings before its first flag (``before``) and now (``after``)."""
        gallery, frame = self.gallery(), Frame(self.grid)
        if row.relative_orbit is None:
            return None
        pair = gallery.chip(frame.to_grid(row.geom), row.relative_orbit, row.first_flag_date)
        return _png(_composite(pair[which == "after"])) if pair else None

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


def _window(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], grid: GeoBox) -> Window:
    """Window of the grid that a tile may show; empty where it shows none of it."""
    finite = np.isfinite(x) & np.isfinite(y)
    whole = Window(0, grid.shape.y, 0, grid.shape.x)
    if not finite.any():
        return Window(0, 0, 0, 0)
    box, r = grid.boundingbox, float(grid.resolution.x)
    limit = float(max(whole.shape)) + 10
    bounds = [
        (box.top - y[finite].max()) / r - 1,
        (box.top - y[finite].min()) / r + 1,
        (x[finite].min() - box.left) / r - 1,
        (x[finite].max() - box.left) / r + 1,
    ]
    y0, y1, x0, x1 = (int(np.clip(b, -10, limit)) for b in bounds)
    return Window(y0, y1, x0, x1).intersect(whole)


def _indices(
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    place: GeoBox,
    shape: tuple[int, ...],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    box = place.boundingbox
    step_x, step_y = float(place.resolution.x), abs(float(place.resolution.y))
    with np.errstate(invalid="ignore"):
        cols = np.floor((x - box.left) / step_x)
        rows = np.floor((box.top - y) / step_y)
        inside = (cols >= 0) & (rows >= 0) & (cols < shape[1]) & (rows < shape[0])
    rows, cols = np.where(inside, rows, 0), np.where(inside, cols, 0)
    return rows.astype(np.intp), cols.astype(np.intp), np.asarray(inside, dtype=np.bool_)


def _sampled(image: SarImage, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Bytes:
    colours = _composite(image)
    rows, cols, inside = _indices(x, y, image.grid, image.vh.shape)
    out = colours[rows, cols]
    out[~inside] = 0
    return out


def _composite(image: SarImage) -> Bytes:
    """R = VV, G = VH, B = VV - VH in dB; grey where there is no VV; transparent without image."""
    vv, vh = to_db(image.vv), to_db(image.vh)
    alone = np.isnan(vv)
    bands = {"VV": np.where(alone, vh, vv), "VH": vh, "VV-VH": np.where(alone, vh, vv - vh)}
    out = np.zeros((*vh.shape, 4), np.uint8)
    for k, (name, band) in enumerate(bands.items()):
        bottom, top = (
            np.where(alone, STRETCH_DB["VH"][end], STRETCH_DB[name][end]) for end in (0, 1)
        )
        scaled = np.clip((np.nan_to_num(band, nan=-99.0) - bottom) / (top - bottom), 0, 1)
        out[..., k] = np.round(255 * scaled)
    out[..., 3] = np.where(np.isnan(vh), 0, 255)
    return out


def _coloured(
    value: npt.NDArray[np.int16],
    flags: npt.NDArray[np.int16],
    inside: npt.NDArray[np.bool_],
    band: str,
) -> Bytes:
    out = np.zeros((*value.shape, 4), np.uint8)
    out[inside & (flags == NODATA)] = (90, 90, 90, 70)
    shown = inside & (value != NODATA) & (flags > 0)
    if shown.any():
        low, high = _RANGES.get(band) or (int(value[shown].min()), int(value[shown].max()))
        share = np.clip((value[shown].astype(np.float64) - low) / max(high - low, 1), 0, 1)
        stops = np.array(_COLOURS[band], dtype=np.float64)
        at = np.linspace(0, 1, len(stops))
        rgb = [np.interp(share, at, stops[:, k]) for k in range(3)]
        out[shown] = np.stack([*rgb, np.full(share.shape, 230)], axis=-1).astype(np.uint8)
    return out


def _png(pixels: Bytes) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(pixels, "RGBA").save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


#: Names of the layers of a product.
PRODUCT_BANDS = tuple(name for name, _ in BANDS)
