"""Pointwise convolution over rows of channels with the batch norms on both its sides fused in.

A block of rows is normalised into scratch memory, multiplied there, and summed while it is
written. Backward a block gives both gradients while it is in the cache.
"""

import numpy as np

from convatlas.kernels.codegen.memory import load
from convatlas.kernels.codegen.vector import FLOAT32, LANES, add
from convatlas.kernels.compiled.channel_sums import clear, flush, put
from convatlas.kernels.compiled.gemm import (
    add_products,
    down_to_tiles,
    multiply,
    multiply_backward_norm,
    multiply_store_stats,
    prefetch_step_of,
    up_to_tiles,
)
from convatlas.kernels.compiled.norm_tables import fill_tables, write_gradients, write_statistics
from convatlas.kernels.compiled.panels import pack_panels
from convatlas.kernels.compiled.prologue import (
    put_gradients,
    put_rows,
    set_pivot,
    take_gradients,
    take_rows,
)
from convatlas.kernels.layout.activations import CLIP
from convatlas.kernels.layout.channels import SUMS_BYTES
from convatlas.kernels.layout.tile_sizes import TILE_ROWS
from convatlas.kernels.runtime.compiler import inner, kernel
from convatlas.kernels.runtime.launch_sequence import LaunchSequence

ZERO = np.float32(0)


@inner
def _padded(channels):
    return (channels + LANES - 1) // LANES * LANES


@inner
def _pitch(channels):
    """Bytes from row to row of scratch: a line more than the row, so that no rows share a place."""
    return (_padded(channels) + LANES) * 4


@kernel(clip_min="float32", clip_max="float32")
def pivots(
    worker,
    workers,
    x,
    k,
    n,
    panels,
    block,
    scratch,
    act,
    stats_x,
    table_x,
    table_y,
    clip_min,
    clip_max,
    dtype,
):
    """The first row of the result, in the table of its statistics."""
    k_padded, n_padded, k_pitch, n_pitch = _padded(k), _padded(n), _pitch(k), _pitch(n)
    take_rows(x, scratch, k_pitch, 1, k, table_x, k_padded, stats_x, act, clip_min, clip_max)
    result = scratch + block * k_pitch
    vectors = n_padded // LANES
    multiply(scratch, k_pitch, 4, panels, k, vectors, TILE_ROWS, result, n_pitch)
    set_pivot(table_y, n_padded, result)


