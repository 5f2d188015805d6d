"""Register tiles of a depthwise filter: a few columns of sixteen channels at once.

Columns next to each other share most of their inputs, and all of them share the weights. Each
tile is written out tap by tap when it is compiled, so that every sum lives in one register.
"""

from itertools import product

from llvmlite import ir
from numba.core import cgutils

from convatlas.ops.kernels.memory_access import emit_load, emit_prefetch
from convatlas.ops.kernels.vector import LANES, VECTOR, emit_fma

COLUMNS, WIDE = 4, 7  # of a tile
LINE = 64  # bytes
WIDE_STREAMS = (5,)  # taps whose wide tiles also write around the caches; few taps wait for memory
# How many places of a tile's rows may lie in the padding, by (taps, stride): on the left, on the
# right. These tiles are written out without them; any other asks place by place, and is narrow.
PADDING = {
    (1, 1): ((0,), (0,)),
    (2, 1): ((0,), (0, 1)),
    (3, 1): ((0, 1), (0, 1)),
    (4, 1): ((0, 1), (0, 2)),
    (5, 1): ((0, 2), (0, 2)),
    (7, 1): ((0, 3), (0, 3)),
    (3, 2): ((0, 1), (0, 1)),
    (5, 2): ((0, 2), (0, 1, 2)),
    (7, 2): ((0, 3), (0, 2, 3)),
}

zero = ir.Constant(VECTOR, [0.0] * LANES)


def at(builder, base, pitch, index):
    """base + index * pitch, for an index known while compiling."""
    return builder.add(base, builder.mul(pitch, ir.Constant(pitch.type, index)))


class Row:
    """Loads of one row of inputs, each place once, while a tile is written out.

    A guarded row takes places outside [0, size) from a line of zeros: that is the padding.
    """

    def __init__(self, builder, base, pitch, width, first, size=None):
        self.builder, self.base, self.pitch, self.width = builder, base, pitch, width
        self.first, self.size, self.loaded = first, size, {}
        if size is not None:
            nothing = cgutils.alloca_once_value(builder, zero)
            self.nothing = builder.ptrtoint(nothing, base.type)

    def __getitem__(self, place):
        if place not in self.loaded:
            address = at(self.builder, self.base, self.pitch, place)
            if self.size is not None:
                index = at(self.builder, self.first, ir.Constant(self.first.type, 1), place)
                inside = self.builder.icmp_unsigned("<", index, self.size)
                address = self.builder.select(inside, address, self.nothing)
            self.loaded[place] = emit_load(self.builder, address, self.width)
        return self.loaded[place]


def pairs(place, taps, stride, columns):
    """The taps that an input place meets, each with the column of the tile whose sum it enters."""
    for tap in range(taps):
        column, between = divmod(place - tap, stride)
        if not between and 0 <= column < columns:
            yield tap, column


def emit_ask(builder, place, bytes_a_lane):
    """Ask memory for that many bytes a lane from a place on."""
    for line in range(-(-bytes_a_lane * LANES // LINE)):
        emit_prefetch(builder, builder.add(place, ir.Constant(place.type, LINE * line)))


def multiply_into(builder, slot, a, b):
    """slot += a * b."""
    builder.store(emit_fma(builder, a, b, builder.load(slot)), slot)


def by_padding(builder, taps, stride, columns, first, size, full, write):
    """Call `write(left, right)` for the padding that a tile meets, `write(None, None)` for others.

    Wide tiles have no others; `full` says whether all columns of the tile are there.
    """
    number, reach = first.type, (columns - 1) * stride + taps
    beyond = builder.sub(builder.add(first, ir.Constant(number, reach)), size)
    missing = builder.neg(first), beyond

    def choose(cases):
        if not cases:
            if columns == COLUMNS:
                write(None, None)
            return
        fits = full
        for places, known in zip(missing, cases[0], strict=True):
            test = builder.icmp_signed("==" if known else "<=", places, ir.Constant(number, known))
            fits = builder.and_(fits, test)
        with builder.if_else(fits) as (yes, no):
            with yes:
                write(*cases[0])
            with no:
                choose(cases[1:])

    choose(list(product(*PADDING[taps, stride])))
