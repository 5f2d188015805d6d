"""A register tile of a matrix product: six rows by up to four vectors of sixteen columns.

Twenty-four sums stay in registers while a tile runs along the inner dimension; each step loads
at most four vectors and spreads six numbers, so that the multiply-adds are what takes the time.
"""

from itertools import chain

from llvmlite import ir
from numba.core import types

from convatlas.ops.kernels.compiled import inner
from convatlas.ops.kernels.endings import PULLED, SUMMED, Ending
from convatlas.ops.kernels.memory_access import (
    emit_load,
    emit_store,
    emit_store_past_cache,
    pointer_to,
)
from convatlas.ops.kernels.tiles import at, zero
from convatlas.ops.kernels.vector import FLOAT, VECTOR, emit_fma, emit_splat, intrinsic

TILE_ROWS, TILE_VECTORS = 6, 4
VECTOR_BYTES = 64


def _sums_of_tile(builder, vectors, a, a_row, a_step, b, b_step, steps):
    """Code that sums a tile: six rows of `vectors` vectors."""
    number = a.type
    rows = [at(builder, a, a_row, i) for i in range(TILE_ROWS)]
    before = builder.block
    step, after = builder.append_basic_block("step"), builder.append_basic_block("after")
    builder.branch(step)
    builder.position_at_end(step)
    k, a_at, b_at = (builder.phi(number) for _ in range(3))
    sums = [[builder.phi(VECTOR) for _ in range(vectors)] for _ in rows]
    line = [
        emit_load(builder, builder.add(b_at, ir.Constant(number, VECTOR_BYTES * j)), 4)
        for j in range(vectors)
    ]
    results = []
    for row, held in zip(rows, sums, strict=True):
        value = builder.load(pointer_to(builder, builder.add(row, a_at), FLOAT), align=4)
        spread = emit_splat(builder, value, VECTOR)
        results.append([emit_fma(builder, spread, b, c) for b, c in zip(line, held)])  # noqa: B905  # as long, and unrolled for speed of compiling
    starts = [(k, 0, ir.Constant(number, 1)), (a_at, 0, a_step), (b_at, None, b_step)]
    for phi, start, pitch in starts:
        phi.add_incoming(b if start is None else ir.Constant(number, start), before)
        phi.add_incoming(builder.add(phi, pitch), step)
    for phi, result in zip(chain(*sums), chain(*results), strict=True):
        phi.add_incoming(zero, before)
        phi.add_incoming(result, step)
    following = builder.add(k, ir.Constant(number, 1))
    builder.cbranch(builder.icmp_signed("<", following, steps), step, after)
    builder.position_at_end(after)
    return results


@intrinsic(prefer_literal=True)
def product_tile(typingctx, width, add_up, a, a_row, a_step, b, b_step, steps, out, out_row):
    """out[i, :] = (add_up: +=) sum over k of a[i, k] * b[k, :], i < 6, `width` vectors a row.

    a and b are addresses of float32, a_row, a_step, b_step and out_row pitches in bytes; width
    and add_up are literals.
    """
    vectors, adds = width.literal_value, add_up.literal_value

    def codegen(context, builder, signature, args):
        *of_sums, out, out_row = args[2:]
        for i, line in enumerate(_sums_of_tile(builder, vectors, *of_sums)):
            for j, value in enumerate(line):
                address = at(builder, at(builder, out, out_row, i), _vector_step(out), j)
                if adds:
                    value = builder.fadd(value, emit_load(builder, address, 4))
                emit_store(builder, address, value, 4)
        return context.get_dummy_value()

    return types.void(width, add_up, *[types.intp] * 8), codegen


@intrinsic(prefer_literal=True)
def finished_tile(
    typingctx, width, finish, a, a_row, b, b_step, steps, out, out_row, stream, table, totals,
    pitch, other, low, high,
):  # fmt: skip  # an argument a line would hide what belongs together
    """As `product_tile`, for results that end in another way and go to memory at once.

    finish, a literal, is how, and what stands behind stream belongs to it (`Ending`). stream writes
    around the caches.
    """
    vectors = width.literal_value

    def codegen(context, builder, signature, args):
        a, a_row, b, b_step, steps, out, out_row, stream, table, totals, *rest = args[2:]
        step = _vector_step(a)
        sums = _sums_of_tile(builder, vectors, a, a_row, ir.Constant(a.type, 4), b, b_step, steps)

        def put(store):
            for j in range(vectors):
                of_vector = (at(builder, table, step, j), at(builder, totals, step, j))
                ending = Ending(builder, finish.literal_value, *of_vector, *rest)
                for i, line in enumerate(sums):
                    place = at(builder, at(builder, out, out_row, i), step, j)
                    store(builder, place, ending.of(line[j], place))
                ending.keep()

        past = builder.icmp_signed("!=", stream, ir.Constant(stream.type, 0))
        with builder.if_else(past) as (yes, no):
            with yes:
                put(emit_store_past_cache)
            with no:
                put(lambda builder, place, value: emit_store(builder, place, value, 4))
        return context.get_dummy_value()

    return types.void(width, finish, *[types.intp] * 12, *[types.float32] * 2), codegen


