"""Values of the look-up tables on the pixels of a block. Pure."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from curupira.errors import InputError
from curupira.grd.tables import Calibration, Noise

Kind = Literal["sigma0", "beta0", "gamma0"]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def noise_power(noise: Noise, rows: slice, cols: slice) -> F32:
    """Thermal noise (DN**2) of a block, ``(y, x)`` float32."""
    lines, samples = np.arange(rows.start, rows.stop), np.arange(cols.start, cols.stop)
    power, row, weight = rows_at(noise.line, noise.pixel, noise.power, lines, samples)
    factor, segment = azimuth_factor(noise, lines, cols.start, len(samples))
    out = power[row] * (1 - weight)[:, None] + power[row + 1] * weight[:, None]
    for k in range(len(segment) - 1):
        out[:, segment[k] : segment[k + 1]] *= factor[:, k : k + 1]
    return out


def noise_at(noise: Noise, line: int, samples: npt.NDArray[np.int64]) -> F32:
    """Thermal noise (DN**2) of some samples of one line, float32."""
    power, _, weight = rows_at(noise.line, noise.pixel, noise.power, np.array([line]), samples)
    out: F32 = power[0] * (1 - weight[0]) + power[1] * weight[0]
    for block in noise.blocks:
        if block.first_line <= line <= block.last_line:
            inside = (samples >= block.first_sample) & (samples <= block.last_sample)
            out[inside] *= np.float32(np.interp(line, block.line, block.factor))
    return out


def gain(calibration: Calibration, rows: slice, cols: slice, kind: Kind = "sigma0") -> F32:
    """Calibration table A of a block, ``(y, x)`` float32."""
    lines, samples = np.arange(rows.start, rows.stop), np.arange(cols.start, cols.stop)
    table, row, weight = rows_at(
        calibration.line, calibration.pixel, table_of(calibration, kind), lines, samples
    )
    return table[row] * (1 - weight)[:, None] + table[row + 1] * weight[:, None]


def table_of(calibration: Calibration, kind: Kind) -> F64:
    """The table of a cross section, ``(n, m)``."""
    tables = {
        "sigma0": calibration.sigma0,
        "beta0": calibration.beta0,
        "gamma0": calibration.gamma0,
    }
    if kind not in tables:
        raise InputError(f"no cross section {kind!r}", remedy=f"one of {', '.join(tables)}")
    return tables[kind]


def rows_at(
    line: npt.NDArray[np.int64],
    pixel: npt.NDArray[np.int64],
    table: F64,
    lines: npt.NDArray[np.int64],
    samples: npt.NDArray[np.int64],
) -> tuple[F32, npt.NDArray[np.int64], F32]:
    """The table's rows around a block at its samples, and for each line row and weight."""
    if len(line) == 1:
        line, table = np.array([line[0], line[0] + 1]), np.repeat(table, 2, axis=0)
    k = np.clip(np.searchsorted(line, lines, side="right") - 1, 0, len(line) - 2)
    weight = np.clip((lines - line[k]) / (line[k + 1] - line[k]), 0.0, 1.0)
    low = int(k.min())
    near = np.stack([np.interp(samples, pixel, row) for row in table[low : int(k.max()) + 2]])
    return near.astype(np.float32), k - low, weight.astype(np.float32)


def azimuth_factor(
    noise: Noise, lines: npt.NDArray[np.int64], first_sample: int, width: int
) -> tuple[F32, npt.NDArray[np.int64]]:
    """Azimuth noise factor of some lines in segments of equal factor along the range.

    Returns
    -------
    factor, segment
        ``(y, s)`` float32 and the segments' edges ``(s + 1,)`` relative to ``first_sample``.
    """
    inside = [
        edge - first_sample
        for block in noise.blocks
        for edge in (block.first_sample, block.last_sample + 1)
        if first_sample < edge < first_sample + width
    ]
    segment = np.unique(np.array([0, *inside, width], dtype=np.int64))
    factor = np.ones((len(lines), len(segment) - 1), np.float32)
    for block in noise.blocks:
        columns = (segment[:-1] + first_sample >= block.first_sample) & (
            segment[:-1] + first_sample <= block.last_sample
        )
        rows = (lines >= block.first_line) & (lines <= block.last_line)
        factor[np.ix_(rows, columns)] = np.interp(lines[rows], block.line, block.factor)[:, None]
    return factor, segment
