"""Scenes of a STAC API: searched by area and time, in pages, and put into our terms."""

from __future__ import annotations

import fnmatch
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pystac
import pystac_client
import shapely
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

from curupira.errors import InputError
from curupira.records import Scene
from curupira.sources.catalogue import Found, OnBad, drop_duplicates, read_items
from curupira.sources.http import Http, redact
from curupira.sources.images import Provider
from curupira.sources.profiles import SourceParams
from curupira.units import add_months

#: Items asked for at a time.
PAGE = 100
#: What the libraries raise for answers that are no STAC API's.
_NO_API = (
    APIError,
    ClientTypeError,
    pystac.STACError,
    pystac.STACTypeError,
    NotImplementedError,
    KeyError,
    TypeError,
    ValueError,
)
_OPERA = re.compile(r"OPERA_L2_RTC-S1_T(\d{3})-.*?_(\d{8}T\d{6}Z)_(\d{8}T\d{6}Z)_(S1[A-Z])_")
#: Sentinel-1 crosses the equator northwards at 18:00 local solar time, southwards at 6:00.
_NOON = 12.0


class _Io(StacApiIO):
    """pystac-client's requests by our connection: its pace, its patience, its errors."""

    def __init__(self, http: Http) -> None:
        super().__init__(max_retries=None)
        self.http = http

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """Return the text of a STAC document."""
        verb = (method or "GET").upper()
        body = {"json": parameters} if verb == "POST" else {"params": parameters or {}}
        response = self.http.request(verb, href, where="search", headers=headers, **body)
        if response.status_code != 200:
            raise self.http.error(
                f"refuses the search (HTTP {response.status_code}: {response.text[:200]!r})",
                redact(href),
                "check [source] catalogue and collection",
            )
        try:
            json.loads(response.content)
        except ValueError:
            raise self.http.error(
                "answers a search with something else than JSON: a web page?",
                redact(href),
                "check [source] catalogue, and any proxy or login between",
            ) from None
        return response.text


def search_scenes(
    provider: Provider,
    *,
    area: BaseGeometry,
    since: date | None,
    until: date | None,
    on_bad: OnBad | None,
    now: datetime | None = None,
) -> list[Scene]:
    """Find the scenes over an area, in time order.

    Parameters
    ----------
    area
        Lon/lat. Asked for is its convex hull: the caller selects exactly.
    since, until
        First and last UTC day, both included; None: open. They mean acquisition; where
        ``select_by`` is ingestion, images acquired up to ``late_months`` before are found as well,
        for ``catalogue.select`` to choose by publication.
    on_bad, now
        As for ``catalogue.read_catalogue``.

    Raises
    ------
    SourceError
        If the provider does not answer, refuses, or answers with no JSON.
    InputError
        With ``on_bad`` None, for the first bad item.
    """
    params = provider.params
    if since is not None and params.select_by == "ingestion":
        since = add_months(since, -params.late_months)
    hull = shapely.set_precision(shapely.convex_hull(area), 1e-5)
    found = _pages(
        provider.http, params, intersects=mapping(hull), datetime=_interval(since, until)
    )
    return read_items(found, params.assets, required=params.required, on_bad=on_bad, now=now)


def find_scene(provider: Provider, scene: Scene) -> Scene | None:
    """The same view of the ground at another provider, whatever its name there; None: absent."""
    day = scene.acquired.date()
    others = search_scenes(
        provider, area=scene.footprint, since=day, until=day, on_bad=lambda _, __: None
    )
    return next((s for s in others if len(drop_duplicates([scene, s])[0]) == 1), None)


def _interval(since: date | None, until: date | None) -> str | None:
    if since is None and until is None:
        return None
    first = ".." if since is None else f"{since.isoformat()}T00:00:00Z"
    last = datetime.combine(until, time.max, UTC) if until else None
    return f"{first}/{'..' if last is None else last.strftime('%Y-%m-%dT%H:%M:%SZ')}"


def _pages(http: Http, params: SourceParams, **query: Any) -> Iterator[Found]:
    with warnings.catch_warnings():
        # What a provider's landing page lacks does not matter to a search.
        warnings.simplefilter("ignore")
        try:
            client = pystac_client.Client.open(params.catalogue, stac_io=_Io(http))
            search = client.search(
                method="POST", collections=[params.collection], limit=PAGE, **query
            )
            documents = list(search.items_as_dicts())
        except _NO_API as error:
            raise http.error(
                f"is no STAC API that can be searched ({redact(str(error))})",
                redact(params.catalogue),
                "check [source] catalogue",
            ) from None
    for document in documents:
        yield params.catalogue, adapt(document, params)


def adapt(document: Mapping[str, Any], params: SourceParams) -> dict[str, Any] | InputError:
    """An item in our terms: bands under the keys of ``[source]``, with a time of publication.

    OPERA's items say little; their names say platform, track and processing time (product
    specification JPL D-108758), and the time of day the pass: Sentinel-1 is sun-synchronous.
    """
    item = {**document, "properties": dict(document.get("properties") or {})}
    properties = item["properties"]
    if params.product == "rtc-opera":
        _read_opera_name(item, properties)
    stated = [properties.get(name) for name in ("created", "published", "updated")]
    if not any(stated) and params.clock_delay_hours:
        taken = properties.get("datetime") or properties.get("start_datetime")
        try:
            moment = datetime.fromisoformat(str(taken))
        except ValueError:
            return InputError("field 'datetime': missing", where=f"item {item.get('id')}")
        properties["created"] = (moment + timedelta(hours=params.clock_delay_hours)).isoformat()
    item["assets"] = _by_key(document.get("assets") or {}, params)
    return item


def _by_key(assets: Mapping[str, Any], params: SourceParams) -> dict[str, Any]:
    found = {}
    for key in params.assets.values():
        for name, asset in sorted(assets.items()):
            href = _reachable(asset, params)
            file_name = PurePosixPath(urlsplit(href).path).name
            if name == key or ("*" in key and fnmatch.fnmatchcase(file_name, key)):
                found[key] = {**asset, "href": href}
                break
    return found


def _reachable(asset: Mapping[str, Any], params: SourceParams) -> str:
    """The link that the credentials open: a catalogue may offer S3 and HTTPS."""
    href = str(asset.get("href", ""))
    others = [str(a.get("href", "")) for a in (asset.get("alternate") or {}).values()]
    wanted = "s3://" if params.access == "s3" else "http"
    return next((link for link in (href, *others) if link.startswith(wanted)), href)


def _read_opera_name(item: Mapping[str, Any], properties: dict[str, Any]) -> None:
    match = _OPERA.match(str(item.get("id", "")))
    if match is None:
        return
    track, taken, processed, platform = match.groups()
    moment = datetime.strptime(taken, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    stated = {
        "platform": platform,
        "sat:relative_orbit": int(track),
        "datetime": moment.isoformat(),
        "created": datetime.strptime(processed, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).isoformat(),
    }
    if item.get("geometry"):
        longitude = shape(item["geometry"]).centroid.x
        hour = (moment.hour + moment.minute / 60 + longitude / 15) % 24
        stated["sat:orbit_state"] = "descending" if hour < _NOON else "ascending"
    for name, value in stated.items():
        if not properties.get(name):
            properties[name] = value
    # CMR's "created" is the granule's record, which changes without the image.
    properties["created"] = stated["created"]
