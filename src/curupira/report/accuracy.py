"""Figures and tables of an accuracy assessment, from its plain document. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from curupira.report.accuracy_figures import (
    DelayView,
    Floats,
    bins_figure,
    causes_figure,
    delay_figure,
    frontier_figure,
    outlines_figure,
)
from curupira.report.sheet import SheetFigure, SheetSection
from curupira.report.style import BLUE, ORANGE
from curupira.report.tables import Table, number

#: Scores that are shares, with the words for them, in the order of the table.
SHARES = {
    "ua_count": "User's accuracy, by number",
    "ua_area": "User's accuracy, by area",
    "ua_at_prevalence": "User's accuracy at 0.2 % of forest lost a year",
    "pa_all_count": "Producer's accuracy, all events, by number",
    "pa_all_area": "Producer's accuracy, all events, by area",
    "pa_count": "Producer's accuracy, visible events, by number",
    "pa_area": "Producer's accuracy, visible events, by area",
    "pa_at_ua98": "Producer's accuracy (all) where user's is 98 %",
    "ua_at_pa90": "User's accuracy where producer's (all) is 90 %",
    "duplicates": "Warned events that were warned twice",
    "boundary_iou": "Boundary IoU (40 m), median",
    "iou": "IoU, median",
}
#: Delays, with what they count from.
_DELAYS = {"delay_from_event_days": "from the start", "delay_days": "from becoming visible"}


@dataclass(frozen=True)
class AccuracyView:
    """The document of product.md section 8, and what the figures need besides.

    ``frontier``: rows of (confidence, user's accuracy, producer's accuracy). ``overlaps``: IoU and
    the like of the true confirmed warnings, by name of the measure.
    """

    document: Mapping[str, Any]
    frontier: Sequence[tuple[float, float, float]]
    delays: Sequence[DelayView]
    overlaps: Mapping[str, Floats]


def accuracy_sections(view: AccuracyView) -> list[SheetSection]:
    """Everything of an assessment, as sections of a page."""
    found = view.document
    head = (
        f"{found['events']} events and {found['warnings']} confirmed warnings of "
        f"{found['min_area_ha']:g} ha or more, {found['since']} to {found['end']}, "
        f"{found['monitored_km2']:,.1f} km2 of forest, every {found['revisit_days']:g} days. "
        "Brackets and bars: 95 % intervals."
    )
    return [
        SheetSection("Scores", (head,), (_scores(found), _delays(found))),
        _drawn("By size", bins_figure(found["by_size"], "ha"), "Accuracy in bins of area"),
        _drawn(
            "By distance to deforestation",
            bins_figure(found["by_distance"], "m"),
            "Accuracy in bins of distance to deforestation",
        ),
        _drawn(
            "Along the confidence",
            frontier_figure(view.frontier),
            "User's and producer's accuracy against each other and along the confidence",
        ),
        _drawn(
            "Outlines of the true warnings",
            outlines_figure(view.overlaps),
            "Histograms of the overlap of true warnings with their events",
        ),
        _drawn("Delay", delay_figure(view.delays), "Share of events warned against days"),
        _drawn(
            "False warnings by cause",
            causes_figure(
                found["false_per_1000km2_month"]["by_cause"], "per 1000 km2 and month", ORANGE
            ),
            "False warnings per 1000 km2 and month by cause",
        ),
        _drawn(
            "Events not found within 60 days, by cause",
            causes_figure(found["missed_by_cause"], "share of all events", BLUE),
            "Share of events not found, by cause",
        ),
    ]


def side_by_side(found: Sequence[Mapping[str, Any]]) -> Table:
    """The headline scores of several presets on one truth, a column each."""
    shares = ("ua_count", "pa_all_count", "pa_count")
    rows = [(f"{SHARES[key]}, %", *(_counted(f[key], 100, 0) for f in found)) for key in shares]
    rows += [
        (f"Median delay {what}, days", *(_counted(f[key]["median"], 1, 0) for f in found))
        for key, what in _DELAYS.items()
    ]
    false = [f["false_per_1000km2_month"]["confirmed"] for f in found]
    rows.append(
        ("False confirmed warnings per 1000 km2 and month", *(_counted(e, 1, 1) for e in false))
    )
    return Table(
        "In brackets 95 % intervals and the number of warnings, events or (last row) false "
        "warnings",
        ("", *(str(f["preset"]) for f in found)),
        tuple(rows),
        (False, *(True for _ in found)),
    )


def _counted(estimate: Mapping[str, Any], factor: float, digits: int) -> str:
    """Value, interval and number of an estimate."""
    if estimate["value"] is None:
        return _silence(estimate)
    value = number(estimate["value"] * factor, digits)
    return f"{value} ({_interval(estimate, factor, digits)}; n = {estimate['n']})"


def _silence(estimate: Mapping[str, Any]) -> str:
    """Why an estimate has no value."""
    return f"not reached (n = {estimate['n']})" if estimate["n"] else "nothing to count"


def _interval(estimate: Mapping[str, Any], factor: float, digits: int) -> str:
    low, high = (
        None if estimate[k] is None else number(estimate[k] * factor, digits)
        for k in ("low", "high")
    )
    if low is None:
        return "too few for an interval" if high is None else f"up to {high}"
    return f"{low} or more" if high is None else f"{low} to {high}"


def _drawn(heading: str, figure: Figure, alt: str) -> SheetSection:
    return SheetSection(heading, figures=(SheetFigure(figure, alt),))


def words(estimate: Mapping[str, Any], *, unit: str = "", digits: int = 1) -> str:
    """An estimate with its interval, as text; a share is told in its unit ``%``."""
    if estimate["value"] is None:
        return _silence(estimate)
    factor = 100.0 if unit == "%" else 1.0
    value = f"{number(estimate['value'] * factor, digits)} {unit}".strip()
    return f"{value} ({_interval(estimate, factor, digits)})"


def _scores(found: Mapping[str, Any]) -> Table:
    rows = [
        (label, words(found[key], unit="%"), str(found[key]["n"])) for key, label in SHARES.items()
    ]
    rows += [
        (f"Warned within {d} days of the start", words(e, unit="%"), str(e["n"]))
        for d, e in found["warned_by_days"].items()
    ]
    rows += [
        (
            f"False {name} warnings per 1000 km2 and month",
            words(found["false_per_1000km2_month"][name], digits=2),
            str(found["false_per_1000km2_month"][name]["n"]),
        )
        for name in ("confirmed", "preliminary")
    ]
    return Table("Scores", ("Score", "Value", "n"), tuple(rows), (False, True, True))


def _delays(found: Mapping[str, Any]) -> Table:
    rows = tuple(
        (label, words(found[key][q], digits=0), str(found[key][q]["n"]))
        for key, what in _DELAYS.items()
        for q, label in (("median", f"Median {what}"), ("p90", f"90 % {what}"))
    )
    return Table(
        "Delay of the confirmed warning, days; not reached: by the end of the watch",
        ("Delay", "Days", "Events"),
        rows,
        (False, True, True),
    )
