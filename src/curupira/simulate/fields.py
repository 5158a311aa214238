"""Smooth random fields. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.ndimage import gaussian_filter

Field32 = npt.NDArray[np.float32]

#: Smoother fields are drawn on a coarser raster, with this sigma in its pixels.
_COARSE_SIGMA = 2.5


def white(shape: tuple[int, int], rng: np.random.Generator) -> Field32:
    """Independent standard normal numbers ``(y, x)``."""
    return rng.standard_normal(shape, dtype=np.float32)


def gaussian_field(shape: tuple[int, int], sigma_px: float, rng: np.random.Generator) -> Field32:
    """Gaussian random field ``(y, x)`` of mean 0 and standard deviation 1 (as an ensemble).

    Parameters
    ----------
    shape
        (rows, columns).
    sigma_px
        Sigma of the smoothing kernel in pixels; 0 gives white noise. The field's correlation is a
        Gaussian of ``sqrt(2)`` times this.
    rng
        Source of the numbers.
    """
    if sigma_px <= 0.3:
        return white(shape, rng)
    step = max(1, int(sigma_px / _COARSE_SIGMA))
    sigma = sigma_px / step
    margin = int(4 * sigma) + 2
    rows, columns = (n // step + 2 + 2 * margin for n in shape)
    noise = white((rows, columns), rng)
    smooth = gaussian_filter(noise, sigma, mode="wrap", truncate=4.0)[
        margin:-margin, margin:-margin
    ]
    smooth *= np.float32(_gain(sigma))
    if step == 1:
        return np.ascontiguousarray(smooth[: shape[0], : shape[1]])
    return upsample(np.ascontiguousarray(smooth), step, shape)


def _gain(sigma: float) -> float:
    # The discrete kernel's own norm, exact also for small sigma.
    offsets = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    return float(1 / (kernel**2).sum())


def upsample(coarse: Field32, step: int, shape: tuple[int, int]) -> Field32:
    """Bilinear interpolation of a raster by a whole factor, cut to ``shape``."""
    out = np.empty(shape, dtype=np.float32)
    _upsample(coarse, np.float32(1.0 / step), out)
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _upsample(coarse: Field32, scale: np.float32, out: Field32) -> None:
    rows, columns = coarse.shape
    for y in range(out.shape[0]):
        fy = y * scale
        y0 = min(int(fy), rows - 2)
        wy = np.float32(fy - y0)
        for x in range(out.shape[1]):
            fx = x * scale
            x0 = min(int(fx), columns - 2)
            wx = np.float32(fx - x0)
            top = coarse[y0, x0] + wx * (coarse[y0, x0 + 1] - coarse[y0, x0])
            low = coarse[y0 + 1, x0] + wx * (coarse[y0 + 1, x0 + 1] - coarse[y0 + 1, x0])
            out[y, x] = top + wy * (low - top)
