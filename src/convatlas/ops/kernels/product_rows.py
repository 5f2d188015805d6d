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
    multiply,
    multiply_pulled,
    multiply_summed,
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


@inner
def _whole(rows):
    return (rows + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS


@kernel()
def prepare(
    part, parts, matrix, steps, columns, step_pitch, column_pitch, slivers, table_x, padded_x,
    channels_x, weight, bias, stats_x, table_y, padded_y, channels_y, rows, stats_y, dstats, kind,
):  # fmt: skip  # one argument a line would hide the function below its signature
    """The weights as slivers, and the tables of both sides."""
    write_slivers(part, parts, matrix, steps, columns, step_pitch, column_pitch, slivers, kind)
    if part == parts - 1:
        fill_tables(
            table_x, padded_x, channels_x, weight, bias, stats_x, table_y, padded_y, channels_y,
            rows, stats_y, dstats,
        )  # fmt: skip  # as above


@kernel(low="float32", high="float32")
def pivots(
    part, parts, x, k, n, slivers, block, scratch, act, stats_x, table_x, table_y, low, high, kind
):
    """The first row of the result, in the table of its statistics."""
    k_padded, n_padded, k_pitch, n_pitch = _padded(k), _padded(n), _pitch(k), _pitch(n)
    take_rows(x, scratch, k_pitch, 1, k, table_x, k_padded, stats_x, act, low, high)
    result = scratch + block * k_pitch
    multiply(scratch, k_pitch, slivers, k, n_padded // LANES, result, n_pitch, TILE_ROWS)
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
    clear(own, n_padded)
    for first in range(part * rows // parts, end, block):
        count, here, there = min(block, end - first), x + first * k * 4, y + first * n * 4
        take_rows(here, source, k_pitch, count, k, table_x, k_padded, stats_x, act, low, high)
        vectors, done = n_padded // LANES, 0
        if n % LANES == 0:
            done = count // TILE_ROWS * TILE_ROWS
            multiply_summed(
                source, k_pitch, slivers, k, vectors, there, n * 4, done, stream, table_y,
                own + 2 * n_padded * 8, n_padded, 0, NOUGHT, NOUGHT,
            )
        if done < count:
            multiply(source + done * k_pitch, k_pitch, slivers, k, vectors, target, n_pitch, _whole(count - done))
            put_rows(target, n_pitch, there + done * n * 4, count - done, n, table_y, n_padded, own, stream)
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
    clear(own, k_padded)
    for first in range(start, end, block):
        count, here, there = min(block, end - first), first * k * 4, first * n * 4
        take_gradients(dy + there, y + there, given, n_pitch, count, n, table_y, n_padded, dstats)
        take_rows(x + here, seen, k_pitch, count, k, table_x, k_padded, stats_x, act, low, high)
        if dx:
            done = 0
            if stats_x and act == CLIP and k % LANES == 0:
                done = count // TILE_ROWS * TILE_ROWS
                multiply_pulled(
                    given, n_pitch, slivers, n, vectors, dx + here, k * 4, done, stream, table_x,
                    own + 2 * k_padded * 8, k_padded, x - dx, low, high,
                )
            if done < count:
                multiply(given + done * n_pitch, n_pitch, slivers, n, vectors, passed, k_pitch, _whole(count - done))
                here += done * k * 4
                put_gradients(
                    passed, k_pitch, x + here, dx + here, count - done, k, table_x, k_padded, own,
                    stats_x, act, low, high, stream,
                )  # fmt: skip  # as above
        add_products(
            given, n_pitch, seen, k_pitch, count, n, vectors, dw + part * dw_bytes,
            k_padded * 4, first > start,
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


convolve = InTurn(prepare, pivots, forward, write_statistics)
convolve_back = InTurn(prepare, backward, write_gradient, write_gradients)
