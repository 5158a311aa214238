"""Warnings to a file of some format: one table of formats, one way to write a file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
from pyogrio.errors import DataLayerError, DataSourceError

from curupira.cog import reason, refuse_device
from curupira.deliver.agency import write_deter, write_deter_r, write_deter_rt
from curupira.deliver.frame import checked
from curupira.deliver.gis import write_gpkg, write_parquet, write_shp
from curupira.deliver.markup import write_gpx, write_kml
from curupira.deliver.text import write_csv, write_geojson
from curupira.errors import ConfigError, StoreError

Writer = Callable[[gpd.GeoDataFrame, Path], None]


@dataclass(frozen=True)
class Format:
    """How a format is written, and the suffixes it goes by, its own first.

    ``write`` gets the checked table and a file to create in an empty folder of its own.
    """

    write: Writer
    suffixes: tuple[str, ...]


FORMATS: dict[str, Format] = {
    "geojson": Format(write_geojson, (".geojson", ".json")),
    "gpkg": Format(write_gpkg, (".gpkg",)),
    "parquet": Format(write_parquet, (".parquet", ".geoparquet")),
    "shp": Format(write_shp, (".zip",)),
    "csv": Format(write_csv, (".csv",)),
    "kml": Format(write_kml, (".kml",)),
    "gpx": Format(write_gpx, (".gpx",)),
    "deter": Format(write_deter, (".zip",)),
    "deter_r": Format(write_deter_r, (".geojson",)),
    "deter_rt": Format(write_deter_rt, (".zip",)),
}


def format_of(path: Path, name: str | None = None) -> str:
    """Name of the format asked for, or that the file's suffix tells.

    Raises
    ------
    ConfigError
        If there is no such format, the suffix tells none, or a Shapefile is not to be a .zip.
    """
    known = ", ".join(FORMATS)
    if name is None:
        suffix = path.suffix.lower()
        if suffix == ".shp":
            name = "shp"
        else:
            name = next((n for n, f in FORMATS.items() if suffix in f.suffixes), None)
        if name is None:
            raise ConfigError(
                f"the suffix {path.suffix!r} tells no format",
                where=path,
                remedy=f"give --format, one of {known}",
            )
    if name not in FORMATS:
        raise ConfigError(f"no format {name!r}", where="--format", remedy=f"choose one of {known}")
    if ".zip" in FORMATS[name].suffixes and path.suffix.lower() != ".zip":
        raise ConfigError(
            f"format {name} is one .zip file", where=path, remedy=f"name it {path.stem}.zip"
        )
    return name


def export(warnings: gpd.GeoDataFrame, path: Path, name: str | None = None) -> None:
    """Write warnings to a file, which is replaced only by a complete one.

    Parameters
    ----------
    warnings
        Columns of product.md section 5, any CRS (EPSG:4674 in the store). Empty tables give valid
        empty files.
    path
        The file; its folder is made.
    name
        A key of ``FORMATS``; None takes the one that the suffix tells.

    Raises
    ------
    ConfigError
        If the format is unknown, or ``path`` is a folder, a device, or too long a name.
    InputError
        If the table lacks needed columns or a CRS.
    StoreError
        If the disk refuses; an existing file stays as it was.
    """
    chosen = FORMATS[format_of(path, name)]
    refuse_device(path)
    if path.is_dir():
        raise ConfigError("this is a folder", where=path, remedy="name a file")
    table = checked(warnings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            part = beside / f"{path.stem}{chosen.suffixes[0]}"
            chosen.write(table, part)
            part.replace(path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except (OSError, DataSourceError, DataLayerError) as error:
        raise StoreError(
            f"cannot write ({reason(error)})",
            where=path,
            remedy="free space, or make the folder writable",
        ) from error