def _vector_step(address):
    return ir.Constant(address.type, VECTOR_BYTES)


@inner
def multiply(a, a_row, slivers, steps, vectors, out, out_row, rows):
    """out = a * b for `rows` rows, a multiple of six; b comes in slivers (`slivers_of`)."""
    for j in range(0, vectors, TILE_VECTORS):
        b, target = slivers + j * steps * VECTOR_BYTES, out + j * VECTOR_BYTES
        left = vectors - j
        for i in range(0, rows, TILE_ROWS):
            here, there = a + i * a_row, target + i * out_row
            if left >= 4:
                product_tile(4, False, here, a_row, 4, b, 256, steps, there, out_row)
            elif left == 3:
                product_tile(3, False, here, a_row, 4, b, 192, steps, there, out_row)
            elif left == 2:
                product_tile(2, False, here, a_row, 4, b, 128, steps, there, out_row)
            else:
                product_tile(1, False, here, a_row, 4, b, 64, steps, there, out_row)


def _finishing(finish):
    """`multiply` for results that end in this way, written at once to where they belong."""

    @inner
    def multiply_out(
        a, a_row, slivers, steps, vectors, out, out_row, rows, stream, table, totals, padded, other,
        low, high,
    ):
        for j in range(0, vectors, TILE_VECTORS):
            place, left, pitch = j * VECTOR_BYTES, vectors - j, padded * 4
            b, numbers, sums = slivers + place * steps, table + place, totals + place
            for i in range(0, rows, TILE_ROWS):
                here, there = a + i * a_row, out + i * out_row + place
                if left >= 4:
                    finished_tile(
                        4, finish, here, a_row, b, 256, steps, there, out_row, stream, numbers,
                        sums, pitch, other, low, high,
                    )  # fmt: skip  # as above
                elif left == 3:
                    finished_tile(
                        3, finish, here, a_row, b, 192, steps, there, out_row, stream, numbers,
                        sums, pitch, other, low, high,
                    )  # fmt: skip  # as above
                elif left == 2:
                    finished_tile(
                        2, finish, here, a_row, b, 128, steps, there, out_row, stream, numbers,
                        sums, pitch, other, low, high,
                    )  # fmt: skip  # as above
                else:
                    finished_tile(
                        1, finish, here, a_row, b, 64, steps, there, out_row, stream, numbers,
                        sums, pitch, other, low, high,
                    )  # fmt: skip  # as above

    return multiply_out


multiply_summed, multiply_pulled = _finishing(SUMMED), _finishing(PULLED)


def _adding(again):
    """`add_products` to what is there, or (the first time) over whatever is there."""

    @inner
    def products(a, a_row, b, b_row, rows, columns, vectors, out, out_row):
        for j in range(0, vectors, TILE_VECTORS):
            there, left = b + j * VECTOR_BYTES, vectors - j
            for i in range(0, columns, TILE_ROWS):
                here, target = a + i * 4, out + i * out_row + j * VECTOR_BYTES
                if left >= 4:
                    product_tile(4, again, here, 4, a_row, there, b_row, rows, target, out_row)
                elif left == 3:
                    product_tile(3, again, here, 4, a_row, there, b_row, rows, target, out_row)
                elif left == 2:
                    product_tile(2, again, here, 4, a_row, there, b_row, rows, target, out_row)
                else:
                    product_tile(1, again, here, 4, a_row, there, b_row, rows, target, out_row)

    return products


_first_products, _more_products = _adding(False), _adding(True)


@inner
def add_products(a, a_row, b, b_row, rows, columns, vectors, out, out_row, again):
    """out = transpose(a) * b over `rows` rows (`again`: +=): what a weight gradient sums.

    a has `columns` columns; up to five more are read, and their results go to rows of their own.
    """
    if again:
        _more_products(a, a_row, b, b_row, rows, columns, vectors, out, out_row)
    else:
        _first_products(a, a_row, b, b_row, rows, columns, vectors, out, out_row)
