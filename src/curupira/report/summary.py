"""What was found and how it was judged: the dashboard's tables and figures, for the report. Pure.

The documents are those of ``/api/dashboard`` (docs/web.md), so that page and report say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from shapely.geometry.base import BaseGeometry

from curupira.codes import IntensityClass
from curupira.report.data import CLASS_WORDS
from curupira.report.sheet import SheetFigure, SheetSection
from curupira.report.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    SMALL_PT,
    VERMILLION,
    WIDE_IN,
    date_axis,
    new_figure,
    tidy,
)
from curupira.report.tables import NONE, Table, number

Document = Mapping[str, Any]
_KM_PER_DEGREE = 111.32
#: Colour and marker of what a visit said of a warning: colour never alone.
_CATEGORY = {
    "agreement": (GREEN, "o"),
    "minor": (ORANGE, "s"),
    "major": (VERMILLION, "X"),
    "unassessed": (MUTED, "."),
}
_WAYS = {
    "excluded": "unassessed left out",
    "counted_false": "unassessed counted false",
    "counted_true": "unassessed counted true",
    "without_automatic": "without automatic matches",
}


def summary_sections(
    found: Document, area: BaseGeometry, beside: Document | str | None
) -> list[SheetSection]:
    """Sections of the report on days, places, verdicts and optical alerts.

    Parameters
    ----------
    found
        The document of ``/api/dashboard``.
    area
        Outline, lon/lat.
    beside
        That of ``/api/dashboard/optical``; the reason why there is none; None leaves it out.
    """
    sections = [_when(found), _where(found["heat"], area), _judged(found), _field(found, area)]
    return sections if beside is None else [*sections, _beside(beside)]


def _when(found: Document) -> SheetSection:
    days = found["timeline_flagged"]
    if not days:
        return SheetSection("When the forest fell", ("No warning was issued in the period.",))
    delay, season = found["delay"], found["season"]
    words = [
        f"{name}: {season[key]['n']} warnings, {season[key]['area_ha']:,.1f} ha first flagged."
        for name, key in (("November to March", "november_march"), ("Rest of the year", "rest"))
    ]
    figures = [SheetFigure(_flag_days(days), "Hectares by the day of the first flag.")]
    if delay["density"]:
        words.append(
            f"From first flag to confirmation: median {delay['median']:g} days, "
            f"90 % within {delay['p90']:g}."
        )
        figures.append(SheetFigure(_delays(delay["density"]), "Warnings by days to confirmation."))
    return SheetSection("When the forest fell", tuple(words), (), tuple(figures))


def _flag_days(days: Sequence[Document]) -> Figure:
    figure = new_figure(WIDE_IN, 2.2)
    axes = figure.add_subplot()
    tidy(axes, grid=True)
    at = np.array([row["day"] for row in days], dtype="datetime64[D]")
    axes.bar(at, [row["area_ha"] for row in days], 1.0, color=BLUE)
    axes.set_ylabel("Hectares a day", fontsize=SMALL_PT, color=INK)
    axes.set_xlabel("First flagged on", fontsize=SMALL_PT, color=MUTED)
    pad = np.timedelta64(2, "D")
    axes.set_xlim(at.min() - pad, at.max() + pad)
    date_axis(axes)
    return figure


def _delays(density: Sequence[Document]) -> Figure:
    figure = new_figure(WIDE_IN, 2.2)
    axes = figure.add_subplot()
    tidy(axes, grid=True)
    axes.bar([r["days"] for r in density], [r["n"] for r in density], 1.0, color=BLUE)
    axes.set_xlabel("Days from first flag to confirmation", fontsize=SMALL_PT, color=MUTED)
    axes.set_ylabel("Warnings", fontsize=SMALL_PT, color=INK)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlim(left=min(0, *(r["days"] - 1 for r in density)))
    return figure


def _where(heat: Document, area: BaseGeometry) -> SheetSection:
    heading = "Where most was disturbed"
    if not heat["cells"]:
        return SheetSection(heading, ("No warning was issued in the period.",))
    figure, axes = _map(area)
    value = np.array([cell["m2_per_ha"] for cell in heat["cells"]])
    squares = [_square(cell, heat["side_km"]) for cell in heat["cells"]]
    drawn = PolyCollection(squares, array=value, cmap="YlOrRd", edgecolors="face", zorder=0.5)
    drawn.set_clim(0, float(value.max()))
    axes.add_collection(drawn)
    axes.autoscale_view()
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8)
    bar.set_label("m² per ha", fontsize=SMALL_PT)
    bar.ax.tick_params(labelsize=SMALL_PT)
    words = f"Disturbed area within {heat['radius_km']:g} km of a place, in m² per hectare."
    return SheetSection(heading, (words,), (), (SheetFigure(figure, "Map of that density."),))


def _square(cell: Document, side_km: float) -> list[tuple[float, float]]:
    dy = side_km / _KM_PER_DEGREE / 2
    dx = dy / np.cos(np.radians(cell["lat"]))
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [(cell["lon"] + x * dx, cell["lat"] + y * dy) for x, y in corners]


def _map(area: BaseGeometry) -> tuple[Figure, Axes]:
    figure = new_figure(WIDE_IN, 4.6)
    axes = figure.add_subplot()
    tidy(axes)
    gpd.GeoSeries([area.boundary]).plot(ax=axes, color=INK, linewidth=0.8, aspect=None)
    axes.set_aspect(1 / np.cos(np.radians(area.centroid.y)))
    axes.set_xlabel("Longitude", fontsize=SMALL_PT, color=MUTED)
    axes.set_ylabel("Latitude", fontsize=SMALL_PT, color=MUTED)
    return figure, axes


def _judged(found: Document) -> SheetSection:
    if not found["agreement"]["n"]:
        return SheetSection("How they were judged", ("Nobody has judged these warnings.",))
    tables = [_agreement(found["agreement"]), _accuracy(found["accuracy"]), _years(found["years"])]
    sample = found["accuracy"]
    words = [
        "Accuracy is that of the drawn sample, weighted, with 95 % intervals: "
        f"{sample['judged']} of {sample['drawn']} drawn warnings have a verdict, "
        f"{sample['assessed']} of them one that assesses (neither cloud nor without reference)."
    ]
    if sample["silent"]:
        words.append(
            f"No such verdict yet in {', '.join(sample['silent'])}: nothing stands for these "
            "strata, and there is no accuracy with the unassessed left out."
        )
    return SheetSection("How they were judged", tuple(words), tuple(tables))


def _agreement(found: Document) -> Table:
    rows = [
        (
            row["category"],
            CLASS_WORDS[IntensityClass(row["intensity_class"])] if row["intensity_class"] else NONE,
            row["verdict"].replace("_", " ") if row["verdict"] else "sum",
            number(row["n"]),
            number(100 * row["share_n"], 1),
            number(row["area_ha"], 1),
            number(100 * row["share_area"], 1),
        )
        for row in found["rows"]
        if row["n"]
    ]
    heads = ("Category", "Intensity", "Verdict", "n", "% of number", "ha", "% of area")
    caption = f"{found['n']} judged warnings, {found['area_ha']:,.1f} ha, by class and verdict"
    return Table(caption, heads, tuple(rows), (False, False, False, True, True, True, True))


def _accuracy(found: Document) -> Table:
    rows = [
        (words, *(_percent(found[key][way]) for key in ("ua_count", "ua_area")))
        for way, words in _WAYS.items()
    ]
    heads = ("Unassessed warnings", "by number, %", "by area, %")
    return Table("User's accuracy", heads, tuple(rows), (False, True, True))


def _percent(estimate: Document) -> str:
    if estimate["value"] is None:
        return NONE
    bounds = [estimate[name] for name in ("low", "high")]
    text = number(100 * estimate["value"], 1)
    return text if None in bounds else f"{text} [{', '.join(number(100 * b, 1) for b in bounds)}]"


def _years(years: Sequence[Document]) -> Table:
    rows = [
        (
            str(row["prodes_year"]),
            *(number(row[name], 1 if name.endswith("ha") else 0) for name in ("n", "residue_n")),
            number(100 * row["share_n"], 1),
            *(number(row[name], 1) for name in ("area_ha", "residue_ha")),
            number(100 * row["share_area"], 1),
        )
        for row in years
    ]
    heads = ("PRODES year", "Judged", "Residue", "% of number", "ha", "Residue, ha", "% of area")
    caption = "Residue: earlier clearing that the yearly map had not shown, by year of the flag"
    return Table(caption, heads, tuple(rows), (False, *([True] * 6)))


def _field(found: Document, area: BaseGeometry) -> SheetSection:
    field = found["field"]
    heading = "What was seen on the ground and from the air"
    if not field["n"]:
        return SheetSection(heading, ("No warning was visited or overflown.",))
    figure, axes = _map(area)
    for category, (colour, marker) in _CATEGORY.items():
        mine = [p for p in field["points"] if p["category"] == category]
        if mine:
            lons, lats = ([p[name] for p in mine] for name in ("lon", "lat"))
            label = f"{category} ({len(mine)})"
            axes.scatter(lons, lats, color=colour, marker=marker, s=36, label=label, zorder=3)
    figure.legend(loc="outside lower center", ncols=4, fontsize=SMALL_PT, frameon=False)
    tables = (_agreement(field), _accuracy(field["accuracy"]))
    return SheetSection(heading, (), tables, (SheetFigure(figure, "Map of the visits."),))


def _beside(found: Document | str) -> SheetSection:
    heading = "Beside the optical alerts"
    if isinstance(found, str):
        return SheetSection(heading, (f"Not compared: {found}.",))
    words = (
        f"{found['since']} to {found['until']}; two match where their overlap is a quarter of "
        f"either and their days lie within {found['window_days']}."
    )
    rows = []
    for name, key in (("all months", "lead"), ("November to March", "lead_november_march")):
        lead = found[key]
        counts = [number(lead[k]) for k in ("warnings", "first", "same_day", "later", "only")]
        shares = [_percent(lead[k]) for k in ("first_or_only", "first_or_only_area")]
        days = lead["lead_days"]["value"]
        rows.append((name, *counts, *shares, NONE if days is None else number(days, 1)))
    heads = (
        *("", "Warnings", "First", "Same day", "Later", "Only ours"),
        *("First or only, %", "of area, %", "Lead, days"),
    )
    table = Table("Who was first", heads, tuple(rows), (False, *([True] * 8)))
    figures = (
        (SheetFigure(_months(found["months"]), "Matched, only ours and only optical, by month."),)
        if found["months"]
        else ()
    )
    return SheetSection(heading, (words,), (table,), figures)


def _months(months: Sequence[Document]) -> Figure:
    figure = new_figure(WIDE_IN, 2.6)
    axes = figure.add_subplot()
    tidy(axes, grid=True)
    at = np.arange(len(months))
    foot = np.zeros(len(months))
    parts = (
        ("in both", BLUE, "", [m["ours"] - m["only_ours"] for m in months]),
        ("only ours", ORANGE, "////", [m["only_ours"] for m in months]),
        ("only optical", MUTED, "....", [m["only_theirs"] for m in months]),
    )
    for label, colour, hatch, heights in parts:
        axes.bar(
            at, heights, bottom=foot, color=colour, hatch=hatch, edgecolor="white", label=label
        )
        foot += np.array(heights, dtype=np.float64)
    step = max(1, len(months) // 12)
    axes.set_xticks(at[::step], [m["month"] for m in months][::step])
    axes.set_ylabel("Warnings", fontsize=SMALL_PT, color=INK)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    figure.legend(loc="outside lower center", ncols=3, fontsize=SMALL_PT, frameon=False)
    return figure
