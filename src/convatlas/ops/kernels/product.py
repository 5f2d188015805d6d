"""A register tile of a matrix product: six rows by up to four vectors of sixteen columns.

Twenty-four sums stay in registers while a tile runs along the inner dimension; each step loads
at most four vectors and spreads six numbers, so that the multiply-adds are what takes the time.
A step also asks memory for some of what is needed next, so that it comes meanwhile.
"""

from itertools import chain

import numpy as np
from llvmlite import ir
from numba.core import types

from convatlas.ops.kernels.compiled import inner
from convatlas.ops.kernels.endings import PLAIN, PULLED, SUMMED, Ending
from convatlas.ops.kernels.memory_access import (
    emit_load,
    emit_prefetch,
    emit_store,
    emit_store_past_cache,
    pointer_to,
)
from convatlas.ops.kernels.tiles import at, zero
from convatlas.ops.kernels.vector import FLOAT, VECTOR, emit_fma, emit_splat, intrinsic

TILE_ROWS, TILE_VECTORS = 6, 4
VECTOR_BYTES = 64
NOUGHT = np.float32(0)


def _sums_of_tile(builder, vectors, a, a_row, a_step, b, steps, b_step, asked, beside, pace):
    """Code that sums a tile: rows of vectors, one for every sum over k of a[i, k] * b[k, :].

    Pitches are bytes. At each step it asks for what lies at `asked` and `beside` bytes from
    there, and goes on by `pace` bytes.
    """
    number = a.type
    rows = [at(builder, a, a_row, i) for i in range(TILE_ROWS)]
    before = builder.block
    step, after = builder.append_basic_block("step"), builder.append_basic_block("after")
    builder.branch(step)
    builder.position_at_end(step)
    k, a_at, b_at, asked_at = (builder.phi(number) for _ in range(4))
    sums = [[builder.phi(VECTOR) for _ in range(vectors)] for _ in rows]
    emit_prefetch(builder, asked_at)
    emit_prefetch(builder, builder.add(asked_at, beside))
    line = [emit_load(builder, at(builder, b_at, _vector(b), j), 4) for j in range(vectors)]
    results = []
    for row, held in zip(rows, sums, strict=True):
        value = builder.load(pointer_to(builder, builder.add(row, a_at), FLOAT), align=4)
        spread = emit_splat(builder, value, VECTOR)
        results.append([emit_fma(builder, spread, b, c) for b, c in zip(line, held)])  # noqa: B905  # as long, and unrolled for speed of compiling
    none, one = ir.Constant(number, 0), ir.Constant(number, 1)
    counts = [(k, none, one), (a_at, none, a_step), (b_at, b, b_step), (asked_at, asked, pace)]
    for phi, start, pitch in counts:
        phi.add_incoming(start, before)
        phi.add_incoming(builder.add(phi, pitch), step)
    for phi, result in zip(chain(*sums), chain(*results), strict=True):
        phi.add_incoming(zero, before)
        phi.add_incoming(result, step)
    following = builder.add(k, one)
    builder.cbranch(builder.icmp_signed("<", following, steps), step, after)
    builder.position_at_end(after)
    return results


def _vector(address):
    return ir.Constant(address.type, VECTOR_BYTES)


@intrinsic(prefer_literal=True)
def _multiplied_tile(
    typingctx, width, finish, a, a_row, a_step, b, steps, asked, beside, pace, out, out_row, stream,
    table, totals, pitch, other, low, high,
):  # fmt: skip  # an argument a line would hide what belongs together
    """out[i, :] = sum over k of a[i, k] * b[k, :], i < 6, `width` vectors a row; b is a sliver.

    finish is how results end, and what stands behind stream belongs to it (`Ending`). stream
    writes around the caches; width and finish are literals.
    """
    vectors, way = width.literal_value, finish.literal_value

    def codegen(context, builder, signature, args):
        a, a_row, a_step, b, steps, *asks, out, out_row, stream, table, totals = args[2:15]
        b_step = ir.Constant(a.type, vectors * VECTOR_BYTES)
        sums = _sums_of_tile(builder, vectors, a, a_row, a_step, b, steps, b_step, *asks)

        def put(store):
            for j in range(vectors):
                of_vector = (at(builder, place, _vector(a), j) for place in (table, totals))
                ending = Ending(builder, way, *of_vector, *args[15:])
                for i, line in enumerate(sums):
                    place = at(builder, at(builder, out, out_row, i), _vector(a), j)
                    store(builder, place, ending.of(line[j], place))
                ending.keep()

        if way == PLAIN:
            put(_store)
            return context.get_dummy_value()
        past = builder.icmp_signed("!=", stream, ir.Constant(stream.type, 0))
        with builder.if_else(past) as (yes, no):
            with yes:
                put(emit_store_past_cache)
            with no:
                put(_store)
        return context.get_dummy_value()

    return types.void(width, finish, *[types.intp] * 15, *[types.float32] * 2), codegen


def _store(builder, place, value):
    emit_store(builder, place, value, 4)


