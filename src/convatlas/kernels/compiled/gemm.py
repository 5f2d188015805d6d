"""Matrix products over blocks of rows, in register tiles (`codegen/gemm_tile.py`).

The second matrix is packed first: into panels of up to four vectors of columns, each held step by
step, so that a tile walks through it without a gap.
"""

from typing import Any

import numpy as np

from convatlas.kernels.codegen.epilogue import BACKWARD_NORM, STORE, STORE_STATS
from convatlas.kernels.codegen.gemm_tile import (
    TILE_VECTORS,
    VECTOR_BYTES,
    added_tile,
    multiplied_tile,
)
from convatlas.kernels.codegen.memory import load_every, store
from convatlas.kernels.codegen.transpose import transpose
from convatlas.kernels.codegen.vector import FLOAT32, LANES
from convatlas.kernels.compiled.channel_sums import finish_at, get
from convatlas.kernels.layout.records import Finish, Matrix, Prefetch, Target
from convatlas.kernels.layout.tile_sizes import TILE_ROWS
from convatlas.kernels.runtime.compiler import inner, kernel

ZERO: Any = np.float32(0)  # of any type, as Numba has its own


@kernel()
def pack_panels(worker, workers, matrix, steps, columns, step_pitch, column_pitch, out, dtype):
    """Pack a (steps, columns) matrix, either side contiguous; pitches in bytes.

    Columns are filled up with zeros to whole vectors.
    """
    vectors = (columns + LANES - 1) // LANES
    for v in range(worker * vectors // workers, (worker + 1) * vectors // workers):
        start = v // TILE_VECTORS * TILE_VECTORS
        pitch, lanes = min(TILE_VECTORS, vectors - start) * VECTOR_BYTES, columns - v * LANES
        here = matrix + v * LANES * column_pitch
        there = out + (start * steps + v - start) * VECTOR_BYTES
        if column_pitch == 4:
            for step in range(steps):
                store(there + step * pitch, get(here + step * step_pitch, lanes, dtype), FLOAT32)
        else:
            whole = steps // LANES * LANES if lanes >= LANES else 0
            for step in range(0, whole, LANES):
                transpose(here + step * step_pitch, column_pitch, there + step * pitch, pitch)
            for step in range(whole, steps):
                values = load_every(here + step * step_pitch, column_pitch, 0, lanes, dtype)
                store(there + step * pitch, values, FLOAT32)


def _by_width(make):
    """The function for up to four vectors of columns, from those for one, two, three and four."""
    if TILE_VECTORS == 1:
        only = make(1)

        @inner
        def narrow_column(vectors, *args):
            only(*args)

        return narrow_column
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
    """Round rows up to whole tiles."""
    return (rows + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS


@inner
def down_to_tiles(rows):
    """Round rows down to whole tiles."""
    return rows // TILE_ROWS * TILE_ROWS


@inner
def prefetch_step_of(size, rows, vectors, steps):
    """Return the bytes to prefetch at each step of a product, `size` in all."""
    tiles = (rows + TILE_ROWS - 1) // TILE_ROWS * ((vectors + TILE_VECTORS - 1) // TILE_VECTORS)
    return (size + tiles * steps - 1) // (tiles * steps)


def _multiplying(way):
    """The function that multiplies, with results that end in this way."""

    def of_width(width):
        @inner
        def column(a, b, steps, rows, prefetch, out, finish):
            for i in range(0, rows, TILE_ROWS):
                multiplied_tile(
                    width,
                    way,
                    Matrix(a.at + i * a.row, a.row, a.step),
                    b,
                    steps,
                    prefetch,
                    Target(out.at + i * out.row, out.row, out.nontemporal),
                    finish,
                )
                prefetch = further(prefetch, steps)

        return column

    column = _by_width(of_width)

    @inner
    def multiply(a, panels, rows, prefetch, out, finish):
        steps, tiles = panels.steps, (rows + TILE_ROWS - 1) // TILE_ROWS
        for j in range(0, panels.vectors, TILE_VECTORS):
            place = j * VECTOR_BYTES
            column(
                panels.vectors - j,
                a,
                panels.at + place * steps,
                steps,
                rows,
                prefetch,
                Target(out.at + place, out.row, out.nontemporal),
                finish_at(finish, place),
            )
            prefetch = further(prefetch, tiles * steps)

    return multiply


@inner
def further(prefetch, steps):
    """Return what is prefetched `steps` steps later."""
    return Prefetch(prefetch.at + steps * prefetch.step, prefetch.second, prefetch.step)


# out = a * b for `rows` rows, a multiple of six: a Matrix, Panels, a count, Prefetch, Target and
# Finish. How results end is told in `epilogue.py`; but for plain ones columns are whole vectors.
_multiply_plain, multiply_store_stats, multiply_backward_norm = map(
    _multiplying, (STORE, STORE_STATS, BACKWARD_NORM)
)


@inner
def multiply(a, panels, rows, out):
    """Write out = a * b for `rows` rows, a multiple of six, as they are; prefetch nothing."""
    nothing = Prefetch(a.at, 0, 0)
    _multiply_plain(a, panels, rows, nothing, out, Finish(0, 0, 0, 0, ZERO, ZERO))


def _adding(again):
    """`add_products` to what is there, or (the first time) over whatever is there."""

    def of_width(width):
        @inner
        def column(a, b, rows, columns, prefetch, out):
            for i in range(0, columns, TILE_ROWS):
                lines = Matrix(a.at + i * a.row, a.row, a.step)
                target = Matrix(out.at + i * out.row, out.row, 0)
                added_tile(width, again, lines, b, rows, prefetch, target)
                prefetch = further(prefetch, rows)

        return column

    column = _by_width(of_width)

    @inner
    def products(a, b, rows, columns, vectors, prefetch, out):
        tiles = (columns + TILE_ROWS - 1) // TILE_ROWS
        for j in range(0, vectors, TILE_VECTORS):
            place = j * VECTOR_BYTES
            below, target = Matrix(b.at + place, b.row, 0), Matrix(out.at + place, out.row, 0)
            column(vectors - j, a, below, rows, columns, prefetch, target)
            prefetch = further(prefetch, tiles * rows)

    return products


_first_products, _more_products = _adding(False), _adding(True)


@inner
def add_products(a, b, rows, columns, vectors, prefetch, out, again):
    """Write out = (again: +=) a * b over `rows` rows of b: what a weight gradient sums.

    a has `columns` rows of its own, a.row bytes apart, and its numbers for the rows of b are a.step
    bytes apart. Up to five more of its rows are read, and their results go to rows of their own.
    """
    if again:
        _more_products(a, b, rows, columns, vectors, prefetch, out)
    else:
        _first_products(a, b, rows, columns, vectors, prefetch, out)
