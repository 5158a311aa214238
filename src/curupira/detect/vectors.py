"""Straight-line vector code, written as LLVM instructions: sorting networks in registers, sums.

Numba takes seconds to type and translate a thousand statements, and again for every caller. Here a
plain Python function writes the instructions, value by value, straight into the kernel that calls
it; LLVM gets them as vectors and has nothing left to vectorise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: float32 values of one vector: 512 bits; narrower machines take two or four registers for it.
WIDTH = 16
_VECTOR = ir.VectorType(ir.FloatType(), WIDTH)


class Writer:
    """Writes the instructions for one vector of pixels; its values are vectors, of no use outside.

    Arrays are flat float32, given by their number among the arguments. ``at`` counts from the
    first lane of the vector.
    """

    def __init__(self, builder: Any, arrays: Sequence[Any], first: Any) -> None:
        self._builder = builder
        self._arrays = arrays
        self._first = first

    def load(self, array: int, at: int) -> Any:
        """Values of an array from a position on."""
        return self._builder.load(self._place(array, at), align=4)

    def store(self, value: Any, array: int, at: int) -> None:
        """Put values into an array from a position on."""
        self._builder.store(value, self._place(array, at), align=4)

    def same(self, array: int) -> Any:
        """The first values of an array, whatever the pixels."""
        pointer = self._builder.bitcast(self._arrays[array], _VECTOR.as_pointer())
        return self._builder.load(pointer, align=4)

    def number(self, value: float) -> Any:
        """Return the same number in all lanes."""
        # llvmlite writes a float constant right only if float32 holds it.
        return ir.Constant(_VECTOR, [ir.Constant(ir.FloatType(), float(np.float32(value)))] * WIDTH)

    def add(self, *parts: Any) -> Any:
        """Sum, from left to right."""
        return reduce(self._builder.fadd, parts)

    def sub(self, a: Any, b: Any) -> Any:
        """Difference."""
        return self._builder.fsub(a, b)

    def mul(self, *parts: Any) -> Any:
        """Product, from left to right."""
        return reduce(self._builder.fmul, parts)

    def div(self, a: Any, b: Any) -> Any:
        """Quotient."""
        return self._builder.fdiv(a, b)

    def size(self, value: Any) -> Any:
        """Absolute value."""
        kind = ir.FunctionType(_VECTOR, [_VECTOR])
        name = f"llvm.fabs.v{WIDTH}f32"
        fabs = cgutils.get_or_insert_function(self._builder.module, kind, name)
        return self._builder.call(fabs, [value])

    def less(self, a: Any, b: Any) -> Any:
        """Whether a < b, lane by lane; NaN is not less."""
        return self._builder.fcmp_ordered("<", a, b)

    def equal(self, a: Any, b: Any) -> Any:
        """Whether a == b, lane by lane."""
        return self._builder.fcmp_ordered("==", a, b)

    def no(self, truth: Any) -> Any:
        """The opposite."""
        return self._builder.not_(truth)

    def nan(self, value: Any) -> Any:
        """Whether it is NaN."""
        return self._builder.fcmp_unordered("uno", value, value)

    def choose(self, truth: Any, a: Any, b: Any) -> Any:
        """Return a where something is true, else b; of numbers or of truths."""
        return self._builder.select(truth, a, b)

    def low(self, a: Any, b: Any) -> Any:
        """Return the smaller values, lane by lane; no NaN."""
        return self.choose(self.less(a, b), a, b)

    def high(self, a: Any, b: Any) -> Any:
        """Return the larger values, lane by lane; no NaN."""
        return self.choose(self._builder.fcmp_ordered(">", a, b), a, b)

    def run(self, pairs: Sequence[tuple[int, int]], wires: list[Any]) -> None:
        """Put wires through a network, in place.

        Either half of an exchange whose result is not used is removed by the compiler.
        """
        for low, high in pairs:
            a, b = wires[low], wires[high]
            wires[low], wires[high] = self.low(a, b), self.high(a, b)

    def _place(self, array: int, at: int) -> Any:
        place = self._builder.add(self._first, ir.Constant(self._first.type, at))
        pointer = self._builder.gep(self._arrays[array], [place])
        return self._builder.bitcast(pointer, _VECTOR.as_pointer())


def straight_line(write: Callable[[Writer], None], lanes: int) -> Any:
    """Make a function, for kernels alone, of a tuple of flat float32 arrays: ``write`` by vectors.

    ``lanes`` is the number of pixels, a multiple of ``WIDTH``. What vectors read beyond belongs to
    others; nothing is checked.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def function(_: Any, arrays: Any) -> Any:
        def generate(context: Any, builder: Any, _s: Any, arguments: Any) -> Any:
            made = zip(arrays, cgutils.unpack_tuple(builder, arguments[0]), strict=True)
            data = [context.make_array(kind)(context, builder, value).data for kind, value in made]
            size = context.get_value_type(types.intp)
            with cgutils.for_range(builder, ir.Constant(size, lanes // WIDTH)) as loop:
                write(Writer(builder, data, builder.mul(loop.index, ir.Constant(size, WIDTH))))
            return context.get_dummy_value()

        return types.none(arrays), generate

    return function
