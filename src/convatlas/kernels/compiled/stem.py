"""A first convolution, over an image of few channels, as a product with patches of the image.

A block of output rows is laid out in scratch memory tap by tap: a line holds what one tap of one
channel meets at every output of the block. Such a line is the image itself, moved and perhaps every
second value of it, so nothing is turned. Its gradient is that of the weights alone.
"""

import numpy as np

from convatlas.kernels.codegen.memory import get_float, load, load_lanes, put_float, store
from convatlas.kernels.codegen.vector import FLOAT32, LANES, every_second, splat
from convatlas.kernels.compiled.channel_sums import clear, flush
from convatlas.kernels.compiled.gemm import (
    add_products,
    down_to_tiles,
    multiply,
    multiply_store_stats,
    prefetch_step_of,
    up_to_tiles,
)
from convatlas.kernels.compiled.norm_tables import fill_slopes, write_statistics
from convatlas.kernels.compiled.panels import pack_panels
from convatlas.kernels.compiled.prologue import put_rows, set_pivot, take_gradients
from convatlas.kernels.layout.channels import SUMS_BYTES
from convatlas.kernels.layout.tile_sizes import TILE_ROWS
from convatlas.kernels.runtime.compiler import inner, kernel
from convatlas.kernels.runtime.launch_sequence import LaunchSequence

ZERO = np.float32(0)


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
def _lay_out_patches(
    x,
    channels,
    height,
    width,
    h_taps,
    w_taps,
    stride,
    top,
    left,
    out_width,
    first,
    end,
    lines,
    pitch,
):
    """What output rows [first, end) of an image (channels, height, width) read, tap by tap.

    A row may write up to fifteen numbers too many, which the next one writes over.
    """
    for channel in range(channels):
        for i in range(h_taps):
            for j in range(w_taps):
                line = lines + ((channel * h_taps + i) * w_taps + j) * pitch
                for row in range(first, end):
                    y = row * stride + i - top
                    here, there = x + (channel * height + y) * width * 4, line
                    inside = 0 <= y < height
                    for k in range(0, out_width, LANES):
                        value = splat(ZERO)
                        if inside:
                            value = _sixteen(here, k * stride + j - left, width, stride)
                        store(there + k * 4, value, FLOAT32)
                    line += out_width * 4


@kernel()
def pivots(
    worker,
    workers,
    x,
    channels,
    height,
    width,
    h_taps,
    w_taps,
    stride,
    top,
    left,
    out_width,
    panels,
    n_padded,
    scratch,
    pitch,
    y_offset,
    table,
    dtype,
):
    """The first values of the result, in the table of its statistics."""
    _lay_out_patches(
        x,
        channels,
        height,
        width,
        h_taps,
        w_taps,
        stride,
        top,
        left,
        out_width,
        0,
        1,
        scratch,
        pitch,
    )
    steps, y_scratch = channels * h_taps * w_taps, scratch + y_offset
    vectors, n_pitch = n_padded // LANES, (n_padded + LANES) * 4
    multiply(scratch, 4, pitch, panels, steps, vectors, TILE_ROWS, y_scratch, n_pitch)
    set_pivot(table, n_padded, y_scratch)


