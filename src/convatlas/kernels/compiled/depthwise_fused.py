"""Depthwise convolution over rows of channels with the batch norms on both its sides fused in.

A task takes the image rows that a block of output rows needs, normalised, into scratch memory, and
filters from there: straight into the result, where channels come in whole vectors. Zeros stand left
and right of the image in scratch memory, and room for whole tiles, so that no tile of a weight
gradient needs to ask whether a column is inside.
"""

from functools import cache
from typing import Any

import numpy as np

from convatlas.kernels.codegen.epilogue import BACKWARD_NORM, STORE_STATS
from convatlas.kernels.codegen.memory import store
from convatlas.kernels.codegen.vector import FLOAT32, splat
from convatlas.kernels.compiled.channel_sums import clear, flush
from convatlas.kernels.compiled.depthwise_rows import (
    depthwise_rows,
    finishing_rows,
    prefetch_factor_of,
    row_of,
    write_column,
)
from convatlas.kernels.compiled.depthwise_weights import (
    clear_sums,
    pack_weights,
    weight_rows,
    write_gradient,
)
from convatlas.kernels.compiled.norm_tables import fill_tables, write_gradients, write_statistics
from convatlas.kernels.compiled.prologue import (
    put_gradients,
    put_rows,
    set_pivot,
    take_gradients,
    take_rows,
)
from convatlas.kernels.layout import plan as p
from convatlas.kernels.layout.channels import SUMS_BYTES
from convatlas.kernels.layout.records import (
    Blocks,
    Fetch,
    FilterSizes,
    Finish,
    InputGradient,
    Prologue,
    Result,
    ResultGradient,
)
from convatlas.kernels.layout.variants import Sums, Variant
from convatlas.kernels.runtime.compiler import Kernel, inner, kernel
from convatlas.kernels.runtime.launch_sequence import LaunchSequence
from convatlas.kernels.runtime.records import PlanArray

ZERO: Any = np.float32(0)  # of any type, as Numba has its own


@inner
def _inputs(q, first, end):
    """The rows that output rows [first, end) read, inside the image."""
    last = (end - 1) * q[p.H_STRIDE] + q[p.H_OFFSET] + (q[p.H_TAPS] - 1) * q[p.H_STEP]
    low = max(0, first * q[p.H_STRIDE] + q[p.H_OFFSET])
    return low, max(low, min(q[p.H_SIZE], last + 1))


@inner
def _clear_sides(scratch, size, row, left, inside):
    """Write zeros left and right of an image, as its padding; nothing else is written there.

    Bytes: size of all rows, row of one, left before the image and inside it.
    """
    for here in range(scratch, scratch + size, row):
        for place in range(here, here + left, 64):
            store(place, splat(ZERO), FLOAT32)
        for place in range(here + left + inside, here + row, 64):
            store(place, splat(ZERO), FLOAT32)


@inner
def _clear_all_sides(q, sizes, x_scratch, dy_scratch, dx_scratch):
    """Write zeros beside the rows of an image, and beside those of its result's gradient."""
    x_bytes, dy_bytes = dy_scratch - x_scratch, dx_scratch - dy_scratch
    _clear_sides(x_scratch, x_bytes, q[p.X_H], sizes.left, sizes.width * q[p.X_W])
    _clear_sides(dy_scratch, dy_bytes, q[p.OUT_H], sizes.dy_left, sizes.columns * q[p.OUT_W])


@inner
def _take_image(q, source, x, x_scratch, start, stop, width):
    """Take rows [start, stop) of an image at x into scratch, normalised as `source` says."""
    for row in range(start, stop):
        here, there = x + row * width * source.channels * 4, x_scratch + (row - start) * q[p.X_H]
        take_rows(source, here, there, width)


@kernel()
def pivots(
    worker,
    workers,
    plans: PlanArray,
    x: Prologue,
    y: Result,
    sizes: FilterSizes,
    w,
    packed,
    scratch,
    y_offset,
    dtype,
):
    """Pack the weights, and put the first result of every channel in the table of y."""
    q, y_scratch = plans[0], scratch + y_offset
    pack_weights(w, x.channels, sizes.taps, x.padded, packed, dtype)
    start, stop = _inputs(q, 0, 1)
    _clear_sides(scratch, (stop - start) * q[p.X_H], q[p.X_H], sizes.left, sizes.width * q[p.X_W])
    _take_image(q, x, x.x, scratch + sizes.left, start, stop, sizes.width)
    row = row_of(q, scratch - start * q[p.X_H], packed, x.padded, 0)
    write_column(q, dtype, row, 0, y_scratch, 0)
    set_pivot(y.table, y.padded, y_scratch)


