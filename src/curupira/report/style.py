"""The look shared by all figures: colours, fonts, encoding. No global matplotlib state."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from curupira.codes import IntensityClass, Status

INK = "#1d2521"
MUTED = "#5c6862"
GRID = "#d9dfdb"
#: Okabe and Ito's colour-blind-safe palette.
BLUE, SKY, VERMILLION, ORANGE, YELLOW, GREEN = (
    "#0072B2",
    "#56B4E9",
    "#D55E00",
    "#E69F00",
    "#F0E442",
    "#009E73",
)


@dataclass(frozen=True)
class StatusStyle:
    """How a status is drawn: colour never alone, always with a marker of its own."""

    colour: str
    marker: str


STATUS_STYLE = {
    Status.CONFIRMED: StatusStyle("#FF6A13", "^"),
    Status.PRELIMINARY: StatusStyle("#FFE94A", "o"),
    Status.CLOSED: StatusStyle("#BFE3FA", "X"),
}
CLASS_DASH: dict[IntensityClass, Any] = {
    IntensityClass.HIGH: "solid",
    IntensityClass.LOW: (0, (2.2, 1.4)),
}
#: Width of a figure along time, inches.
WIDE_IN = 9.0
TEXT_PT = 9.0
SMALL_PT = 8.0
#: Pixels per inch: lines at twice the density of a plain screen, pictures somewhat above it.
LINE_DPI = 180
PICTURE_DPI = 132


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure of its own Agg canvas, so that threads do not meet."""
    figure = Figure(figsize=(width_in, height_in), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes, *, grid: bool = False) -> None:
    """Plain axes: thin spines, no frame above and right, readable ticks."""
    axes.tick_params(labelsize=SMALL_PT, colors=INK, width=0.6, length=3)
    for side, spine in axes.spines.items():
        spine.set_linewidth(0.6)
        spine.set_color(MUTED)
        if side in ("top", "right"):
            spine.set_visible(False)
    if grid:
        axes.grid(visible=True, color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)


def date_axis(axes: Axes) -> None:
    """Dates along x in as few words as possible."""
    locator = mdates.AutoDateLocator(minticks=4, maxticks=10)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    words = mdates.ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(words)
    axes.xaxis.get_offset_text().set_fontsize(SMALL_PT)


def note(axes: Axes, text: str) -> None:
    """Say in the middle of empty axes why they are empty."""
    axes.text(
        0.5,
        0.5,
        text,
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=TEXT_PT,
        color=MUTED,
    )


@dataclass(frozen=True)
class Encoded:
    """A figure as a data URI, with its natural size in CSS pixels."""

    uri: str
    width: int
    height: int


#: Colours that a palette must keep, however few pixels have them.
_KEPT = (
    *(style.colour for style in STATUS_STYLE.values()),
    *(BLUE, SKY, VERMILLION, ORANGE, GREEN, INK, MUTED, GRID, "#000000", "#ffffff"),
)


def _with_palette(picture: Image.Image) -> Image.Image:
    """Reduce a picture to 256 colours, the kept ones among them and exact."""
    own = picture.quantize(256 - len(_KEPT), method=Image.Quantize.MEDIANCUT).getpalette() or []
    kept = [tuple(round(255 * part) for part in to_rgb(colour)) for colour in _KEPT]
    first = len(own) // 3
    table = Image.new("P", (1, 1))
    table.putpalette(own + [part for colour in kept for part in colour])
    packed = picture.quantize(palette=table, dither=Image.Dither.NONE)
    # Pillow finds the nearest colour only roughly: white paper would turn grey.
    index, pixels = np.array(packed), np.asarray(picture)
    for offset, colour in enumerate(kept):
        index[(pixels == colour).all(axis=-1)] = first + offset
    exact = Image.fromarray(index)
    exact.putpalette(packed.getpalette() or [])
    return exact


def encode(figure: Figure, dpi: int) -> Encoded:
    """Draw a figure as a PNG of at most 256 colours in a data URI.

    The palette makes radar pictures, which are mostly speckle, a third of their size; the same
    figure always gives the same bytes.
    """
    figure.set_dpi(dpi)
    canvas = figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    picture = Image.fromarray(drawn[..., :3])
    buffer = BytesIO()
    _with_palette(picture).save(buffer, format="PNG", optimize=True)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    width, height = figure.get_size_inches()
    return Encoded(f"data:image/png;base64,{text}", round(width * 96), round(height * 96))
