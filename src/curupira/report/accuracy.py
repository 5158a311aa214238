"""Figures and tables of an accuracy assessment, from its plain document. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from curupira.report.sheet import SheetFigure, SheetSection
from curupira.report.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    SMALL_PT,
    TEXT_PT,
    VERMILLION,
    WIDE_IN,
    new_figure,
    note,
    tidy,
)
from curupira.report.tables import NONE, Table, number

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
#: Scores drawn in the bins.
_DRAWN = (("ua_count", BLUE, "s"), ("pa_all_count", VERMILLION, "o"), ("pa_count", GREEN, "^"))
_SHORT = {
    "ua_count": "User's",
    "pa_all_count": "Producer's, all",
    "pa_count": "Producer's, visible",
}


@dataclass(frozen=True)
class DelayView:
    """One delay curve: share of events warned by each day, with its bounds."""

    label: str
    days: npt.NDArray[np.float64]
    warned: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


@dataclass(frozen=True)
class AccuracyView:
    """The document of product.md section 8, and what the figures need besides.

    ``frontier``: rows of (confidence, user's accuracy, producer's accuracy).
    """

    document: Mapping[str, Any]
    frontier: Sequence[tuple[float, float, float]]
    delays: Sequence[DelayView]


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
            "User's against producer's accuracy along the confidence",
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
        f"warnings; {NONE} not reached",
        ("", *(str(f["preset"]) for f in found)),
        tuple(rows),
        (False, *(True for _ in found)),
    )


def _counted(estimate: Mapping[str, Any], factor: float, digits: int) -> str:
    """Value, interval and number of an estimate."""
    value, low, high = (
        NONE if estimate[k] is None else number(estimate[k] * factor, digits)
        for k in ("value", "low", "high")
    )
    return f"{value} ({low} to {high}; n = {estimate['n']})"


def _drawn(heading: str, figure: Figure, alt: str) -> SheetSection:
    return SheetSection(heading, figures=(SheetFigure(figure, alt),))


def words(estimate: Mapping[str, Any], *, percent: bool, digits: int = 1) -> str:
    """An estimate with its interval, as text."""
    if estimate["value"] is None:
        return NONE
    factor, unit = (100.0, " %") if percent else (1.0, "")
    low, high = (
        NONE if estimate[k] is None else number(estimate[k] * factor, digits)
        for k in ("low", "high")
    )
    return f"{number(estimate['value'] * factor, digits)}{unit} ({low} to {high})"


def _scores(found: Mapping[str, Any]) -> Table:
    rows = [
        (label, words(found[key], percent=True), str(found[key]["n"]))
        for key, label in SHARES.items()
    ]
    rows += [
        (f"Warned within {d} days of the start", words(e, percent=True), str(e["n"]))
        for d, e in found["warned_by_days"].items()
    ]
    rows += [
        (
            f"False {name} warnings per 1000 km2 and month",
            words(found["false_per_1000km2_month"][name], percent=False, digits=2),
            str(found["false_per_1000km2_month"][name]["n"]),
        )
        for name in ("confirmed", "preliminary")
    ]
    return Table("Scores", ("Score", "Value", "n"), tuple(rows), (False, True, True))


def _delays(found: Mapping[str, Any]) -> Table:
    rows = tuple(
        (label, words(found[key][q], percent=False, digits=0), str(found[key][q]["n"]))
        for key, what in _DELAYS.items()
        for q, label in (("median", f"Median {what}"), ("p90", f"90 % {what}"))
    )
    return Table(
        "Delay of the confirmed warning, days; a dash: not reached by the end",
        ("Delay", "Days", "Events"),
        rows,
        (False, True, True),
    )


def bins_figure(bins: Sequence[Mapping[str, Any]], unit: str) -> Figure:
    """Accuracies in bins, with intervals; the counts of events and warnings below."""
    figure = new_figure(WIDE_IN, 3.6)
    axes = figure.add_subplot()
    tidy(axes, grid=True)
    for shift, (key, colour, marker) in zip((-0.18, 0.0, 0.18), _DRAWN, strict=True):
        _points(axes, [b[key] for b in bins], shift, colour, marker, _SHORT[key])
    labels = []
    for b in bins:
        low, high = b[f"low_{unit}"], b[f"high_{unit}"]
        extent = f"≥ {low:g}" if high is None else f"{low:g} to {high:g}"
        labels.append(f"{extent} {unit}\n{b['events']} / {b['warnings']}")
    axes.set_xticks(range(len(bins)), labels)
    axes.set_xlim(-0.5, len(bins) - 0.5)
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("Accuracy", fontsize=TEXT_PT, color=INK)
    axes.set_xlabel("Bin, with its events / confirmed warnings", fontsize=TEXT_PT)
    figure.legend(loc="outside upper center", ncols=3, fontsize=SMALL_PT, frameon=False)
    return figure


def _points(
    axes: Axes,
    estimates: Sequence[Mapping[str, Any]],
    shift: float,
    colour: str,
    marker: str,
    label: str,
) -> None:
    x = [k + shift for k, e in enumerate(estimates) if e["value"] is not None]
    known = [e for e in estimates if e["value"] is not None]
    value = np.array([e["value"] for e in known], dtype=np.float64)
    low = value - np.array([e["low"] for e in known], dtype=np.float64)
    high = np.array([e["high"] for e in known], dtype=np.float64) - value
    axes.errorbar(
        x,
        value,
        yerr=np.stack([low, high]),
        ls="none",
        marker=marker,
        ms=5,
        color=colour,
        elinewidth=1.2,
        capsize=2.5,
        label=label,
    )


def frontier_figure(frontier: Sequence[tuple[float, float, float]]) -> Figure:
    """User's against producer's accuracy as the lowest confidence rises."""
    figure = new_figure(WIDE_IN * 0.6, 3.8)
    axes = figure.add_subplot()
    tidy(axes, grid=True)
    axes.set_xlabel("Producer's accuracy, all events", fontsize=TEXT_PT)
    axes.set_ylabel("User's accuracy", fontsize=TEXT_PT, color=INK)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.axhline(0.98, color=MUTED, lw=0.8, ls=":")
    axes.axvline(0.90, color=MUTED, lw=0.8, ls=":")
    if not frontier:
        note(axes, "No confirmed warning has a confidence")
        return figure
    confidence, ua, pa = (np.array(column) for column in zip(*frontier, strict=True))
    axes.plot(pa, ua, color=BLUE, lw=1.4, marker=".", ms=5)
    for k in sorted({0, len(frontier) // 2, len(frontier) - 1}):
        axes.annotate(
            f"≥ {confidence[k]:.2f}",
            (pa[k], ua[k]),
            textcoords="offset points",
            xytext=(6, -10),
            fontsize=SMALL_PT,
            color=INK,
        )
    return figure


def delay_figure(delays: Sequence[DelayView]) -> Figure:
    """Kaplan-Meier curves: share of events warned, with bounds."""
    figure = new_figure(WIDE_IN, 3.6)
    axes = figure.add_subplot()
    tidy(axes, grid=True)
    last = max((float(c.days[-1]) for c in delays if c.days.size), default=60.0)
    for curve, colour, style in zip(delays, (VERMILLION, BLUE), ("-", "--"), strict=False):
        days = np.concatenate([[0.0], curve.days, [last]])
        warned, low, high = (
            np.concatenate([[0.0], part, part[-1:] if part.size else [0.0]])
            for part in (curve.warned, curve.low, curve.high)
        )
        axes.step(days, warned, where="post", color=colour, ls=style, lw=1.7, label=curve.label)
        axes.fill_between(days, low, high, step="post", color=colour, alpha=0.13, linewidth=0)
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    axes.set_xlabel("Days", fontsize=TEXT_PT)
    axes.set_ylabel("Share of events warned", fontsize=TEXT_PT, color=INK)
    if delays:
        axes.legend(fontsize=SMALL_PT, frameon=False, loc="lower right")
    return figure


def causes_figure(causes: Mapping[str, Mapping[str, Any]], unit: str, colour: str) -> Figure:
    """Rates or shares by cause as bars with intervals."""
    figure = new_figure(WIDE_IN * 0.8, 0.9 + 0.34 * len(causes))
    axes = figure.add_subplot()
    tidy(axes, grid=True)
    names = [name for name, e in causes.items() if e["value"] is not None]
    if not names:
        note(axes, "Undefined")
        return figure
    value = np.array([causes[n]["value"] for n in names], dtype=np.float64)
    error = np.stack(
        [
            value - np.array([causes[n]["low"] for n in names], dtype=np.float64),
            np.array([causes[n]["high"] for n in names], dtype=np.float64) - value,
        ]
    )
    axes.barh(range(len(names)), value, color=colour, alpha=0.75, xerr=error, ecolor=INK)
    axes.set_yticks(range(len(names)), [n.replace("_", " ") for n in names])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(unit, fontsize=TEXT_PT)
    return figure
