"""The filters that lists, maps, downloads and dashboards share, and how a warning is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
import shapely
from fastapi import Depends, Query

from curupira.codes import IntensityClass, Status, Verdict
from curupira.errors import ConfigError
from curupira.pipelines.overlay import OF_LAYER
from curupira.serve.site import Asking, Person, Site, SiteHere
from curupira.store.geometry import Bounds
from curupira.store.search import Search
from curupira.store.tables import WarningRow
from curupira.store.warning import COLUMNS, check_bbox
from curupira.units import parse_time

#: Years that a time of the database can be compared with.
_FIRST, _LAST = date(1900, 1, 1), date(9000, 1, 1)
Text = Annotated[str, Query(max_length=200)]
Day = Annotated[date | None, Query(ge=_FIRST, le=_LAST)]


def _search(
    site: SiteHere,
    person: Asking,
    bbox: Annotated[str | None, Query(description="west,south,east,north", max_length=200)] = None,
    status: Annotated[list[Status], Query()] = [],  # noqa: B006 (FastAPI copies it)
    since: Day = None,
    until: Day = None,
    intensity_class: IntensityClass | None = None,
    verdict: Annotated[list[Verdict], Query()] = [],  # noqa: B006
    territory: Text = "",
    mining: Annotated[float | None, Query(ge=0, le=1)] = None,
    min_area_ha: Annotated[float | None, Query(ge=0, le=1e9)] = None,
) -> Search:
    return Search(
        bbox=None if bbox is None else box_of(bbox),
        status=tuple(status) or (Status.PRELIMINARY, Status.CONFIRMED),
        since=since,
        until=until,
        intensity_class=intensity_class,
        verdict=tuple(verdict),
        territory=_clean(territory),
        mining=mining,
        min_area_ha=min_area_ha,
        hidden=site.hidden(person),
        withheld=withheld_columns(site, person),
    )


Filter = Annotated[Search, Depends(_search)]


def usual(site: Site, person: Person) -> Search:
    """The filter of who asks for nothing in particular."""
    return _search(site, person)


def withheld_columns(site: Site, person: Person) -> tuple[str, ...]:
    """Columns that a person may neither see nor search by."""
    return tuple(n for layer in site.withheld(person) for n in OF_LAYER.get(layer, ()))


def box_of(text: str) -> Bounds:
    """A ``bbox`` parameter; ``west > east`` crosses the 180th meridian.

    Of six numbers, two are heights, which warnings do not have.

    Raises
    ------
    ConfigError
        If it is no box.
    """
    found = [_number(part) for part in text.split(",")]
    if len(found) == 6:
        found = [found[0], found[1], found[3], found[4]]
    return check_bbox(found, across=True)


def _number(text: str) -> float:
    # What is none becomes NaN, which ``check_bbox`` refuses.
    try:
        return float(text)
    except ValueError:
        return math.nan


def interval(text: str | None) -> tuple[datetime | None, datetime | None]:
    """A ``datetime`` parameter: an instant, a day, or ``start/end`` with ``..`` for open."""
    if not text:
        return None, None
    first, slash, last = text.partition("/")
    if not slash:
        return _moment(first, end=False), _moment(first, end=True)
    start = None if first in ("", "..") else _moment(first, end=False)
    end = None if last in ("", "..") else _moment(last, end=True)
    if start is not None and end is not None and start > end:
        raise ConfigError(f"{text!r} ends before it starts", where="datetime", remedy="swap them")
    return start, end


def _moment(text: str, *, end: bool) -> datetime:
    try:
        if len(text) == 10:
            day = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return datetime.combine(day, time.max, UTC) if end else day
        found = parse_time(text, where="datetime")
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{text!r} is no time", where="datetime", remedy="write RFC 3339, e.g. 2024-06-01"
        ) from error
    # Stored times have milliseconds; an instant means its whole second.
    return found + timedelta(milliseconds=999) if end and not found.microsecond else found


def _clean(text: str) -> str:
    # PostgreSQL refuses a NUL in text.
    return text.replace("\x00", "").strip()


def plain(value: Any) -> Any:
    """A value of a row as JSON: codes as text, times ISO 8601 with Z, NaN as null."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def fields(row: WarningRow, site: Site, person: Person) -> dict[str, Any]:
    """Fields of product.md section 5 that a person may see."""
    found = {name: plain(getattr(row, name)) for name in COLUMNS}
    withheld = site.withheld(person)
    found["overlays"] = {k: v for k, v in (row.overlays or {}).items() if k not in withheld}
    found |= dict.fromkeys(withheld_columns(site, person))
    if not person.known:
        found["verdict_by"] = None
    return found


def summary(row: WarningRow, site: Site, person: Person) -> dict[str, Any]:
    """Fields with a point, for lists."""
    point = row.geom.representative_point()
    lon, lat = point.coords[0]
    return fields(row, site, person) | {"lon": round(lon, 6), "lat": round(lat, 6)}


def geojson(geometry: shapely.geometry.base.BaseGeometry) -> dict[str, Any]:
    """Geometry as GeoJSON with seven decimals, outer rings counter-clockwise."""
    rounded = shapely.transform(geometry, lambda xy: np.round(xy, 7))
    oriented = shapely.orient_polygons(rounded)
    return dict(shapely.geometry.mapping(oriented))


def years_of(rows: Sequence[WarningRow]) -> set[int]:
    """Years of the images behind some warnings, from first flags to confirmations."""
    days = (d for r in rows for d in (r.first_flag_date, r.issued_at, r.confirmed_at))
    return {day.year for day in days if day is not None}
