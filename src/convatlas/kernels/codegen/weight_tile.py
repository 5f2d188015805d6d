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


class _WeightTileCode:
    """Writes out the code of tiles of `columns` columns.

    records: values of code, the fields of TapRows, GradientRows and TapSums.
    """

    def __init__(self, builder, sizes: tuple[int, int, int], edges: int, size: int, records):
        self.builder, self.edges, self.size = builder, edges, size
        self.columns, self.taps, self.stride = sizes
        self.x, self.dy, self.totals = records
        self.reach = (self.columns - 1) * self.stride + self.taps
        self.sums = [
            [cgutils.alloca_once(builder, VECTOR) for _ in range(self.taps)]
            for _ in range(KERNEL_ROWS)
        ]

    def _const(self, value):
        return ir.Constant(self.x[0].type, value)

    def write(self, prefetch_at):
        """Sum all rows of gradients, vector by vector of channels."""
        builder = self.builder
        pointer = cgutils.alloca_once_value(builder, prefetch_at)
        asks = builder.icmp_signed("!=", prefetch_at, self._const(0))
        _, _, _, width, rows, vectors = self.dy
        step = self._const(self.columns)
        tiles = builder.sdiv(builder.add(width, self._const(self.columns - 1)), step)
        with cgutils.for_range(builder, vectors) as vector_loop:
            for slot in chain(*self.sums):
                builder.store(zero, slot)
            with cgutils.for_range(builder, rows) as row:
                inputs, dy_row = self._rows(vector_loop.index, row.index)
                with cgutils.for_range(builder, tiles) as tile:
                    self._tile(inputs, dy_row, builder.mul(tile.index, step))
                    with builder.if_then(asks):
                        self._prefetch(pointer)
            self._keep(vector_loop.index)

    def _rows(self, vector, row):
        """Rows of inputs with whether they are there, and a row of gradients."""
        builder = self.builder
        x, xrow, _, top, below, down, height, count, _, _ = self.x
        step_on = builder.mul(vector, self._const(LANES * self.size))
        x_here, dy_here = builder.add(x, step_on), builder.add(self.dy[0], step_on)
        row_0, inputs = builder.add(top, builder.mul(row, down)), []
        for r in range(KERNEL_ROWS):
            index = at(builder, row_0, below, r)
            inside = builder.icmp_unsigned("<", index, height)
            wanted = builder.icmp_signed(">", count, self._const(r))
            place = builder.add(x_here, builder.mul(index, xrow))
            inputs.append((place, builder.and_(inside, wanted)))
        return inputs, builder.add(dy_here, builder.mul(row, self.dy[1]))

    def _tile(self, inputs, dy_row, k):
        """Add what the columns from k on give, whatever padding they meet."""
        builder, offset, size, width = self.builder, self.x[8], self.x[9], self.dy[3]
        first = builder.add(builder.mul(k, self._const(self.stride)), offset)
        full = builder.icmp_signed("<=", builder.add(k, self._const(self.columns)), width)
        write = partial(self._multiply, inputs, dy_row, k, first)
        if self.edges:
            by_padding(builder, self.taps, self.stride, self.columns, first, size, full, write)
        else:
            write(0, 0)

    def _multiply(self, inputs, dy_row, k, first, left, right):
        builder, guard = self.builder, left is None
        xcol, size, dycol, width = self.x[2], self.x[9], self.dy[2], self.dy[3]
        places = range(self.reach) if guard else range(left, self.reach - right)
        dy_at = builder.add(dy_row, builder.mul(k, dycol))
        given = Row(builder, dy_at, dycol, self.size, k, width if guard else None)
        gradients = [given[column] for column in range(self.columns)]
        for (x_row, there), sums in zip(inputs, self.sums, strict=True):
            with builder.if_then(there):
                x_at = builder.add(x_row, builder.mul(first, xcol))
                row = Row(builder, x_at, xcol, self.size, first, size if guard else None)
                for place in places:
                    for tap, column in pairs(place, self.taps, self.stride, self.columns):
                        multiply_into(builder, sums[tap], row[place], gradients[column])

    def _prefetch(self, pointer):
        """Prefetch as much as the gradients of a tile from a pointer on."""
        here, bytes_a_lane = self.builder.load(pointer), self.columns * self.size
        emit_ask(self.builder, here, bytes_a_lane)
        taken = self._const(bytes_a_lane * LANES)
        self.builder.store(self.builder.add(here, taken), pointer)

    def _keep(self, vector):
        """Add the sums to the totals of a vector of channels."""
        builder, count, (totals, tap_pitch, row_pitch) = self.builder, self.x[7], self.totals
        start = builder.add(totals, builder.mul(vector, self._const(LANES * 8)))
        for r, slots in enumerate(self.sums):
            with builder.if_then(builder.icmp_signed(">", count, self._const(r))):
                target = at(builder, start, row_pitch, r)
                for tap, slot in enumerate(slots):
                    address = at(builder, target, tap_pitch, tap)
                    emit_add_to_doubles(builder, address, builder.load(slot))


@intrinsic(prefer_literal=True)
def weight_columns(typingctx, columns, taps, stride, edges, dtype, x, dy, totals, prefetch_at):
    """Add dy * x over rows of gradients to the taps of some rows, KERNEL_ROWS at most.

    The numbers before dtype are literals, the others the records TapRows, GradientRows and TapSums.
    Outside its rows x is zero, and with `edges` outside its columns, too. Meanwhile what lies from
    `prefetch_at` on is prefetched, as much as these rows of dy; 0: nothing.
    """
    sizes = columns.literal_value, taps.literal_value, stride.literal_value
    size = bytes_of(dtype)

    def codegen(context, builder, signature, args):
        records = [fields(builder, signature, args, index) for index in (5, 6, 7)]
        _WeightTileCode(builder, sizes, edges.literal_value, size, records).write(args[8])
        return context.get_dummy_value()

    return types.void(columns, taps, stride, edges, dtype, x, dy, totals, types.intp), codegen
