"""Build the masks of a workspace, and read them block by block."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.windows import Window as RasterWindow

from curupira.blocks import Window
from curupira.cog import write_atomic, write_cog
from curupira.config import Workspace
from curupira.detect.params import DetectParams
from curupira.errors import ConfigError, InputError, StoreError
from curupira.sources import masks as layers
from curupira.store.session import Store

#: Codes of the zones raster.
MASKED, MONITORED, OUTSIDE = 0, 1, 255
ZONES, DISTANCE, RECORD = "zones.tif", "distance.tif", "masks.json"


@dataclass(frozen=True)
class MaskSet:
    """The masks of a workspace on disk. Picklable, for Dask workers.

    ``record`` has, for every layer, its source, date, SHA-256 and counts, and the areas in km2.
    """

    folder: Path
    record: dict[str, Any]

    @property
    def hash(self) -> str:
        """Hash of the pixels."""
        return str(self.record["hash"])

    @property
    def deforestation_date(self) -> date | None:
        """Newest date of the deforestation layers, where they have one."""
        days = [x["newest"] for x in self.record["layers"] if x["kind"] == "deforestation"]
        return max((date.fromisoformat(d) for d in days if d is not None), default=None)

    def read_zones(self, window: Window) -> npt.NDArray[np.uint8]:
        """Zone codes of a window: masked 0, monitored 1, outside the area 255."""
        return _read(self.folder / ZONES, window)

    def read_distance(self, window: Window) -> npt.NDArray[np.float32] | None:
        """Distance to past deforestation in metres, or None where none is known."""
        return _read(self.folder / DISTANCE, window) if self.record["has_distance"] else None


def _read(path: Path, window: Window) -> npt.NDArray[Any]:
    with rasterio.open(path) as source:
        return np.asarray(source.read(1, window=RasterWindow.from_slices(*window.slices)))


def build(workspace: Workspace, now: datetime) -> MaskSet:
    """Compose the forest mask and the distance to deforestation, and write them.

    Raises
    ------
    ConfigError, InputError
        If a layer is missing, empty, without a CRS, or off the area; or nothing is left to watch.
    """
    grid, params = workspace.grid, workspace.monitor.masks
    threshold = DetectParams.from_preset(workspace.preset).threshold
    composed = layers.build_masks(
        params, grid, base=workspace.folder, max_distance_m=threshold.max_distance_m
    )
    inside = layers.area_mask(workspace.area, grid)
    zones = np.where(inside, np.where(composed.forest, MONITORED, MASKED), OUTSIDE).astype(np.uint8)
    if not (zones == MONITORED).any():
        raise InputError(
            "the masks leave no forest to watch within the area",
            where="[masks]",
            remedy="check which layers are forest and which are not",
        )
    folder = workspace.path(params.output)
    _forget(folder)
    write_cog(folder / ZONES, zones[None], grid, nodata=OUTSIDE, descriptions=("zone",))
    digest = hashlib.sha256(zones.tobytes())
    has_distance = bool(composed.deforestation.any() or np.isfinite(composed.distance_m).any())
    if has_distance:
        digest.update(composed.distance_m.tobytes())
        write_cog(
            folder / DISTANCE,
            composed.distance_m[None],
            grid,
            nodata=float("nan"),
            descriptions=("distance to past deforestation, m",),
        )
    record = {
        "built_at": now.astimezone(UTC).isoformat(),
        "hash": digest.hexdigest()[:16],
        "has_distance": has_distance,
        "grid": grid_record(grid),
        "layers": [_plain(asdict(layer)) for layer in composed.records],
        "km2": layers.areas_km2(composed, inside, float(grid.resolution.x)),
    }
    write_atomic(folder / RECORD, json.dumps(record, indent=2).encode())
    return MaskSet(folder, record)


def rebuild(workspace: Workspace, now: datetime) -> MaskSet:
    """Build the masks under the workspace's lock: no run reads half of the old, half of the new.

    Raises
    ------
    BusyError
        If a run holds the workspace.
    ConfigError, InputError
        As :func:`build`.
    """
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=True)
    with store, store.lock():
        return build(workspace, now)


def _forget(folder: Path) -> None:
    # Masks without their record are built again: a crash must not leave new pixels with old words.
    try:
        (folder / RECORD).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot be written ({error.strerror})",
            where=folder,
            remedy="it must be a folder that can be written",
        ) from error


def _plain(layer: dict[str, Any]) -> dict[str, Any]:
    newest = layer["newest"]
    return layer | {"newest": None if newest is None else newest.isoformat()}


def load(workspace: Workspace, now: datetime) -> MaskSet:
    """Masks of the workspace; built first where there are none yet.

    Raises
    ------
    ConfigError
        If they were built on another grid.
    """
    folder = workspace.path(workspace.monitor.masks.output)
    path = folder / RECORD
    if not path.is_file():
        return build(workspace, now)
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["grid"] != grid_record(workspace.grid):
        raise ConfigError(
            "the masks were built on another grid",
            where=path,
            remedy="build them again with `curupira masks build`",
        )
    return MaskSet(folder, record)


def grid_record(grid: GeoBox) -> dict[str, Any]:
    """Plain description of a grid, to compare."""
    return {
        "crs": str(grid.crs),
        "shape": [grid.shape.y, grid.shape.x],
        "transform": list(grid.affine)[:6],
    }
