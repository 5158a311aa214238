"""What the kernels share: strips of pixels that fill vector registers, borders, fast log and exp.

A kernel loads a strip of ``LANES`` neighbouring pixels into a small scratch array and works on it
with inner loops of that fixed length. LLVM turns these into vector instructions, and every pixel
goes through the same instructions wherever it lies, so tiles give the same bits as the whole.

Numba's cache does not notice a change in a kernel's callee or in a constant of another module:
after an edit here, delete the ``*.nbi`` and ``*.nbc`` files in ``__pycache__``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba as nb
import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

Float32 = npt.NDArray[np.float32]
_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])

#: Vector-width steps in which generated loops may run past LANES.
TAIL = 32
#: Pixels handled side by side: enough to fill the registers, few enough for the first-level cache.
LANES = 128
# 'nnan' and 'ninf' are left out (NaN means missing), and so is 'reassoc': it would undo the
# subtraction of a pivot that keeps variances exact.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz", "arcp"},
    "boundscheck": False,
}


def kernel(function: _Kernel) -> _Kernel:
    """Compile for vector lanes.

    The error model is numpy's: numba's default raises on division by zero, an early exit that
    keeps LLVM from vectorising.
    """
    compiled: _Kernel = nb.njit(cache=True, no_cfunc_wrapper=True, **_OPTIONS)(function)
    return compiled


def piece(function: _Kernel) -> _Kernel:
    """Compile as `kernel` does, for calls from kernels alone: a call from Python fails.

    A kernel's cached code holds its pieces. So they have neither a cache of their own, nor what
    takes Python's arguments apart: half of the time of compiling them.
    """
    compiled: _Kernel = nb.njit(no_cfunc_wrapper=True, no_cpython_wrapper=True, **_OPTIONS)(
        function
    )
    return compiled


def inlined(function: _Kernel) -> _Kernel:
    """As `piece`, but put into each caller's own code: compiled there once, and nowhere else.

    For what is called from one place.
    """
    compiled: _Kernel = nb.njit(
        inline="always", no_cfunc_wrapper=True, no_cpython_wrapper=True, **_OPTIONS
    )(function)
    return compiled


@intrinsic  # type: ignore[untyped-decorator]
def wide(_: Any) -> Any:
    """Let LLVM use the widest vectors there are in the function that calls this.

    On Intel it would stop at 256 bits of the 512, a default for code that is vector code by chance.
    """

    def mark(context: Any, builder: Any, _s: Any, _a: Any) -> Any:
        # llvmlite's own `add` knows no attributes with values.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return nb.types.none(), mark


def border_index(size: int, halo: int, padded: int) -> npt.NDArray[np.int64]:
    """Source index of each padded position; the image is mirrored at its edge, edge pixel included.

    This is numpy's ``symmetric`` and scipy's ``reflect``: c b a | a b c.
    """
    after = max(padded - size - halo, halo)
    return np.pad(np.arange(size), (halo, after), mode="symmetric")


@piece
def scratch(size: int) -> Float32:
    """Zeros that begin at a cache line: a vector register is one, and must not lie across two."""
    buffer = np.zeros(size + 16, np.float32)
    skip = (64 - buffer.ctypes.data % 64) // 4 % 16
    return buffer[skip : skip + size]


@piece
def load_strip(
    image: Float32,
    width: int,
    starts: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    y: int,
    x0: int,
    halo: int | np.int64,
    scratch: Float32,
) -> int:
    """Copy the strip at (y, x0) and its halo into ``scratch`` (rows, at least LANES + 2 halo).

    The image is flat: ``starts`` says where each padded row of ``width`` pixels begins. (For every
    ``halo`` written as a plain number numba would compile this anew.)

    Returns
    -------
    int
        How many of the values are NaN.
    """
    wide()
    span = LANES + 2 * halo
    # Of the strip, [first, last) lies within the image; the rest mirrors.
    first = max(halo - x0, 0)
    last = min(width + halo - x0, span)
    missing = np.int32(0)
    for r in range(scratch.shape[0]):
        source = image[starts[y + r] :]
        target = scratch[r]
        # Slices, not offsets: numba's check for negative indices would stop vectorising.
        part, within = source[x0 - halo + first :], target[first:]
        for i in range(last - first):
            within[i] = part[i]
        for i in range(first):
            target[i] = source[columns[x0 + i]]
        for i in range(last, span):
            target[i] = source[columns[x0 + i]]
        for i in range(span):
            missing = np.int32(missing + np.int32(np.isnan(target[i])))
    return int(missing)


@piece
def store_strip(strip: Float32, row: Float32) -> None:
    """Copy a strip to the row's start, or what of it fits."""
    wide()
    for lane in range(min(LANES, row.shape[0])):
        row[lane] = strip[lane]