@kernel()
def forward(
    worker,
    workers,
    x,
    images,
    channels,
    height,
    width,
    h_taps,
    w_taps,
    stride,
    top,
    left,
    out_height,
    out_width,
    panels,
    n,
    n_padded,
    y,
    nontemporal,
    block,
    scratch,
    scratch_bytes,
    pitch,
    y_offset,
    table,
    sums,
    dtype,
):
    """y = the convolution of x (channels first), and the sums for the statistics of y."""
    steps, vectors, n_pitch = channels * h_taps * w_taps, n_padded // LANES, (n_padded + LANES) * 4
    local_sums, x_scratch = sums + worker * n_padded * SUMS_BYTES, scratch + worker * scratch_bytes
    y_scratch, blocks = x_scratch + y_offset, (out_height + block - 1) // block
    tasks = images * blocks
    clear(local_sums, n_padded)
    for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
        image, first = task // blocks, task % blocks * block
        end = min(out_height, first + block)
        count, there = (
            (end - first) * out_width,
            y + (image * out_height + first) * out_width * n * 4,
        )
        _lay_out_patches(
            x + image * channels * height * width * 4,
            channels,
            height,
            width,
            h_taps,
            w_taps,
            stride,
            top,
            left,
            out_width,
            first,
            end,
            x_scratch,
            pitch,
        )
        done = down_to_tiles(count) if n % LANES == 0 else 0
        if done:
            multiply_store_stats(
                x_scratch,
                4,
                pitch,
                panels,
                steps,
                vectors,
                done,
                x_scratch,
                0,
                0,
                there,
                n * 4,
                nontemporal,
                table,
                local_sums + 2 * n_padded * 8,
                n_padded,
                0,
                ZERO,
                ZERO,
            )
        if done < count:
            left_over = count - done
            up = up_to_tiles(left_over)
            multiply(x_scratch + done * 4, 4, pitch, panels, steps, vectors, up, y_scratch, n_pitch)
            there += done * n * 4
            put_rows(
                y_scratch, n_pitch, there, left_over, n, table, n_padded, local_sums, nontemporal
            )
        flush(local_sums, n_padded)


@kernel()
def backward(
    worker,
    workers,
    dy,
    y,
    x,
    images,
    channels,
    height,
    width,
    h_taps,
    w_taps,
    stride,
    top,
    left,
    out_height,
    out_width,
    n,
    n_padded,
    dw,
    dw_bytes,
    block,
    scratch,
    scratch_bytes,
    pitch,
    dy_offset,
    table,
    dstats,
    dtype,
):
    """The gradient of the weights, for each part apart: (taps of all channels, n_padded)."""
    steps, vectors, n_pitch = channels * h_taps * w_taps, n_padded // LANES, (n_padded + LANES) * 4
    x_scratch, local_sums = scratch + worker * scratch_bytes, dw + worker * dw_bytes
    dy_scratch, blocks = x_scratch + dy_offset, (out_height + block - 1) // block
    tasks = images * blocks
    begin, last = worker * tasks // workers, (worker + 1) * tasks // workers
    for task in range(begin, last):
        image, first = task // blocks, task % blocks * block
        end = min(out_height, first + block)
        count, place = (end - first) * out_width, (image * out_height + first) * out_width * n * 4
        _lay_out_patches(
            x + image * channels * height * width * 4,
            channels,
            height,
            width,
            h_taps,
            w_taps,
            stride,
            top,
            left,
            out_width,
            first,
            end,
            x_scratch,
            pitch,
        )
        take_gradients(
            dy + place, y + place, dy_scratch, n_pitch, count, n, table, n_padded, dstats
        )
        next_bytes = count * n * 4 if task + 1 < last else 0
        add_products(
            x_scratch,
            pitch,
            4,
            dy_scratch,
            n_pitch,
            count,
            steps,
            vectors,
            dy + place + next_bytes,
            y - dy,
            prefetch_step_of(next_bytes, steps, vectors, count),
            local_sums,
            n_padded * 4,
            task > begin,
        )


@kernel()
def write_gradient(worker, workers, sums, summed_by, sums_bytes, n, n_padded, steps, dw, dtype):
    """The gradient of the weights as torch keeps it, (n, steps), from that of all workers."""
    for row in range(worker * n // workers, (worker + 1) * n // workers):
        for step in range(steps):
            total = ZERO
            for worker in range(summed_by):
                total += get_float(sums + worker * sums_bytes + (step * n_padded + row) * 4)
            put_float(dw + (row * steps + step) * 4, total)


convolve = LaunchSequence(pack_panels, pivots, forward, write_statistics)
convolve_back = LaunchSequence(fill_slopes, backward, write_gradient)
