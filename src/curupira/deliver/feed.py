"""Atom feeds with GeoRSS places, one for each state or territory. Pure."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as Xml

import geopandas as gpd
import shapely

from curupira.deliver.frame import checked, lonlat, notice, records
from curupira.deliver.markup import printable, summary, title
from curupira.deliver.params import DeliveryParams

_ATOM, _GEORSS = "http://www.w3.org/2005/Atom", "http://www.georss.org/georss"
#: Feeds and messages for warnings outside every named area.
ELSEWHERE = "elsewhere"
#: Namespace of the feeds' own ids: they stay the same wherever the feed is served.
_NAMESPACE = uuid.UUID("6d3c2a50-6f0c-5a56-9a3e-2d8f6d2f7c11")


def by_area(table: gpd.GeoDataFrame, params: DeliveryParams) -> dict[str, gpd.GeoDataFrame]:
    """Part a table by the column of ``split``; the key ``""`` is everything."""
    if params.split == "none":
        return {"": table}
    names = table[params.split].fillna(ELSEWHERE).astype(str)
    return {str(name): rows for name, rows in table.groupby(names)}


def slug(name: str) -> str:
    """A name as part of a file name: ASCII letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:60] or "area"


def file_names(names: list[str], stem: str, suffix: str) -> dict[str, str]:
    """A file name for each area, all different; ``""`` gets the stem alone."""
    found: dict[str, str] = {}
    for name in sorted(names):
        base = f"{stem}-{slug(name)}" if name else stem
        tried, n = f"{base}{suffix}", 1
        while tried in found.values():
            n += 1
            tried = f"{base}-{n}{suffix}"
        found[name] = tried
    return found


def feeds(
    table: gpd.GeoDataFrame,
    updated: Mapping[str, datetime],
    params: DeliveryParams,
    target: str,
    *,
    refused: Collection[str] = (),
) -> dict[str, bytes]:
    """Atom documents by file name.

    Parameters
    ----------
    table
        Everything that the target has been told, as it stands.
    updated
        When each warning was last told, by ``warning_id``.
    target
        Name of the target, part of the feeds' ids.
    refused
        Ids of the warnings that a verdict took back.

    Returns
    -------
    dict of str to bytes
        The newest ``max_entries`` of each area first. An entry keeps its id (the warning's) through
        updates; a warning that was withdrawn or refused stays, and says so.
    """
    parts = by_area(checked(table), params)
    names = file_names(list(parts), f"{params.prefix}-warnings", ".atom")
    return {
        names[area]: _feed(rows, area, updated, refused, params, target)
        for area, rows in parts.items()
    }


def _feed(
    table: gpd.GeoDataFrame,
    area: str,
    updated: Mapping[str, datetime],
    refused: Collection[str],
    params: DeliveryParams,
    target: str,
) -> bytes:
    rows = table.assign(_when=table["warning_id"].map(updated)).sort_values(
        ["_when", "issued_at", "warning_id"], ascending=[False, False, True]
    )
    rows = rows.head(params.max_entries).drop(columns="_when")
    root = Xml.Element("feed", {"xmlns": _ATOM, "xmlns:georss": _GEORSS})
    _add(root, "id", f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{target}/{area}')}")
    _add(root, "title", f"Forest-disturbance warnings{f': {area}' if area else ''}")
    newest = max((updated[i] for i in rows["warning_id"]), default=None)
    _add(root, "updated", _time(newest) if newest else "1970-01-01T00:00:00Z")
    _add(_add(root, "author"), "name", "Curupira")
    _add(root, "rights", notice(table))
    for fields, shape in zip(records(rows), lonlat(rows), strict=True):
        reason = fields.get("closed_reason") or ""
        if not reason and fields["warning_id"] in refused:
            reason = "withdrawn by verdict"
        _entry(root, fields, shape, updated[fields["warning_id"]], reason)
    Xml.indent(root, space=" ")
    text: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _entry(
    root: Xml.Element, fields: dict[str, Any], shape: Any, when: datetime, reason: str
) -> None:
    entry = _add(root, "entry")
    _add(entry, "id", f"urn:uuid:{fields['warning_id']}")
    _add(entry, "title", title(fields) + (f" ({reason.replace('_', ' ')})" if reason else ""))
    _add(entry, "updated", _time(when))
    _add(entry, "published", fields["issued_at"])
    for word in (fields["status"], fields["intensity_class"]):
        _add(entry, "category").set("term", word)
    _add(entry, "summary", summary(fields))
    # GeoRSS-Simple knows one polygon without holes an entry: the largest part's outline.
    largest = max(getattr(shape, "geoms", [shape]), key=shapely.area)
    ring = " ".join(f"{y:.6f} {x:.6f}" for x, y in largest.exterior.coords)
    _add(entry, "georss:polygon", ring)


def _add(parent: Xml.Element, tag: str, text: str | None = None) -> Xml.Element:
    child = Xml.SubElement(parent, tag)
    if text is not None:
        child.text = printable(text)
    return child


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
