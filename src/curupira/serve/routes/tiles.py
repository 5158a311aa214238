"""Images on the map: SAR composites, warning layers, configured layers, outlines; pixel series."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from shapely import Point

from curupira.errors import ConfigError, SourceError
from curupira.pipelines.outlines import layer_files, outlines
from curupira.pipelines.review import MissingError
from curupira.pipelines.tilegrid import TileAddress
from curupira.report.mapparts import STRETCH_DB
from curupira.serve.filters import Day
from curupira.serve.routes.warning import acquisition_json, visible
from curupira.serve.site import Asking, SiteHere

router = APIRouter(prefix="/api", tags=["image"])
Level = Annotated[int, Path(ge=0, le=22)]
Place = Annotated[int, Path(ge=0, lt=2**22)]
Decibel = Annotated[float, Query(ge=-60, le=20, allow_inf_nan=False)]
Band = Literal["n_alerts", "first_flag_days", "excess_db", "confidence"]
#: Cached tiles are asked for again after this, seconds.
FRESH_S = 3600
_FOREVER = {"Cache-Control": f"private, max-age={FRESH_S}"}
_KEY = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")
#: Bytes of a tile that a map layer may send.
_MOST_TILE = 4 * 2**20


@router.get("/acquisitions")
def acquisitions(
    site: SiteHere,
    since: Day = None,
    until: Day = None,
    orbit: Annotated[int | None, Query(ge=1, le=175)] = None,
) -> list[dict[str, Any]]:
    """Acquisitions, newest first."""
    return [
        acquisition_json(site, a)
        for a in site.viewer.acquisitions()
        if (since is None or a.day >= since)
        and (until is None or a.day <= until)
        and (orbit is None or a.relative_orbit == orbit)
    ]


@router.get("/tiles/sar/{acquisition_id}/{z}/{x}/{y}.png")
def sar(
    site: SiteHere,
    acquisition_id: str,
    z: Level,
    x: Place,
    y: Place,
    until: Day = None,
    dark: Decibel = STRETCH_DB["VH"][0],
    bright: Decibel = STRETCH_DB["VH"][1],
) -> Response:
    """SAR composite, R = VV, G = VH, B = VV - VH; ``dark`` and ``bright`` are levels of VH."""
    if dark >= bright:
        raise ConfigError(
            f"dark ({dark:g} dB) is not below bright ({bright:g} dB)",
            where="stretch",
            remedy="exchange the two",
        )
    found = site.viewer.sar_tile(acquisition_id, address_of(z, x, y), until, (dark, bright))
    return image_answer(found, acquisition_id)


@router.get("/tiles/product/{acquisition_id}/{band}/{z}/{x}/{y}.png")
def product(
    site: SiteHere, person: Asking, acquisition_id: str, band: Band, z: Level, x: Place, y: Place
) -> Response:
    """Warning layer of an acquisition; for the public none over a sensitive place."""
    address = address_of(z, x, y)
    if site.keeps_back(address.box, person):
        return image_answer(None, f"{acquisition_id} {band}")
    found = site.viewer.product_tile(acquisition_id, band, address)
    return image_answer(found, f"{acquisition_id} {band}")


def address_of(z: int, x: int, y: int) -> TileAddress:
    """Address of a tile, if the world has such a one."""
    address = TileAddress(z, x, y)
    if not address.valid:
        raise MissingError("no such tile", where=f"{z}/{x}/{y}", remedy="stay within the world")
    return address


def image_answer(content: bytes | None, where: str) -> Response:
    """A picture, or that there is none."""
    if content is None:
        raise MissingError("no such image", where=where, remedy="see /api/acquisitions")
    return Response(content, media_type="image/png", headers=_FOREVER)


@router.get("/warnings/{warning_id}/chip/{which}.png")
def chip(
    site: SiteHere, person: Asking, warning_id: str, which: Literal["before", "after"]
) -> Response:
    """A warning's surroundings before its first flag and now."""
    found = site.viewer.closeups(visible(site, person, warning_id)).get(which)
    return image_answer(None if found is None else found.png, warning_id)


@router.get("/series")
def series(
    site: SiteHere,
    person: Asking,
    lon: Annotated[float, Query(ge=-180, le=180)],
    lat: Annotated[float, Query(ge=-90, le=90)],
    orbit: Annotated[int | None, Query(ge=1, le=175)] = None,
    on: Day = None,
) -> dict[str, Any]:
    """Every step of the detection at one pixel; for the public none in a sensitive place."""
    kept = site.keeps_back(Point(lon, lat), person)
    found = None if kept else site.viewer.series(lon, lat, orbit, on)
    if found is None:
        raise MissingError(
            "the place lies outside the grid", where=f"{lon},{lat}", remedy="click on the area"
        )
    return found


@router.get("/layers/{name}.geojson")
def layer(site: SiteHere, person: Asking, name: str) -> Response:
    """Outlines of a layer of [area]; for the public without sensitive places."""
    path = layer_files(site.workspace).get(name)
    if path is None or name in site.withheld(person):
        raise MissingError("no such layer", where=name, remedy="see /api/config")
    kept = () if person.known else site.params.sensitive_places
    return Response(outlines(site.workspace, path, kept), media_type="application/geo+json")


@router.get("/tiles/xyz/{layer}/{z}/{x}/{y}")
def xyz(site: SiteHere, layer: str, z: Level, x: Place, y: Place) -> Response:
    """A tile of a layer of [serve] layers, fetched by the server."""
    template = site.params.layers.get(layer)
    if template is None:
        raise MissingError("no such layer", where=layer, remedy="see /api/config")
    address_of(z, x, y)
    kind, content = _fetch(template, z, x, y, date.today().toordinal())
    return Response(content, media_type=kind, headers=_FOREVER)


@lru_cache(maxsize=512)
def _fetch(template: str, z: int, x: int, y: int, _: int) -> tuple[str, bytes]:
    # The address is the operator's: a request chooses the tile only.
    url = template.replace("{z}", str(z)).replace("{x}", str(x)).replace("{y}", str(y))
    url = _KEY.sub(lambda m: os.environ.get(m.group(1), ""), url)
    if not url.startswith(("https://", "http://")):
        raise SourceError("the layer's address is no URL", where="[serve] layers", remedy="mend it")
    try:
        with urllib.request.urlopen(url, timeout=15) as answer:  # noqa: S310 (http, see above)
            kind = answer.headers.get_content_type()
            content = answer.read(_MOST_TILE)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        # Not the URL: it may hold a key.
        raise SourceError(
            f"the layer's server does not answer ({getattr(error, 'code', 'no connection')})",
            where="map layer",
            remedy="try again later",
        ) from None
    if not kind.startswith("image/"):
        raise SourceError(f"the layer's server sent {kind}, no image", where="map layer")
    return kind, content
