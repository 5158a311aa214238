"""Scenes of STAC items: reading a static catalogue, duplicates, selection."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pystac
import requests
import shapely
from shapely.geometry.base import BaseGeometry

from curupira.errors import ConfigError, InputError, SourceError
from curupira.records import Scene
from curupira.sources.http import Http, redact
from curupira.sources.profiles import SourceParams
from curupira.stac import is_remote, item_scene, resolve_href
from curupira.units import add_months

OnBad = Callable[[str, InputError], None]
#: Place of an item, and its document or what is wrong with it.
Found = tuple[str, dict[str, Any] | InputError]
Adapt = Callable[[dict[str, Any]], dict[str, Any] | InputError]
#: Footprints that share this part of the smaller one show the same ground.
SAME_GROUND = 0.9
#: What pystac raises for documents that are no items.
_NO_ITEM = (
    pystac.STACError,
    pystac.STACTypeError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
)
_OPERA_TIMES = re.compile(r"(_\d{8}T\d{6}Z)_\d{8}T\d{6}Z(?=_|$)")
_SAFE_CHECKSUM = re.compile(r"(S1[A-Z]_.*_\d{8}T\d{6}_\d{8}T\d{6}_\d{6}_[0-9A-F]{6})_[0-9A-F]{4}")


def connection(params: SourceParams) -> Http:
    """Connection to a static catalogue: messages name its address alone."""
    http = Http(params)
    http.provider = ""
    return http


def read_catalogue(
    href: Path | str,
    assets: Mapping[str, str],
    *,
    required: Collection[str] = ("vh",),
    on_bad: OnBad | None,
    now: datetime | None = None,
    adapt: Adapt | None = None,
    http: Http | None = None,
) -> list[Scene]:
    """Read every scene of a catalogue, in time order.

    Parameters
    ----------
    href
        Catalogue, collection or feature collection: a path or URL.
    assets
        Band to asset key (``SourceParams.assets``).
    required
        Bands without which an item is bad (``SourceParams.required``).
    on_bad
        Called with the scene's id and the reason for each unusable item; None: the first raises.
    now
        Aware time after which no image can have been taken; None: not checked.
    adapt
        Puts another provider's items into our terms.
    http
        Reads a remote catalogue; None: with the default rate, time-out and attempts.

    Raises
    ------
    ConfigError
        If a local catalogue does not exist.
    SourceError
        If a remote one cannot be read.
    InputError
        If the catalogue itself is none; with ``on_bad`` None, for the first bad item.
    """
    root = str(href)
    if not is_remote(root) and not Path(resolve_href(root, "./x")).is_file():
        raise ConfigError(
            "the catalogue does not exist",
            where=root,
            remedy="correct [source] catalogue, or make one with 'curupira source index DIR'",
        )
    found = (
        (place, adapt(document) if adapt and isinstance(document, dict) else document)
        for place, document in _items(root, http or connection(SourceParams()))
    )
    return read_items(found, assets, required=required, on_bad=on_bad, now=now)


def read_items(
    documents: Iterable[Found],
    assets: Mapping[str, str],
    *,
    required: Collection[str],
    on_bad: OnBad | None,
    now: datetime | None,
) -> list[Scene]:
    """Read the scenes of item documents, in time order; the rest as for ``read_catalogue``.

    Parameters
    ----------
    documents
        The place of each and the document, or what is wrong with it.
    """
    scenes = []
    for name, found in documents:
        try:
            if isinstance(found, InputError):
                raise found
            scene = item_scene(_item(found, name), assets, required=required)
            if now is not None and scene.acquired > now:
                raise InputError(
                    f"field 'datetime': {scene.acquired.isoformat()} lies in the future",
                    where=f"item {scene.scene_id}",
                    remedy="correct the item's time, or this machine's clock",
                )
        except InputError as error:
            if on_bad is None:
                raise
            on_bad(_scene_id(found, name), error)
        else:
            scenes.append(scene)
    return sorted(scenes, key=_order)


def _order(scene: Scene) -> tuple[datetime, str, datetime]:
    return scene.acquired, scene.scene_id, scene.created


def _items(root: str, http: Http) -> Iterator[Found]:
    """Yield (place, item document or what is wrong with it), following child links once each."""
    pending, seen = [root], set[str]()
    while pending:
        place = pending.pop()
        if place in seen:
            continue
        seen.add(place)
        try:
            document = _load(place, http, linked=place != root)
        except InputError as error:
            if place == root:
                raise
            yield place, error
            continue
        kind = document.get("type")
        if kind == "Feature":
            yield place, document
        elif kind == "FeatureCollection":
            yield from ((place, feature) for feature in document.get("features", []))
        elif kind in ("Catalog", "Collection"):
            links = [ln for ln in document.get("links", []) if ln.get("rel") in ("item", "child")]
            pending.extend(resolve_href(link["href"], place) for link in reversed(links))
        else:
            strange = InputError(f"type {kind!r} is no STAC object", where=redact(place))
            if place == root:
                raise strange
            yield place, strange


def _load(place: str, http: Http, *, linked: bool) -> dict[str, Any]:
    where = redact(place)
    try:
        content = _fetch(place, http, linked) if is_remote(place) else Path(place).read_bytes()
        document = json.loads(content.decode())
    except FileNotFoundError as error:
        raise InputError("the catalogue links to it, but it is not there", where=where) from error
    except ValueError as error:
        raise InputError("is no JSON", where=where, remedy="fetch or write it again") from error
    except OSError as error:
        raise SourceError(
            f"cannot be read ({error})", where=where, remedy="try again, or correct [source]"
        ) from error
    if not isinstance(document, dict):
        raise InputError("is no STAC object", where=where)
    return document


def _fetch(place: str, http: Http, linked: bool) -> bytes:
    answer = http.request("GET", place)
    if linked and answer.status_code in (requests.codes.not_found, requests.codes.gone):
        # As with a file: one lost item does not cost the others.
        raise FileNotFoundError(place)
    if answer.status_code != requests.codes.ok:
        raise http.error(
            f"cannot be read (HTTP {answer.status_code})",
            redact(place),
            "try again, or correct [source] catalogue",
        )
    return answer.content


def _item(document: dict[str, Any], place: str) -> pystac.Item:
    try:
        return pystac.Item.from_dict(document, href=place)
    except _NO_ITEM as error:
        raise InputError(
            f"is no STAC item ({error})",
            where=f"item {_scene_id(document, place)}",
            remedy="correct or remove it",
        ) from error


def _scene_id(found: dict[str, Any] | InputError, place: str) -> str:
    name = found.get("id") if isinstance(found, dict) else None
    return name if isinstance(name, str) and name else PurePosixPath(redact(place)).stem


def product_id(scene_id: str) -> str:
    """Scene id without what changes when a provider processes the scene again.

    The processing time of OPERA names and the checksum at the end of SAFE names are dropped.
    """
    safe = _SAFE_CHECKSUM.fullmatch(scene_id)
    return safe[1] if safe else _OPERA_TIMES.sub(r"\1", scene_id)


def drop_duplicates(scenes: Iterable[Scene]) -> tuple[list[Scene], list[tuple[Scene, str]]]:
    """Keep one scene of each view of the ground: the newest ``created``.

    Two scenes are the same view if their ids differ by the processing time alone, or if platform,
    relative orbit and acquisition second agree and their footprints share 90 % of the smaller.
    Of two that were created at one time the first id stays.

    Returns
    -------
    kept
        In time order.
    dropped
        The others, each with its reason. The result depends on the set of scenes alone.
    """
    kept: list[Scene] = []
    dropped: list[tuple[Scene, str]] = []
    by_product: dict[str, Scene] = {}
    by_second: dict[tuple[str, int, datetime], list[Scene]] = {}
    for scene in sorted(scenes, key=lambda s: (-s.created.timestamp(), s.scene_id)):
        product, second = product_id(scene.scene_id), scene.acquired.replace(microsecond=0)
        winner = by_product.get(product) or _same_view(scene, second, by_second)
        if winner is not None:
            dropped.append((scene, _reason(scene, winner)))
            continue
        kept.append(scene)
        by_product[product] = scene
        by_second.setdefault((scene.platform, scene.relative_orbit, second), []).append(scene)
    return sorted(kept, key=_order), sorted(dropped, key=lambda pair: _order(pair[0]))


def _same_view(
    scene: Scene, second: datetime, by_second: Mapping[tuple[str, int, datetime], list[Scene]]
) -> Scene | None:
    # Neighbouring seconds too: processors differ in the last digits of the time.
    for shift in (0, -1, 1):
        key = (scene.platform, scene.relative_orbit, second + timedelta(seconds=shift))
        for other in by_second.get(key, ()):
            near = abs(other.acquired - scene.acquired) < timedelta(seconds=1)
            if near and _shared(scene.footprint, other.footprint) >= SAME_GROUND:
                return other
    return None


def _shared(first: BaseGeometry, second: BaseGeometry) -> float:
    smaller = min(first.area, second.area)
    return float(first.intersection(second).area / smaller)


def _reason(scene: Scene, winner: Scene) -> str:
    if winner.created > scene.created:
        return f"superseded by {winner.scene_id}, created {winner.created.isoformat()}"
    if winner.scene_id == scene.scene_id:
        return "listed twice"
    return f"two scenes with one timestamp: {winner.scene_id} is used"


def select(
    scenes: Iterable[Scene],
    params: SourceParams,
    *,
    area: BaseGeometry,
    since: date | None,
    until: date | None,
    by: Literal["acquisition", "ingestion"] | None = None,
) -> list[Scene]:
    """Choose the scenes of a period and area that the configuration allows, in time order.

    Parameters
    ----------
    scenes, params
        What there is, and the filters: pass direction, platforms, bands that must be there.
    area
        Lon/lat; scenes that share no ground with it are left out.
    since, until
        First and last UTC day, both included; None: open.
    by
        Whether they mean acquisition or ingestion (``created``); None: ``params.select_by``. By
        ingestion, scenes acquired over ``late_months`` before ``since`` are dropped
        (method.md 1A step 1).
    """
    shapely.prepare(area)
    ingestion = (by or params.select_by) == "ingestion"
    oldest = add_months(since, -params.late_months) if since and ingestion else None
    chosen = []
    for scene in scenes:
        day = (scene.created if ingestion else scene.acquired).astimezone(UTC).date()
        if (since and day < since) or (until and day > until):
            continue
        if oldest and scene.acquired.astimezone(UTC).date() < oldest:
            continue
        if _allowed(scene, params) and _covers(scene.footprint, area):
            chosen.append(scene)
    return sorted(chosen, key=_order)


def _allowed(scene: Scene, params: SourceParams) -> bool:
    return (
        params.orbit_state in ("any", scene.orbit_state)
        and (not params.platforms or scene.platform in params.platforms)
        and all(band in scene.assets for band in params.required)
    )


def _covers(footprint: BaseGeometry, area: BaseGeometry) -> bool:
    return bool(area.intersects(footprint)) and not area.touches(footprint)
