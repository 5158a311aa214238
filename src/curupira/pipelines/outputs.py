"""Outputs that appear whole or not at all: folders, vector files."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from curupira.cog import reason, refuse_device, write_atomic
from curupira.errors import ConfigError, StoreError
from curupira.grid import LONLAT

#: Digits after the point of GeoJSON degrees: a tenth of a millimetre, so that squares still touch.
_DIGITS = 9


@contextmanager
def fresh_folder(folder: Path, marker: str, *, force: bool) -> Iterator[Path]:
    """Yield an empty folder beside ``folder`` that takes its place when the block ends well.

    Parameters
    ----------
    folder
        Must not exist or be empty, unless ``force``.
    marker
        File that every complete folder of the kind holds; ``force`` replaces no other folder.

    Raises
    ------
    ConfigError
        If the folder is in the way.
    StoreError
        If the disk refuses.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not force:
            raise ConfigError("is there already", where=folder, remedy="say --force to replace it")
        if not (folder / marker).is_file():
            raise ConfigError(
                f"holds other things (no {marker})", where=folder, remedy="name another folder"
            )
    beside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        beside.mkdir(parents=True)
        yield beside
        old = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old")
        if folder.exists():
            folder.rename(old)
        beside.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StoreError(
            f"cannot write ({error.strerror or error})",
            where=folder,
            remedy="free space, or make the folder writable",
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write_geojson(frame: gpd.GeoDataFrame, path: Path, *, notice: str = "") -> None:
    """Write RFC 7946 GeoJSON (lon/lat, right-hand rule), atomically.

    ``notice``: whose images these are from, the member ``attribution``.

    Raises
    ------
    StoreError
        If the disk refuses.
    """
    there = frame.to_crs(LONLAT)
    rounded = shapely.transform(there.geometry.to_numpy(), lambda xy: xy.round(_DIGITS))
    there = there.set_geometry(shapely.orient_polygons(rounded), crs=LONLAT)
    text = there.to_json(drop_id=True, show_bbox=False, to_wgs84=True, ensure_ascii=False)
    if notice:
        text = json.dumps({"attribution": notice} | json.loads(text), ensure_ascii=False)
    write_atomic(path, text.encode("utf-8"))


def write_gpkg(frame: gpd.GeoDataFrame, path: Path, layer: str, *, notice: str = "") -> None:
    """Write a GeoPackage in the frame's own CRS, atomically.

    ``notice``: whose images these are from, the layer's description.

    Raises
    ------
    StoreError
        If the disk refuses.
    """
    refuse_device(path)
    beside = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.gpkg")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = "Polygon" if set(frame.geom_type) <= {"Polygon"} else "MultiPolygon"
        pyogrio.write_dataframe(
            frame, beside, driver="GPKG", layer=layer, geometry_type=kind,
            promote_to_multi=kind == "MultiPolygon", layer_options={"DESCRIPTION": notice},
        )  # fmt: skip
        beside.replace(path)
    except (OSError, DataSourceError, DataLayerError) as error:
        raise StoreError(
            f"cannot write ({reason(error)})", where=path, remedy="free space, or make it writable"
        ) from error
    finally:
        beside.unlink(missing_ok=True)
