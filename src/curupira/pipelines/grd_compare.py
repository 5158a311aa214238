"""Our backscatter beside a provider's of the same scene: `curupira grd --compare`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window as RasterWindow

from curupira.blocks import Window, split
from curupira.errors import InputError
from curupira.pipelines.grd import GrdResult
from curupira.pipelines.quality import sampled
from curupira.preprocess.shift import Shift, block_shift, scene_shift
from curupira.units import from_db, to_db

Float32 = npt.NDArray[np.float32]
_NAME: Final = re.compile(r"(?<![a-z])(vv|vh|hh|hv)(?![a-z])", re.IGNORECASE)
_BLOCK: Final = 1024
#: Differences are counted in steps of 0.01 dB, of which one lies around zero.
_STEPS: Final = 12_001
_FARTHEST_DB: Final = 0.005 * _STEPS
#: Pixels, each way, of the squares whose mean powers are compared: speckle all but averages out.
_SQUARE: Final = 16


@dataclass(frozen=True)
class Beside:
    """Ours less theirs.

    ``bias_db`` is the median of the pixels' differences and ``spread_db`` half the width of their
    middle 68 %; ``square_bias_db`` and ``square_spread_db`` the same of mean powers over squares of
    16 x 16 pixels. ``shift`` is ours against theirs, pixels of our grid; None where the images show
    nothing but speckle, or their parts disagree. ``as_db``: the reference was read as dB.
    """

    polarisation: str
    pixels: int
    bias_db: float
    spread_db: float
    square_bias_db: float
    square_spread_db: float
    shift: Shift | None
    as_db: bool


def compare(result: GrdResult, reference: Path, polarisation: str | None = None) -> Beside:
    """Compare a processed scene with another raster of its backscatter.

    Parameters
    ----------
    result
        Of ``process_grd``; flagged pixels (layover, shadow, no height) are left out.
    reference
        Linear power, or dB: where its median is negative. It is brought onto our grid bilinearly,
        or averaged where it is finer.
    polarisation
        None: the one that stands in the file's name.

    Raises
    ------
    InputError
        If the reference cannot be read, has no place on Earth, does not meet the scene, or its
        polarisation is unknown or not among ours.
    """
    name = _polarisation(result, reference, polarisation)
    with (
        rasterio.open(result.folder / f"{name}.tif") as ours,
        rasterio.open(result.folder / "mask.tif") as mask,
        _on_grid(reference, result.grid) as theirs,
    ):
        pair = _Pair(ours, mask, theirs)
        extent = _common(theirs, Window(0, ours.height, 0, ours.width))
        if extent.empty:
            raise InputError("does not meet the scene", where=reference)
        return pair.measure(extent, name, reference)


def check_reference(reference: Path) -> None:
    """Refuse what ``compare`` cannot read, before a scene is processed for it.

    Raises
    ------
    InputError
        If it cannot be read, or has no place on Earth.
    """
    with _opened(reference):
        pass


def in_words(found: Beside) -> str:
    """One line for people."""
    shift = "not to be measured (nothing but speckle, or its parts disagree)"
    if found.shift is not None:
        shift = f"{found.shift.x_px:+.2f} right, {found.shift.y_px:+.2f} down pixels"
    return (
        f"{found.polarisation.upper()} beside the reference{' (dB)' if found.as_db else ''}: "
        f"bias {found.bias_db:+.3f} dB, spread {found.spread_db:.3f} dB of {found.pixels} pixels; "
        f"{found.square_bias_db:+.3f} and {found.square_spread_db:.3f} dB of squares of "
        f"{_SQUARE} x {_SQUARE}; shift {shift}"
    )


def _polarisation(result: GrdResult, reference: Path, wanted: str | None) -> str:
    there = [p for p in ("vv", "vh", "hh", "hv") if (result.folder / f"{p}.tif").exists()]
    if wanted is None:
        named = {match.lower() for match in _NAME.findall(reference.name.replace("_", "-"))}
        if len(named) != 1:
            raise InputError(
                "its name does not tell the polarisation",
                where=reference,
                remedy=f"say it with --compare-polarisation ({', '.join(there)})",
            )
        (wanted,) = named
    if wanted.lower() not in there:
        raise InputError(
            f"is of {wanted.upper()}, the scene has {', '.join(there).upper()}", where=reference
        )
    return wanted.lower()


@contextmanager
def _opened(reference: Path) -> Iterator[rasterio.DatasetReader]:
    try:
        with rasterio.open(reference) as source:
            if source.crs is None:
                raise InputError(
                    "has no coordinate reference system",
                    where=reference,
                    remedy="give a geocoded raster",
                )
            yield source
    except RasterioError as error:
        raise InputError(
            f"cannot be read ({error})", where=reference, remedy="give a GeoTIFF"
        ) from error


@contextmanager
def _on_grid(reference: Path, grid: GeoBox) -> Iterator[WarpedVRT]:
    with (
        _opened(reference) as source,
        WarpedVRT(
            source,
            crs=str(grid.crs),
            transform=grid.affine,
            height=grid.shape[0],
            width=grid.shape[1],
            nodata=np.nan,
            dtype="float32",
            resampling=_method(source, grid),
        ) as theirs,
    ):
        yield theirs


def _method(source: rasterio.DatasetReader, grid: GeoBox) -> Resampling:
    # Half a metre of rounding in a transform must not turn a copy into an average.
    same = source.crs == rasterio.crs.CRS.from_user_input(str(grid.crs))
    finer = abs(grid.affine.a / source.transform.a) if same else 1.0
    return Resampling.average if finer > 1.5 else Resampling.bilinear


def _common(theirs: WarpedVRT, extent: Window) -> Window:
    """The part of our grid that the reference covers."""
    source = theirs.src_dataset
    west, south, east, north = transform_bounds(
        source.crs, theirs.crs, *source.bounds, densify_pts=21
    )
    a, e, c, f = theirs.transform.a, theirs.transform.e, theirs.transform.c, theirs.transform.f
    found = Window(
        int(np.floor((north - f) / e)),
        int(np.ceil((south - f) / e)),
        int(np.floor((west - c) / a)),
        int(np.ceil((east - c) / a)),
    )
    return found.intersect(extent)


class _Pair:
    """Two images on one grid, read block by block."""

    def __init__(
        self, ours: rasterio.DatasetReader, mask: rasterio.DatasetReader, theirs: WarpedVRT
    ) -> None:
        self.ours, self.mask, self.theirs = ours, mask, theirs
        self.as_db = False

    def measure(self, extent: Window, name: str, reference: Path) -> Beside:
        blocks = list(split(extent, _BLOCK))
        self.as_db = self._negative(blocks)
        counts = np.zeros(_STEPS, dtype=np.int64)
        squares = []
        for block in blocks:
            ours, theirs = self.read(block)
            apart = (to_db(ours) - to_db(theirs))[np.isfinite(ours) & np.isfinite(theirs)]
            counts += np.histogram(apart, _STEPS, (-_FARTHEST_DB, _FARTHEST_DB))[0]
            squares.append(_square_differences(ours, theirs))
        if not counts.any():
            raise InputError("has no pixel in common with the scene", where=reference)
        shifts = [block_shift(*(to_db(v) for v in self.read(b))) for b in sampled(extent)]
        every = np.concatenate(squares)
        middle, spread = _of_counts(counts)
        wide = (np.nan, np.nan)
        if every.size:
            low, half, high = np.percentile(every, (16, 50, 84))
            wide = (float(half), float(high - low) / 2)
        return Beside(
            name, int(counts.sum()), middle, spread, *wide, scene_shift(shifts), self.as_db
        )

    def read(self, block: Window) -> tuple[Float32, Float32]:
        """Linear power of both, NaN where either is missing or ours is flagged."""
        window = RasterWindow.from_slices(*block.slices)
        ours = self.ours.read(1, window=window)
        theirs = self.theirs.read(1, window=window)
        theirs = from_db(theirs) if self.as_db else theirs
        good = (self.mask.read(1, window=window) == 0) & (ours > 0) & (theirs > 0)
        return np.where(good, ours, np.nan), np.where(good, theirs, np.nan)

    def _negative(self, blocks: list[Window]) -> bool:
        for block in blocks:
            values = self.theirs.read(1, window=RasterWindow.from_slices(*block.slices))
            if np.isfinite(values).any():
                return bool(np.nanmedian(values) < 0)
        return False


def _square_differences(ours: Float32, theirs: Float32) -> npt.NDArray[np.float64]:
    rows, columns = (size // _SQUARE for size in ours.shape)
    ours_mean, theirs_mean = (
        image[: rows * _SQUARE, : columns * _SQUARE]
        .reshape(rows, _SQUARE, columns, _SQUARE)
        .mean(axis=(1, 3), dtype=np.float64)
        for image in (ours, theirs)
    )
    apart = 10 * np.log10(ours_mean / theirs_mean)
    found: npt.NDArray[np.float64] = apart[np.isfinite(apart)]
    return found


def _of_counts(counts: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Median, and half the width of the middle 68 %, of counted differences."""
    edges = np.linspace(-_FARTHEST_DB, _FARTHEST_DB, _STEPS + 1)
    share = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    low, middle, high = np.interp((0.16, 0.5, 0.84), share, edges)
    return float(middle), float(high - low) / 2
