"""How the values of a fused convolution end before they are written.

Emitted into register tiles, so that a value is written once and never read again for its sums.
"""

from numba.core import cgutils

from convatlas.kernels.codegen.memory import emit_load, emit_store
from convatlas.kernels.codegen.tiles import at, multiply_into, zero
from convatlas.kernels.codegen.vector import VECTOR, emit_fma, emit_splat
from convatlas.kernels.layout.channels import MEAN, PIVOT, SCALE, SHIFT

# PLAIN: as they are. SUMMED: the same, and what is written less its pivot, and the square of that,
# are added up. PULLED: they are gradients behind a norm whose input is clipped to a range (low,
# high); gradients of that input are written, and the sums for the norm's own are added up.
STORE, STORE_STATS, BACKWARD_NORM = range(3)


class Epilogue:
    """How values of sixteen channels end.

    table: a row of sixteen numbers every `pitch` bytes (`layout/channels.py`); totals: where the
    two sums are kept, `pitch` bytes apart; other: bytes from a place in the result to that of the
    same value in the norm's input.
    """

    def __init__(self, builder, way, table, totals, pitch, other, clip_min, clip_max):
        self.builder, self.way, self.other = builder, way, other
        rows = {STORE: (), STORE_STATS: (PIVOT,), BACKWARD_NORM: (MEAN, SCALE, SHIFT)}[way]
        self.numbers = [emit_load(builder, at(builder, table, pitch, row), 4) for row in rows]
        self.range = [emit_splat(builder, value, VECTOR) for value in (clip_min, clip_max)]
        self.totals = totals, builder.add(totals, pitch)
        self.sums = [cgutils.alloca_once_value(builder, zero) for _ in self.totals]

    def of(self, value, place):
        """Return what is written to a place."""
        if self.way == STORE_STATS:
            off = self.builder.fsub(value, self.numbers[0])
            self._add(off, off, off)
        if self.way == BACKWARD_NORM:
            return self._pulled(value, place)
        return value

    def keep(self):
        """Add the sums to the totals."""
        if self.way != STORE:
            for place, slot in zip(self.totals, self.sums, strict=True):
                before = emit_load(self.builder, place, 4)
                total = self.builder.fadd(before, self.builder.load(slot))
                emit_store(self.builder, place, total, 4)

    def _pulled(self, value, place):
        builder, (mean, scale, shift) = self.builder, self.numbers
        given = emit_load(builder, builder.add(place, self.other), 4)
        before = emit_fma(builder, given, scale, shift)
        above = builder.fcmp_ordered(">", before, self.range[0])
        below = builder.fcmp_ordered("<", before, self.range[1])
        value = builder.select(builder.and_(above, below), value, zero)
        self._add(value, value, builder.fsub(given, mean))
        return builder.fmul(value, scale)

    def _add(self, value, a, b):
        """Add value to the first sum and a * b to the second."""
        total = self.builder.fadd(self.builder.load(self.sums[0]), value)
        self.builder.store(total, self.sums[0])
        multiply_into(self.builder, self.sums[1], a, b)
