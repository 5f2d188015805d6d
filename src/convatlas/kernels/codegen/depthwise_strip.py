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
from convatlas.kernels.layout.tile_sizes import HELD_TAPS, Strip
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
        """Load what lies at a place of the row that begins at this address."""
        address = self.builder.add(row, self.offsets[place])
        address = self.builder.select(self.inside[place], address, self.nothing)
        return emit_load(self.builder, address, self.width)


def slots(builder, rows, columns):
    """Return rows of sums, all zero."""
    made = [[cgutils.alloca_once(builder, VECTOR) for _ in range(columns)] for _ in range(rows)]
    clear(builder, made)
    return made


def clear(builder, sums):
    """Set sums to zero."""
    for row in sums:
        for slot in row:
            builder.store(zero, slot)


class _StripCode:
    """Writes out the code of one strip.

    records: values of code, the fields of Window, Matrix, StripOutputs, Fetch and Finish.
    """

    def __init__(self, builder, strip: Strip, way: int, size: int, records):
        self.builder, self.strip, self.size = builder, strip, size
        self.window, self.weights, self.outputs, self.fetch, finish = records
        self.alive = -(-strip.h_taps // strip.h_stride)  # rows of outputs that an input row enters
        self.spread = (strip.columns - 1) * strip.w_stride + strip.w_taps
        held = strip.h_taps * strip.w_taps <= HELD_TAPS
        taps = range(strip.w_taps)
        self.held = [[self._weight(r, t) for t in taps] for r in range(strip.h_taps if held else 0)]
        _, _, pitch, _, _, first, width = self.window
        self.places = Places(builder, self.spread, first, width, pitch, size)
        self.sums = slots(builder, self.alive, strip.columns)
        self.epilogue = Epilogue(builder, way, *finish)

    def _const(self, value):
        return ir.Constant(self.window[0].type, value)

    def _weight(self, row, tap):
        w, wrow, wcol = self.weights
        return emit_load(
            self.builder, at(self.builder, at(self.builder, w, wrow, row), wcol, tap), 4
        )

    def write(self):
        """Follow the strip down its rows."""
        builder, strip = self.builder, self.strip
        x, xrow, _, top, height, _, _ = self.window
        prefetch_at, _ = self.fetch
        pointer = cgutils.alloca_once_value(builder, prefetch_at)
        lowest = builder.select(builder.icmp_signed("<", top, self._const(0)), self._const(0), top)
        rows = self.outputs[3]
        with cgutils.for_range(builder, builder.add(rows, self._const(self.alive - 1))) as loop:
            done = builder.sub(loop.index, self._const(self.alive - 1))  # this step completes it
            begin = builder.add(top, builder.mul(done, self._const(strip.h_stride)))
            for r in range(max(0, strip.h_taps - strip.h_stride), strip.h_taps):
                index = builder.add(begin, self._const(r))
                above = builder.icmp_signed(">=", index, lowest)
                inside = builder.and_(above, builder.icmp_signed("<", index, height))
                met = [(m, r - strip.h_stride * m) for m in range(self.alive)]
                with builder.if_then(inside):
                    row = builder.add(x, builder.mul(index, xrow))
                    self._enter(row, [(m, tap) for m, tap in met if tap >= 0], done)
            with builder.if_then(builder.icmp_signed(">=", done, self._const(0))):
                self._finish_row(done)
                self._prefetch(pointer)
            for before, after in pairwise(self.sums):
                for slot, following in zip(before, after, strict=True):
                    builder.store(builder.load(following), slot)
            clear(builder, self.sums[-1:])
        self.epilogue.keep()

    def _enter(self, row, met, done):
        """Add a row of inputs to the sums that it meets: (row of sums, row of weights)."""
        builder, (columns, _, _, taps, stride) = self.builder, self.strip
        if self.held:
            for place in range(self.spread):
                value = self.places.load(row, place)
                for tap, column in pairs(place, taps, stride, columns):
                    for m, r in met:
                        multiply_into(builder, self.sums[m][column], value, self.held[r][tap])
            return
        values = [self.places.load(row, place) for place in range(self.spread)]
        for m, r in met:
            # At the ends of a block most sums of a tall kernel belong to the blocks beside it.
            below = builder.add(done, self._const(m))
            with builder.if_then(builder.icmp_unsigned("<", below, self.outputs[3])):
                for tap in range(taps):
                    factor = self._weight(r, tap)
                    for column in range(columns):
                        value = values[stride * column + tap]
                        multiply_into(builder, self.sums[m][column], value, factor)

    def _finish_row(self, done):
        """Write the row of outputs that is complete, around the caches if that is wanted."""
        builder, size = self.builder, self.size
        out, orow, _, _, _, _, nontemporal = self.outputs
        row = builder.add(out, builder.mul(done, orow))
        if size != 4:
            self._put(row, lambda place, value: emit_store(builder, place, value, size))
            return
        past = builder.icmp_signed("!=", nontemporal, self._const(0))
        with builder.if_else(past) as (yes, no):
            with yes:
                self._put(row, lambda place, value: emit_store_past_cache(builder, place, value))
            with no:
                self._put(row, lambda place, value: emit_store(builder, place, value, size))

    def _put(self, row, store):
        builder, (_, _, ocol, _, begun, count, _) = self.builder, self.outputs
        for column, slot in enumerate(self.sums[0]):
            inside = builder.icmp_signed(">", count, self._const(column))
            new = builder.icmp_signed("<=", begun, self._const(column))
            with builder.if_then(builder.and_(inside, new)):
                place = at(builder, row, ocol, column)
                store(place, self.epilogue.of(builder.load(slot), place))

    def _prefetch(self, pointer):
        """Prefetch from a pointer on, as many times as much as a row of outputs has."""
        builder, bytes_a_lane = self.builder, self.strip.columns * self.size
        with cgutils.for_range(builder, self.fetch[1]):
            place = builder.load(pointer)
            emit_ask(builder, place, bytes_a_lane)
            builder.store(builder.add(place, self._const(bytes_a_lane * LANES)), pointer)


@intrinsic(prefer_literal=True)
def depthwise_strip(
    typingctx, columns, h_taps, h_stride, w_taps, w_stride, way, dtype, x, w, out, fetch, finish
):
    """Write a strip of outputs, row by row.

    The numbers before dtype are literals; way says how outputs end (`Epilogue`). The others are
    the records Window, Matrix, StripOutputs, Fetch and Finish.
    """
    numbers = columns, h_taps, h_stride, w_taps, w_stride
    strip, size = Strip(*(number.literal_value for number in numbers)), bytes_of(dtype)

    def codegen(context, builder, signature, args):
        records = [fields(builder, signature, args, index) for index in range(7, 12)]
        _StripCode(builder, strip, way.literal_value, size, records).write()
        return context.get_dummy_value()

    return types.void(*numbers, way, dtype, x, w, out, fetch, finish), codegen
