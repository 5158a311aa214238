"""Reading scenes from STAC items, ours or another provider's."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from urllib.parse import unquote, urlparse

import pystac
from shapely.errors import ShapelyError
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from curupira.codes import OrbitState
from curupira.errors import InputError
from curupira.records import Asset, Scene

#: Item property of the band number within a multi-band file, 1 where absent.
BAND_FIELD = "curupira:band"
_SENTINEL_1 = re.compile(r"(?:s|sentinel[-_ ]?)1[-_ ]?([a-z])")
#: A provider states one of these; the first that is there is the product clock.
_CLOCKS = ("created", "published", "updated")


def platform_name(text: str) -> str:
    """Canonical platform: ``S1A``, ``SENTINEL-1A`` and the like give ``sentinel-1a``."""
    name = text.strip().lower()
    match = _SENTINEL_1.fullmatch(name)
    return f"sentinel-1{match[1]}" if match else name


def is_remote(href: str) -> bool:
    """Whether a link is a URL or a GDAL virtual path, and not a file of this machine."""
    return href.startswith("/vsi") or ("://" in href and not href.startswith("file://"))


def resolve_href(href: str, base: str | None) -> str:
    """Absolute form of a link that stands in the file or URL ``base``.

    Raises
    ------
    InputError
        If the link is relative and there is no base.
    """
    if is_remote(href):
        return href
    if href.startswith("file://"):
        href = unquote(urlparse(href).path)
    if os.path.isabs(href):
        return os.path.normpath(href)
    if base is None:
        raise InputError(f"relative link {href!r} in an item without a place of its own")
    if is_remote(base):
        return pystac.utils.make_absolute_href(href, base, start_is_dir=False)
    return os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(base)), href))


def item_scene(
    item: pystac.Item, assets: Mapping[str, str], *, required: Collection[str] = ()
) -> Scene:
    """Read a scene from an item, ours or another provider's.

    Parameters
    ----------
    item
        With ``platform``, ``sat:relative_orbit`` (read, never computed), ``sat:orbit_state``, an
        aware ``datetime`` (or ``start_datetime``) and ``created``, ``published`` or ``updated``.
    assets
        Band (``vh``, ``vv``, ``lia``, ``angle``) to asset key; an empty key means absent.
    required
        Bands that must be there; others may be missing in an item.

    Raises
    ------
    InputError
        Naming the item and the field: one is missing or unusable, a time has no zone or lies
        after ``created``, no asset is found, a required one is not, or the footprint is empty.
    """
    acquired = _acquired(item)
    created = _created(item)
    if acquired > created:
        raise _bad(
            item,
            "datetime",
            f"acquired {iso(acquired)}, in the future of its creation {iso(created)}",
            "correct the item's times",
        )
    return Scene(
        scene_id=item.id,
        platform=platform_name(_text(item, "platform")),
        acquired=acquired,
        created=created,
        relative_orbit=_relative_orbit(item),
        orbit_state=_orbit_state(item),
        footprint=_footprint(item),
        assets=_assets(item, assets, required),
        slice_number=_slice_number(item),
    )


def iso(moment: datetime) -> str:
    """Aware time as ISO 8601 in UTC, ending in Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _bad(item: pystac.Item, field: str, what: str, remedy: str | None = None) -> InputError:
    return InputError(f"field {field!r}: {what}", where=f"item {item.id}", remedy=remedy)


def _text(item: pystac.Item, field: str) -> str:
    value = item.properties.get(field)
    if not isinstance(value, str) or not value.strip():
        raise _bad(item, field, "missing", "add it to the item")
    return value


def _aware(item: pystac.Item, field: str, value: object) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _bad(item, field, f"{value!r} is not an ISO 8601 time") from None
    if not isinstance(value, datetime):
        raise _bad(item, field, "missing", "add it to the item")
    if value.tzinfo is None:
        raise _bad(item, field, f"time {value.isoformat()} has no time zone", "add Z (UTC)")
    return value.astimezone(UTC)


def _acquired(item: pystac.Item) -> datetime:
    if item.datetime is not None:
        return _aware(item, "datetime", item.datetime)
    return _aware(item, "datetime", item.properties.get("start_datetime"))


def _created(item: pystac.Item) -> datetime:
    for field in _CLOCKS:
        if item.properties.get(field) is not None:
            return _aware(item, field, item.properties[field])
    raise _bad(item, "created", "missing (no 'published' or 'updated' either)", "add it")


def _relative_orbit(item: pystac.Item) -> int:
    value = item.properties.get("sat:relative_orbit")
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        what = "missing" if value is None else f"{value!r} is no orbit number"
        raise _bad(item, "sat:relative_orbit", what, "it is read, never computed: add it")
    return value


def _orbit_state(item: pystac.Item) -> OrbitState:
    value = _text(item, "sat:orbit_state").strip().lower()
    try:
        return OrbitState(value)
    except ValueError:
        raise _bad(
            item, "sat:orbit_state", f"{value!r}", "write 'ascending' or 'descending'"
        ) from None


def _slice_number(item: pystac.Item) -> int | None:
    value = item.properties.get("s1:slice_number")
    if value is None:
        return None
    # Planetary Computer writes it as text.
    if isinstance(value, int | str) and str(value).isdecimal():
        return int(value)
    raise _bad(item, "s1:slice_number", f"{value!r} is no number")


def _footprint(item: pystac.Item) -> BaseGeometry:
    if not item.geometry:
        raise _bad(item, "geometry", "missing", "add the scene's outline in lon/lat")
    try:
        footprint = shape(item.geometry)
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise _bad(item, "geometry", "is no GeoJSON geometry") from None
    if footprint.is_empty or footprint.area == 0 or not footprint.is_valid:
        raise _bad(item, "geometry", "is empty, no polygon, or invalid", "repair the outline")
    return footprint


def _assets(
    item: pystac.Item, assets: Mapping[str, str], required: Collection[str]
) -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    for band, key in assets.items():
        asset = item.assets.get(key) if key else None
        if asset is None:
            if band in required:
                raise _bad(
                    item,
                    f"assets.{key or band}",
                    f"missing, so that band {band} has no image (there are: "
                    f"{', '.join(sorted(item.assets)) or 'none'})",
                    "name the right asset in [source], or leave the scene out",
                )
            continue
        number = asset.extra_fields.get(BAND_FIELD, 1)
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise _bad(item, f"assets.{key}.{BAND_FIELD}", f"{number!r} is no band number")
        found[band] = Asset(
            resolve_href(asset.href, item.get_self_href()),
            number,
            str(asset.extra_fields.get("file:checksum", "")),
        )
    if not found:
        wanted = ", ".join(key for key in assets.values() if key)
        raise _bad(item, "assets", f"none of {wanted or 'the bands'}", "name them in [source]")
    return found
