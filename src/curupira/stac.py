"""Scenes as STAC items, and static catalogues of them.

Reading is in ``stac_read``; its names can be had from here as well.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pystac
from odc.geo.geobox import GeoBox
from shapely.geometry import mapping

from curupira.cog import write_atomic
from curupira.errors import InputError, StoreError
from curupira.records import Asset, Scene
from curupira.stac_read import (
    BAND_FIELD,
    is_remote,
    iso,
    item_scene,
    platform_name,
    resolve_href,
)

__all__ = [
    "check_catalogue",
    "is_remote",
    "is_simulated",
    "item_scene",
    "platform_name",
    "resolve_href",
    "scene_item",
    "write_catalogue",
]

CATALOGUE_FILE = "catalog.json"
RADIOMETRY_FIELD = "curupira:radiometry"
SCALE_FIELD = "curupira:scale"
_ITEMS = "items"
#: How the ids of the simulator's catalogues begin.
SIMULATED = "curupira-simulated-"
_EXTENSIONS = [
    "https://stac-extensions.github.io/sar/v1.0.0/schema.json",
    "https://stac-extensions.github.io/sat/v1.0.0/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/timestamps/v1.1.0/schema.json",
]


def scene_item(
    scene: Scene, grid: GeoBox, *, radiometry: str = "gamma0", scale: str = "linear"
) -> pystac.Item:
    """Describe a scene by the sar, sat, projection and timestamps extensions.

    Parameters
    ----------
    scene
        What to describe; asset keys are the scene's band names.
    grid
        Where the pixels of its assets lie.
    radiometry, scale
        ``gamma0`` or ``sigma0``, ``linear`` or ``db``: what the ``vh`` and ``vv`` assets hold.
    """
    bounds = grid.extent.boundingbox
    created = iso(scene.created)
    properties: dict[str, Any] = {
        "created": created,
        "published": created,
        "platform": scene.platform,
        "constellation": "sentinel-1",
        "instruments": ["c-sar"],
        "sar:instrument_mode": "IW",
        "sar:frequency_band": "C",
        "sar:polarizations": [b.upper() for b in ("vv", "vh", "hh", "hv") if b in scene.assets],
        "sar:product_type": radiometry.upper(),
        "sat:orbit_state": str(scene.orbit_state),
        "sat:relative_orbit": scene.relative_orbit,
        **_projection(grid),
        "proj:shape": [int(n) for n in grid.shape],
        "proj:transform": [float(v) for v in tuple(grid.affine)[:6]],
        "proj:bbox": [float(v) for v in bounds],
        RADIOMETRY_FIELD: radiometry,
        SCALE_FIELD: scale,
    }
    if not scene.platform.startswith("sentinel-1"):
        del properties["constellation"], properties["instruments"]
    if scene.slice_number is not None:
        properties["s1:slice_number"] = scene.slice_number
    item = pystac.Item(
        id=scene.scene_id,
        geometry=mapping(scene.footprint),
        bbox=list(scene.footprint.bounds),
        datetime=scene.acquired,
        properties=properties,
        stac_extensions=list(_EXTENSIONS),
    )
    for band, asset in scene.assets.items():
        item.add_asset(band, _asset(band, asset, scale))
    return item


def _projection(grid: GeoBox) -> dict[str, Any]:
    # A system without a code (a user's own) is written out.
    if grid.crs is None:
        raise InputError("the grid has no coordinate reference system", where="[grid] crs")
    code = str(grid.crs)
    if re.fullmatch(r"[A-Za-z]+:\w+", code):
        return {"proj:code": code}
    return {"proj:code": None, "proj:wkt2": grid.crs.to_wkt()}


def _asset(band: str, asset: Asset, scale: str) -> pystac.Asset:
    angle = band in ("lia", "angle")
    unit = "deg" if angle else ("dB" if scale == "db" else "1")
    fields: dict[str, Any] = {"unit": unit}
    if asset.band != 1:
        fields[BAND_FIELD] = asset.band
    return pystac.Asset(
        href=asset.href,
        media_type=pystac.MediaType.GEOTIFF,
        roles=["metadata" if angle else "data"],
        extra_fields=fields,
    )


def write_catalogue(
    folder: Path, items: Iterable[pystac.Item], *, catalogue_id: str, description: str
) -> Path:
    """Write or extend a static catalogue; the catalogue file comes last. Several may, at once.

    Parameters
    ----------
    folder
        Gets ``catalog.json`` and ``items/<id>.json``. Items that are there stay; one of the same
        id is replaced. Links, those to local files included, are relative to the file they are in.
    items
        With absolute asset links, or with a place of their own.
    catalogue_id, description
        Of the catalogue; an existing one's are replaced.

    Returns
    -------
    Path
        ``folder/catalog.json``.

    Raises
    ------
    StoreError
        If the disk refuses.
    InputError
        If an existing ``catalog.json`` is no catalogue.
    """
    folder = Path(folder)
    path = folder / CATALOGUE_FILE
    check_catalogue(folder)
    fresh = {}
    for item in items:
        name = f"{_ITEMS}/{_file_name(item.id)}"
        write_atomic(folder / name, _dump(_item_dict(item, folder / name)))
        href = f"./{name}"
        fresh[href] = {"rel": "item", "href": href, "type": "application/geo+json"}
    with _held(folder):
        links = {link["href"]: link for link in _old_links(path)} | fresh
        write_atomic(path, _dump(_catalogue(links, catalogue_id, description)))
    return path


def is_simulated(href: str) -> bool:
    """Whether a catalogue is one that the simulator wrote; one that is remote or gone is not."""
    if is_remote(href):
        return False
    try:
        document = json.loads(Path(href).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and str(document.get("id")).startswith(SIMULATED)


def check_catalogue(folder: Path) -> None:
    """Raise ``InputError`` if the folder's ``catalog.json`` is no catalogue."""
    _old_links(Path(folder) / CATALOGUE_FILE)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Wait for other writers of the catalogue. The lock dies with the process; its file stays."""
    path = folder / f".{CATALOGUE_FILE}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise StoreError(
            f"cannot be written ({error.strerror})", where=path, remedy="check the permissions"
        ) from error


def _catalogue(links: Mapping[str, Any], catalogue_id: str, description: str) -> dict[str, Any]:
    return {
        "type": "Catalog",
        "stac_version": pystac.get_stac_version(),
        "id": catalogue_id,
        "description": description,
        "links": [
            {"rel": "root", "href": f"./{CATALOGUE_FILE}", "type": "application/json"},
            *(links[href] for href in sorted(links)),
        ],
    }


def _old_links(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return [link for link in document["links"] if link["rel"] in ("item", "child")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "is no STAC catalogue", where=path, remedy="move it away, or name another folder"
        ) from error


def _item_dict(item: pystac.Item, path: Path) -> dict[str, Any]:
    document = item.to_dict(include_self_link=False, transform_hrefs=False)
    for asset in document["assets"].values():
        href = resolve_href(asset["href"], item.get_self_href())
        asset["href"] = href if is_remote(href) else _relative(href, path.parent)
    document["links"] = [
        {"rel": rel, "href": f"../{CATALOGUE_FILE}", "type": "application/json"}
        for rel in ("root", "parent")
    ]
    return document


def _relative(target: str, folder: Path) -> str:
    relative = os.path.relpath(target, os.path.abspath(folder)).replace(os.sep, "/")
    return relative if relative.startswith(".") else f"./{relative}"


def _file_name(item_id: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", item_id)
    if safe != item_id or safe.startswith("."):
        # Two ids must not share a file because a character was replaced.
        safe = f"item_{safe}_{hashlib.sha256(item_id.encode()).hexdigest()[:8]}"
    return f"{safe}.json"


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode()
