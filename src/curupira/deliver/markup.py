"""KML for globes and GPX for hand-held receivers."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import geopandas as gpd
import shapely

from curupira.codes import IntensityClass, Status
from curupira.deliver.frame import DECIMALS, lonlat, notice, records

_KML = "http://www.opengis.net/kml/2.2"
_GPX = "http://www.topografix.com/GPX/1/1"
#: Line colours by status (red, green, blue), as in the report; KML writes them backwards.
_COLOUR = {
    Status.CONFIRMED: "ff6a13",
    Status.PRELIMINARY: "ffe94a",
    Status.CLOSED: "bfe3fa",
}
#: Fill by class: high intensity is the denser.
_ALPHA = {IntensityClass.HIGH: "66", IntensityClass.LOW: "26"}
#: Symbols that receivers know.
_SYMBOL = {
    Status.CONFIRMED: "Flag, Red",
    Status.PRELIMINARY: "Flag, Green",
    Status.CLOSED: "Flag, Blue",
}
#: Characters that XML 1.0 cannot hold.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_kml(table: gpd.GeoDataFrame, path: Path) -> None:
    """KML 2.2: a placemark a warning, styled by status and class, all fields in its balloon."""
    root = Xml.Element("kml", xmlns=_KML)
    document = _add(root, "Document")
    _add(document, "name", "Curupira warnings")
    _add(document, "description", notice(table))
    for status in Status:
        for kind in IntensityClass:
            _style(document, status, kind)
    # A document without features has no layer for GIS programs; an empty folder gives one.
    folder = _add(document, "Folder")
    _add(folder, "name", "warning")
    for fields, geometry in zip(records(table), lonlat(table), strict=True):
        _placemark(folder, fields, geometry)
    _save(root, path)


def _style(parent: Xml.Element, status: Status, kind: IntensityClass) -> None:
    rgb = _COLOUR[status]
    bgr = rgb[4:] + rgb[2:4] + rgb[:2]
    style = _add(parent, "Style", id=f"{status}-{kind}")
    line = _add(style, "LineStyle")
    _add(line, "color", f"ff{bgr}")
    _add(line, "width", "2")
    _add(_add(style, "PolyStyle"), "color", _ALPHA[kind] + bgr)


def _placemark(parent: Xml.Element, fields: dict[str, Any], geometry: shapely.MultiPolygon) -> None:
    mark = _add(parent, "Placemark")
    _add(mark, "name", title(fields))
    rows = "".join(
        f"<tr><th align='left'>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in fields.items()
        if value is not None
    )
    _add(mark, "description", f"<table>{rows}</table>")
    _add(_add(mark, "TimeStamp"), "when", fields["issued_at"])
    _add(mark, "styleUrl", f"#{fields['status']}-{fields['intensity_class']}")
    data = _add(mark, "ExtendedData")
    for name, value in fields.items():
        if value is not None:
            _add(_add(data, "Data", name=printable(name)), "value", value)
    shapes = _add(mark, "MultiGeometry")
    for polygon in getattr(geometry, "geoms", [geometry]):
        shape = _add(shapes, "Polygon")
        _ring(_add(shape, "outerBoundaryIs"), polygon.exterior.coords)
        for hole in polygon.interiors:
            _ring(_add(shape, "innerBoundaryIs"), hole.coords)


def _ring(parent: Xml.Element, coords: Iterable[tuple[float, ...]]) -> None:
    text = " ".join(f"{x:.{DECIMALS}f},{y:.{DECIMALS}f}" for x, y, *_ in coords)
    _add(_add(parent, "LinearRing"), "coordinates", text)


def write_gpx(table: gpd.GeoDataFrame, path: Path) -> None:
    """GPX 1.1: a waypoint within each warning, with a short name and what is known of it."""
    root = Xml.Element("gpx", xmlns=_GPX, version="1.1", creator="curupira")
    head = _add(root, "metadata")
    _add(head, "name", "Curupira warnings")
    _add(head, "desc", notice(table))
    for fields, geometry in zip(records(table), lonlat(table), strict=True):
        point = geometry.representative_point()
        place = {"lat": f"{point.y:.{DECIMALS}f}", "lon": f"{point.x:.{DECIMALS}f}"}
        mark = _add(root, "wpt", **place)
        _add(mark, "time", fields["issued_at"])
        _add(mark, "name", title(fields))
        _add(mark, "desc", summary(fields))
        _add(mark, "sym", _SYMBOL[Status(fields["status"])])
        _add(mark, "type", fields["status"])
    _save(root, path)


def title(fields: dict[str, Any]) -> str:
    """Short name of a warning, as small screens show it: the start of its id, and its area."""
    return f"{fields['warning_id'][:8]} {fields['area_ha']:.1f} ha"


def summary(fields: dict[str, Any]) -> str:
    """A warning in one line."""
    kind = str(fields["intensity_class"]).replace("_", " ")
    parts = [
        f"{fields['status']}, {kind}, {fields['area_ha']:.1f} ha",
        f"first flag {fields['first_flag_date']}",
        f"issued {fields['issued_at'][:10]}",
    ]
    if fields.get("confirmed_at"):
        parts.append(f"confirmed {fields['confirmed_at'][:10]}")
    names = ("municipality", "uf", "protected_area", "indigenous_territory")
    parts += [str(fields[name]) for name in names if fields.get(name)]
    return "; ".join([*parts, f"warning {fields['warning_id']}"])


def _add(parent: Xml.Element, tag: str, text: object = None, /, **attributes: str) -> Xml.Element:
    child = Xml.SubElement(parent, tag, attributes)
    if text is not None:
        child.text = printable(str(text))
    return child


def printable(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold."""
    return _UNPRINTABLE.sub("", text)


def _save(root: Xml.Element, path: Path) -> None:
    Xml.indent(root, space=" ")
    path.write_bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")
