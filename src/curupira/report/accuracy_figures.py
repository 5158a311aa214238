"""Figures of an accuracy assessment. Pure; each returns a Figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from curupira.report.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    SMALL_PT,
    TEXT_PT,
    VERMILLION,
    WIDE_IN,
    new_figure,
    note,
    tidy,
)

Floats = npt.NDArray[np.float64]

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
    days: Floats
    warned: Floats
    low: Floats
    high: Floats


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
    """Accuracies as the lowest confidence rises: against each other, and along the confidence.

    Parameters
    ----------
    frontier
        Rows of (confidence, user's accuracy, producer's accuracy), highest confidence first.
    """
    figure = new_figure(WIDE_IN, 3.8)
    plane, along = figure.subplots(1, 2)
    for axes in (plane, along):
        tidy(axes, grid=True)
        axes.set_ylim(-0.03, 1.03)
    plane.set_xlim(-0.03, 1.03)
    plane.set_xlabel("Producer's accuracy, all events", fontsize=TEXT_PT)
    plane.set_ylabel("User's accuracy", fontsize=TEXT_PT, color=INK)
    plane.axhline(0.98, color=MUTED, lw=0.8, ls=":")
    plane.axvline(0.90, color=MUTED, lw=0.8, ls=":")
    along.set_xlabel("Lowest confidence kept", fontsize=TEXT_PT)
    along.set_ylabel("Accuracy", fontsize=TEXT_PT, color=INK)
    if not frontier:
        note(plane, "No confirmed warning has a confidence")
        along.set_xticks([])
        return figure
    confidence, ua, pa = (np.array(column) for column in zip(*frontier, strict=True))
    plane.plot(pa, ua, color=BLUE, lw=1.4, marker=".", ms=5)
    for k in sorted({0, len(frontier) - 1}):
        plane.annotate(
            f"≥ {with_nines(confidence[k])}",
            (pa[k], ua[k]),
            textcoords="offset points",
            xytext=(0, -14),
            ha="left" if pa[k] < 0.2 else "right" if pa[k] > 0.8 else "center",
            fontsize=SMALL_PT,
            color=INK,
        )
    place = _nines(confidence)
    for values, colour, marker, key in (
        (ua, BLUE, "s", "ua_count"),
        (pa, VERMILLION, "o", "pa_all_count"),
    ):
        along.plot(
            place, values, color=colour, marker=marker, ms=3, drawstyle="steps-post",
            label=_SHORT[key],
        )  # fmt: skip
    along.axhline(0.98, color=MUTED, lw=0.8, ls=":")
    marks = _confidence_marks(float(place.max()))
    along.set_xticks(_nines(np.array(list(marks.values()))), list(marks))
    along.set_xlim(np.floor(place.min()), np.ceil(place.max() + 0.01))
    figure.legend(loc="outside upper right", ncols=2, fontsize=SMALL_PT, frameon=False)
    return figure


def _nines(confidence: Floats) -> Floats:
    """Confidence as its number of nines: 1 for 0.9, 3 for 0.999; 12 at most."""
    return np.asarray(-np.log10(np.maximum(1 - confidence, 1e-12)))


def _confidence_marks(most_nines: float) -> dict[str, float]:
    """Round confidences, by their words, up to a number of nines."""
    if most_nines <= 2:
        return {f"{c:g}": c for c in (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)}
    step = int(np.ceil(most_nines / 6))
    return {f"{1 - 10.0**-m:.{m}f}": 1 - 10.0**-m for m in range(0, int(most_nines) + 2, step)}


def with_nines(confidence: float) -> str:
    """A confidence in as many digits as tell it from its neighbours: 0.87, 0.9962, 0.999993."""
    if confidence >= 1:
        return "1"
    return f"{confidence:.{2 + int(_nines(np.array(confidence)))}f}"


def outlines_figure(overlaps: Mapping[str, Floats]) -> Figure:
    """How many true warnings draw their events how well.

    Parameters
    ----------
    overlaps
        Values between 0 and 1 by name of the measure, one a true confirmed warning.
    """
    figure = new_figure(WIDE_IN, 2.8)
    panels = figure.subplots(1, len(overlaps), sharey=True, squeeze=False)[0]
    for axes, (name, values) in zip(panels, overlaps.items(), strict=True):
        tidy(axes, grid=True)
        axes.set_xlim(0, 1)
        axes.set_xlabel(name, fontsize=TEXT_PT)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        if not values.size:
            note(axes, "No true warning")
            continue
        axes.hist(values, bins=np.linspace(0, 1, 21), color=GREEN, alpha=0.75, edgecolor="white")
        middle = float(np.median(values))
        axes.axvline(middle, color=INK, lw=1.2, ls="--", label=f"Median {middle:.2f}")
        axes.legend(fontsize=SMALL_PT, frameon=False, loc="upper left")
    panels[0].set_ylabel("True confirmed warnings", fontsize=TEXT_PT, color=INK)
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
    figure = new_figure(WIDE_IN, 0.9 + 0.26 * len(causes))
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
