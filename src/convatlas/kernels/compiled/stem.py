"""A first convolution, over an image of few channels, as a product with patches of the image.

A block of output rows is laid out in scratch memory tap by tap: a line holds what one tap of one
channel meets at every output of the block. Such a line is the image itself, moved and perhaps every
second value of it, so nothing is turned. Its gradient is that of the weights alone.
"""

from typing import Any

import numpy as np

from convatlas.kernels.codegen.memory import get_float, load, load_lanes, put_float, store
from convatlas.kernels.codegen.vector import FLOAT32, LANES, every_second, splat
from convatlas.kernels.compiled.channel_sums import clear, flush
from convatlas.kernels.compiled.gemm import (
    add_products,
    down_to_tiles,
    multiply,
    multiply_store_stats,
    pack_panels,
    prefetch_step_of,
    up_to_tiles,
)
from convatlas.kernels.compiled.norm_tables import fill_slopes, write_statistics
from convatlas.kernels.compiled.prologue import put_rows, set_pivot, take_gradients
from convatlas.kernels.layout.channels import SUMS_BYTES
from convatlas.kernels.layout.records import (
    Blocks,
    Finish,
    Image,
    Matrix,
    Panels,
    Prefetch,
    Result,
    ResultGradient,
    Target,
    WeightGradient,
)
from convatlas.kernels.layout.tile_sizes import TILE_ROWS
from convatlas.kernels.runtime.compiler import inner, kernel
from convatlas.kernels.runtime.launch_sequence import LaunchSequence

ZERO: Any = np.float32(0)  # of any type, as Numba has its own


@inner
def _sixteen(row, first, width, stride):
    """Values first, first + stride ... of a row; zero outside its width. stride: 1 or 2."""
    here = row + first * 4
    if first >= 0 and first + stride * LANES <= width:
        a = load(here, FLOAT32)
        return every_second(a, load(here + 64, FLOAT32)) if stride == 2 else a
    a = load_lanes(here, -first, width - first, FLOAT32)
    if stride == 1:
        return a
    behind = first + LANES
    return every_second(a, load_lanes(here + 64, -behind, width - behind, FLOAT32))


@inner
def _lay_out_patches(image, x, first, end, lines, pitch):
    """Lay out what output rows [first, end) of the image at x read, tap by tap.

    A row may write up to fifteen numbers too many, which the next one writes over.
    """
    width, stride = image.width, image.stride
    for channel in range(image.channels):
        for i in range(image.h_taps):
            for j in range(image.w_taps):
                line = lines + ((channel * image.h_taps + i) * image.w_taps + j) * pitch
                for row in range(first, end):
                    y = row * stride + i - image.top
                    here, there = x + (channel * image.height + y) * width * 4, line
                    inside = 0 <= y < image.height
                    for k in range(0, image.out_width, LANES):
                        value = splat(ZERO)
                        if inside:
                            value = _sixteen(here, k * stride + j - image.left, width, stride)
                        store(there + k * 4, value, FLOAT32)
                    line += image.out_width * 4


@kernel()
def pivots(
    worker, workers, image: Image, y: Result, panels: Panels, scratch, pitch, y_offset, dtype
):
    """Put the first values of the result in the table of its statistics."""
    _lay_out_patches(image, image.x, 0, 1, scratch, pitch)
    made = scratch + y_offset
    multiply(Matrix(scratch, 4, pitch), panels, TILE_ROWS, Target(made, y.pitch, 0))
    set_pivot(y.table, y.padded, made)


@kernel()
def forward(
    worker,
    workers,
    image: Image,
    y: Result,
    panels: Panels,
    blocks: Blocks,
    pitch,
    y_offset,
    dtype,
):
    """Write y = the convolution of an image, and the sums for the statistics of y."""
    block, row = blocks.block, y.channels * 4
    local_sums = y.sums + worker * y.padded * SUMS_BYTES
    x_scratch = blocks.scratch + worker * blocks.scratch_bytes
    y_scratch, blocks_of_image = x_scratch + y_offset, (image.out_height + block - 1) // block
    size = image.channels * image.height * image.width * 4
    finish = Finish(y.table, local_sums + 2 * y.padded * 8, y.padded * 4, 0, ZERO, ZERO)
    tasks = image.images * blocks_of_image
    clear(local_sums, y.padded)
    for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
        n, first = task // blocks_of_image, task % blocks_of_image * block
        end = min(image.out_height, first + block)
        count = (end - first) * image.out_width
        there = y.y + (n * image.out_height + first) * image.out_width * row
        _lay_out_patches(image, image.x + n * size, first, end, x_scratch, pitch)
        done = down_to_tiles(count) if y.channels % LANES == 0 else 0
        if done:
            target = Target(there, row, y.nontemporal)
            nothing = Prefetch(x_scratch, 0, 0)
            multiply_store_stats(Matrix(x_scratch, 4, pitch), panels, done, nothing, target, finish)
        if done < count:
            rest, left = Matrix(x_scratch + done * 4, 4, pitch), count - done
            multiply(rest, panels, up_to_tiles(left), Target(y_scratch, y.pitch, 0))
            put_rows(y, y_scratch, y.pitch, there + done * row, left, local_sums)
        flush(local_sums, y.padded)


@kernel()
def backward(
    worker,
    workers,
    image: Image,
    dy: ResultGradient,
    dw: WeightGradient,
    blocks: Blocks,
    pitch,
    dy_offset,
    dtype,
):
    """Sum the gradient of the weights for each worker apart: (taps of all channels, padded)."""
    block, row = blocks.block, dy.channels * 4
    steps, vectors = image.channels * image.h_taps * image.w_taps, dy.padded // LANES
    x_scratch = blocks.scratch + worker * blocks.scratch_bytes
    dy_scratch, blocks_of_image = x_scratch + dy_offset, (image.out_height + block - 1) // block
    size, target = image.channels * image.height * image.width * 4, dw.at + worker * dw.bytes
    tasks = image.images * blocks_of_image
    begin, last = worker * tasks // workers, (worker + 1) * tasks // workers
    for task in range(begin, last):
        n, first = task // blocks_of_image, task % blocks_of_image * block
        end = min(image.out_height, first + block)
        count = (end - first) * image.out_width
        place = (n * image.out_height + first) * image.out_width * row
        _lay_out_patches(image, image.x + n * size, first, end, x_scratch, pitch)
        take_gradients(dy, place, dy_scratch, count)
        next_bytes = count * row if task + 1 < last else 0
        pace = prefetch_step_of(next_bytes, steps, vectors, count)
        add_products(
            Matrix(x_scratch, pitch, 4),
            Matrix(dy_scratch, dy.pitch, 0),
            count,
            steps,
            vectors,
            Prefetch(dy.dy + place + next_bytes, dy.y - dy.dy, pace),
            Matrix(target, dy.padded * 4, 0),
            task > begin,
        )


@kernel()
def write_gradient(worker, workers, sums: WeightGradient, summed_by, n, n_padded, steps, dw, dtype):
    """Write the gradient of the weights as torch keeps it, (n, steps), from that of all workers."""
    for row in range(worker * n // workers, (worker + 1) * n // workers):
        for step in range(steps):
            total = ZERO
            for other in range(summed_by):
                total += get_float(sums.at + other * sums.bytes + (step * n_padded + row) * 4)
            put_float(dw + (row * steps + step) * 4, total)


convolve = LaunchSequence(pack_panels, pivots, forward, write_statistics)
convolve_back = LaunchSequence(fill_slopes, backward, write_gradient)
