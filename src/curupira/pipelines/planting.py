"""Plant clearings into the files of a catalogue, and write the truth beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from rasterio.errors import RasterioIOError
from shapely.geometry import box, mapping

from curupira.cog import write_atomic
from curupira.errors import InputError
from curupira.grid import LONLAT, project
from curupira.records import Scene
from curupira.simulate.plant import Clearing, plant
from curupira.sources.catalogue import read_catalogue
from curupira.sources.files import open_raster, raster_grid
from curupira.sources.profiles import SourceParams
from curupira.units import naive_utc

BANDS: tuple[Literal["vh", "vv"], ...] = ("vh", "vv")


@dataclass(frozen=True, slots=True)
class _Layer:
    number: int
    acquired: datetime
    polarisation: Literal["vh", "vv"]


def plant_files(
    catalogue: Path, target: Path, clearings: Sequence[Clearing], *, now: datetime
) -> list[Path]:
    """Copy the images of a catalogue with clearings planted into them.

    Parameters
    ----------
    catalogue
        A ``catalog.json``; its images are linear gamma0 (VH, VV) in the CRS of the clearings. They
        are only read.
    target
        Folder that gets the files, named and laid out as beneath the catalogue's folder.
    clearings
        A file gets those that lie on it.

    Raises
    ------
    InputError
        If the catalogue or a file cannot be used, or the target cannot be written.
    """
    by_file: dict[Path, list[_Layer]] = {}
    for scene in read_catalogue(catalogue, SourceParams().assets, on_bad=None, now=now):
        for path, layer in _layers(scene):
            by_file.setdefault(path, []).append(layer)
    written = []
    for path in sorted(by_file):
        copy = target / path.relative_to(catalogue.resolve().parent)
        _plant_file(path, copy, sorted(by_file[path], key=lambda x: x.number), clearings)
        written.append(copy)
    return written


def _layers(scene: Scene) -> list[tuple[Path, _Layer]]:
    return [
        (Path(asset.href).resolve(), _Layer(asset.band, scene.acquired, band))
        for band in BANDS
        if (asset := scene.assets.get(band)) is not None
    ]


def _plant_file(
    path: Path, copy: Path, layers: Sequence[_Layer], clearings: Sequence[Clearing]
) -> None:
    with open_raster(str(path)) as source:
        grid = raster_grid(source)
        stack = source.read([layer.number for layer in layers])
        profile = {**source.profile, "count": len(layers)}
        tags, names = source.tags(), source.descriptions
        band_tags = [source.tags(layer.number) for layer in layers]
    outline = box(*grid.boundingbox)
    here = [c for c in clearings if c.geometry.intersects(outline)]
    times = np.array([naive_utc(layer.acquired) for layer in layers])
    for band in BANDS:
        own = [n for n, layer in enumerate(layers) if layer.polarisation == band]
        stack[own] = plant(stack[own], times[own], grid, here, band)
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(copy, "w", **profile) as sink:
            sink.write(stack)
            sink.update_tags(**tags)
            for number, (layer, about) in enumerate(zip(layers, band_tags, strict=True), start=1):
                sink.set_band_description(number, names[layer.number - 1] or "")
                sink.update_tags(number, **about)
    except (OSError, RasterioIOError) as error:
        raise InputError(
            f"cannot be written ({error})", where=copy, remedy="free the disk"
        ) from error


def write_truth(path: Path, clearings: Sequence[Clearing], crs: str) -> None:
    """Write the planted clearings as GeoJSON (RFC 7946), with name, date, area and drops."""
    features = [
        {
            "type": "Feature",
            "properties": c.truth(),
            "geometry": mapping(project(c.geometry, crs, LONLAT)),
        }
        for c in clearings
    ]
    document = {"type": "FeatureCollection", "features": features}
    write_atomic(path, json.dumps(document, indent=1).encode())
