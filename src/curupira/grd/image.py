"""The part of a product that a grid needs, calibrated, multi-looked and filtered, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from curupira.blocks import Window, executor
from curupira.errors import InputError
from curupira.grd.border import Border, find_border
from curupira.grd.geocode import multilook
from curupira.grd.product import Product
from curupira.grd.radiometry import calibrated
from curupira.grd.tables import plausible
from curupira.grd.tie import to_ecef
from curupira.grd.zero_doppler import RadarGeometry
from curupira.lee import lee_of_power

Float32 = npt.NDArray[np.float32]
Filter = Literal["none", "lee3", "lee3db"]

#: Lines of the image that a task reads and calibrates at a time: 26 MB of counts.
_STRIP: Final = 512
#: Looks of IW GRDH (Sentinel-1 Product Definition), and what doubling the pixel makes of them:
#: not four times as many, because neighbours are correlated (method.md 4).
_LOOKS: Final = 4.4
_LOOKS_DOUBLED: Final = 2.0
#: Radar pixels around the part that a grid covers, for filters and bilinear sampling.
_MARGIN_PX: Final = 16


@dataclass(frozen=True)
class RadarImage:
    """Power on a window of the multi-looked image.

    ``power`` ``(line, sample)`` float32 linear, NaN missing; ``window`` in multi-looked pixels;
    ``side`` radar pixels a multi-looked pixel, each way.
    """

    power: Float32
    window: Window
    side: int


def radar_window(
    geometry: RadarGeometry, grid: GeoBox, heights_m: tuple[float, float], side: int
) -> Window:
    """Part of the multi-looked image that a grid covers, for ground between two heights.

    ``empty`` where the grid and the image do not meet.
    """
    rows, columns = grid.shape
    y, x = np.meshgrid(
        np.linspace(-0.5, rows - 0.5, 33), np.linspace(-0.5, columns - 0.5, 33), indexing="ij"
    )
    line, sample, _ = geometry.locate(np.stack([to_ecef(grid, x, y, h) for h in heights_m]))
    lines, samples = (size // side for size in geometry.shape)
    # Points without a place lie a minute of flight away: the scene is not between them.
    if not np.isfinite(line).any():
        return Window(0, 0, 0, 0)
    found = Window(
        int(np.nanmin(line)) // side - _MARGIN_PX,
        int(np.nanmax(line)) // side + _MARGIN_PX + 1,
        int(np.nanmin(sample)) // side - _MARGIN_PX,
        int(np.nanmax(sample)) // side + _MARGIN_PX + 1,
    )
    return found.intersect(Window(0, lines, 0, samples))


def read_image(
    product: Product,
    polarisation: str,
    window: Window,
    side: int,
    *,
    kind: Literal["beta0", "sigma0"],
    denoise: bool = True,
    border: bool = True,
    speckle: Filter = "none",
    threads: int = 0,
) -> RadarImage:
    """Calibrate, multi-look and filter a part of a product, strip by strip in the file's order.

    Parameters
    ----------
    product, polarisation
        What to read.
    window
        In multi-looked pixels (``radar_window``).
    side
        Radar pixels a multi-looked pixel, each way.
    kind
        Which backscatter.
    denoise, border
        Take thermal noise off; leave out border noise, which its level tells.
    speckle
        ``lee3``: Lee 3x3 in linear power; ``lee3db``: on dB.
    threads
        0: one a core.

    Raises
    ------
    InputError, SourceError
        From reading; InputError if the noise to be taken off has no plausible level.
    """
    edge = _edge(product, polarisation, denoise, border, threads)
    columns = slice(window.x0 * side, window.x1 * side)
    power = np.empty(window.shape, dtype=np.float32)
    step = max(1, _STRIP // side)

    def strip(first: int) -> tuple[int, Float32]:
        last = min(first + step, window.y1)
        rows = slice(first * side, last * side)
        values = calibrated(
            product, polarisation, rows, columns, kind=kind, denoise=denoise, border=edge
        )
        return first - window.y0, multilook(values, side)

    with executor(workers=threads) as run:
        for place, values in run(strip, range(window.y0, window.y1, step)):
            power[place : place + values.shape[0]] = values
    if speckle != "none":
        power = _filtered(power, side, in_db=speckle == "lee3db", threads=threads)
    return RadarImage(power, window, side)


def _edge(
    product: Product, polarisation: str, denoise: bool, border: bool, threads: int
) -> Border | None:
    """Where the border noise ends, if it is to be left out; refuses noise on an unknown scale."""
    annotation = product.annotation[polarisation]
    noise = None if annotation.noise_removed else product.noise[polarisation]
    known = noise is None or plausible(noise, product.calibration[polarisation])
    if denoise and not known:
        raise InputError(
            f"the thermal noise of {polarisation} is on no scale that is known (IPF "
            f"{product.manifest.ipf_version})",
            where=product.name,
            remedy="keep the noise (--keep-noise), or get the product of a later processor",
        )
    if not border or not known:
        return None
    opened = partial(product.opened, polarisation)
    return find_border(opened, annotation.lines, annotation.samples, noise, threads=threads)


def equivalent_looks(side: int) -> float:
    """Looks of the multi-looked image, about."""
    return float(_LOOKS * _LOOKS_DOUBLED ** np.log2(side))


def _filtered(power: Float32, side: int, *, in_db: bool, threads: int) -> Float32:
    rows = power.shape[0]
    out = np.empty_like(power)
    starts: Sequence[int] = range(0, rows, _STRIP)

    def strip(first: int) -> tuple[int, Float32]:
        last = min(first + _STRIP, rows)
        low, high = max(first - 1, 0), min(last + 1, rows)
        found = lee_of_power(power[low:high], 3, equivalent_looks(side), in_db=in_db)
        return first, found[first - low : last - low]

    with executor(workers=threads) as run:
        for first, values in run(strip, starts):
            out[first : first + values.shape[0]] = values
    return out
