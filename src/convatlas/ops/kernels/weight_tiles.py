"""The tile of a depthwise filter's weight gradient: what a few columns give to every tap."""

from functools import partial
from itertools import chain

from llvmlite import ir
from numba.core import cgutils, types

from convatlas.ops.kernels.memory_access import emit_add_to_doubles
from convatlas.ops.kernels.tiles import Row, at, by_padding, emit_ask, multiply_into, pairs, zero
from convatlas.ops.kernels.vector import LANES, VECTOR, bytes_of, intrinsic

KERNEL_ROWS = 3  # whose weights' gradients are summed at once


@intrinsic(prefer_literal=True)
def weight_columns(
    typingctx,
    columns,
    taps,
    stride,
    edges,
    kind,
    x,
    xrow,
    xcol,
    top,
    below,
    down,
    height,
    count,
    offset,
    size,
    dy,
    dyrow,
    dycol,
    width,
    rows,
    vectors,
    totals,
    tap_pitch,
    row_pitch,
    asked,
):
    """Add dy * x over `rows` rows to each tap of `count` kernel rows, KERNEL_ROWS at most.

    Row j of dy meets rows top + down * j + below * r of x, which is the address of row 0, and its
    column k meets columns stride * k + offset + tap; outside `height` rows and, with `edges`,
    `size` columns x is zero. `totals` are float64, for `vectors` * 16 channels, with pitches in
    bytes. Meanwhile memory is asked for what lies from `asked` on, as much as these rows of dy;
    0: for nothing.
    """
    columns_n, taps_n = columns.literal_value, taps.literal_value
    stride_n, size_of = stride.literal_value, bytes_of(kind)

    def codegen(context, builder, signature, args):
        _, _, _, _, _, x, xrow, xcol, top, below, down, height, count, *rest = args
        offset, size, dy, dyrow, dycol, width, rows, vectors, totals, *rest = rest
        tap_pitch, row_pitch, asked = rest
        number = width.type
        place = cgutils.alloca_once_value(builder, asked)
        asks = builder.icmp_signed("!=", asked, ir.Constant(number, 0))
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

    return types.void(columns, taps, stride, edges, kind, *[types.intp] * 20), codegen