@kernel(clip_min="float32", clip_max="float32")
def forward(
    worker,
    workers,
    x,
    rows,
    k,
    n,
    panels,
    y,
    nontemporal,
    block,
    scratch,
    scratch_bytes,
    act,
    stats_x,
    table_x,
    table_y,
    sums,
    clip_min,
    clip_max,
    dtype,
):
    """y = normed x times the weights, and the sums for the statistics of y."""
    k_padded, n_padded, k_pitch, n_pitch = _padded(k), _padded(n), _pitch(k), _pitch(n)
    local_sums, source = sums + worker * n_padded * SUMS_BYTES, scratch + worker * scratch_bytes
    target, end = source + block * k_pitch, (worker + 1) * rows // workers
    vectors, totals = n_padded // LANES, local_sums + 2 * n_padded * 8
    clear(local_sums, n_padded)
    for first in range(worker * rows // workers, end, block):
        count, here, there = min(block, end - first), x + first * k * 4, y + first * n * 4
        take_rows(
            here, source, k_pitch, count, k, table_x, k_padded, stats_x, act, clip_min, clip_max
        )
        done = down_to_tiles(count) if n % LANES == 0 else 0
        if done:
            next_rows = min(block, end - first - count)
            prefetch_at = here + min(1, next_rows) * count * k * 4
            multiply_store_stats(
                source,
                k_pitch,
                4,
                panels,
                k,
                vectors,
                done,
                prefetch_at,
                0,
                prefetch_step_of(next_rows * k * 4, done, vectors, k),
                there,
                n * 4,
                nontemporal,
                table_y,
                totals,
                n_padded,
                0,
                ZERO,
                ZERO,
            )
        if done < count:
            rest, left = source + done * k_pitch, count - done
            up = up_to_tiles(left)
            multiply(rest, k_pitch, 4, panels, k, vectors, up, target, n_pitch)
            there += done * n * 4
            put_rows(target, n_pitch, there, left, n, table_y, n_padded, local_sums, nontemporal)
        flush(local_sums, n_padded)


@kernel(clip_min="float32", clip_max="float32")
def backward(
    worker,
    workers,
    dy,
    y,
    x,
    dx,
    rows,
    k,
    n,
    panels,
    dw,
    nontemporal,
    block,
    scratch,
    scratch_bytes,
    act,
    stats_x,
    table_x,
    table_y,
    sums,
    dstats,
    dw_bytes,
    clip_min,
    clip_max,
    dtype,
):
    """Gradients of x (and the sums for its norm's) and, for each part apart, of the weights."""
    k_padded, n_padded, k_pitch, n_pitch = _padded(k), _padded(n), _pitch(k), _pitch(n)
    vectors = k_padded // LANES
    local_sums, x_scratch = sums + worker * k_padded * SUMS_BYTES, scratch + worker * scratch_bytes
    dy_scratch, start = x_scratch + block * k_pitch, worker * rows // workers
    dx_scratch, end = dy_scratch + block * n_pitch, (worker + 1) * rows // workers
    totals = local_sums + 2 * k_padded * 8
    clear(local_sums, k_padded)
    for first in range(start, end, block):
        count, here, there = min(block, end - first), first * k * 4, first * n * 4
        take_gradients(
            dy + there, y + there, dy_scratch, n_pitch, count, n, table_y, n_padded, dstats
        )
        take_rows(
            x + here,
            x_scratch,
            k_pitch,
            count,
            k,
            table_x,
            k_padded,
            stats_x,
            act,
            clip_min,
            clip_max,
        )
        next_rows = min(block, end - first - count)
        prefetch_at = dy + there + min(1, next_rows) * count * n * 4
        done = down_to_tiles(count) if dx and stats_x and act == CLIP and k % LANES == 0 else 0
        if done:
            multiply_backward_norm(
                dy_scratch,
                n_pitch,
                4,
                panels,
                n,
                vectors,
                done,
                prefetch_at,
                y - dy,
                prefetch_step_of(next_rows * n * 4, done, vectors, n),
                dx + here,
                k * 4,
                nontemporal,
                table_x,
                totals,
                k_padded,
                x - dx,
                clip_min,
                clip_max,
            )
        if dx and done < count:
            rest, left, place = dy_scratch + done * n_pitch, count - done, here + done * k * 4
            up = up_to_tiles(left)
            multiply(rest, n_pitch, 4, panels, n, vectors, up, dx_scratch, k_pitch)
            put_gradients(
                dx_scratch,
                k_pitch,
                x + place,
                dx + place,
                left,
                k,
                table_x,
                k_padded,
                local_sums,
                stats_x,
                act,
                clip_min,
                clip_max,
                nontemporal,
            )
        prefetch_at = x + here + min(1, next_rows) * count * k * 4
        add_products(
            dy_scratch,
            4,
            n_pitch,
            x_scratch,
            k_pitch,
            count,
            n,
            vectors,
            prefetch_at,
            0,
            prefetch_step_of(next_rows * k * 4, n, vectors, count),
            dw + worker * dw_bytes,
            k_padded * 4,
            first > start,
        )
        flush(local_sums, k_padded)


@kernel()
def write_gradient(worker, workers, sums, summed_by, sums_bytes, n, k, dw, dtype):
    """The gradient of the weights (n, k) from what each worker of `backward` has summed."""
    pitch = _padded(k) * 4
    for row in range(worker * n // workers, (worker + 1) * n // workers):
        for c in range(0, k, LANES):
            here = sums + row * pitch + c * 4
            value = load(here, FLOAT32)
            for worker in range(1, summed_by):
                value = add(value, load(here + worker * sums_bytes, FLOAT32))
            put(dw + (row * k + c) * 4, value, k - c, FLOAT32, 0)


convolve = LaunchSequence(fill_tables, pack_panels, pivots, forward, write_statistics)
convolve_back = LaunchSequence(fill_tables, pack_panels, backward, write_gradient, write_gradients)
