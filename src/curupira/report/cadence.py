"""When the satellites looked: passes, gaps, and the figure of both. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import matplotlib.dates as mdates
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from curupira.codes import OrbitState, SceneState
from curupira.records import SLICE_GAP
from curupira.report.style import (
    BLUE,
    INK,
    SMALL_PT,
    VERMILLION,
    WIDE_IN,
    date_axis,
    new_figure,
    note,
    tidy,
)

#: A pause longer than this many times the usual one is a gap.
GAP_FACTOR = 1.5
_SHORT = {OrbitState.ASCENDING: "asc.", OrbitState.DESCENDING: "desc."}
Times = npt.NDArray[np.datetime64]


def naive_times(times: pd.Series) -> Times:
    """Aware times as naive UTC seconds."""
    moments = pd.to_datetime(times, utc=True).dt.tz_localize(None)
    return moments.to_numpy().astype("datetime64[s]")


@dataclass(frozen=True)
class Gap:
    """A pause between two images of one satellite and orbit."""

    start: np.datetime64
    end: np.datetime64

    @property
    def days(self) -> float:
        """Length in days."""
        return float((self.end - self.start) / np.timedelta64(1, "D"))


def acquisition_times(times: Times) -> Times:
    """Sorted times of one platform and orbit, slices of one pass (10 minutes) counted once."""
    ordered = np.sort(times.astype("datetime64[s]"))
    if not ordered.size:
        return ordered
    first = np.concatenate([[True], np.diff(ordered) >= np.timedelta64(SLICE_GAP)])
    return np.asarray(ordered[first])


def find_gaps(times: Times) -> list[Gap]:
    """Pauses longer than 1.5 times the median pause; none where there are fewer than 3 images."""
    ordered = acquisition_times(times)
    pauses = np.diff(ordered)
    if pauses.size < 2:
        return []
    usual = np.median(pauses.astype(np.int64))
    return [
        Gap(ordered[i], ordered[i + 1])
        for i in np.flatnonzero(pauses.astype(np.int64) > GAP_FACTOR * usual)
    ]


@dataclass(frozen=True)
class OrbitScenes:
    """The scenes of one satellite and relative orbit."""

    platform: str
    relative_orbit: int
    orbit_state: OrbitState
    scenes: pd.DataFrame


def by_orbit(scenes: pd.DataFrame) -> list[OrbitScenes]:
    """Scenes apart by platform, relative orbit and direction, in that order."""
    keys = ["platform", "relative_orbit", "orbit_state"]
    found = []
    for key, group in scenes.groupby(keys, sort=True):
        platform, orbit, state = cast(tuple[str, int, str], key)
        found.append(OrbitScenes(str(platform), int(orbit), OrbitState(state), group))
    return found


def _cadence_row(axes: Axes, row: int, scenes: pd.DataFrame) -> None:
    used = scenes[scenes["state"] == SceneState.INGESTED]
    refused = scenes[scenes["state"] == SceneState.QUARANTINED]
    times = acquisition_times(naive_times(used["acquired"]))
    axes.plot(times, np.full(times.size, row), ls="none", marker="|", ms=13, mew=1.5, color=BLUE)
    bad = acquisition_times(naive_times(refused["acquired"]))
    axes.plot(bad, np.full(bad.size, row), ls="none", marker="x", ms=7, mew=2, color=VERMILLION)
    for gap in find_gaps(times):
        axes.plot(
            [gap.start, gap.end],
            [row - 0.3, row - 0.3],
            color=INK,
            lw=1.4,
            marker="|",
            ms=5,
            gid="gap",
        )
        ends = mdates.date2num([gap.start, gap.end])  # type: ignore[no-untyped-call]
        middle = float(np.mean(ends))
        axes.text(
            middle,
            row - 0.33,
            f"{gap.days:.0f} d",
            ha="center",
            va="bottom",
            fontsize=SMALL_PT - 1,
            color=INK,
        )


def cadence_figure(scenes: pd.DataFrame) -> Figure:
    """Plot when each satellite and orbit saw the area (the paper's Figure 2), gaps marked.

    Parameters
    ----------
    scenes
        Columns ``platform``, ``relative_orbit``, ``orbit_state``, ``acquired`` (aware), ``state``.
        Superseded scenes are left out; an empty table gives a figure that says so.
    """
    shown = scenes[scenes["state"] != SceneState.SUPERSEDED]
    groups = by_orbit(shown)
    figure = new_figure(WIDE_IN, 1.05 + 0.52 * max(1, len(groups)))
    axes = figure.add_subplot()
    tidy(axes)
    if not groups:
        axes.set_axis_off()
        note(axes, "No image in the period")
        return figure
    for row, group in enumerate(groups):
        axes.axhline(row, color="#e6ebe8", lw=0.8, zorder=0)
        _cadence_row(axes, row, group.scenes)
    labels = [
        f"{group.platform}\norbit {group.relative_orbit}, {_SHORT[group.orbit_state]}"
        for group in groups
    ]
    axes.set_yticks(range(len(groups)), labels, fontsize=SMALL_PT)
    axes.set_ylim(len(groups) - 0.4, -0.75)  # rows go down the page
    date_axis(axes)
    handles = [
        axes.plot([], [], ls="none", marker="|", ms=10, mew=1.5, color=BLUE)[0],
        axes.plot([], [], ls="none", marker="x", ms=7, mew=2, color=VERMILLION)[0],
        axes.plot([], [], color=INK, lw=1.4, marker="|", ms=5)[0],
    ]
    figure.legend(
        handles,
        ["Image used", "Image quarantined", f"Gap: over {GAP_FACTOR:g} times the usual pause"],
        loc="outside lower center",
        ncols=3,
        fontsize=SMALL_PT,
        frameon=False,
    )
    return figure
