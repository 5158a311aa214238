"""Pictures of the mining chain: patches, training, maps. Pure: figures out, no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch as Swatch

from curupira.mining.scene import FloatArray

INK, MUTED, RULE = "#1d2521", "#5c6862", "#d9dfdb"
#: Okabe and Ito's colour-blind-safe palette; every outcome has a hatch of its own as well.
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
OUTCOMES = {
    "TP": (GREEN, "", "found (TP)"),
    "FP": (VERMILLION, "////", "not in the reference (FP)"),
    "FN": (BLUE, "....", "missed (FN)"),
}
_TEXT_PT = 9.0
_DPI = 150
#: What a display stretches to: the middle 96 % of the values.
_STRETCH = (2, 98)
_BINS = 10


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure with a canvas of its own."""
    figure = Figure(figsize=(width_in, height_in), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG; the same figure gives the same bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _plain(axes: Axes, *, grid: bool = True) -> None:
    axes.tick_params(labelsize=_TEXT_PT - 1, colors=INK, width=0.6, length=3)
    for side, spine in axes.spines.items():
        spine.set_linewidth(0.6)
        spine.set_color(MUTED)
        spine.set_visible(side not in ("top", "right"))
    if grid:
        axes.grid(visible=True, color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)


def _stretched(image: FloatArray, low: float, high: float) -> npt.NDArray[np.float64]:
    scaled = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    return np.asarray(np.nan_to_num(scaled, nan=0.0), dtype=np.float64)


def contact_sheet(
    patches: FloatArray, bands: Sequence[str], titles: Sequence[str], *, heading: str
) -> Figure:
    """Patches in rows: each band in grey, and all together as R, G, B (paper, Figures 3 and 4).

    Parameters
    ----------
    patches
        ``(patch, band, y, x)``; stretched over all patches alike, band by band.
    bands, titles
        Names of the bands (with VV, VH, PA these are R, G and B), and one title a patch.
    heading
        Of the sheet.
    """
    colour = patches.shape[1] == 3
    columns = patches.shape[1] + colour
    figure = new_figure(1.5 * columns + 0.4, 1.6 * len(patches) + 0.5)
    figure.suptitle(heading, fontsize=_TEXT_PT + 1, color=INK)
    axes = figure.subplots(len(patches), columns, squeeze=False)
    limits = [np.nanpercentile(patches[:, n], _STRETCH) for n in range(patches.shape[1])]
    for row, patch in enumerate(patches):
        layers = [_stretched(band, *limit) for band, limit in zip(patch, limits, strict=True)]
        for number, layer in enumerate(layers):
            axes[row, number].imshow(layer, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            if row == 0:
                axes[row, number].set_title(bands[number].upper(), fontsize=_TEXT_PT)
        if colour:
            axes[row, -1].imshow(np.dstack(layers), interpolation="nearest")
            if row == 0:
                axes[row, -1].set_title(
                    "R G B = " + " ".join(b.upper() for b in bands), fontsize=_TEXT_PT
                )
        axes[row, 0].set_ylabel(titles[row], fontsize=_TEXT_PT - 1)
    for axis in axes.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
    return figure


def learning_curves(history: Mapping[str, Sequence[float]], kept_epoch: int) -> Figure:
    """Loss and accuracy by epoch, training and validation."""
    figure = new_figure(7.5, 3.0)
    left, right = figure.subplots(1, 2)
    pairs: tuple[tuple[Axes, str, str, str], ...] = (
        (left, "loss", "validation_loss", "focal loss"),
        (right, "accuracy", "validation_accuracy", "accuracy"),
    )
    for axes, ours, theirs, label in pairs:
        epochs = np.arange(1, len(history[ours]) + 1)
        axes.plot(epochs, history[ours], color=BLUE, label="training (dropout on)")
        axes.plot(epochs, history[theirs], color=VERMILLION, linestyle="--", label="validation")
        axes.axvline(kept_epoch, color=MUTED, linewidth=0.8, linestyle=":")
        axes.set_xlabel("epoch", fontsize=_TEXT_PT)
        axes.set_ylabel(label, fontsize=_TEXT_PT)
        _plain(axes)
    left.legend(fontsize=_TEXT_PT - 1, frameon=False)
    return figure


def confusion_matrix(confusion: Mapping[str, int]) -> Figure:
    """Counts of the validation patches at probability 0.5."""
    counts = np.array(
        [[confusion["tn"], confusion["fp"]], [confusion["fn"], confusion["tp"]]], dtype=float
    )
    figure = new_figure(3.4, 3.0)
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues", vmin=0)
    for (row, column), value in np.ndenumerate(counts):
        ink = "white" if value > 0.6 * counts.max() else INK
        axes.text(column, row, f"{int(value)}", ha="center", va="center", color=ink)
    names = ["other", "mine"]
    axes.set_xticks([0, 1], names, fontsize=_TEXT_PT)
    axes.set_yticks([0, 1], names, fontsize=_TEXT_PT)
    axes.set_xlabel("classified as", fontsize=_TEXT_PT)
    axes.set_ylabel("labelled", fontsize=_TEXT_PT)
    return figure


def reliability(labels: npt.NDArray[Any], probability: npt.NDArray[Any]) -> Figure:
    """Share of mines by predicted probability, in ten bins, and how many patches each holds."""
    edges = np.linspace(0, 1, _BINS + 1)
    bins = np.clip(np.digitize(probability, edges) - 1, 0, _BINS - 1)
    count = np.bincount(bins, minlength=_BINS)
    filled = count > 0
    said = np.bincount(bins, weights=probability, minlength=_BINS)[filled] / count[filled]
    true = np.bincount(bins, weights=labels, minlength=_BINS)[filled] / count[filled]
    figure = new_figure(3.8, 4.2)
    upper, lower = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    upper.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":")
    upper.plot(said, true, color=BLUE, marker="o", markersize=4)
    upper.set_ylabel("share of mines", fontsize=_TEXT_PT)
    lower.bar(edges[:-1] + 0.5 / _BINS, count, width=0.9 / _BINS, color=BLUE)
    lower.set_ylabel("patches", fontsize=_TEXT_PT)
    lower.set_xlabel("predicted probability of a mine", fontsize=_TEXT_PT)
    for axes in (upper, lower):
        _plain(axes)
    return figure


def _map_axes(axes: Axes, title: str) -> None:
    axes.set_aspect("equal")
    axes.set_title(title, fontsize=_TEXT_PT, color=INK)
    _plain(axes, grid=False)
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.tick_params(axis="x", rotation=30)


def outcome_map(axes: Axes, labelled: gpd.GeoDataFrame, title: str) -> None:
    """Draw one panel of found, false and missed squares (paper, Figures 7 and 8)."""
    for outcome, (colour, hatch, _) in OUTCOMES.items():
        part = labelled[labelled["outcome"] == outcome]
        if len(part):
            part.plot(ax=axes, facecolor=colour, edgecolor="white", linewidth=0.2, hatch=hatch)
    _map_axes(axes, title)


def outcome_panels(panels: Sequence[tuple[str, gpd.GeoDataFrame]], columns: int) -> Figure:
    """Panels side by side with one legend: one evaluation, or regions by thresholds."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(4.2 * columns + 0.6, 4.0 * rows + 0.6)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.ravel()[len(panels) :]:
        axes.set_axis_off()
    for axes, (title, labelled) in zip(grid.ravel(), panels, strict=False):
        outcome_map(axes, labelled, title)
    swatches = [
        Swatch(facecolor=colour, edgecolor="white", hatch=hatch, label=text)
        for colour, hatch, text in OUTCOMES.values()
    ]
    figure.legend(handles=swatches, loc="outside lower center", ncols=3, fontsize=_TEXT_PT)
    return figure


def before_and_after(raw: gpd.GeoDataFrame, grid: gpd.GeoDataFrame) -> Figure:
    """The reference as it came and as cells (paper, Figure 6), both in the grid's CRS."""
    figure = new_figure(8.6, 4.4)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    raw.plot(ax=left, facecolor=BLUE, edgecolor=INK, linewidth=0.3)
    grid.plot(ax=right, facecolor=BLUE, edgecolor="white", linewidth=0.3)
    _map_axes(left, f"reference, {len(raw)} polygons")
    _map_axes(right, f"grid, {len(grid)} cells")
    return figure


def study_area(footprints: gpd.GeoDataFrame, points: gpd.GeoDataFrame) -> Figure:
    """Scenes and labelled points in lon/lat (paper, Figure 2)."""
    figure = new_figure(5.2, 5.0)
    axes = figure.subplots()
    footprints.boundary.plot(ax=axes, color=MUTED, linewidth=0.8)
    for label, colour, marker, text in ((1, VERMILLION, "^", "mine"), (0, BLUE, "o", "other")):
        part = points[points["label"] == label]
        part.plot(ax=axes, color=colour, marker=marker, markersize=12, label=f"{text} {len(part)}")
    figure.legend(loc="outside lower center", ncols=2, fontsize=_TEXT_PT - 1, frameon=False)
    _map_axes(axes, f"{len(footprints)} scenes, {len(points)} points")
    return figure
