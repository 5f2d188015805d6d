"""A register tile of a matrix product: six rows by up to four vectors of sixteen columns.

Twenty-four sums stay in registers while a tile runs along the inner dimension; each step loads
at most four vectors and spreads six numbers, so that the multiply-adds are what takes the time.
A step also prefetches some of what is needed next. Processors without AVX-512 have a quarter of
the room: there a tile is one vector wide, which is six sums (twelve registers of AVX2).
"""

from itertools import chain

from llvmlite import ir
from numba.core import types

from convatlas.kernels.codegen.epilogue import STORE, Epilogue
from convatlas.kernels.codegen.memory import (
    emit_load,
    emit_prefetch,
    emit_store,
    emit_store_past_cache,
    pointer_to,
)
from convatlas.kernels.codegen.tiles import at, fields, zero
from convatlas.kernels.codegen.vector import FLOAT, VECTOR, emit_fma, emit_splat
from convatlas.kernels.layout.tile_sizes import TILE_ROWS
from convatlas.kernels.runtime.hardware import vector_registers
from convatlas.kernels.runtime.intrinsic import intrinsic

# The sums of a tile, a line of the second matrix and one number of the first fit the registers.
TILE_VECTORS = 4 if vector_registers() >= 32 else 1
VECTOR_BYTES = 64


def _sums_of_tile(builder, vectors, matrix, b, steps, b_step, prefetch):
    """Code that sums a tile: rows of vectors, one for every sum over k of a[i, k] * b[k, :].

    Each step prefetches what lies at `prefetch.at` and `prefetch.second` bytes from there, and goes
    on by `prefetch.step` bytes. The records hold values of code.
    """
    a, a_row, a_step = matrix
    prefetch_at, prefetch_second, prefetch_step = prefetch
    number = a.type
    rows = [at(builder, a, a_row, i) for i in range(TILE_ROWS)]
    before = builder.block
    step, after = builder.append_basic_block("step"), builder.append_basic_block("after")
    builder.branch(step)
    builder.position_at_end(step)
    k, a_at, b_at, asked_at = (builder.phi(number) for _ in range(4))
    sums = [[builder.phi(VECTOR) for _ in range(vectors)] for _ in rows]
    emit_prefetch(builder, asked_at)
    emit_prefetch(builder, builder.add(asked_at, prefetch_second))
    line = [emit_load(builder, at(builder, b_at, _vector(b), j), 4) for j in range(vectors)]
    results = []
    for row, held in zip(rows, sums, strict=True):
        value = builder.load(pointer_to(builder, builder.add(row, a_at), FLOAT), align=4)
        spread = emit_splat(builder, value, VECTOR)
        results.append([emit_fma(builder, spread, b, c) for b, c in zip(line, held)])  # noqa: B905  # as long, and unrolled for speed of compiling
    none, one = ir.Constant(number, 0), ir.Constant(number, 1)
    counts = [
        (k, none, one),
        (a_at, none, a_step),
        (b_at, b, b_step),
        (asked_at, prefetch_at, prefetch_step),
    ]
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
def multiplied_tile(typingctx, width, way, a, b, steps, prefetch, out, finish):
    """Write out[i, :] = sum over k of a[i, k] * b[k, :], i < 6, `width` vectors a row; b is packed.

    way, how results end, and width are literals. The others are the records Matrix, Prefetch,
    Target and Finish, an address and a count.
    """
    vectors, ending = width.literal_value, way.literal_value

    def codegen(context, builder, signature, args):
        a, prefetch, out, finish = (fields(builder, signature, args, i) for i in (2, 5, 6, 7))
        b, steps = args[3:5]
        at_out, out_row, nontemporal = out
        table, totals, *rest = finish
        b_step = ir.Constant(b.type, vectors * VECTOR_BYTES)
        sums = _sums_of_tile(builder, vectors, a, b, steps, b_step, prefetch)

        def put(store):
            for j in range(vectors):
                of_vector = (at(builder, place, _vector(b), j) for place in (table, totals))
                epilogue = Epilogue(builder, ending, *of_vector, *rest)
                for i, line in enumerate(sums):
                    place = at(builder, at(builder, at_out, out_row, i), _vector(b), j)
                    store(builder, place, epilogue.of(line[j], place))
                epilogue.keep()

        if ending == STORE:
            put(_store)
            return context.get_dummy_value()
        past = builder.icmp_signed("!=", nontemporal, ir.Constant(nontemporal.type, 0))
        with builder.if_else(past) as (yes, no):
            with yes:
                put(emit_store_past_cache)
            with no:
                put(_store)
        return context.get_dummy_value()

    return types.void(width, way, a, types.intp, types.intp, prefetch, out, finish), codegen


def _store(builder, place, value):
    emit_store(builder, place, value, 4)


@intrinsic(prefer_literal=True)
def added_tile(typingctx, width, again, a, b, steps, prefetch, out):
    """Write out[i, :] = (again: +=) sum over k of a[i, k] * b[k, :], i < 6, `width` vectors a row.

    width and again are literals. The others are the records Matrix (twice), a count, Prefetch and
    Matrix.
    """
    vectors, adds = width.literal_value, again.literal_value

    def codegen(context, builder, signature, args):
        a, b, prefetch, out = (fields(builder, signature, args, i) for i in (2, 3, 5, 6))
        (b_at, b_row, _), steps, (out_at, out_row, _) = b, args[4], out
        lines = [at(builder, out_at, out_row, i) for i in range(TILE_ROWS)]
        places = [[at(builder, line, _vector(out_at), j) for j in range(vectors)] for line in lines]
        for place in chain(*places) if adds else ():
            emit_prefetch(builder, place)
        sums = _sums_of_tile(builder, vectors, a, b_at, steps, b_row, prefetch)
        for place, value in zip(chain(*places), chain(*sums), strict=True):
            if adds:
                value = builder.fadd(value, emit_load(builder, place, 4))
            emit_store(builder, place, value, 4)
        return context.get_dummy_value()

    return types.void(width, again, a, b, types.intp, prefetch, out), codegen
