"""Pointwise convolution over rows of channels with the batch norms on both its sides fused in.

A block of rows is normalised into scratch memory, multiplied there, and summed while it is
written. Backward a block gives both gradients while it is in the cache.
"""

from typing import Any

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
    pack_panels,
    prefetch_step_of,
    up_to_tiles,
)
from convatlas.kernels.compiled.norm_tables import fill_tables, write_gradients, write_statistics
from convatlas.kernels.compiled.prologue import (
    put_gradients,
    put_rows,
    set_pivot,
    take_gradients,
    take_rows,
)
from convatlas.kernels.layout.activations import CLIP
from convatlas.kernels.layout.channels import SUMS_BYTES
from convatlas.kernels.layout.records import (
    Blocks,
    Finish,
    InputGradient,
    Matrix,
    Panels,
    Prefetch,
    Prologue,
    Result,
    ResultGradient,
    Target,
    WeightGradient,
)
from convatlas.kernels.layout.tile_sizes import TILE_ROWS
from convatlas.kernels.runtime.compiler import kernel
from convatlas.kernels.runtime.launch_sequence import LaunchSequence

ZERO: Any = np.float32(0)  # of any type, as Numba has its own


@kernel()
def pivots(worker, workers, x: Prologue, y: Result, panels: Panels, blocks: Blocks, dtype):
    """Put the first row of the result in the table of its statistics."""
    scratch = blocks.scratch
    take_rows(x, x.x, scratch, 1)
    result = scratch + blocks.block * x.pitch
    multiply(Matrix(scratch, x.pitch, 4), panels, TILE_ROWS, Target(result, y.pitch, 0))
    set_pivot(y.table, y.padded, result)


@kernel()
def forward(worker, workers, x: Prologue, y: Result, panels: Panels, blocks: Blocks, dtype):
    """Write y = normed x times the weights, and the sums for the statistics of y."""
    block, x_row, y_row = blocks.block, x.channels * 4, y.channels * 4
    local_sums = y.sums + worker * y.padded * SUMS_BYTES
    x_scratch = blocks.scratch + worker * blocks.scratch_bytes
    y_scratch, end = x_scratch + block * x.pitch, (worker + 1) * blocks.rows // workers
    finish = Finish(y.table, local_sums + 2 * y.padded * 8, y.padded * 4, 0, ZERO, ZERO)
    clear(local_sums, y.padded)
    for first in range(worker * blocks.rows // workers, end, block):
        count, here, there = min(block, end - first), x.x + first * x_row, y.y + first * y_row
        take_rows(x, here, x_scratch, count)
        done = down_to_tiles(count) if y.channels % LANES == 0 else 0
        if done:
            next_rows = min(block, end - first - count)
            step = prefetch_step_of(next_rows * x_row, done, panels.vectors, x.channels)
            prefetch = Prefetch(here + min(1, next_rows) * count * x_row, 0, step)
            target = Target(there, y_row, y.nontemporal)
            multiply_store_stats(
                Matrix(x_scratch, x.pitch, 4), panels, done, prefetch, target, finish
            )
        if done < count:
            rest, left = Matrix(x_scratch + done * x.pitch, x.pitch, 4), count - done
            multiply(rest, panels, up_to_tiles(left), Target(y_scratch, y.pitch, 0))
            put_rows(y, y_scratch, y.pitch, there + done * y_row, left, local_sums)
        flush(local_sums, y.padded)


@kernel()
def backward(
    worker,
    workers,
    dy: ResultGradient,
    x: Prologue,
    dx: InputGradient,
    panels: Panels,
    dw: WeightGradient,
    blocks: Blocks,
    dtype,
):
    """Write the gradient of x, and for each worker apart the sums of the other gradients.

    Those are of the weights and of the norm before.
    """
    block, x_row, y_row = blocks.block, x.channels * 4, dy.channels * 4
    local_sums = dx.sums + worker * x.padded * SUMS_BYTES
    x_scratch = blocks.scratch + worker * blocks.scratch_bytes
    dy_scratch = x_scratch + block * x.pitch
    dx_scratch = dy_scratch + block * dy.pitch
    start, end = worker * blocks.rows // workers, (worker + 1) * blocks.rows // workers
    totals, other = local_sums + 2 * x.padded * 8, x.x - dx.dx
    finish = Finish(x.table, totals, x.padded * 4, other, x.clip_min, x.clip_max)
    weights = Matrix(dw.at + worker * dw.bytes, x.padded * 4, 0)
    fused = dx.dx and x.normed and x.act == CLIP and x.channels % LANES == 0
    clear(local_sums, x.padded)
    for first in range(start, end, block):
        count, here, there = min(block, end - first), first * x_row, first * y_row
        take_gradients(dy, there, dy_scratch, count)
        take_rows(x, x.x + here, x_scratch, count)
        next_rows = min(block, end - first - count)
        further_rows = min(1, next_rows) * count
        done = down_to_tiles(count) if fused else 0
        if done:
            step = prefetch_step_of(next_rows * y_row, done, panels.vectors, dy.channels)
            prefetch = Prefetch(dy.dy + there + further_rows * y_row, dy.y - dy.dy, step)
            target = Target(dx.dx + here, x_row, dx.nontemporal)
            multiply_backward_norm(
                Matrix(dy_scratch, dy.pitch, 4), panels, done, prefetch, target, finish
            )
        if dx.dx and done < count:
            rest, left = Matrix(dy_scratch + done * dy.pitch, dy.pitch, 4), count - done
            multiply(rest, panels, up_to_tiles(left), Target(dx_scratch, x.pitch, 0))
            put_gradients(x, dx, dx_scratch, x.pitch, here + done * x_row, left, local_sums)
        step = prefetch_step_of(next_rows * x_row, dy.channels, panels.vectors, count)
        add_products(
            Matrix(dy_scratch, 4, dy.pitch),
            Matrix(x_scratch, x.pitch, 0),
            count,
            dy.channels,
            panels.vectors,
            Prefetch(x.x + here + further_rows * x_row, 0, step),
            weights,
            first > start,
        )
        flush(local_sums, x.padded)


@kernel()
def write_gradient(worker, workers, sums: WeightGradient, summed_by, n, k, dw, dtype):
    """Write the gradient of the weights (n, k) from what each worker of `backward` has summed."""
    pitch = (k + LANES - 1) // LANES * LANES * 4
    for row in range(worker * n // workers, (worker + 1) * n // workers):
        for c in range(0, k, LANES):
            here = sums.at + row * pitch + c * 4
            value = load(here, FLOAT32)
            for other in range(1, summed_by):
                value = add(value, load(here + other * sums.bytes, FLOAT32))
            put(dw + (row * k + c) * 4, value, k - c, FLOAT32, 0)


convolve = LaunchSequence(fill_tables, pack_panels, pivots, forward, write_statistics)
convolve_back = LaunchSequence(fill_tables, pack_panels, backward, write_gradient, write_gradients)
