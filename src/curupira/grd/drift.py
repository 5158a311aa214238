"""Samples of a block by one ground-range polynomial, and what the others differ from it by. Pure.

The polynomials come about every second, and between them samples are linear in time: for their
kinks a tie grid (``curupira.grd.tie``) would need a point every few pixels. So its points hold
samples by one polynomial, which are smooth, and pixels get the drift of the others on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from curupira.grd.annotation import SPEED_OF_LIGHT_M_S
from curupira.grd.zero_doppler import RadarGeometry

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """What the range polynomials' change with time adds to the samples of a block.

    ``lines (n,)``: when the polynomials hold; ``powers (n, 9)``: what each adds, ascending powers
    of ``s = (sample - middle) / half``; ``delay (2,)``: lines that a sample is late, by powers of
    ``s``.
    """

    lines: Floats
    powers: Floats
    middle: float
    half: float
    delay: Floats

    def at(self, line: Floats, sample: Floats) -> Floats:
        """What is added at single places."""
        s = (sample - self.middle) / self.half
        late = line + self.delay[0] + self.delay[1] * s
        if len(self.lines) == 1:
            return np.zeros_like(s)
        k = np.clip(np.searchsorted(self.lines, late) - 1, 0, len(self.lines) - 2)
        weight = np.clip((late - self.lines[k]) / (self.lines[k + 1] - self.lines[k]), 0, 1)
        terms = self.powers * (s[:, None, None] ** np.arange(self.powers.shape[1]))
        added, place = terms.sum(axis=-1), np.arange(len(s))
        found: Floats = added[place, k] * (1 - weight) + added[place, k + 1] * weight
        return found


def by_one_polynomial(geometry: RadarGeometry, line: Floats, slant: Floats) -> tuple[Floats, Drift]:
    """Samples of slant ranges by the polynomial of the block's middle, and the others' drift."""
    seconds, start, interval = geometry.table_s, geometry.first_line_s, geometry.line_interval_s
    lines = (seconds - start) / interval
    constant, factor = geometry.bistatic
    k = int(np.abs(lines - line.mean()).argmin())
    samples = geometry.samples(np.full(slant.size, seconds[k]), slant.ravel()).reshape(slant.shape)
    middle, half = (samples.max() + samples.min()) / 2, max(np.ptp(samples) / 2, 1.0)
    low, high = slant.min(), slant.max()
    # Chebyshev's places keep a polynomial close to what it is fitted to up to the ends.
    ranges = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(17) + 0.5) / 17)
    every = np.stack([geometry.samples(np.full(ranges.size, t), ranges) for t in seconds])
    s = (every[k] - middle) / half
    powers = np.linalg.lstsq(s[:, None] ** np.arange(9), (every - every[k]).T, rcond=None)[0].T
    late = (constant + factor * 2 / SPEED_OF_LIGHT_M_S * ranges) / interval
    delay = np.polynomial.polynomial.polyfit(s, late, 1)
    return samples, Drift(lines, np.ascontiguousarray(powers), float(middle), float(half), delay)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def place_run(
    at_line: Floats,
    at_s: Floats,
    lines: Floats,
    powers: Floats,
    scaled: tuple[float, float, float, float],
    place: tuple[float, float, float],
    line: Any,
    sample: Any,
) -> None:
    """Add the drift to a run of pixels, and scale; they lie between few polynomials."""
    low, high = np.inf, -np.inf
    for n in range(at_line.size):
        late = at_line[n] + scaled[2] + scaled[3] * at_s[n]
        low, high = (late if late < low else low), (late if late > high else high)
        line[n] = at_line[n] * place[0] + place[1]
        sample[n] = (at_s[n] / scaled[1] + scaled[0]) * place[0] + place[2]
    last = lines.size - 2
    if last < 0 or low > high:
        return
    before = min(max(int(np.searchsorted(lines, low)) - 1, 0), last)
    after = min(max(int(np.searchsorted(lines, high)) - 1, 0), last)
    for k in range(before, after + 1):
        # The first and the last polynomial hold beyond their times as well.
        since = -np.inf if k == 0 else lines[k]
        until = np.inf if k == last else lines[k + 1]
        a0, a1, a2, a3, a4, a5, a6, a7, a8 = powers[k]
        b0, b1, b2, b3, b4, b5, b6, b7, b8 = powers[k + 1] - powers[k]
        size = 1 / (lines[k + 1] - lines[k])
        for n in range(at_line.size):
            s = at_s[n]
            late = at_line[n] + scaled[2] + scaled[3] * s
            weight = (late - lines[k]) * size
            weight = 0.0 if weight < 0.0 else (1.0 if weight > 1.0 else weight)
            low4 = a4 + s * (a5 + s * (a6 + s * (a7 + s * a8)))
            near = a0 + s * (a1 + s * (a2 + s * (a3 + s * low4)))
            far4 = b4 + s * (b5 + s * (b6 + s * (b7 + s * b8)))
            far = b0 + s * (b1 + s * (b2 + s * (b3 + s * far4)))
            added = near + weight * far
            sample[n] += added * place[0] if since < late <= until else 0.0
