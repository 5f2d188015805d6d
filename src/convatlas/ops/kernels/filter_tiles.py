"""The tile of a depthwise filter: outputs next to each other, from rows of inputs and weights."""

from llvmlite import ir
from numba.core import cgutils, types

from convatlas.ops.kernels.memory_access import emit_load, emit_store, emit_store_past_cache
from convatlas.ops.kernels.tiles import (
    COLUMNS,
    WIDE_STREAMS,
    Row,
    at,
    by_padding,
    emit_ask,
    multiply_into,
    pairs,
    zero,
)
from convatlas.ops.kernels.vector import LANES, VECTOR, bytes_of, intrinsic


@intrinsic(prefer_literal=True)
def filter_columns(
    typingctx,
    columns,
    taps,
    stride,
    edges,
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
    asked,
    groups,
    asked_too,
    groups_too,
):
    """Neighbouring outputs, or the first `count` of them, at `vectors` times sixteen channels.

    Each is the sum over `rows` rows of `taps` taps. x is the address of column `first`, which
    may lie before the row or, with its neighbours, beyond its `size` columns: those count as
    zero, which only happens with `edges`. Pitches are bytes; columns, taps, stride and edges are
    literals. `stream` writes around the caches, which tiles with edges can. Meanwhile memory is
    asked for what lies from `asked` on, as much as `groups` times these columns, and
    for the same of `asked_too`.
    """
    columns_n, taps_n = columns.literal_value, taps.literal_value
    stride_n, width = stride.literal_value, bytes_of(kind)
    reach = (columns_n - 1) * stride_n + taps_n

    def codegen(context, builder, signature, args):
        _, _, _, _, _, x, xrow, xcol, w, wrow, wcol, rows, first, size, *target = args
        out, ocol, count, vectors, stream, *asking = target
        number = rows.type
        none, past = ir.Constant(number, 0), None
        if width == 4 and edges.literal_value and (columns_n == COLUMNS or taps_n in WIDE_STREAMS):
            past = builder.icmp_signed("!=", stream, none)
        sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(columns_n)]

        def taps_of(here, weights_here, left, right):
            for slot in sums:
                builder.store(zero, slot)
            guard = left is None
            low, high = (0, reach) if guard else (left, reach - right)
            with cgutils.for_range(builder, rows) as loop:
                row = builder.add(here, builder.mul(loop.index, xrow))
                weights = builder.add(weights_here, builder.mul(loop.index, wrow))
                inputs = Row(builder, row, xcol, width, first, size if guard else None)
                taken = [
                    emit_load(builder, at(builder, weights, wcol, t), 4) for t in range(taps_n)
                ]
                for place in range(low, high):
                    for tap, column in pairs(place, taps_n, stride_n, columns_n):
                        multiply_into(builder, sums[column], inputs[place], taken[tap])

        def put(address, slot):
            value = builder.load(slot)
            if past is None:
                emit_store(builder, address, value, width)
                return
            with builder.if_else(past) as (yes, no):
                with yes:
                    emit_store_past_cache(builder, address, value)
                with no:
                    emit_store(builder, address, value, width)

        def ask(place, groups, vector):
            # The lines from the first to the last, not channel by channel: memory and what foresees
            # its use are fastest in order.
            size = ir.Constant(number, columns_n * LANES * width)
            with cgutils.for_range(builder, groups) as loop:
                index = builder.add(builder.mul(vector, groups), loop.index)
                emit_ask(builder, builder.add(place, builder.mul(index, size)), columns_n * width)

        def write(left, right):
            with cgutils.for_range(builder, vectors) as loop:
                step = builder.mul(loop.index, ir.Constant(number, 16 * width))
                here = builder.add(x, step)
                below = builder.mul(loop.index, ir.Constant(number, 16 * 4))
                taps_of(here, builder.add(w, below), left, right)
                ask(asking[0], asking[1], loop.index)
                ask(asking[2], asking[3], loop.index)
                base = builder.add(out, step)
                for column, slot in enumerate(sums):
                    address = at(builder, base, ocol, column)
                    if left is None and column:
                        there = builder.icmp_signed(">", count, ir.Constant(number, column))
                        with builder.if_then(there):
                            put(address, slot)
                    else:
                        put(address, slot)

        if edges.literal_value:
            full = builder.icmp_signed(">=", count, ir.Constant(number, columns_n))
            by_padding(builder, taps_n, stride_n, columns_n, first, size, full, write)
        else:
            write(0, 0)
        return context.get_dummy_value()

    return types.void(columns, taps, stride, edges, kind, *[types.intp] * 18), codegen
