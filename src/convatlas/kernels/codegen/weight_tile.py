"""The tile of a depthwise filter's weight gradient: what a few columns give to every tap.

It is written out tap by tap when it is compiled, so that every sum lives in one register.
"""

from functools import partial
from itertools import chain, product

from llvmlite import ir
from numba.core import cgutils, types

from convatlas.kernels.codegen.memory import emit_add_to_doubles, emit_load
from convatlas.kernels.codegen.tiles import at, emit_ask, fields, multiply_into, pairs, zero
from convatlas.kernels.codegen.vector import LANES, VECTOR, bytes_of
from convatlas.kernels.layout.tile_sizes import COLUMNS
from convatlas.kernels.runtime.intrinsic import intrinsic

# How many places of a tile's rows may lie in the padding, by (taps, stride): on the left, on the
# right. These tiles are written out without them; any other asks place by place, and is narrow.
PADDING = {
    (3, 1): ((0, 1), (0, 1)),
    (5, 1): ((0, 2), (0, 2)),
    (7, 1): ((0, 3), (0, 3)),
    (3, 2): ((0, 1), (0, 1)),
    (5, 2): ((0, 2), (0, 1, 2)),
    (7, 2): ((0, 3), (0, 2, 3)),
}
KERNEL_ROWS = 3  # whose weights' gradients are summed at once


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


@intrinsic(prefer_literal=True)
def weight_columns(typingctx, columns, taps, stride, edges, dtype, x, dy, totals, prefetch_at):
    """Add dy * x over rows of gradients to the taps of some rows, KERNEL_ROWS at most.

    The numbers before dtype are literals, the others the records TapRows, GradientRows and TapSums.
    Outside its rows x is zero, and with `edges` outside its columns, too. Meanwhile what lies from
    `prefetch_at` on is prefetched, as much as these rows of dy; 0: nothing.
    """
    columns_n, taps_n = columns.literal_value, taps.literal_value
    stride_n, size_of = stride.literal_value, bytes_of(dtype)

    def codegen(context, builder, signature, args):
        of_x, of_dy, of_totals = (fields(builder, signature, args, index) for index in (5, 6, 7))
        x, xrow, xcol, top, below, down, height, count, offset, size = of_x
        dy, dyrow, dycol, width, rows, vectors = of_dy
        totals, tap_pitch, row_pitch = of_totals
        prefetch_at = args[8]
        number = width.type
        place = cgutils.alloca_once_value(builder, prefetch_at)
        asks = builder.icmp_signed("!=", prefetch_at, ir.Constant(number, 0))
        sums = [
            [cgutils.alloca_once(builder, VECTOR) for _ in range(taps_n)]
            for _ in range(KERNEL_ROWS)
        ]
        step = ir.Constant(number, columns_n)
        tiles = builder.sdiv(builder.add(width, ir.Constant(number, columns_n - 1)), step)
        reach = (columns_n - 1) * stride_n + taps_n

        def multiply(x_rows, present, dy_row, k, first, left, right):
            guard = left is None
            places = range(reach) if guard else range(left, reach - right)
            dy_at = builder.add(dy_row, builder.mul(k, dycol))
            given = Row(builder, dy_at, dycol, size_of, k, width if guard else None)
            gradients = [given[column] for column in range(columns_n)]
            for x_row, there, totals_of_row in zip(x_rows, present, sums, strict=True):
                with builder.if_then(there):
                    x_at = builder.add(x_row, builder.mul(first, xcol))
                    inputs = Row(builder, x_at, xcol, size_of, first, size if guard else None)
                    for place in places:
                        for tap, column in pairs(place, taps_n, stride_n, columns_n):
                            slot = totals_of_row[tap]
                            multiply_into(builder, slot, inputs[place], gradients[column])

        with cgutils.for_range(builder, vectors) as vector_loop:
            for slot in chain(*sums):
                builder.store(zero, slot)
            step_on = builder.mul(vector_loop.index, ir.Constant(number, 16 * size_of))
            x_here, dy_here = builder.add(x, step_on), builder.add(dy, step_on)
            with cgutils.for_range(builder, rows) as row:
                row_0 = builder.add(top, builder.mul(row.index, down))
                x_rows, present = [], []
                for r in range(KERNEL_ROWS):
                    index = at(builder, row_0, below, r)
                    inside = builder.icmp_unsigned("<", index, height)
                    wanted = builder.icmp_signed(">", count, ir.Constant(number, r))
                    present.append(builder.and_(inside, wanted))
                    x_rows.append(builder.add(x_here, builder.mul(index, xrow)))
                dy_row = builder.add(dy_here, builder.mul(row.index, dyrow))
                with cgutils.for_range(builder, tiles) as tile:
                    k = builder.mul(tile.index, step)
                    first = builder.add(builder.mul(k, ir.Constant(number, stride_n)), offset)
                    full = builder.icmp_signed("<=", builder.add(k, step), width)
                    write = partial(multiply, x_rows, present, dy_row, k, first)
                    if edges.literal_value:
                        by_padding(builder, taps_n, stride_n, columns_n, first, size, full, write)
                    else:
                        write(0, 0)
                    with builder.if_then(asks):
                        here = builder.load(place)
                        emit_ask(builder, here, columns_n * size_of)
                        taken = ir.Constant(number, columns_n * LANES * size_of)
                        builder.store(builder.add(here, taken), place)
            start = builder.mul(vector_loop.index, ir.Constant(number, 16 * 8))
            start = builder.add(totals, start)
            for r, slots in enumerate(sums):
                with builder.if_then(builder.icmp_signed(">", count, ir.Constant(number, r))):
                    target = at(builder, start, row_pitch, r)
                    for tap, slot in enumerate(slots):
                        address = at(builder, target, tap_pitch, tap)
                        emit_add_to_doubles(builder, address, builder.load(slot))
        return context.get_dummy_value()

    return types.void(columns, taps, stride, edges, dtype, x, dy, totals, types.intp), codegen
