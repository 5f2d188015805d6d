"""A strip of a depthwise filter: a few neighbouring columns of outputs at sixteen channels.

It is followed down the rows: each input is loaded once and enters every sum that it meets, and
every sum lives in one register.
"""

from itertools import pairwise

from llvmlite import ir
from numba.core import cgutils, types

from convatlas.kernels.codegen.epilogue import Epilogue
from convatlas.kernels.codegen.memory import emit_load, emit_store, emit_store_past_cache
from convatlas.kernels.codegen.tiles import at, emit_ask, fields, multiply_into, pairs, zero
from convatlas.kernels.codegen.vector import LANES, VECTOR, bytes_of
from convatlas.kernels.layout.tile_sizes import HELD_TAPS
from convatlas.kernels.runtime.intrinsic import intrinsic


class Places:
    """Neighbouring places of a row; those outside [0, size) are zero, which is the padding."""

    def __init__(self, builder, count, first, size, pitch, bytes_a_number):
        self.builder, self.width = builder, bytes_a_number
        indices = [builder.add(first, ir.Constant(first.type, i)) for i in range(count)]
        self.inside = [builder.icmp_unsigned("<", index, size) for index in indices]
        self.offsets = [builder.mul(pitch, ir.Constant(pitch.type, i)) for i in range(count)]
        nothing = cgutils.alloca_once_value(builder, zero)
        self.nothing = builder.ptrtoint(nothing, pitch.type)

    def load(self, row, place):
        """What lies at a place of the row that begins at this address."""
        address = self.builder.add(row, self.offsets[place])
        address = self.builder.select(self.inside[place], address, self.nothing)
        return emit_load(self.builder, address, self.width)


def slots(builder, rows, columns):
    """Rows of sums, all zero."""
    made = [[cgutils.alloca_once(builder, VECTOR) for _ in range(columns)] for _ in range(rows)]
    clear(builder, made)
    return made


def clear(builder, sums):
    """Set sums to zero."""
    for row in sums:
        for slot in row:
            builder.store(zero, slot)


@intrinsic(prefer_literal=True)
def depthwise_strip(
    typingctx,
    columns,
    h_taps,
    h_stride,
    w_taps,
    w_stride,
    way,
    dtype,
    x,
    w,
    out,
    fetch,
    finish,
):
    """Write a strip of outputs, row by row.

    The numbers before dtype are literals; way says how outputs end (`Epilogue`). The others are
    the records Window, Matrix, StripOutputs, Fetch and Finish.
    """
    columns_n, h_taps_n, h_stride_n, w_taps_n, w_stride_n = (
        literal.literal_value for literal in (columns, h_taps, h_stride, w_taps, w_stride)
    )
    size, alive = bytes_of(dtype), -(-h_taps_n // h_stride_n)
    held = h_taps_n * w_taps_n <= HELD_TAPS

    def codegen(context, builder, signature, args):
        window, weights, outputs, ahead, ends = (
            fields(builder, signature, args, index) for index in range(7, 12)
        )
        x, xrow, xcol, top, height, first, width = window
        w, wrow, wcol = weights
        out, orow, ocol, rows, begun, count, nontemporal = outputs
        prefetch_at, prefetch_factor = ahead
        number = x.type

        def const(value):
            return ir.Constant(number, value)

        def weight(row, tap):
            return emit_load(builder, at(builder, at(builder, w, wrow, row), wcol, tap), 4)

        h_known = range(h_taps_n if held else 0)
        known = [[weight(r, t) for t in range(w_taps_n)] for r in h_known]
        spread = (columns_n - 1) * w_stride_n + w_taps_n
        places = Places(builder, spread, first, width, xcol, size)
        sums, pointer = (
            slots(builder, alive, columns_n),
            cgutils.alloca_once_value(builder, prefetch_at),
        )
        lowest = builder.select(builder.icmp_signed("<", top, const(0)), const(0), top)
        past = builder.icmp_signed("!=", nontemporal, const(0))
        epilogue = Epilogue(builder, way.literal_value, *ends)

        def enter(row, met, done):
            """Add a row of inputs to the sums that it meets: (row of sums, row of weights)."""
            if held:
                for place in range(spread):
                    value = places.load(row, place)
                    for tap, column in pairs(place, w_taps_n, w_stride_n, columns_n):
                        for m, r in met:
                            multiply_into(builder, sums[m][column], value, known[r][tap])
                return
            values = [places.load(row, place) for place in range(spread)]
            for m, r in met:
                # At the ends of a block most sums of a tall kernel belong to the blocks beside it.
                wanted = builder.icmp_unsigned("<", builder.add(done, const(m)), rows)
                with builder.if_then(wanted):
                    for tap in range(w_taps_n):
                        factor = weight(r, tap)
                        for column in range(columns_n):
                            value = values[w_stride_n * column + tap]
                            multiply_into(builder, sums[m][column], value, factor)

        def put(row, store):
            for column, slot in enumerate(sums[0]):
                inside = builder.icmp_signed(">", count, const(column))
                new = builder.icmp_signed("<=", begun, const(column))
                with builder.if_then(builder.and_(inside, new)):
                    place = at(builder, row, ocol, column)
                    store(place, epilogue.of(builder.load(slot), place))

        steps = builder.add(rows, const(alive - 1))
        with cgutils.for_range(builder, steps) as loop:
            done = builder.sub(loop.index, const(alive - 1))  # the row that this step completes
            begin = builder.add(top, builder.mul(done, const(h_stride_n)))
            for r in range(max(0, h_taps_n - h_stride_n), h_taps_n):
                index = builder.add(begin, const(r))
                above = builder.icmp_signed(">=", index, lowest)
                inside = builder.and_(above, builder.icmp_signed("<", index, height))
                met = [(m, r - h_stride_n * m) for m in range(alive) if r >= h_stride_n * m]
                with builder.if_then(inside):
                    enter(builder.add(x, builder.mul(index, xrow)), met, done)
            with builder.if_then(builder.icmp_signed(">=", done, const(0))):
                row = builder.add(out, builder.mul(done, orow))
                if size == 4:
                    with builder.if_else(past) as (yes, no):
                        with yes:
                            put(row, lambda place, v: emit_store_past_cache(builder, place, v))
                        with no:
                            put(row, lambda place, v: emit_store(builder, place, v, size))
                else:
                    put(row, lambda place, v: emit_store(builder, place, v, size))
                with cgutils.for_range(builder, prefetch_factor):
                    place = builder.load(pointer)
                    emit_ask(builder, place, columns_n * size)
                    builder.store(builder.add(place, const(columns_n * LANES * size)), pointer)
            for before, after in pairwise(sums):
                for slot, following in zip(before, after, strict=True):
                    builder.store(builder.load(following), slot)
            clear(builder, sums[-1:])
        epilogue.keep()
        return context.get_dummy_value()

    literals = (columns, h_taps, h_stride, w_taps, w_stride, way, dtype)
    return types.void(*literals, x, w, out, fetch, finish), codegen
