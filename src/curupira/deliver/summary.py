"""A page and a text about the warnings of a delivery, for people. Pure."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import geopandas as gpd

from curupira.codes import IntensityClass, Status
from curupira.deliver.choose import Told
from curupira.deliver.frame import checked, lonlat, notice, records

#: Rows of the page; the files of the package hold them all.
ROWS = 500
_STATUS = {
    Status.PRELIMINARY: "preliminary (CR1)",
    Status.CONFIRMED: "confirmed (CR2)",
    Status.CLOSED: "closed",
}
_CLASS = {IntensityClass.HIGH: "high intensity", IntensityClass.LOW: "low intensity"}
_STYLE = (
    "body{font:16px/1.4 sans-serif;margin:1em auto;max-width:60em;padding:0 .6em;color:#222}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25em .5em;"
    "border-bottom:1px solid #ccc;vertical-align:top}.n{text-align:right}small{color:#555}"
)


@dataclass(frozen=True)
class Line:
    """One warning in words."""

    warning_id: str
    told: str
    status: str
    kind: str
    area_ha: float
    first_flag: str
    place: str
    latitude: float
    longitude: float
    priority: int | None

    @property
    def position(self) -> str:
        """Latitude and longitude as receivers take them."""
        return f"{self.latitude:.5f}, {self.longitude:.5f}"


def lines(table: gpd.GeoDataFrame) -> list[Line]:
    """Warnings in words: new ones first, then by rank of the day, then by area."""
    frame = checked(table)
    order = {kind.value: n for n, kind in enumerate(Told)}
    found = [
        _line(fields, shape) for fields, shape in zip(records(frame), lonlat(frame), strict=True)
    ]
    return sorted(
        found,
        key=lambda x: (order[x.told], x.priority or 10**9, -x.area_ha, x.warning_id),
    )


def _line(fields: dict[str, Any], shape: Any) -> Line:
    point = shape.representative_point()
    names = ("indigenous_territory", "protected_area", "municipality", "uf")
    closed = fields.get("closed_reason")
    status = _STATUS[Status(fields["status"])] + (f", {closed}" if closed else "")
    return Line(
        warning_id=fields["warning_id"],
        told=str(fields["delivery"]),
        status=status.replace("_", " "),
        kind=_CLASS[IntensityClass(fields["intensity_class"])],
        area_ha=float(fields["area_ha"]),
        first_flag=str(fields["first_flag_date"])[:10],
        place=", ".join(str(fields[n]) for n in names if fields.get(n)),
        latitude=point.y,
        longitude=point.x,
        priority=None if fields.get("priority") is None else int(fields["priority"]),
    )


def html_summary(table: gpd.GeoDataFrame, *, target: str, name: str, created: datetime) -> str:
    """Page of a package: counts, and a table of its warnings. Nothing is loaded from outside."""
    found = lines(table)
    title = f"Forest-disturbance warnings for {target}"
    about = f"Package {name}, made {created:%Y-%m-%d %H:%M} UTC"
    more = f"<p>{len(found) - ROWS} more are in the files.</p>" if len(found) > ROWS else ""
    body = f"<p>{html.escape(counted(found))}</p>{html_table(found[:ROWS])}{more}"
    return html_page(title, f"<p><small>{html.escape(about)}</small></p>{body}", notice(table))


def counted(found: Sequence[Line]) -> str:
    """Counts and areas in one sentence."""
    if not found:
        return "No warnings."
    parts = []
    for kind in Told:
        these = [line for line in found if line.told == kind]
        if these:
            noun = kind.value if kind is Told.NEW else f"{kind.value}{'s' * (len(these) != 1)}"
            parts.append(f"{len(these)} {noun} ({sum(x.area_ha for x in these):.1f} ha)")
    return ", ".join(parts) + "."


def html_table(found: Sequence[Line]) -> str:
    """Table of warnings; positions are ``geo:`` links, which open a map that the phone holds."""
    rows = "".join(
        f"<tr><td>{html.escape(x.told)}</td><td>{html.escape(x.status)}, {x.kind}</td>"
        f"<td class='n'>{x.area_ha:.1f}</td><td>{x.first_flag}</td><td>{html.escape(x.place)}</td>"
        f"<td><a href='geo:{x.latitude:.5f},{x.longitude:.5f}'>{x.position}</a></td>"
        f"<td><small>{html.escape(x.warning_id[:8])}</small></td></tr>"
        for x in found
    )
    heads = ("", "Status", "ha", "First flag", "Place", "Latitude, longitude", "Warning")
    return (
        f"<table><tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr>{rows}</table>" if found else ""
    )


def html_page(title: str, body: str, credit: str) -> str:
    """A page that needs nothing from outside; ``body`` is HTML already."""
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        "<meta http-equiv='Content-Security-Policy' "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{html.escape(title)}</h1>{body}<p><small>{html.escape(credit)}</small></p>"
        "</body></html>\n"
    )
