"""One self-contained HTML page out of plain data: no script, no outside request."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC
from importlib import resources

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from curupira.codes import IntensityClass, SceneState, Status
from curupira.grid import SIRGAS_2000
from curupira.report import cadence, figures, maps, tables
from curupira.report.data import CLASS_WORDS, STATUS_WORDS, Chip, ReportData, SarImage, Series
from curupira.report.mapparts import STRETCH_DB
from curupira.report.sheet import SheetSection, drawn
from curupira.report.style import LINE_DPI, PICTURE_DPI, Encoded, encode
from curupira.report.summary import summary_sections

_ENVIRONMENT = Environment(
    loader=PackageLoader("curupira.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Picture:
    """An embedded figure with the words that stand for it."""

    image: Encoded
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class ChipCard:
    """A chip with the facts of its warning: pairs of name and value."""

    picture: Picture
    heading: str
    facts: tuple[tuple[str, str], ...]


def render(data: ReportData) -> str:
    """Render the report as one HTML document.

    Parameters
    ----------
    data
        Everything shown; empty tables and missing images give sections that say so.

    Returns
    -------
    str
        HTML with embedded style and PNG images. All text is escaped; a content security policy
        forbids anything from outside.
    """
    css = resources.files("curupira.report").joinpath("templates/report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return _ENVIRONMENT.get_template("report.html").render(
        data=data,
        css=css,
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
        headlines=tables.headlines(data),
        maps=_maps(data),
        counts=tables.counts_table(data),
        timeline=_timeline(data),
        summary=drawn(_summary(data)),
        listed=tables.warnings_table(data),
        chips=[_chip(data, chip) for chip in data.chips],
        series=[_series(series) for series in data.series],
        threshold=_threshold(data),
        cadence=_cadence(data),
        cadence_rows=tables.cadence_table(data.scenes),
        quarantined=tables.quarantine_table(data.scenes),
        superseded=int((data.scenes["state"] == SceneState.SUPERSEDED).sum()),
        stretch=STRETCH_DB,
        vh_only=_vh_only(data),
        gap_factor=cadence.GAP_FACTOR,
        years=_years(data.data_years),
        simulated=data.simulated,
        generated=data.generated_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _summary(data: ReportData) -> list[SheetSection]:
    return [] if data.summary is None else summary_sections(data.summary, data.area, data.optical)


def _vh_only(data: ReportData) -> bool:
    images = (data.composite_before, data.composite_after)
    return not any(np.isfinite(image.vv).any() for image in images if image is not None)


def _years(years: tuple[int, ...]) -> str:
    ordered = sorted(set(years))
    if not ordered:
        return ""
    whole = ordered == list(range(ordered[0], ordered[-1] + 1))
    if whole and len(ordered) > 2:
        return f"{ordered[0]}–{ordered[-1]}"
    return ", ".join(map(str, ordered))


def _maps(data: ReportData) -> list[Picture]:
    found = []
    for word, image in (("Before", data.composite_before), ("After", data.composite_after)):
        if image is not None:
            found.append(_map(data, word, image))
    return found


def _map(data: ReportData, word: str, image: SarImage) -> Picture:
    title = f"{word}: {image.date_text}"
    figure = maps.warnings_map(image, data.warnings, data.area, title)
    counts = data.warnings["status"].value_counts()
    words = ", ".join(f"{counts.get(status, 0)} {status}" for status in Status)
    return Picture(
        encode(figure, PICTURE_DPI),
        f"Map of {data.area_name} over the radar image of {image.date_text}, with the outlines of "
        f"{len(data.warnings)} warnings: {words}.",
    )


def _timeline(data: ReportData) -> Picture:
    issued = data.issued
    return Picture(
        encode(figures.timeline_figure(issued, data.since, data.until), LINE_DPI),
        f"Bars along time: {len(issued)} warnings issued from {data.since} to {data.until}, "
        f"{tables.area(issued['area_ha'].sum())} hectares.",
    )


def _chip(data: ReportData, chip: Chip) -> ChipCard:
    mine = data.warnings[data.warnings["warning_id"].astype(str) == chip.warning_id]
    picture = Picture(
        encode(maps.chip_figure(chip, data.warnings), PICTURE_DPI),
        f"Warning {chip.warning_id[:8]} outlined on the radar images of "
        f"{chip.before.date_text} and {chip.after.date_text}.",
    )
    if mine.empty:
        return ChipCard(picture, f"Warning {chip.warning_id[:8]}", ())
    point = mine.to_crs(SIRGAS_2000).geometry.iloc[0].representative_point()
    row = mine.iloc[0].to_dict()
    status = STATUS_WORDS[Status(row["status"])]
    if row["status"] == Status.CLOSED:
        status += f": {tables.text(row['closed_reason'])}"
    facts = (
        ("Status", status),
        ("Class", CLASS_WORDS[IntensityClass(row["intensity_class"])]),
        ("Area", f"{tables.area(row['area_ha'])} ha"),
        ("Excess", f"{tables.number(row['excess_db'], 1)} dB below the threshold"),
        ("Flagged images", f"{tables.number(row['n_alerts'], 1)} (median of its pixels)"),
        ("First flag", tables.day(row["first_flag_date"])),
        ("Issued", tables.day(row["issued_at"])),
        ("Confirmed", tables.day(row["confirmed_at"])),
        ("Relative orbit", tables.text(row["relative_orbit"])),
        ("Position", tables.position(point.x, point.y)),
        ("Place", tables.place(row)),
    )
    return ChipCard(picture, f"Warning {chip.warning_id[:8]}", facts)


def _series(series: Series) -> Picture:
    flagged = int((np.asarray(series.dataset["flag"], dtype=np.float64) == 1).sum())
    drop = np.asarray(series.dataset["threshold_db"], dtype=np.float64)
    level = np.asarray(series.dataset["reference_db"], dtype=np.float64)
    words = ""
    if np.isfinite(drop).any() and np.isfinite(level).any():
        words = (
            f"reference level {tables.number(float(np.nanmedian(level)), 1)} dB, "
            f"threshold {np.nanmedian(drop):.2f} dB below it, "
        )
    count = f"{flagged} image{'' if flagged == 1 else 's'} flagged"
    return Picture(
        encode(figures.series_figure(series), LINE_DPI),
        f"Time series of VH gamma0 at {series.label}: {words}{count}.",
        f"{series.label}: {words}{count}.",
    )


def _threshold(data: ReportData) -> Picture | None:
    if data.threshold_map is None:
        return None
    values = data.threshold_map.threshold_db
    finite = values[np.isfinite(values)]
    words = "no pixel is monitored"
    if finite.size:
        low, middle, high = (f"{v:.2f} dB" for v in np.percentile(finite, (0, 50, 100)))
        words = f"{low} everywhere" if low == high else f"from {low} to {high}, median {middle}"
    return Picture(
        encode(maps.threshold_figure(data.threshold_map, data.area), PICTURE_DPI),
        f"Map of the threshold over {data.area_name}: {words}.",
        f"Threshold drop t: {words}. Grey is not monitored.",
    )


def _cadence(data: ReportData) -> Picture:
    used = int((data.scenes["state"] == SceneState.INGESTED).sum())
    rows = tables.cadence_table(data.scenes).rows
    gaps = sum(int(row[-1]) for row in rows)
    return Picture(
        encode(cadence.cadence_figure(data.scenes), LINE_DPI),
        f"Marks along time for {used} scenes used, one row for each of {len(rows)} satellites and "
        f"orbits; {gaps} gaps are marked. The table below has the numbers.",
    )
