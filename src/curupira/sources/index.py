"""A static STAC catalogue of a folder of GeoTIFFs (``curupira source index``).

``created``, the product clock, is the processing time where the source's name or a tag holds it,
otherwise the acquisition time. The footprint is the raster's outline, therefore there is no slice
number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

import pystac
from odc.geo.geobox import GeoBox

from curupira.codes import OrbitState
from curupira.errors import ConfigError, InputError
from curupira.grid import LONLAT
from curupira.records import Asset, Scene
from curupira.sources.catalogue import OnBad
from curupira.sources.checks import outline
from curupira.sources.files import open_raster, raster_grid
from curupira.sources.names import Defaults, Image, describe_band
from curupira.stac import scene_item, write_catalogue

_SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One band of one file, and where its pixels lie."""

    image: Image
    asset: Asset
    place: GeoBox


def build_index(
    folder: Path,
    *,
    now: datetime,
    output: Path | None = None,
    platform: str | None = None,
    relative_orbit: int | None = None,
    orbit_state: OrbitState | None = None,
    radiometry: str = "gamma0",
    scale: str = "linear",
    on_bad: OnBad | None = None,
) -> Path:
    """Make or extend the catalogue of the GeoTIFFs in a folder and its subfolders.

    Parameters
    ----------
    folder
        Holds one file a date and polarisation (OPERA, HyP3, Planetary Computer names, or tags), or
        stacks with one band a date (band tags ``datetime``, ``platform``, ``source``, or the date
        as band description). See ``names.describe_band`` for what is read from where.
    now
        Aware time; an image dated later is refused.
    output
        Folder of the catalogue; None: ``folder`` itself.
    platform, relative_orbit, orbit_state
        For files that do not say it themselves. They are never computed.
    radiometry, scale
        What the images hold; noted in the items.
    on_bad
        Called with file or scene and reason for each that is left out; None: the first raises.

    Returns
    -------
    Path
        The ``catalog.json``; links are relative to the files they stand in.

    Raises
    ------
    ConfigError
        If the folder does not exist.
    InputError
        If no image can be used; with ``on_bad`` None, for the first bad file or scene.
    StoreError
        If the disk refuses.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError("is no folder", where=folder, remedy="name the folder of the GeoTIFFs")
    defaults = Defaults(platform, relative_orbit, orbit_state)
    return write_catalogue(
        output or folder,
        _items(folder, defaults, now, on_bad or _raise, radiometry=radiometry, scale=scale),
        catalogue_id=folder.resolve().name or "images",
        description=f"Sentinel-1 images, {radiometry}, {scale}; indexed by curupira",
    )


def _raise(name: str, error: InputError) -> None:
    raise error


def _useless(folder: Path, reasons: list[str]) -> InputError:
    if not reasons:
        return InputError("holds no GeoTIFF", where=folder, remedy="name another folder")
    return InputError(
        f"none of its {len(reasons)} images can be used; the first: {reasons[0]}",
        where=folder,
        remedy="mend them, or name another folder",
    )


def _items(
    folder: Path, defaults: Defaults, now: datetime, tell: OnBad, *, radiometry: str, scale: str
) -> list[pystac.Item]:
    """Items of all scenes that can be used: one at least."""
    reasons: list[str] = []

    def report(name: str, error: InputError) -> None:
        reasons.append(str(error))
        tell(name, error)

    items = []
    for scene_id, entries in sorted(_by_scene(folder, defaults, now, report).items()):
        try:
            scene = _scene(scene_id, entries)
        except InputError as error:
            report(scene_id, error)
            continue
        items.append(scene_item(scene, entries[0].place, radiometry=radiometry, scale=scale))
    if not items:
        raise _useless(folder, reasons)
    return items


def _by_scene(
    folder: Path, defaults: Defaults, now: datetime, report: OnBad
) -> dict[str, list[_Entry]]:
    found: dict[str, list[_Entry]] = {}
    for path in _rasters(folder):
        try:
            entries = list(_entries(path, folder, defaults, now))
        except InputError as error:
            report(path.relative_to(folder).as_posix(), error)
            continue
        for entry in entries:
            found.setdefault(entry.image.scene_id, []).append(entry)
    return found


def _rasters(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def _entries(path: Path, folder: Path, defaults: Defaults, now: datetime) -> Iterator[_Entry]:
    name = PurePosixPath(path.relative_to(folder).as_posix())
    with open_raster(str(path.resolve())) as dataset:
        place = raster_grid(dataset)
        for number in range(1, dataset.count + 1):
            image = describe_band(
                name,
                dataset.tags(),
                dataset.tags(number),
                dataset.descriptions[number - 1],
                defaults,
            )
            if image.acquired > now:
                raise InputError(
                    f"band {number} is dated {image.acquired.isoformat()}, in the future",
                    where=name,
                    remedy="correct the date, or this machine's clock",
                )
            yield _Entry(image, Asset(str(path.resolve()), number), place)


def _scene(scene_id: str, entries: list[_Entry]) -> Scene:
    first = entries[0].image
    assets: dict[str, Asset] = {}
    for entry in entries:
        image = entry.image
        if image.band in assets:
            raise InputError(
                f"two images for {image.band.upper()}: {_where(assets[image.band])} and "
                f"{_where(entry.asset)}",
                where=f"scene {scene_id}",
                remedy="remove one, or give the bands dates",
            )
        assets[image.band] = entry.asset
        differing = [
            field
            for field in ("acquired", "platform", "relative_orbit", "orbit_state")
            if getattr(image, field) != getattr(first, field)
        ]
        if differing:
            raise InputError(
                f"{_where(entries[0].asset)} and {_where(entry.asset)} differ in "
                f"{', '.join(differing)}",
                where=f"scene {scene_id}",
                remedy="correct the tags or names",
            )
    return Scene(
        scene_id=scene_id,
        platform=first.platform,
        acquired=first.acquired,
        created=max(entry.image.created for entry in entries),
        relative_orbit=first.relative_orbit,
        orbit_state=first.orbit_state,
        footprint=outline(entries[0].place, LONLAT),
        assets=assets,
    )


def _where(asset: Asset) -> str:
    return f"{Path(asset.href).name} band {asset.band}"
