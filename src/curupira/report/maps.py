"""Maps as figures: warnings over radar images, chips, the threshold. Pure; each returns a Figure.

A figure returned here belongs to the caller: it can be encoded for the report or put into any
other page.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from curupira.grid import LONLAT
from curupira.report.data import Chip, SarImage, ThresholdMap
from curupira.report.mapparts import (
    crs_wkt,
    draw_lonlat,
    draw_warnings,
    extent,
    north_arrow,
    rgb,
    scale_bar,
)
from curupira.report.style import INK, SMALL_PT, TEXT_PT, new_figure, note

MAP_WIDTH_IN = 5.6
_AXES_WIDTH_IN = MAP_WIDTH_IN - 0.5
#: Smaller than this on paper, an outline is a dot: a symbol takes its place.
_SYMBOL_BELOW_IN = 0.09


def _map_height_in(grid: GeoBox, extra_in: float) -> float:
    left, right, bottom, top = extent(grid)
    return float(np.clip(_AXES_WIDTH_IN * (top - bottom) / (right - left), 1.8, 8.0)) + extra_in


def _frame(axes: Axes, grid: GeoBox) -> None:
    left, right, bottom, top = extent(grid)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_aspect("equal")
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)


def _draw_area(axes: Axes, area: BaseGeometry, grid: GeoBox, colour: str) -> Line2D:
    outline = gpd.GeoSeries([area.boundary], crs=LONLAT).to_crs(crs_wkt(grid))
    for line in outline.explode(index_parts=False):
        x, y = np.asarray(line.coords).T[:2]
        axes.plot(x, y, color="#000000", linewidth=1.8, zorder=3)
        axes.plot(x, y, color=colour, linewidth=0.9, zorder=3)
    return Line2D([], [], color=colour, linewidth=1.6, label="Monitored area")


def _legend(figure: Figure, entries: list[Line2D]) -> None:
    figure.legend(
        handles=entries,
        loc="outside lower center",
        ncols=2,
        fontsize=SMALL_PT,
        frameon=True,
        facecolor="#4c554f",
        edgecolor="none",
        labelcolor="white",
        handlelength=3.2,
    )


def warnings_map(
    image: SarImage, warnings: gpd.GeoDataFrame, area: BaseGeometry, title: str
) -> Figure:
    """Map warnings over a radar image.

    Parameters
    ----------
    image
        Linear gamma0 (y, x), coloured by ``mapparts.rgb``; NaN is grey.
    warnings
        Columns ``status`` and ``intensity_class``, any CRS; may be empty.
    area
        Outline of the area, lon/lat.
    title
        Line above the map.
    """
    grid = image.grid
    here = warnings.to_crs(crs_wkt(grid))
    rows = (here.groupby(["status", "intensity_class"]).ngroups + 2) // 2
    figure = new_figure(MAP_WIDTH_IN, _map_height_in(grid, 0.75 + 0.2 * rows))
    axes = figure.add_subplot()
    axes.imshow(rgb(image), extent=extent(grid), origin="upper")
    outline = _draw_area(axes, area, grid, "white")
    left, right, bottom, top = extent(grid)
    entries = draw_warnings(
        axes, here, symbol_below_m=_SYMBOL_BELOW_IN * (right - left) / _AXES_WIDTH_IN
    )
    scale_bar(axes, extent(grid), right_points=30.0)
    north_arrow(axes, grid)
    draw_lonlat(axes, grid)
    _frame(axes, grid)
    # Beside a narrow map's title there is no room for the scale bar.
    pad = 20 if 2 * (right - left) < top - bottom else 6
    axes.set_title(title, fontsize=TEXT_PT + 1, loc="left", color=INK, fontweight="bold", pad=pad)
    _legend(figure, [*entries, outline])
    return figure


def chip_figure(chip: Chip, warnings: gpd.GeoDataFrame) -> Figure:
    """Show one warning closely, before beside after; other warnings in sight have thin outlines.

    Parameters
    ----------
    chip
        The pair of images.
    warnings
        Columns ``warning_id``, ``status`` and ``intensity_class``, any CRS.
    """
    figure = new_figure(5.0, 2.85)
    for axes, word, image in zip(
        figure.subplots(1, 2), ("Before", "After"), (chip.before, chip.after), strict=True
    ):
        grid = image.grid
        here = warnings.to_crs(crs_wkt(grid))
        left, right, bottom, top = extent(grid)
        here = here.cx[left:right, bottom:top]
        axes.imshow(rgb(image), extent=extent(grid), origin="upper", interpolation="nearest")
        mine = here["warning_id"].astype(str) == chip.warning_id
        draw_warnings(axes, here[~mine], symbol_below_m=0.0, width_pt=0.7)
        draw_warnings(axes, here[mine], symbol_below_m=0.0, width_pt=2.0)
        scale_bar(axes, extent(grid), below=True)
        axes.set_xticks([])
        axes.set_yticks([])
        _frame(axes, grid)
        axes.set_title(f"{word}: {image.date_text}", fontsize=TEXT_PT, color=INK, loc="left", pad=4)
    return figure


def colour_limits(values: np.ndarray) -> tuple[float, float]:
    """Lowest and highest finite value; 0.1 to each side where all are one. NaN is left out."""
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    return (low - 0.1, high + 0.1) if high - low < 1e-6 else (low, high)


def threshold_figure(threshold: ThresholdMap, area: BaseGeometry) -> Figure:
    """Map the drop in dB that raises a flag (Doblas et al. 2022, Figure 6). NaN stays blank."""
    grid = threshold.grid
    figure = new_figure(MAP_WIDTH_IN, _map_height_in(grid, 1.15))
    axes = figure.add_subplot()
    axes.set_facecolor("#e4e7e5")
    values = threshold.threshold_db
    if np.isfinite(values).any():
        low, high = colour_limits(values)
        # Viridis has no grey, which is for what is not monitored.
        picture = axes.imshow(
            values, extent=extent(grid), origin="upper", cmap="viridis", vmin=low, vmax=high
        )
        bar = figure.colorbar(
            picture, ax=axes, location="bottom", shrink=0.8, aspect=35, pad=0.02, format="%.2f"
        )
        bar.set_label("Drop below the reference level that raises a flag (dB)", fontsize=SMALL_PT)
        bar.ax.tick_params(labelsize=SMALL_PT)
        bar.outline.set_linewidth(0.5)
    else:
        note(axes, "No threshold anywhere: nothing was monitored")
    _draw_area(axes, area, grid, "white")
    scale_bar(axes, extent(grid), right_points=30.0)
    north_arrow(axes, grid)
    draw_lonlat(axes, grid)
    _frame(axes, grid)
    return figure
