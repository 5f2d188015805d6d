"""Register tiles of a depthwise filter: four output columns of sixteen channels at once.

Columns next to each other share most of their inputs, and all of them share the weights. Each
tile is written out tap by tap when it is compiled, so that every sum lives in one register.
"""

from llvmlite import ir
from numba.core import cgutils, types

from convatlas.ops.kernels.memory_access import (
    emit_add_to_doubles,
    emit_load,
    emit_prefetch,
    emit_store,
    emit_store_past_cache,
)
from convatlas.ops.kernels.vector import VECTOR, bytes_of, emit_fma, intrinsic

COLUMNS = 4
LINE = 64  # bytes
AHEAD = 16  # columns from a tile to the lines asked for; 8 to 64 measured alike

_zero = ir.Constant(VECTOR, [0.0] * 16)


def _at(builder, base, pitch, index):
    """base + index * pitch, for an index known while compiling."""
    return builder.add(base, builder.mul(pitch, ir.Constant(pitch.type, index)))


class _Row:
    """Loads of one row of inputs, each place once, while a tile is written out.

    A guarded row takes places outside [0, size) from a line of zeros: that is the padding.
    """

    def __init__(self, builder, base, pitch, width, first, size=None):
        self.builder, self.base, self.pitch, self.width = builder, base, pitch, width
        self.first, self.size, self.loaded = first, size, {}
        if size is not None:
            nothing = cgutils.alloca_once_value(builder, _zero)
            self.nothing = builder.ptrtoint(nothing, base.type)

    def __getitem__(self, place):
        if place not in self.loaded:
            address = _at(self.builder, self.base, self.pitch, place)
            if self.size is not None:
                index = _at(self.builder, self.first, ir.Constant(self.first.type, 1), place)
                inside = self.builder.icmp_unsigned("<", index, self.size)
                address = self.builder.select(inside, address, self.nothing)
            self.loaded[place] = emit_load(self.builder, address, self.width)
        return self.loaded[place]


def _multiply_into(builder, slot, a, b):
    builder.store(emit_fma(builder, a, b, builder.load(slot)), slot)


@intrinsic(prefer_literal=True)
def filter_columns(
    typingctx,
    taps,
    stride,
    kind,
    x,
    xrow,
    xcol,
    w,
    wrow,
    wcol,
    rows,
    first,
    size,
    out,
    ocol,
    count,
    vectors,
    stream,
    fresh,
):
    """Four neighbouring outputs, or the first `count`, at `vectors` times sixteen channels.

    Each is the sum over `rows` rows of `taps` taps. x is the address of column `first`, which
    may lie before the row or, with its neighbours, beyond its `size` columns: those count as
    zero. Pitches are bytes; taps and stride are literals; `stream` writes around the caches.
    The last `fresh` rows were not read by the outputs above and are asked for ahead (0, 1 or 2).
    """
    taps_n, stride_n, width = taps.literal_value, stride.literal_value, bytes_of(kind)
    reach = (COLUMNS - 1) * stride_n + taps_n

    def codegen(context, builder, signature, args):
        _, _, _, x, xrow, xcol, w, wrow, wcol, rows, first, size, *target = args
        out, ocol, count, vectors, stream, fresh = target
        number = rows.type
        sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(COLUMNS)]
        ahead = builder.mul(builder.sub(rows, ir.Constant(number, 1)), xrow)
        ahead = builder.add(ahead, builder.mul(xcol, ir.Constant(number, AHEAD)))

        def taps_of(here, weights_here, guard):
            for slot in sums:
                builder.store(_zero, slot)
            with cgutils.for_range(builder, rows) as loop:
                row = builder.add(here, builder.mul(loop.index, xrow))
                weights = builder.add(weights_here, builder.mul(loop.index, wrow))
                inputs = _Row(builder, row, xcol, width, first, size if guard else None)
                for tap in range(taps_n):
                    weight = emit_load(builder, _at(builder, weights, wcol, tap), 4)
                    for column in range(COLUMNS):
                        _multiply_into(
                            builder, sums[column], inputs[column * stride_n + tap], weight
                        )

        def put(address, value, past):
            if past:
                emit_store_past_cache(builder, address, value)
            else:
                emit_store(builder, address, value, width)

        def ask(place, loop):
            # The lines of these columns from the first to the last, not channel by channel: memory
            # and what foresees its use are fastest in order.
            lines = COLUMNS * stride_n * width // 4
            step = builder.mul(loop.index, ir.Constant(number, LINE * lines))
            start = builder.add(place, step)
            for line in range(lines):
                emit_prefetch(builder, builder.add(start, ir.Constant(number, LINE * line)))

        def write(guard, past):
            with cgutils.for_range(builder, vectors) as loop:
                step = builder.mul(loop.index, ir.Constant(number, 16 * width))
                here = builder.add(x, step)
                below = builder.mul(loop.index, ir.Constant(number, 16 * 4))
                taps_of(here, builder.add(w, below), guard)
                with builder.if_then(builder.icmp_signed(">", fresh, ir.Constant(number, 0))):
                    ask(builder.add(x, ahead), loop)
                with builder.if_then(builder.icmp_signed(">", fresh, ir.Constant(number, 1))):
                    ask(builder.sub(builder.add(x, ahead), xrow), loop)
                base = builder.add(out, step)
                for column, slot in enumerate(sums):
                    address = _at(builder, base, ocol, column)
                    if guard and column:
                        there = builder.icmp_signed(">", count, ir.Constant(number, column))
                        with builder.if_then(there):
                            put(address, builder.load(slot), past)
                    else:
                        put(address, builder.load(slot), past)

        def write_either(guard):
            if width != 4:
                write(guard, False)
                return
            past = builder.icmp_signed("!=", stream, ir.Constant(number, 0))
            with builder.if_else(past) as (yes, no):
                with yes:
                    write(guard, True)
                with no:
                    write(guard, False)

        full = builder.icmp_signed(">=", count, ir.Constant(number, COLUMNS))
        inside = builder.and_(_inside(builder, first, size, reach), full)
        with builder.if_else(inside) as (whole, edge):
            with whole:
                write_either(False)
            with edge:
                write_either(True)
        return context.get_dummy_value()

    return types.void(taps, stride, kind, *[types.intp] * 15), codegen