@inner
def _needed(plans, first, end):
    """The rows of the output's gradient that a block needs, for both gradients."""
    rows = plans[0, p.H_OUT]
    start, stop = first, min(rows, end)
    for k in range(1, plans.shape[0]):
        q = plans[k]
        if q[p.H_TAPS] > 0:
            start = min(start, first + q[p.H_OFFSET])
            stop = max(stop, end + q[p.H_OFFSET] + (q[p.H_TAPS] - 1) * q[p.H_STEP])
    start = min(rows, max(0, start))
    return start, max(start, min(rows, stop))


@inner
def _take_result(q, given, offset, dy_scratch, start, stop, columns):
    """Take rows [start, stop) of the gradient of an image's result into scratch.

    given: the ResultGradient; offset: bytes before the image's.
    """
    for row in range(start, stop):
        place = offset + row * columns * given.channels * 4
        take_gradients(given, place, dy_scratch + (row - start) * q[p.OUT_H], columns)


def _writing(variant: Variant, direct: bool):
    """The function that writes a block's rows to `there`, the image in y, and sums them.

    Meanwhile it prefetches what lies from `prefetch_at` on. direct: each strip writes to y; else
    rows wait in scratch memory for their end to be cut off.
    """
    if direct:
        sum_rows = finishing_rows(variant.strips, STORE_STATS)

        @inner
        def write(q, x_scratch, packed, y_scratch, y, there, columns, rows, sums, fetch, dtype):
            (first, end), padded = rows, y.padded
            finish = Finish(y.table, sums + 2 * padded * 8, padded * 4, 0, ZERO, ZERO)
            sum_rows(q, x_scratch, packed, padded, there, first, end, fetch, finish, dtype)

        return write
    write_rows = depthwise_rows(*variant)

    @inner
    def write_parts(q, x_scratch, packed, y_scratch, y, there, columns, rows, sums, fetch, dtype):
        first, end = rows
        made = y_scratch - first * q[p.OUT_H]
        write_rows(q, x_scratch, packed, y.padded, made, 0, first, end, fetch, dtype)
        for row in range(first, end):
            here, target = made + row * q[p.OUT_H], there + row * columns * y.channels * 4
            put_rows(y, here, q[p.OUT_W], target, columns, sums)

    return write_parts


@cache
def forward(variant: Variant, direct: bool) -> Kernel:
    """Return the kernel of a forward pass; direct: as for `_writing`."""
    write = _writing(variant, direct)

    @kernel(variant.name() + "_direct" * direct)
    def forward(
        worker,
        workers,
        plans: PlanArray,
        x: Prologue,
        y: Result,
        sizes: FilterSizes,
        packed,
        blocks: Blocks,
        y_offset,
        dtype,
    ):
        """Write y = the filter over normed x, and the sums for the statistics of y."""
        q, block, width = plans[0], blocks.block, sizes.width
        rows, row = q[p.H_OUT], x.channels * 4
        image, result = q[p.H_SIZE] * width * row, q[p.H_OUT] * sizes.columns * row
        blocks_of_image = (rows + block - 1) // block
        tasks = sizes.images * blocks_of_image
        local_sums = y.sums + worker * y.padded * SUMS_BYTES
        x_scratch = blocks.scratch + worker * blocks.scratch_bytes
        y_scratch, factor = x_scratch + y_offset, prefetch_factor_of(q)
        clear(local_sums, y.padded)
        _clear_sides(x_scratch, y_offset, q[p.X_H], sizes.left, width * q[p.X_W])
        for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
            n, first = task // blocks_of_image, task % blocks_of_image * block
            end = min(rows, first + block)
            start, stop = _inputs(q, first, end)
            here = x.x + n * image
            _take_image(q, x, here, x_scratch + sizes.left, start, stop, width)
            write(
                q,
                x_scratch - start * q[p.X_H],
                packed,
                y_scratch,
                y,
                y.y + n * result,
                sizes.columns,
                (first, end),
                local_sums,
                Fetch(here + stop * width * row, factor),
                dtype,
            )
            flush(local_sums, y.padded)

    return forward


