"""A first convolution, over an image of few channels, as a product with patches of the image.

A block of output rows is laid out in scratch memory tap by tap: a line holds what one tap of one
channel meets at every output of the block. Such a line is the image itself, moved and perhaps every
second value of it, so nothing is turned. Its gradient is that of the weights alone.
"""

import numpy as np

from convatlas.ops.kernels.channel_rows import SUMS_BYTES, clear, flush
from convatlas.ops.kernels.compiled import inner, kernel
from convatlas.ops.kernels.in_turn import InTurn
from convatlas.ops.kernels.memory_access import get_float, load, load_lanes, put_float, store
from convatlas.ops.kernels.norm_tables import fill_slopes, write_statistics
from convatlas.ops.kernels.product import (
    TILE_ROWS,
    add_products,
    down_to_tiles,
    multiply,
    multiply_summed,
    pace_of,
    up_to_tiles,
)
from convatlas.ops.kernels.product_slivers import write_slivers
from convatlas.ops.kernels.unit_rows import put_rows, set_pivot, take_gradients
from convatlas.ops.kernels.vector import FLOAT32, LANES, every_second, splat

NOUGHT = np.float32(0)


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
def _take_patches(
    x, channels, height, width, h_taps, w_taps, stride, top, left, out_width, first, end, lines,
    pitch,
):  # fmt: skip  # one argument a line would hide the function below its signature
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
                        value = splat(NOUGHT)
                        if inside:
                            value = _sixteen(here, k * stride + j - left, width, stride)
                        store(there + k * 4, value, FLOAT32)
                    line += out_width * 4


@kernel()
def pivots(
    part, parts, x, channels, height, width, h_taps, w_taps, stride, top, left, out_width, slivers,
    n_padded, scratch, pitch, made_at, table, kind,
):  # fmt: skip  # as above
    """The first values of the result, in the table of its statistics."""
    _take_patches(
        x, channels, height, width, h_taps, w_taps, stride, top, left, out_width, 0, 1, scratch,
        pitch,
    )  # fmt: skip  # as above
    steps, made = channels * h_taps * w_taps, scratch + made_at
    vectors, n_pitch = n_padded // LANES, (n_padded + LANES) * 4
    multiply(scratch, 4, pitch, slivers, steps, vectors, TILE_ROWS, made, n_pitch)
    set_pivot(table, n_padded, made)


@kernel()
def forward(
    part, parts, x, images, channels, height, width, h_taps, w_taps, stride, top, left, out_height,
    out_width, slivers, n, n_padded, y, stream, block, scratch, scratch_bytes, pitch, made_at,
    table, sums, kind,
):  # fmt: skip  # as above
    """y = the convolution of x (channels first), and the sums for the statistics of y."""
    steps, vectors, n_pitch = channels * h_taps * w_taps, n_padded // LANES, (n_padded + LANES) * 4
    own, seen = sums + part * n_padded * SUMS_BYTES, scratch + part * scratch_bytes
    made, blocks = seen + made_at, (out_height + block - 1) // block
    tasks = images * blocks
    clear(own, n_padded)
    for task in range(part * tasks // parts, (part + 1) * tasks // parts):
        image, first = task // blocks, task % blocks * block
        end = min(out_height, first + block)
        count, there = (
            (end - first) * out_width,
            y + (image * out_height + first) * out_width * n * 4,
        )
        _take_patches(
            x + image * channels * height * width * 4, channels, height, width, h_taps, w_taps,
            stride, top, left, out_width, first, end, seen, pitch,
        )  # fmt: skip  # as above
        done = down_to_tiles(count) if n % LANES == 0 else 0
        if done:
            multiply_summed(
                seen, 4, pitch, slivers, steps, vectors, done, seen, 0, 0, there, n * 4, stream,
                table, own + 2 * n_padded * 8, n_padded, 0, NOUGHT, NOUGHT,
            )  # fmt: skip  # as above
        if done < count:
            left_over = count - done
            up = up_to_tiles(left_over)
            multiply(seen + done * 4, 4, pitch, slivers, steps, vectors, up, made, n_pitch)
            there += done * n * 4
            put_rows(made, n_pitch, there, left_over, n, table, n_padded, own, stream)
        flush(own, n_padded)


@kernel()
def backward(
    part, parts, dy, y, x, images, channels, height, width, h_taps, w_taps, stride, top, left,
    out_height, out_width, n, n_padded, dw, dw_bytes, block, scratch, scratch_bytes, pitch,
    given_at, table, dstats, kind,
):  # fmt: skip  # as above
    """The gradient of the weights, for each part apart: (taps of all channels, n_padded)."""
    steps, vectors, n_pitch = channels * h_taps * w_taps, n_padded // LANES, (n_padded + LANES) * 4
    seen, own = scratch + part * scratch_bytes, dw + part * dw_bytes
    given, blocks = seen + given_at, (out_height + block - 1) // block
    tasks = images * blocks
    begin, last = part * tasks // parts, (part + 1) * tasks // parts
    for task in range(begin, last):
        image, first = task // blocks, task % blocks * block
        end = min(out_height, first + block)
        count, place = (end - first) * out_width, (image * out_height + first) * out_width * n * 4
        _take_patches(
            x + image * channels * height * width * 4, channels, height, width, h_taps, w_taps,
            stride, top, left, out_width, first, end, seen, pitch,
        )  # fmt: skip  # as above
        take_gradients(dy + place, y + place, given, n_pitch, count, n, table, n_padded, dstats)
        next_bytes = count * n * 4 if task + 1 < last else 0
        add_products(
            seen, pitch, 4, given, n_pitch, count, steps, vectors, dy + place + next_bytes, y - dy,
            pace_of(next_bytes, steps, vectors, count), own, n_padded * 4, task > begin,
        )  # fmt: skip  # as above


@kernel()
def write_gradient(part, parts, sums, workers, sums_bytes, n, n_padded, steps, dw, kind):
    """The gradient of the weights as torch keeps it, (n, steps), from that of all workers."""
    for row in range(part * n // parts, (part + 1) * n // parts):
        for step in range(steps):
            total = NOUGHT
            for worker in range(workers):
                total += get_float(sums + worker * sums_bytes + (step * n_padded + row) * 4)
            put_float(dw + (row * steps + step) * 4, total)


convolve = InTurn(write_slivers, pivots, forward, write_statistics)
convolve_back = InTurn(fill_slopes, backward, write_gradient)