@piece
def lane_medians(
    values: Float32, network: npt.NDArray[np.int64], sign: Float32, valid: Float32, out: Float32
) -> None:
    """Median of the valid values of each lane of wires (wire, lane), by `networks.median_network`.

    All but ``network`` have LANES lanes. ``values`` and ``sign`` are overwritten; ``valid``
    receives the count of valid values, ``out`` (it may be ``sign``) their median, NaN if none.

    NaN becomes +inf and -inf in turn, per lane. The smaller half of the missing wires then sinks to
    -inf, so the valid values sit around the middle of the n wires: an even count of them has its
    median halfway between ranks n // 2 - 1 and n // 2; an odd one has it at n // 2 where n is odd,
    at n // 2 - 1 where n is even.
    """
    wide()
    for lane in range(LANES):
        sign[lane] = np.float32(np.inf)
        valid[lane] = np.float32(0)
    for wire in range(values.shape[0]):
        row = values[wire]
        for lane in range(LANES):
            value = row[lane]
            present = not np.isnan(value)
            row[lane] = value if present else sign[lane]
            sign[lane] = sign[lane] if present else -sign[lane]
            valid[lane] += np.float32(1) if present else np.float32(0)
    for step in range(network.shape[0]):
        low, high = values[network[step, 0]], values[network[step, 1]]
        for lane in range(LANES):
            a, b = low[lane], high[lane]
            low[lane] = a if a < b else b
            high[lane] = a if a > b else b
    size = values.shape[0]
    high = values[size // 2]
    low = values[size // 2 - 1 if size > 1 else 0]
    for lane in range(LANES):
        a, b = low[lane], high[lane]
        half = valid[lane] * np.float32(0.5)
        single = b if size % 2 == 1 else a
        middle = single if half != np.floor(half) else np.float32(0.5) * (a + b)
        out[lane] = middle if half > np.float32(0) else np.float32(np.nan)


@intrinsic  # type: ignore[untyped-decorator]
def _bits(_: Any, value: Any) -> Any:
    """Bit pattern of a float32 as int32."""
    return nb.types.int32(nb.types.float32), lambda _c, builder, _s, arguments: builder.bitcast(
        arguments[0], ir.IntType(32)
    )


@intrinsic  # type: ignore[untyped-decorator]
def _from_bits(_: Any, value: Any) -> Any:
    """float32 of a bit pattern."""
    return nb.types.float32(nb.types.int32), lambda _c, builder, _s, arguments: builder.bitcast(
        arguments[0], ir.FloatType()
    )


def _chebyshev(function: Callable[[npt.NDArray[np.float64]], Any], degree: int) -> list[np.float32]:
    """Coefficients, lowest first, of a near-minimax polynomial on [0, 1]."""
    series = np.polynomial.Chebyshev.interpolate(function, degree, domain=[0, 1])
    coefficients = series.convert(kind=np.polynomial.Polynomial).coef
    return [np.float32(value) for value in coefficients]


#: Decibel per factor of two.
DB_PER_OCTAVE = np.float32(10 * math.log10(2))
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8 = _chebyshev(
    lambda u: np.where(u > 0, np.log2(1 + u) / np.maximum(u, 1e-300), 1 / math.log(2)), 8
)
_E0, _E1, _E2, _E3, _E4, _E5, _E6 = _chebyshev(np.exp2, 6)


@piece
def log2(power: float) -> np.float32:
    """log2 of a positive float32 (error below 2e-6); zero, negative and NaN give NaN."""
    bits = _bits(np.float32(power))
    exponent = np.float32((bits >> np.int32(23)) - np.int32(127))
    u = _from_bits((bits & np.int32(0x7FFFFF)) | np.int32(0x3F800000)) - np.float32(1)
    p = _L8 * u + _L7
    p = p * u + _L6
    p = p * u + _L5
    p = p * u + _L4
    p = p * u + _L3
    p = p * u + _L2
    p = p * u + _L1
    p = p * u + _L0
    return exponent + u * p if power > np.float32(0) else np.float32(np.nan)


@piece
def exp2(exponent: float) -> np.float32:
    """2 to a power in -126 to 127, relative error below 3e-7; NaN stays NaN."""
    shifted = np.float32(exponent) + np.float32(127)
    whole = np.int32(shifted)
    u = shifted - np.float32(whole)
    p = _E6 * u + _E5
    p = p * u + _E4
    p = p * u + _E3
    p = p * u + _E2
    p = p * u + _E1
    p = p * u + _E0
    power = _from_bits(whole << np.int32(23)) * p
    return np.float32(np.nan) if np.isnan(exponent) else power


def strips_of(stack: Float32) -> tuple[Float32, int]:
    """A stack (t, ...) as (t, pixel) with at least LANES pixels, and the true pixel count."""
    pixels = int(np.prod(stack.shape[1:]))
    flat = np.ascontiguousarray(stack, dtype=np.float32).reshape(stack.shape[0], pixels)
    if pixels < LANES:
        flat = np.pad(flat, ((0, 0), (0, LANES - pixels)), constant_values=np.nan)
    return flat, pixels
