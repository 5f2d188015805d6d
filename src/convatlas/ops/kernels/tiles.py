"""Register tiles of a depthwise filter: four output columns of sixteen channels at once.

Columns next to each other share most of their inputs, and all of them share the weights. Each
tile is written out tap by tap when it is compiled, so that every sum lives in one register.
"""

from llvmlite import ir
from numba.core import cgutils, types

from convatlas.ops.kernels.vector import _emit_load, _pointer, _vec_ir, bytes_of, intrinsic, vector

COLUMNS = 4

_zero = ir.Constant(_vec_ir, [0.0] * 16)


def _multiply_add(builder, a, b, c):
    kind = ir.FunctionType(_vec_ir, [_vec_ir] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.fma.v16f32")
    return builder.call(function, [a, b, c])


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
            self.loaded[place] = _emit_load(self.builder, address, self.width)
        return self.loaded[place]


def _multiply_into(builder, slot, a, b):
    builder.store(_multiply_add(builder, a, b, builder.load(slot)), slot)


@intrinsic(prefer_literal=True)
def filter_tile(typingctx, taps, stride, kind, x, xrow, xcol, w, wrow, wcol, rows, first, size):
    """Four neighbouring outputs: the sum over `rows` rows of `taps` taps.

    x is the address of column `first`, which may lie before the row or, with its neighbours,
    beyond its `size` columns: those count as zero. Pitches are bytes; taps and stride literals.
    """
    taps_n, stride_n, width = taps.literal_value, stride.literal_value, bytes_of(kind)
    result = types.UniTuple(vector, COLUMNS)
    reach = (COLUMNS - 1) * stride_n + taps_n

    def codegen(context, builder, signature, args):
        _, _, _, x, xrow, xcol, w, wrow, wcol, rows, first, size = args
        sums = [cgutils.alloca_once_value(builder, _zero) for _ in range(COLUMNS)]
        for slot in sums:
            builder.store(_zero, slot)

        def write(guard):
            with cgutils.for_range(builder, rows) as loop:
                row = builder.add(x, builder.mul(loop.index, xrow))
                weights = builder.add(w, builder.mul(loop.index, wrow))
                inputs = _Row(builder, row, xcol, width, first, size if guard else None)
                for tap in range(taps_n):
                    weight = _emit_load(builder, _at(builder, weights, wcol, tap), 4)
                    for column in range(COLUMNS):
                        _multiply_into(
                            builder, sums[column], inputs[column * stride_n + tap], weight
                        )

        with builder.if_else(_inside(builder, first, size, reach)) as (whole, edge):
            with whole:
                write(guard=False)
            with edge:
                write(guard=True)
        return context.make_tuple(builder, result, [builder.load(slot) for slot in sums])

    return result(taps, stride, kind, *[types.intp] * 9), codegen


def _inside(builder, first, size, reach):
    """Columns [first, first + reach) all lie in [0, size)."""
    start = builder.icmp_signed(">=", first, ir.Constant(first.type, 0))
    end = builder.add(first, ir.Constant(first.type, reach))
    return builder.and_(start, builder.icmp_signed("<=", end, size))


@intrinsic(prefer_literal=True)
def weight_tile(
    typingctx, taps, stride, kind, x, xrow, xcol, offset, size, dy, dyrow, dycol, columns, rows
):
    """The sums over a block of dy * x for each of `taps` taps of one kernel row.

    Column k of dy meets columns stride * k + offset + tap of x; outside [0, size) x is zero.
    """
    taps_n, stride_n, width = taps.literal_value, stride.literal_value, bytes_of(kind)
    result = types.UniTuple(vector, taps_n)
    reach = (COLUMNS - 1) * stride_n + taps_n

    def codegen(context, builder, signature, args):
        _, _, _, x, xrow, xcol, offset, size, dy, dyrow, dycol, columns, rows = args
        sums = [cgutils.alloca_once(builder, _vec_ir) for _ in range(taps_n)]
        for slot in sums:
            builder.store(_zero, slot)
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

        with cgutils.for_range(builder, rows) as row:
            x_row = builder.add(x, builder.mul(row.index, xrow))
            dy_row = builder.add(dy, builder.mul(row.index, dyrow))
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
        return context.make_tuple(builder, result, [builder.load(slot) for slot in sums])

    return result(taps, stride, kind, *[types.intp] * 10), codegen


@intrinsic(prefer_literal=True)
def add_to_doubles(typingctx, taps, address, pitch, sums):
    """Add a tuple of vectors to float64 totals `pitch` bytes apart."""
    taps_n = taps.literal_value
    wide = ir.VectorType(ir.DoubleType(), 16)

    def codegen(context, builder, signature, args):
        for tap, part in enumerate(cgutils.unpack_tuple(builder, args[3], taps_n)):
            pointer = _pointer(builder, _at(builder, args[1], args[2], tap), wide)
            before = builder.load(pointer, align=8)
            after = builder.fadd(before, builder.fpext(part, wide))
            builder.store(after, pointer, align=8)
        return context.get_dummy_value()

    return types.void(taps, types.intp, types.intp, types.UniTuple(vector, taps_n)), codegen