@intrinsic(prefer_literal=True)
def _added_tile(
    typingctx, width, again, a, a_row, a_step, b, steps, b_step, asked, beside, pace, out, out_row
):
    """out[i, :] = (again: +=) sum over k of a[i, k] * b[k, :], i < 6, `width` vectors a row.

    width and again are literals.
    """
    vectors, adds = width.literal_value, again.literal_value

    def codegen(context, builder, signature, args):
        *of_sums, out, out_row = args[2:]
        lines = [at(builder, out, out_row, i) for i in range(TILE_ROWS)]
        places = [[at(builder, line, _vector(out), j) for j in range(vectors)] for line in lines]
        for place in chain(*places) if adds else ():
            emit_prefetch(builder, place)
        sums = _sums_of_tile(builder, vectors, *of_sums)
        for place, value in zip(chain(*places), chain(*sums), strict=True):
            if adds:
                value = builder.fadd(value, emit_load(builder, place, 4))
            emit_store(builder, place, value, 4)
        return context.get_dummy_value()

    return types.void(width, again, *[types.intp] * 11), codegen


def _by_width(make):
    """The function for up to four vectors of columns, from those for one, two, three and four."""
    one, two, three, four = (make(width) for width in range(1, TILE_VECTORS + 1))

    @inner
    def column(vectors, *args):
        if vectors >= 4:
            four(*args)
        elif vectors == 3:
            three(*args)
        elif vectors == 2:
            two(*args)
        else:
            one(*args)

    return column


@inner
def up_to_tiles(rows):
    """Rows filled up to whole tiles."""
    return (rows + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS


@inner
def down_to_tiles(rows):
    """The rows that make whole tiles."""
    return rows // TILE_ROWS * TILE_ROWS


@inner
def pace_of(size, rows, vectors, steps):
    """Bytes to ask for at each step of a product so that `size` bytes come while it runs."""
    tiles = (rows + TILE_ROWS - 1) // TILE_ROWS * ((vectors + TILE_VECTORS - 1) // TILE_VECTORS)
    return (size + tiles * steps - 1) // (tiles * steps)


def _multiplying(finish):
    """The function that multiplies, with results that end in this way."""

    def of_width(width):
        @inner
        def column(
            a, a_row, a_step, b, steps, rows, asked, beside, pace, out, out_row, stream, table,
            totals, pitch, other, low, high,
        ):  # fmt: skip  # an argument a line would hide what belongs together
            for i in range(0, rows, TILE_ROWS):
                _multiplied_tile(
                    width, finish, a + i * a_row, a_row, a_step, b, steps, asked, beside, pace,
                    out + i * out_row, out_row, stream, table, totals, pitch, other, low, high,
                )  # fmt: skip  # as above
                asked += steps * pace

        return column

    column = _by_width(of_width)

    @inner
    def multiply(
        a, a_row, a_step, slivers, steps, vectors, rows, asked, beside, pace, out, out_row, stream,
        table, totals, padded, other, low, high,
    ):  # fmt: skip  # as above
        for j in range(0, vectors, TILE_VECTORS):
            place = j * VECTOR_BYTES
            column(
                vectors - j, a, a_row, a_step, slivers + place * steps, steps, rows, asked, beside,
                pace, out + place, out_row, stream, table + place, totals + place, padded * 4,
                other, low, high,
            )  # fmt: skip  # as above
            asked += (rows + TILE_ROWS - 1) // TILE_ROWS * steps * pace

    return multiply


# out = a * b for `rows` rows, a multiple of six; b comes in slivers (`product_slivers.py`). How
# results end is told in `endings.py`; but for the plain ones columns come in whole vectors.
_multiply_plain, multiply_summed, multiply_pulled = map(_multiplying, (PLAIN, SUMMED, PULLED))


@inner
def multiply(a, a_row, a_step, slivers, steps, vectors, rows, out, out_row):
    """out = a * b as above, with results as they are; asks for nothing."""
    _multiply_plain(
        a, a_row, a_step, slivers, steps, vectors, rows, a, 0, 0, out, out_row, 0, 0, 0, 0, 0,
        NOUGHT, NOUGHT,
    )  # fmt: skip  # as above


def _adding(again):
    """`add_products` to what is there, or (the first time) over whatever is there."""

    def of_width(width):
        @inner
        def column(a, a_row, a_step, b, steps, b_step, columns, asked, beside, pace, out, out_row):
            for i in range(0, columns, TILE_ROWS):
                _added_tile(
                    width, again, a + i * a_row, a_row, a_step, b, steps, b_step, asked, beside,
                    pace, out + i * out_row, out_row,
                )  # fmt: skip  # as above
                asked += steps * pace

        return column

    column = _by_width(of_width)

    @inner
    def products(
        a, a_row, a_step, b, b_row, rows, columns, vectors, asked, beside, pace, out, out_row
    ):
        for j in range(0, vectors, TILE_VECTORS):
            place = j * VECTOR_BYTES
            column(
                vectors - j, a, a_row, a_step, b + place, rows, b_row, columns, asked, beside, pace,
                out + place, out_row,
            )  # fmt: skip  # as above
            asked += (columns + TILE_ROWS - 1) // TILE_ROWS * rows * pace

    return products


_first_products, _more_products = _adding(False), _adding(True)


@inner
def add_products(
    a, a_row, a_step, b, b_row, rows, columns, vectors, asked, beside, pace, out, out_row, again
):
    """out = (again: +=) a * b over `rows` rows of b: what a weight gradient sums.

    a has `columns` rows of its own, a_row bytes apart, and its numbers for the rows of b are a_step
    bytes apart. Up to five more of its rows are read, and their results go to rows of their own.
    """
    if again:
        _more_products(
            a, a_row, a_step, b, b_row, rows, columns, vectors, asked, beside, pace, out, out_row
        )
    else:
        _first_products(
            a, a_row, a_step, b, b_row, rows, columns, vectors, asked, beside, pace, out, out_row
        )