def _inside(builder, first, size, reach):
    """Columns [first, first + reach) all lie in [0, size)."""
    start = builder.icmp_signed(">=", first, ir.Constant(first.type, 0))
    end = builder.add(first, ir.Constant(first.type, reach))
    return builder.and_(start, builder.icmp_signed("<=", end, size))


@intrinsic(prefer_literal=True)
def weight_columns(
    typingctx,
    taps,
    stride,
    kind,
    x,
    xrow,
    xcol,
    offset,
    size,
    dy,
    dyrow,
    dycol,
    columns,
    rows,
    vectors,
    totals,
    pitch,
):
    """Add dy * x over a block of rows to each of `taps` taps of one kernel row.

    Column k of dy meets columns stride * k + offset + tap of x; outside [0, size) x is zero.
    `totals` are float64, `pitch` bytes from a tap to the next, for `vectors` * 16 channels.
    """
    taps_n, stride_n, width = taps.literal_value, stride.literal_value, bytes_of(kind)
    reach = (COLUMNS - 1) * stride_n + taps_n

    def codegen(context, builder, signature, args):
        _, _, _, x, xrow, xcol, offset, size, dy, dyrow, dycol, columns, rows, *target = args
        vectors, totals, pitch = target
        sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(taps_n)]
        number = columns.type
        four = ir.Constant(number, COLUMNS)
        tiles = builder.sdiv(builder.add(columns, ir.Constant(number, COLUMNS - 1)), four)

        def write(x_row, dy_row, k, first, guard):
            x_at = builder.add(x_row, builder.mul(first, xcol))
            dy_at = builder.add(dy_row, builder.mul(k, dycol))
            inputs = _Row(builder, x_at, xcol, width, first, size if guard else None)
            gradients = _Row(builder, dy_at, dycol, width, k, columns if guard else None)
            for column in range(COLUMNS):
                for tap in range(taps_n):
                    place = column * stride_n + tap
                    _multiply_into(builder, sums[tap], inputs[place], gradients[column])

        with cgutils.for_range(builder, vectors) as vector_loop:
            for slot in sums:
                builder.store(_zero, slot)
            step = builder.mul(vector_loop.index, ir.Constant(number, 16 * width))
            x_here, dy_here = builder.add(x, step), builder.add(dy, step)
            with cgutils.for_range(builder, rows) as row:
                x_row = builder.add(x_here, builder.mul(row.index, xrow))
                dy_row = builder.add(dy_here, builder.mul(row.index, dyrow))
                with cgutils.for_range(builder, tiles) as tile:
                    k = builder.mul(tile.index, four)
                    first = builder.add(builder.mul(k, ir.Constant(number, stride_n)), offset)
                    whole_dy = builder.icmp_signed("<=", builder.add(k, four), columns)
                    inside = builder.and_(_inside(builder, first, size, reach), whole_dy)
                    with builder.if_else(inside) as (whole, edge):
                        with whole:
                            write(x_row, dy_row, k, first, guard=False)
                        with edge:
                            write(x_row, dy_row, k, first, guard=True)
            place = builder.mul(vector_loop.index, ir.Constant(number, 16 * 8))
            place = builder.add(totals, place)
            for tap, slot in enumerate(sums):
                emit_add_to_doubles(builder, _at(builder, place, pitch, tap), builder.load(slot))
        return context.get_dummy_value()

    return types.void(taps, stride, kind, *[types.intp] * 13), codegen
