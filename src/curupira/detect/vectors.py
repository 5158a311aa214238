"""Straight-line vector code written as LLVM instructions: sorting networks that stay in registers.

Numba takes seconds to type and translate a thousand statements, and again for every caller. Here a
plain Python function writes the instructions, value by value, straight into the kernel that calls
it; LLVM gets them as vectors and has nothing left to vectorise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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

    def low(self, a: Any, b: Any) -> Any:
        """Return the smaller values, lane by lane; no NaN."""
        return self._builder.select(self._builder.fcmp_ordered("<", a, b), a, b)

    def high(self, a: Any, b: Any) -> Any:
        """Return the larger values, lane by lane; no NaN."""
        return self._builder.select(self._builder.fcmp_ordered(">", a, b), a, b)

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