def _pulling(variant: Variant, direct: bool):
    """The function that writes a block's rows of the gradient of x, and sums what its norm needs.

    offset: bytes before the image. Meanwhile as many rows are prefetched from `prefetch_at` on.
    direct: each strip writes to dx, behind a norm whose activation clips.
    """
    if direct:
        pull_rows = finishing_rows(variant.strips, BACKWARD_NORM)

        @inner
        def pull(
            plans, dy_scratch, packed, dx_scratch, x, dx, offset, width, rows, sums, ahead, dtype
        ):
            (first, end), padded = rows, x.padded
            totals, other = sums + 2 * padded * 8, x.x - dx.dx
            finish = Finish(x.table, totals, padded * 4, other, x.clip_min, x.clip_max)
            for k in range(1, plans.shape[0]):
                fetch, out = Fetch(ahead, 1 if k == 1 else 0), dx.dx + offset
                pull_rows(
                    plans[k], dy_scratch, packed, padded, out, first, end, fetch, finish, dtype
                )

        return pull
    write_rows = depthwise_rows(*variant)

    @inner
    def pull_parts(
        plans, dy_scratch, packed, dx_scratch, x, dx, offset, width, rows, sums, ahead, dtype
    ):
        first, end = rows
        for k in range(1, plans.shape[0]):
            r, fetch = plans[k], Fetch(ahead, 1 if k == 1 else 0)
            target = dx_scratch - first * r[p.OUT_H]
            write_rows(r, dy_scratch, packed, x.padded, target, 0, first, end, fetch, dtype)
        stride, pitch = plans[0, p.H_STRIDE], plans[0, p.X_W]
        line = plans[1, p.OUT_H] // stride
        for row in range(first * stride, min(plans[0, p.H_SIZE], end * stride)):
            here = dx_scratch + (row - first * stride) * line
            place = offset + row * width * x.channels * 4
            put_gradients(x, dx, here, pitch, place, width, sums)

    return pull_parts


@cache
def backward(summed: Sums, variant: Variant, direct: bool) -> Kernel:
    """Return the kernel of the way back; direct: as for `_pulling`."""
    pull, add_rows = _pulling(variant, direct), weight_rows(*summed, 0)

    @kernel(f"{summed.name()}_{variant.name()}" + "_direct" * direct)
    def backward(
        worker,
        workers,
        plans: PlanArray,
        dy: ResultGradient,
        x: Prologue,
        dx: InputGradient,
        sizes: FilterSizes,
        w,
        packed,
        dw,
        blocks: Blocks,
        dy_offset,
        dx_offset,
        dtype,
    ):
        """Write the gradient of x, and for each worker apart the sums of the other gradients.

        Those are of the weights and of the norm before x. Row 0 of plans is the forward pass, the
        others the input gradient.
        """
        q, block, padded, width = plans[0], blocks.block, x.padded, sizes.width
        height, stride, row = q[p.H_SIZE], q[p.H_STRIDE], x.channels * 4
        length = max((height + stride - 1) // stride, q[p.H_OUT])
        blocks_of_image = (length + block - 1) // block
        tasks, size = sizes.images * blocks_of_image, sizes.taps * padded
        dw += worker * size * 8
        packed += worker * size * 4
        sums = dx.sums + worker * padded * SUMS_BYTES
        x_scratch = blocks.scratch + worker * blocks.scratch_bytes
        dy_scratch, dx_scratch = x_scratch + dy_offset, x_scratch + dx_offset
        pack_weights(w, x.channels, sizes.taps, padded, packed, dtype)
        clear_sums(dw, size)
        clear(sums, padded)
        _clear_all_sides(q, sizes, x_scratch, dy_scratch, dx_scratch)
        for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
            n, first = task // blocks_of_image, task % blocks_of_image * block
            end = min(length, first + block)
            start, stop = _needed(plans, first, end)
            place = n * q[p.H_OUT] * sizes.columns * row
            _take_result(q, dy, place, dy_scratch + sizes.dy_left, start, stop, sizes.columns)
            base = dy_scratch - start * q[p.OUT_H]
            begin, finish = _inputs(q, first, min(end, q[p.H_OUT]))
            image = n * height * width * row
            _take_image(q, x, x.x + image, x_scratch + sizes.left, begin, finish, width)
            # While weight gradients are summed, dy of the next block is prefetched, then its y.
            after, rows = place + stop * sizes.columns * row, (first, end)
            inputs, given = x_scratch - begin * q[p.X_H], base + sizes.dy_left
            add_rows(q, inputs, given, dw, padded, 0, first, end, dy.dy + after, dtype)
            if dx.dx:
                ahead = dy.y + after
                pull(plans, base, packed, dx_scratch, x, dx, image, width, rows, sums, ahead, dtype)
                flush(sums, padded)

    return backward


@cache
def convolve(variant: Variant, direct: bool) -> LaunchSequence:
    """Return the kernels of a forward pass."""
    return LaunchSequence(fill_tables, pivots, forward(variant, direct), write_statistics)


@cache
def convolve_back(summed: Sums, variant: Variant, direct: bool) -> LaunchSequence:
    """Return the kernels of the way back."""
    main = backward(summed, variant, direct)
    return LaunchSequence(fill_tables, main, write_gradient, write_gradients)
