"""Pointwise convolution over rows of channels with the batch norms on both its sides fused in.

A block of rows is normalised into scratch memory, multiplied there, and summed while it is
written. Backward a block gives both gradients while it is in the cache.
"""

import numpy as np

from convatlas.ops.kernels.activation import CLIP
from convatlas.ops.kernels.channel_rows import SUMS_BYTES, clear, flush, put
from convatlas.ops.kernels.compiled import inner, kernel
from convatlas.ops.kernels.in_turn import InTurn
from convatlas.ops.kernels.memory_access import load
from convatlas.ops.kernels.norm_tables import fill_tables, write_gradients, write_statistics
from convatlas.ops.kernels.product import (
    TILE_ROWS,
    add_products,
    down_to_tiles,
    multiply,
    multiply_pulled,
    multiply_summed,
    pace_of,
    up_to_tiles,
)
from convatlas.ops.kernels.product_slivers import write_slivers
from convatlas.ops.kernels.unit_rows import (
    put_gradients,
    put_rows,
    set_pivot,
    take_gradients,
    take_rows,
)
from convatlas.ops.kernels.vector import FLOAT32, LANES, add

NOUGHT = np.float32(0)


@inner
def _padded(channels):
    return (channels + LANES - 1) // LANES * LANES


@inner
def _pitch(channels):
    """Bytes from row to row of scratch: a line more than the row, so that no rows share a place."""
    return (_padded(channels) + LANES) * 4


@kernel(low="float32", high="float32")
def pivots(
    part, parts, x, k, n, slivers, block, scratch, act, stats_x, table_x, table_y, low, high, kind
):
    """The first row of the result, in the table of its statistics."""
    k_padded, n_padded, k_pitch, n_pitch = _padded(k), _padded(n), _pitch(k), _pitch(n)
    take_rows(x, scratch, k_pitch, 1, k, table_x, k_padded, stats_x, act, low, high)
    result = scratch + block * k_pitch
    vectors = n_padded // LANES
    multiply(scratch, k_pitch, 4, slivers, k, vectors, TILE_ROWS, result, n_pitch)
    set_pivot(table_y, n_padded, result)


@kernel(low="float32", high="float32")
def forward(
    part, parts, x, rows, k, n, slivers, y, stream, block, scratch, scratch_bytes, act, stats_x,
    table_x, table_y, sums, low, high, kind,
):  # fmt: skip  # one argument a line would hide the function below its signature
    """y = normed x times the weights, and the sums for the statistics of y."""
    k_padded, n_padded, k_pitch, n_pitch = _padded(k), _padded(n), _pitch(k), _pitch(n)
    own, source = sums + part * n_padded * SUMS_BYTES, scratch + part * scratch_bytes
    target, end = source + block * k_pitch, (part + 1) * rows // parts
    vectors, totals = n_padded // LANES, own + 2 * n_padded * 8
    clear(own, n_padded)
    for first in range(part * rows // parts, end, block):
        count, here, there = min(block, end - first), x + first * k * 4, y + first * n * 4
        take_rows(here, source, k_pitch, count, k, table_x, k_padded, stats_x, act, low, high)
        done = down_to_tiles(count) if n % LANES == 0 else 0
        if done:
            next_rows = min(block, end - first - count)
            asked = here + min(1, next_rows) * count * k * 4
            multiply_summed(
                source, k_pitch, 4, slivers, k, vectors, done, asked, 0,
                pace_of(next_rows * k * 4, done, vectors, k), there, n * 4, stream, table_y,
                totals, n_padded, 0, NOUGHT, NOUGHT,
            )  # fmt: skip  # as above
        if done < count:
            rest, left = source + done * k_pitch, count - done
            up = up_to_tiles(left)
            multiply(rest, k_pitch, 4, slivers, k, vectors, up, target, n_pitch)
            there += done * n * 4
            put_rows(target, n_pitch, there, left, n, table_y, n_padded, own, stream)
        flush(own, n_padded)


@kernel(low="float32", high="float32")
def backward(
    part, parts, dy, y, x, dx, rows, k, n, slivers, dw, stream, block, scratch, scratch_bytes, act,
    stats_x, table_x, table_y, sums, dstats, dw_bytes, low, high, kind,
):  # fmt: skip  # as above
    """Gradients of x (and the sums for its norm's) and, for each part apart, of the weights."""
    k_padded, n_padded, k_pitch, n_pitch = _padded(k), _padded(n), _pitch(k), _pitch(n)
    vectors = k_padded // LANES
    own, seen = sums + part * k_padded * SUMS_BYTES, scratch + part * scratch_bytes
    given, start = seen + block * k_pitch, part * rows // parts
    passed, end = given + block * n_pitch, (part + 1) * rows // parts
    totals = own + 2 * k_padded * 8
    clear(own, k_padded)
    for first in range(start, end, block):
        count, here, there = min(block, end - first), first * k * 4, first * n * 4
        take_gradients(dy + there, y + there, given, n_pitch, count, n, table_y, n_padded, dstats)
        take_rows(x + here, seen, k_pitch, count, k, table_x, k_padded, stats_x, act, low, high)
        next_rows = min(block, end - first - count)
        asked = dy + there + min(1, next_rows) * count * n * 4
        done = down_to_tiles(count) if dx and stats_x and act == CLIP and k % LANES == 0 else 0
        if done:
            multiply_pulled(
                given, n_pitch, 4, slivers, n, vectors, done, asked, y - dy,
                pace_of(next_rows * n * 4, done, vectors, n), dx + here, k * 4, stream, table_x,
                totals, k_padded, x - dx, low, high,
            )  # fmt: skip  # as above
        if dx and done < count:
            rest, left, place = given + done * n_pitch, count - done, here + done * k * 4
            up = up_to_tiles(left)
            multiply(rest, n_pitch, 4, slivers, n, vectors, up, passed, k_pitch)
            put_gradients(
                passed, k_pitch, x + place, dx + place, left, k, table_x, k_padded, own,
                stats_x, act, low, high, stream,
            )  # fmt: skip  # as above
        asked = x + here + min(1, next_rows) * count * k * 4
        add_products(
            given, 4, n_pitch, seen, k_pitch, count, n, vectors, asked, 0,
            pace_of(next_rows * k * 4, n, vectors, count), dw + part * dw_bytes, k_padded * 4,
            first > start,
        )  # fmt: skip  # as above
        flush(own, k_padded)


@kernel()
def write_gradient(part, parts, sums, workers, sums_bytes, n, k, dw, kind):
    """The gradient of the weights (n, k) from what each worker of `backward` has summed."""
    pitch = _padded(k) * 4
    for row in range(part * n // parts, (part + 1) * n // parts):
        for c in range(0, k, LANES):
            here = sums + row * pitch + c * 4
            value = load(here, FLOAT32)
            for worker in range(1, workers):
                value = add(value, load(here + worker * sums_bytes, FLOAT32))
            put(dw + (row * k + c) * 4, value, k - c, FLOAT32, 0)


convolve = InTurn(fill_tables, write_slivers, pivots, forward, write_statistics)
convolve_back = InTurn(fill_tables, write_slivers, backward, write_gradient, write_gradients)
