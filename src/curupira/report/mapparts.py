"""Parts of a map: radar colours, scale bar, north arrow, lon/lat ticks, outlines of warnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.transforms import Transform, blended_transform_factory, offset_copy
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from curupira.codes import IntensityClass, Status
from curupira.errors import InputError
from curupira.grid import LONLAT
from curupira.report.data import CLASS_WORDS, STATUS_WORDS, SarImage
from curupira.report.style import CLASS_DASH, INK, SMALL_PT, STATUS_STYLE
from curupira.units import to_db

#: Stretch in dB of red (VV), green (VH) and blue (VV - VH). It is fixed, so that colours may be
#: compared between dates; forest comes out green, bare soil violet, water blue to black.
STRETCH_DB = {"VV": (-16.0, 0.0), "VH": (-20.0, -10.5), "VV-VH": (3.0, 13.0)}
NO_DATA_RGB = 200
_NICE = (1, 2, 5)
_DEGREE_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

Extent = tuple[float, float, float, float]


def rgb(image: SarImage) -> npt.NDArray[np.uint8]:
    """Colour picture (y, x, 3): red VV, green VH, blue VV - VH in dB, stretched by ``STRETCH_DB``.

    A pixel where either polarisation is NaN or not positive is grey (``NO_DATA_RGB``). An image
    without any VV is shown by its VH alone, in shades of grey.
    """
    vh, vv = to_db(image.vh), to_db(image.vv)
    if not np.isfinite(vv).any():
        low, high = STRETCH_DB["VH"]
        shade = np.clip((vh - low) / (high - low), 0, 1) * 255
        return np.repeat(
            np.round(np.where(np.isfinite(shade), shade, NO_DATA_RGB))[..., None], 3, axis=-1
        ).astype(np.uint8)
    bands = []
    for band, (low, high) in zip((vv, vh, vv - vh), STRETCH_DB.values(), strict=True):
        bands.append(np.clip((band - low) / (high - low), 0, 1) * 255)
    picture = np.stack(bands, axis=-1)
    picture[~np.isfinite(picture).all(axis=-1)] = NO_DATA_RGB
    return np.round(picture).astype(np.uint8)


def extent(grid: GeoBox) -> Extent:
    """Left, right, bottom, top of a grid in its CRS: the ``extent`` of ``imshow``."""
    box = grid.boundingbox
    return box.left, box.right, box.bottom, box.top


def crs_wkt(grid: GeoBox) -> str:
    """WKT of a grid's CRS, for pyproj and geopandas.

    Raises
    ------
    InputError
        If the grid has none.
    """
    if grid.crs is None:
        raise InputError(
            "no coordinate reference system", where="grid of a map", remedy="give it one"
        )
    return str(grid.crs.to_wkt())


def nice_length_m(width_m: float) -> float:
    """Longest 1, 2 or 5 times a power of ten that is no longer than 30 % of a width in metres."""
    most = 0.3 * width_m
    power = 10.0 ** np.floor(np.log10(most))
    return float(max(step * power for step in _NICE if step * power <= most))


def length_text(length_m: float) -> str:
    """A length in km, or in m below one kilometre."""
    return f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"


def _beside(axes: Axes, x_points: float, y_points: float, *, data_x: bool) -> Transform:
    # Furniture stands outside the map: on it, it would hide warnings.
    base = blended_transform_factory(axes.transData if data_x else axes.transAxes, axes.transAxes)
    return offset_copy(base, fig=axes.get_figure(root=True), x=x_points, y=y_points, units="points")


def scale_bar(
    axes: Axes, bounds: Extent, *, below: bool = False, right_points: float = 1.0
) -> None:
    """Draw a scale bar outside the upper right corner; the axes' data are metres.

    Parameters
    ----------
    bounds
        Extent of the map.
    below
        Put it at the lower right corner instead.
    right_points
        Room kept free to the right, in points.
    """
    left, right, _, _ = bounds
    length = nice_length_m(right - left)
    place = _beside(axes, -right_points, -8.0 if below else 7.0, data_x=True)
    edge = 0 if below else 1
    start = right - length
    for index, colour in enumerate((INK, "white")):
        for line_colour, width in ((INK, 5.0), (colour, 3.6)):
            (line,) = axes.plot(
                [start + index * length / 2, start + (index + 1) * length / 2],
                [edge, edge],
                color=line_colour,
                linewidth=width,
                solid_capstyle="butt",
                transform=place,
                clip_on=False,
            )
            line.set_gid("scale-bar")
    axes.text(
        start,
        edge,
        length_text(length) + " ",
        transform=place,
        ha="right",
        va="center",
        fontsize=SMALL_PT,
        color=INK,
        gid="scale-text",
    )


def north_direction(grid: GeoBox) -> tuple[float, float]:
    """Unit vector (x, y) of true north in the middle of a grid."""
    left, right, bottom, top = extent(grid)
    x, y = (left + right) / 2, (bottom + top) / 2
    to_lonlat = Transformer.from_crs(crs_wkt(grid), LONLAT, always_xy=True)
    lon, lat = to_lonlat.transform(x, y)
    x2, y2 = to_lonlat.transform(lon, lat + 1e-3, direction="INVERSE")
    norm = float(np.hypot(x2 - x, y2 - y))
    return (x2 - x) / norm, (y2 - y) / norm


def north_arrow(axes: Axes, grid: GeoBox) -> None:
    """Draw an arrow to true north above the upper right corner."""
    east, north = north_direction(grid)
    axes.annotate(
        "",
        xy=(1, 1),
        xycoords=_beside(axes, -5 + 8 * east, 8 + 8 * north, data_x=False),
        xytext=(1, 1),
        textcoords=_beside(axes, -5 - 5 * east, 8 - 5 * north, data_x=False),
        arrowprops={"arrowstyle": "-|>,head_width=0.28,head_length=0.5", "lw": 1.4, "color": INK},
        annotation_clip=False,
    )
    axes.text(
        1,
        1,
        "N",
        transform=_beside(axes, -16, 8, data_x=False),
        ha="center",
        va="center",
        fontsize=SMALL_PT,
        fontweight="bold",
        color=INK,
    )


def _step(span: float) -> float:
    return next((step for step in _DEGREE_STEPS if span / step <= 4.5), _DEGREE_STEPS[-1])


def _words(value: float, step: float, letters: str) -> str:
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    letter = "" if round(value, digits) == 0 else letters[value < 0]
    return f"{abs(value):.{digits}f}°{letter}"


def lonlat_ticks(grid: GeoBox) -> tuple[dict[float, str], dict[float, str]]:
    """Where round longitudes cut the lower edge and latitudes the left edge: position to label."""
    left, right, bottom, top = extent(grid)
    to_lonlat = Transformer.from_crs(crs_wkt(grid), LONLAT, always_xy=True)
    xs, ys = np.linspace(left, right, 101), np.linspace(bottom, top, 101)
    lons = to_lonlat.transform(xs, np.full(101, bottom))[0]
    lats = to_lonlat.transform(np.full(101, left), ys)[1]
    found = []
    for along, degrees, letters in ((xs, lons, "EW"), (ys, lats, "NS")):
        step = _step(degrees[-1] - degrees[0])
        values = np.arange(np.ceil(degrees[0] / step), np.floor(degrees[-1] / step) + 1) * step
        places = np.interp(values, degrees, along)
        found.append(
            {
                float(place): _words(float(value), step, letters)
                for place, value in zip(places, values, strict=True)
            }
        )
    return found[0], found[1]


def draw_lonlat(axes: Axes, grid: GeoBox) -> None:
    """Label the lower and left edge of a map with longitudes and latitudes."""
    lons, lats = lonlat_ticks(grid)
    axes.set_xticks(list(lons), list(lons.values()))
    axes.set_yticks(list(lats), list(lats.values()), rotation=90, va="center")
    axes.tick_params(labelsize=SMALL_PT, colors=INK, width=0.6, length=3)


@dataclass(frozen=True)
class _Kind:
    status: Status
    intensity: IntensityClass

    @property
    def words(self) -> str:
        return f"{STATUS_WORDS[self.status]}, {CLASS_WORDS[self.intensity].split(' (')[0].lower()}"


def _kinds(warnings: gpd.GeoDataFrame) -> list[_Kind]:
    present = set(zip(warnings["status"], warnings["intensity_class"], strict=True))
    return [
        _Kind(status, intensity)
        for status in (Status.CLOSED, Status.PRELIMINARY, Status.CONFIRMED)
        for intensity in IntensityClass
        if (status, intensity) in present
    ]


def _rings(geometries: gpd.GeoSeries) -> list[npt.NDArray[np.float64]]:
    rings = []
    for polygon in geometries.explode(index_parts=False):
        if polygon is not None and not polygon.is_empty:
            rings += [np.asarray(ring.coords) for ring in (polygon.exterior, *polygon.interiors)]
    return rings


def _marker_size(count: int) -> float:
    return 6.5 if count < 100 else 4.5 if count < 1000 else 2.5


def draw_warnings(
    axes: Axes, warnings: gpd.GeoDataFrame, *, symbol_below_m: float, width_pt: float = 1.3
) -> list[Line2D]:
    """Outline warnings by status (colour, symbol) and class (full or broken line, filled symbol).

    Parameters
    ----------
    warnings
        In the CRS of the axes, metres.
    symbol_below_m
        A warning smaller than this both ways gets a symbol in place of its outline.
    width_pt
        Line width.

    Returns
    -------
    list of Line2D
        One legend entry a kind that is present.
    """
    entries = []
    bounds = warnings.geometry.bounds
    small = (bounds.maxx - bounds.minx).clip(lower=bounds.maxy - bounds.miny) < symbol_below_m
    for kind in _kinds(warnings):
        style = STATUS_STYLE[kind.status]
        dash = CLASS_DASH[kind.intensity]
        solid = kind.intensity is IntensityClass.HIGH
        mine = (warnings["status"] == kind.status) & (warnings["intensity_class"] == kind.intensity)
        rings = _rings(warnings.geometry[mine & ~small])
        # A dark line beneath keeps the colour apart from bright and from dark ground.
        axes.add_collection(LineCollection(rings, colors="#000000", linewidths=width_pt + 1.3))
        axes.add_collection(
            LineCollection(rings, colors=style.colour, linewidths=width_pt, linestyles=[dash])
        )
        points = warnings.geometry[mine & small].representative_point()
        look: dict[str, Any] = {
            "marker": style.marker,
            "markersize": _marker_size(len(warnings)),
            "markerfacecolor": style.colour if solid else "#00000066",
            "markeredgecolor": "#000000" if solid else style.colour,
            "markeredgewidth": 0.6 if solid else 1.2,
        }
        axes.plot(points.x, points.y, linestyle="none", zorder=5, **look)
        look["markersize"] = 6.5
        look["markerfacecolor"] = style.colour if solid else "#555555"
        entries.append(
            Line2D([], [], color=style.colour, linestyle=dash, lw=2, label=kind.words, **look)
        )
    return entries[::-1]
