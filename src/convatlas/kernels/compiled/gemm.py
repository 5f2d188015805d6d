"""Matrix products over blocks of rows, in register tiles (`codegen/gemm_tile.py`)."""

import numpy as np

from convatlas.kernels.codegen.epilogue import BACKWARD_NORM, STORE, STORE_STATS
from convatlas.kernels.codegen.gemm_tile import (
    TILE_VECTORS,
    VECTOR_BYTES,
    added_tile,
    multiplied_tile,
)
from convatlas.kernels.layout.tile_sizes import TILE_ROWS
from convatlas.kernels.runtime.compiler import inner

ZERO = np.float32(0)


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
    """Rows filled up to whole tiles."""
    return (rows + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS


@inner
def down_to_tiles(rows):
    """The rows that make whole tiles."""
    return rows // TILE_ROWS * TILE_ROWS


@inner
def prefetch_step_of(size, rows, vectors, steps):
    """Bytes to ask for at each step of a product so that `size` bytes come while it runs."""
    tiles = (rows + TILE_ROWS - 1) // TILE_ROWS * ((vectors + TILE_VECTORS - 1) // TILE_VECTORS)
    return (size + tiles * steps - 1) // (tiles * steps)


def _multiplying(finish):
    """The function that multiplies, with results that end in this way."""

    def of_width(width):
        @inner
        def column(
            a,
            a_row,
            a_step,
            b,
            steps,
            rows,
            prefetch_at,
            prefetch_second,
            prefetch_step,
            out,
            out_row,
            nontemporal,
            table,
            totals,
            pitch,
            other,
            clip_min,
            clip_max,
        ):
            for i in range(0, rows, TILE_ROWS):
                multiplied_tile(
                    width,
                    finish,
                    a + i * a_row,
                    a_row,
                    a_step,
                    b,
                    steps,
                    prefetch_at,
                    prefetch_second,
                    prefetch_step,
                    out + i * out_row,
                    out_row,
                    nontemporal,
                    table,
                    totals,
                    pitch,
                    other,
                    clip_min,
                    clip_max,
                )
                prefetch_at += steps * prefetch_step

        return column

    column = _by_width(of_width)

    @inner
    def multiply(
        a,
        a_row,
        a_step,
        panels,
        steps,
        vectors,
        rows,
        prefetch_at,
        prefetch_second,
        prefetch_step,
        out,
        out_row,
        nontemporal,
        table,
        totals,
        padded,
        other,
        clip_min,
        clip_max,
    ):
        for j in range(0, vectors, TILE_VECTORS):
            place = j * VECTOR_BYTES
            column(
                vectors - j,
                a,
                a_row,
                a_step,
                panels + place * steps,
                steps,
                rows,
                prefetch_at,
                prefetch_second,
                prefetch_step,
                out + place,
                out_row,
                nontemporal,
                table + place,
                totals + place,
                padded * 4,
                other,
                clip_min,
                clip_max,
            )
            prefetch_at += (rows + TILE_ROWS - 1) // TILE_ROWS * steps * prefetch_step

    return multiply


# out = a * b for `rows` rows, a multiple of six; b comes in packed panels (`panels.py`). How
# results end is told in `epilogue.py`; but for the plain ones columns come in whole vectors.
_multiply_plain, multiply_store_stats, multiply_backward_norm = map(
    _multiplying, (STORE, STORE_STATS, BACKWARD_NORM)
)


@inner
def multiply(a, a_row, a_step, panels, steps, vectors, rows, out, out_row):
    """out = a * b as above, with results as they are; asks for nothing."""
    _multiply_plain(
        a,
        a_row,
        a_step,
        panels,
        steps,
        vectors,
        rows,
        a,
        0,
        0,
        out,
        out_row,
        0,
        0,
        0,
        0,
        0,
        ZERO,
        ZERO,
    )


def _adding(again):
    """`add_products` to what is there, or (the first time) over whatever is there."""

    def of_width(width):
        @inner
        def column(
            a,
            a_row,
            a_step,
            b,
            steps,
            b_step,
            columns,
            prefetch_at,
            prefetch_second,
            prefetch_step,
            out,
            out_row,
        ):
            for i in range(0, columns, TILE_ROWS):
                added_tile(
                    width,
                    again,
                    a + i * a_row,
                    a_row,
                    a_step,
                    b,
                    steps,
                    b_step,
                    prefetch_at,
                    prefetch_second,
                    prefetch_step,
                    out + i * out_row,
                    out_row,
                )
                prefetch_at += steps * prefetch_step

        return column

    column = _by_width(of_width)

    @inner
    def products(
        a,
        a_row,
        a_step,
        b,
        b_row,
        rows,
        columns,
        vectors,
        prefetch_at,
        prefetch_second,
        prefetch_step,
        out,
        out_row,
    ):
        for j in range(0, vectors, TILE_VECTORS):
            place = j * VECTOR_BYTES
            column(
                vectors - j,
                a,
                a_row,
                a_step,
                b + place,
                rows,
                b_row,
                columns,
                prefetch_at,
                prefetch_second,
                prefetch_step,
                out + place,
                out_row,
            )
            prefetch_at += (columns + TILE_ROWS - 1) // TILE_ROWS * rows * prefetch_step

    return products


_first_products, _more_products = _adding(False), _adding(True)


@inner
def add_products(
    a,
    a_row,
    a_step,
    b,
    b_row,
    rows,
    columns,
    vectors,
    prefetch_at,
    prefetch_second,
    prefetch_step,
    out,
    out_row,
    again,
):
    """out = (again: +=) a * b over `rows` rows of b: what a weight gradient sums.

    a has `columns` rows of its own, a_row bytes apart, and its numbers for the rows of b are a_step
    bytes apart. Up to five more of its rows are read, and their results go to rows of their own.
    """
    if again:
        _more_products(
            a,
            a_row,
            a_step,
            b,
            b_row,
            rows,
            columns,
            vectors,
            prefetch_at,
            prefetch_second,
            prefetch_step,
            out,
            out_row,
        )
    else:
        _first_products(
            a,
            a_row,
            a_step,
            b,
            b_row,
            rows,
            columns,
            vectors,
            prefetch_at,
            prefetch_second,
            prefetch_step,
            out,
            out_row,
        )
