"""Figures along time: series of a pixel, issued warnings. Pure; each returns a Figure."""

from __future__ import annotations

from datetime import date

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from curupira.codes import IntensityClass
from curupira.report.cadence import Times, naive_times
from curupira.report.data import CLASS_WORDS, Series
from curupira.report.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    SKY,
    SMALL_PT,
    TEXT_PT,
    VERMILLION,
    WIDE_IN,
    date_axis,
    new_figure,
    note,
    tidy,
)


def _along(series: Series, name: str) -> npt.NDArray[np.float64]:
    variable = series.dataset[name]
    return np.broadcast_to(np.asarray(variable, dtype=np.float64), series.dataset["time"].shape)


def _shade_periods(axes: Axes, series: Series, times: Times) -> None:
    words = np.broadcast_to(np.asarray(series.dataset["period"]).astype(str), times.shape)
    half_day = np.timedelta64(12, "h")
    for start, name, colour, hatch in (
        ("learn", "Learning period", SKY, None),
        ("detect", "Detection period", ORANGE, "////"),
    ):
        inside = times[np.char.startswith(np.char.lower(words), start)]
        if not inside.size:
            continue
        axes.axvspan(
            inside.min() - half_day,
            inside.max() + half_day,
            facecolor=colour,
            alpha=0.16,
            hatch=hatch,
            edgecolor=colour,
            linewidth=0,
            label=name,
            zorder=0,
        )


def series_figure(series: Series) -> Figure:
    """Plot one pixel's gamma0 with reference level, threshold and flags (the paper's Figure 4).

    Parameters
    ----------
    series
        Variables of ``data.SERIES_VARIABLES`` along ``time``, in dB; NaN leaves a gap. The season
        is drawn about the reference level, whatever level it came with.
    """
    times = np.asarray(series.dataset["time"].values).astype("datetime64[s]")
    figure = new_figure(WIDE_IN, 3.3)
    axes = figure.add_subplot()
    tidy(axes, grid=True)
    axes.set_ylabel("VH gamma0 (dB)", fontsize=TEXT_PT, color=INK)
    raw, steady = _along(series, "gamma0_db"), _along(series, "stabilised_db")
    if not np.isfinite(np.concatenate([raw, steady])).any():
        note(axes, "No valid image at this pixel")
        return figure
    _shade_periods(axes, series, times)
    reference, limit = _along(series, "reference_db"), _along(series, "limit_db")
    season = _along(series, "season_db")
    if np.isfinite(season).any() and np.isfinite(reference).any():
        about = season - np.nanmedian(season) + np.nanmedian(reference)
        axes.plot(times, about, color=GREEN, lw=1, ls=":", label="Season, about the reference")
    axes.plot(times, raw, ls="none", marker=".", ms=3.5, color="#9aa39e", label="As measured")
    axes.plot(times, steady, color=INK, lw=0.8, marker="o", ms=2.6, label="Season removed")
    axes.plot(times, reference, color=BLUE, lw=1.6, label="Reference level")
    axes.plot(times, limit, color=VERMILLION, lw=1.6, ls="--", label="Threshold")
    flagged = _along(series, "flag") == 1
    axes.plot(
        times[flagged],
        steady[flagged],
        ls="none",
        marker="D",
        ms=6.5,
        mfc=VERMILLION,
        mec=INK,
        mew=0.7,
        label=f"Flagged ({int(flagged.sum())})",
        gid="flagged",
    )
    date_axis(axes)
    figure.legend(
        loc="outside lower center", ncols=4, fontsize=SMALL_PT, frameon=False, handlelength=2.4
    )
    return figure


def bin_edges(since: date, until: date) -> Times:
    """Edges of days, weeks or months over a period, both ends inclusive: at most some 60 bins."""
    end = np.datetime64(until, "D") + 1
    days = int((end - np.datetime64(since, "D")) / np.timedelta64(1, "D"))
    if days > 400:
        first = np.datetime64(since, "M")
        months = np.arange(first, np.datetime64(until, "M") + 2)
        return months.astype("datetime64[D]")
    step = 1 if days <= 45 else 7
    count = -(-days // step)
    return np.datetime64(since, "D") + step * np.arange(count + 1)


def timeline_figure(warnings: gpd.GeoDataFrame, since: date, until: date) -> Figure:
    """Plot number and area of the warnings issued along the period, by class.

    Parameters
    ----------
    warnings
        Columns ``issued_at``, ``intensity_class``, ``area_ha`` (NaN counts as zero); rows issued
        outside the period are left out.
    since, until
        First and last day, inclusive.
    """
    edges = bin_edges(since, until)
    figure = new_figure(WIDE_IN, 3.2)
    upper, lower = figure.subplots(2, 1, sharex=True)
    empty = not _stack_bars((upper, lower), warnings, edges)
    unit = {1: "day", 7: "week"}.get(int((edges[1] - edges[0]) / np.timedelta64(1, "D")), "month")
    for axes, label in ((upper, f"Warnings a {unit}"), (lower, f"Hectares a {unit}")):
        tidy(axes, grid=True)
        axes.set_ylabel(label, fontsize=SMALL_PT, color=INK)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=axes is upper))
        axes.set_xlim(edges[0], edges[-1])
        if empty:
            axes.set_ylim(0, 1)
    if empty:
        note(upper, "No warning issued in the period")
    date_axis(lower)
    lower.set_xlabel("Issued on (UTC)", fontsize=SMALL_PT, color=MUTED)
    figure.legend(
        *upper.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        fontsize=SMALL_PT,
        frameon=False,
    )
    return figure


def _stack_bars(both: tuple[Axes, Axes], warnings: gpd.GeoDataFrame, edges: Times) -> int:
    """Number above and area below, class upon class; return how many warnings are shown."""
    day = naive_times(warnings["issued_at"]).astype("datetime64[D]").astype(np.int64)
    area = warnings["area_ha"].fillna(0).to_numpy(dtype=np.float64)
    left = edges[:-1].astype("datetime64[D]")
    width = np.diff(edges) / np.timedelta64(1, "D")
    number = edges.astype("datetime64[D]").astype(np.int64)
    floors = [np.zeros(left.size), np.zeros(left.size)]
    for kind, colour, hatch in (
        (IntensityClass.HIGH, BLUE, None),
        (IntensityClass.LOW, ORANGE, "////"),
    ):
        mine = (warnings["intensity_class"] == kind).to_numpy(dtype=bool)
        heights = (
            np.histogram(day[mine], number)[0],
            np.histogram(day[mine], number, weights=area[mine])[0],
        )
        for index, axes in enumerate(both):
            axes.bar(
                left,
                heights[index],
                width * 0.9,
                bottom=floors[index],
                align="edge",
                color=colour,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.4,
                label=CLASS_WORDS[kind],
            )
            floors[index] = floors[index] + heights[index]
    return int(floors[0].sum())
