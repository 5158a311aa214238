"""How far new clearings lie from older ones: the paper's Figure 5. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from curupira.report.style import (
    BLUE,
    INK,
    ORANGE,
    SKY,
    SMALL_PT,
    TEXT_PT,
    VERMILLION,
    WIDE_IN,
    new_figure,
    note,
    tidy,
)

_TICKS_M = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)


@dataclass(frozen=True)
class DistanceView:
    """Histogram of log10 distance (m) with a logistic density, and a threshold law.

    ``edges`` has one number more than ``counts``; ``mu`` and ``s`` are the fitted law, None where
    there are too few distances. ``distance_m`` and ``threshold_db`` are points of the law in use.
    """

    edges: Sequence[float]
    counts: Sequence[int]
    mu: float | None
    s: float | None
    distance_m: npt.NDArray[np.float64]
    threshold_db: npt.NDArray[np.float64]
    law: str


def distance_figure(view: DistanceView) -> Figure:
    """Draw the histogram, the density fitted to it, and the threshold against distance."""
    figure = new_figure(WIDE_IN, 5.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for axes in (upper, lower):
        tidy(axes, grid=True)
    x = np.log10(view.distance_m)
    total = sum(view.counts)
    if view.mu is None or view.s is None or not total:
        note(upper, "Too few distances for a law")
    else:
        widths = np.diff(np.asarray(view.edges))
        heights = np.asarray(view.counts) / total / widths
        upper.bar(
            np.asarray(view.edges)[:-1],
            heights,
            widths,
            align="edge",
            color=SKY,
            edgecolor="white",
            linewidth=0.6,
            label=f"New clearings ({total})",
        )
        # The density of the logistic law: sech^2 over four times its scale.
        density = 1 / (4 * view.s * np.cosh((x - view.mu) / (2 * view.s)) ** 2)
        upper.plot(
            x,
            density,
            color=VERMILLION,
            lw=1.8,
            label=f"Logistic: mu = {view.mu:.3f} ({10**view.mu:.0f} m), s = {view.s:.3f}",
        )
        upper.axvline(view.mu, color=INK, lw=0.8, ls=":")
        upper.legend(fontsize=SMALL_PT, frameon=False)
    upper.set_ylabel("Density per log10 m", fontsize=TEXT_PT, color=INK)
    lower.plot(x, view.threshold_db, color=BLUE, lw=1.8, label=f"Threshold law: {view.law}")
    lower.fill_between(x, view.threshold_db.min(), view.threshold_db, color=ORANGE, alpha=0.15)
    lower.set_ylabel("Threshold (dB)", fontsize=TEXT_PT, color=INK)
    lower.legend(fontsize=SMALL_PT, frameon=False, loc="upper left")
    shown = [m for m in _TICKS_M if x.min() - 0.01 <= np.log10(m) <= x.max() + 0.01]
    lower.set_xticks([float(np.log10(m)) for m in shown], [f"{m:,}" for m in shown])
    lower.set_xlim(float(x.min()), float(x.max()))
    lower.set_xlabel("Distance to earlier deforestation (m, log scale)", fontsize=TEXT_PT)
    return figure
