"""Depthwise convolution over rows of channels with the batch norms on both its sides fused in.

A task takes the image rows that a block of output rows needs, normalised, into scratch memory, and
filters from there: straight into the result, where channels come in whole vectors. Zeros stand left
and right of the image in scratch memory, and room for whole tiles, so that no tile of a weight
gradient needs to ask whether a column is inside.
"""

from functools import cache

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
from convatlas.kernels.compiled.depthwise_weights import clear_sums, pack_weights, write_gradient
from convatlas.kernels.compiled.norm_tables import fill_tables, write_gradients, write_statistics
from convatlas.kernels.compiled.prologue import (
    put_gradients,
    put_rows,
    set_pivot,
    take_gradients,
    take_rows,
)
from convatlas.kernels.compiled.weight_gradient import weight_rows
from convatlas.kernels.layout import plan as p
from convatlas.kernels.layout.channels import SUMS_BYTES
from convatlas.kernels.layout.variants import Sums, Variant
from convatlas.kernels.runtime.compiler import Kernel, inner, kernel
from convatlas.kernels.runtime.launch_sequence import LaunchSequence

ZERO = np.float32(0)


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
def _take_image(
    q, x, x_scratch, start, stop, width, channels, table, padded, normed, act, low, high
):
    """Rows [start, stop) of an image into scratch."""
    for row in range(start, stop):
        here, there = x + row * width * channels * 4, x_scratch + (row - start) * q[p.X_H]
        take_rows(here, there, q[p.X_W], width, channels, table, padded, normed, act, low, high)


@kernel(plans="plans", low="float32", high="float32")
def pivots(
    worker,
    workers,
    plans,
    x,
    w,
    taps,
    packed,
    width,
    left,
    channels,
    padded,
    scratch,
    y_offset,
    act,
    stats_x,
    table_x,
    table_y,
    low,
    high,
    dtype,
):
    """Turn the weights, and put the first result of every channel in the table of y."""
    q, y_scratch = plans[0], scratch + y_offset
    pack_weights(w, channels, taps, padded, packed, dtype)
    start, stop = _inputs(q, 0, 1)
    _clear_sides(scratch, (stop - start) * q[p.X_H], q[p.X_H], left, width * q[p.X_W])
    _take_image(
        q, x, scratch + left, start, stop, width, channels, table_x, padded, stats_x, act, low, high
    )
    row = row_of(q, scratch - start * q[p.X_H], packed, padded, 0)
    write_column(q, dtype, *row, 0, y_scratch, 0)
    set_pivot(table_y, padded, y_scratch)


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
def _take_result(q, dy, y, dy_scratch, start, stop, columns, channels, table, padded, pulled):
    """Rows [start, stop) of the gradient of an image's result into scratch."""
    for row in range(start, stop):
        place, there = row * columns * channels * 4, dy_scratch + (row - start) * q[p.OUT_H]
        take_gradients(
            dy + place, y + place, there, q[p.OUT_W], columns, channels, table, padded, pulled
        )


def _writing(variant: Variant, direct: bool):
    """The function that writes a block's rows to y and sums them.

    Meanwhile it prefetches what lies from `prefetch_at` on. direct: each strip writes to y; else
    rows wait in scratch memory for their end to be cut off.
    """
    if direct:
        sum_rows = finishing_rows(variant.strips, STORE_STATS)

        @inner
        def write(
            q,
            x_scratch,
            packed,
            padded,
            y_scratch,
            y,
            first,
            end,
            columns,
            channels,
            table,
            local_sums,
            nontemporal,
            prefetch_at,
            dtype,
        ):
            totals = local_sums + 2 * padded * 8
            sum_rows(
                q,
                x_scratch,
                packed,
                padded,
                y,
                first,
                end,
                prefetch_at,
                prefetch_factor_of(q),
                table,
                totals,
                0,
                ZERO,
                ZERO,
                dtype,
            )

        return write
    write_rows = depthwise_rows(*variant)

    @inner
    def write_parts(
        q,
        x_scratch,
        packed,
        padded,
        y_scratch,
        y,
        first,
        end,
        columns,
        channels,
        table,
        local_sums,
        nontemporal,
        prefetch_at,
        dtype,
    ):
        prefetch_factor = prefetch_factor_of(q)
        rows_made = y_scratch - first * q[p.OUT_H]
        write_rows(
            q,
            x_scratch,
            packed,
            padded,
            rows_made,
            0,
            first,
            end,
            prefetch_at,
            prefetch_factor,
            dtype,
        )
        for row in range(first, end):
            here, target = rows_made + row * q[p.OUT_H], y + row * columns * channels * 4
            put_rows(
                here, q[p.OUT_W], target, columns, channels, table, padded, local_sums, nontemporal
            )

    return write_parts


@cache
def forward(variant: Variant, direct: bool) -> Kernel:
    """The kernel of a forward pass; direct: as for `_writing`."""
    write = _writing(variant, direct)

    @kernel(variant.name() + "_direct" * direct, plans="plans", low="float32", high="float32")
    def forward(
        worker,
        workers,
        plans,
        x,
        packed,
        y,
        images,
        width,
        columns,
        left,
        channels,
        padded,
        block,
        scratch,
        scratch_bytes,
        y_offset,
        nontemporal,
        act,
        stats_x,
        table_x,
        table_y,
        sums,
        low,
        high,
        dtype,
    ):
        """y = the filter over normed x, and the sums for the statistics of y.

        An image has rows of `width` columns and its result rows of `columns`; in scratch memory
        rows are longer, and begin `left` bytes before the image.
        """
        q = plans[0]
        rows, column = q[p.H_OUT], channels * 4
        image = q[p.H_SIZE] * width * column
        blocks = (rows + block - 1) // block
        tasks = images * blocks
        local_sums, x_scratch = (
            sums + worker * padded * SUMS_BYTES,
            scratch + worker * scratch_bytes,
        )
        y_scratch = x_scratch + y_offset
        clear(local_sums, padded)
        _clear_sides(x_scratch, y_offset, q[p.X_H], left, width * q[p.X_W])
        for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
            n, first = task // blocks, task % blocks * block
            end = min(rows, first + block)
            start, stop = _inputs(q, first, end)
            _take_image(
                q,
                x + n * image,
                x_scratch + left,
                start,
                stop,
                width,
                channels,
                table_x,
                padded,
                stats_x,
                act,
                low,
                high,
            )
            write(
                q,
                x_scratch - start * q[p.X_H],
                packed,
                padded,
                y_scratch,
                y + n * rows * columns * column,
                first,
                end,
                columns,
                channels,
                table_y,
                local_sums,
                nontemporal,
                x + n * image + stop * width * column,
                dtype,
            )
            flush(local_sums, padded)

    return forward


def _pulling(variant: Variant, direct: bool):
    """The function that writes a block's rows of the gradient of x, and sums what its norm needs.

    Meanwhile it prefetches as many rows from `prefetch_at` on. direct: each strip writes to dx,
    behind a norm whose activation clips.
    """
    if direct:
        pull_rows = finishing_rows(variant.strips, BACKWARD_NORM)

        @inner
        def pull(
            plans,
            dy_scratch,
            packed,
            padded,
            dx_scratch,
            x,
            dx,
            first,
            end,
            width,
            channels,
            table,
            local_sums,
            normed,
            act,
            low,
            high,
            nontemporal,
            prefetch_at,
            dtype,
        ):
            totals = local_sums + 2 * padded * 8
            for k in range(1, plans.shape[0]):
                prefetch_factor = 1 if k == 1 else 0
                pull_rows(
                    plans[k],
                    dy_scratch,
                    packed,
                    padded,
                    dx,
                    first,
                    end,
                    prefetch_at,
                    prefetch_factor,
                    table,
                    totals,
                    x - dx,
                    low,
                    high,
                    dtype,
                )

        return pull
    write_rows = depthwise_rows(*variant)

    @inner
    def pull_parts(
        plans,
        dy_scratch,
        packed,
        padded,
        dx_scratch,
        x,
        dx,
        first,
        end,
        width,
        channels,
        table,
        local_sums,
        normed,
        act,
        low,
        high,
        nontemporal,
        prefetch_at,
        dtype,
    ):
        for k in range(1, plans.shape[0]):
            r, prefetch_factor = plans[k], 1 if k == 1 else 0
            target = dx_scratch - first * r[p.OUT_H]
            write_rows(
                r,
                dy_scratch,
                packed,
                padded,
                target,
                0,
                first,
                end,
                prefetch_at,
                prefetch_factor,
                dtype,
            )
        stride = plans[0, p.H_STRIDE]
        line = plans[1, p.OUT_H] // stride
        for row in range(first * stride, min(plans[0, p.H_SIZE], end * stride)):
            here, place = dx_scratch + (row - first * stride) * line, row * width * channels * 4
            put_gradients(
                here,
                plans[0, p.X_W],
                x + place,
                dx + place,
                width,
                channels,
                table,
                padded,
                local_sums,
                normed,
                act,
                low,
                high,
                nontemporal,
            )

    return pull_parts


@cache
def backward(summed: Sums, variant: Variant, direct: bool) -> Kernel:
    """The kernel of the way back; direct: as for `_pulling`."""
    pull, add_rows = _pulling(variant, direct), weight_rows(*summed, 0)

    @kernel(
        f"{summed.name()}_{variant.name()}" + "_direct" * direct,
        plans="plans",
        low="float32",
        high="float32",
    )
    def backward(
        worker,
        workers,
        plans,
        dy,
        y,
        x,
        w,
        taps,
        packed,
        dx,
        dw,
        images,
        width,
        columns,
        left,
        given_left,
        channels,
        padded,
        block,
        scratch,
        scratch_bytes,
        dy_offset,
        dx_offset,
        nontemporal,
        act,
        stats_x,
        table_x,
        table_y,
        sums,
        dstats,
        low,
        high,
        dtype,
    ):
        """Gradients of x (and the sums for its norm's) and, for each part apart, of the weights.

        Row 0 of plans is the forward pass, the others the input gradient. Rows of the result in
        scratch begin `given_left` bytes before the result.
        """
        q = plans[0]
        height, stride, column = q[p.H_SIZE], q[p.H_STRIDE], channels * 4
        length = max((height + stride - 1) // stride, q[p.H_OUT])
        blocks = (length + block - 1) // block
        tasks, size = images * blocks, taps * padded
        dw += worker * size * 8
        packed += worker * size * 4
        pack_weights(w, channels, taps, padded, packed, dtype)
        clear_sums(dw, size)
        local_sums, x_scratch = (
            sums + worker * padded * SUMS_BYTES,
            scratch + worker * scratch_bytes,
        )
        dy_scratch, dx_scratch = x_scratch + dy_offset, x_scratch + dx_offset
        clear(local_sums, padded)
        _clear_sides(x_scratch, dy_offset, q[p.X_H], left, width * q[p.X_W])
        area = dx_offset - dy_offset
        _clear_sides(dy_scratch, area, q[p.OUT_H], given_left, columns * q[p.OUT_W])
        for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
            n, first = task // blocks, task % blocks * block
            end = min(length, first + block)
            start, stop = _needed(plans, first, end)
            place = n * q[p.H_OUT] * columns * column
            _take_result(
                q,
                dy + place,
                y + place,
                dy_scratch + given_left,
                start,
                stop,
                columns,
                channels,
                table_y,
                padded,
                dstats,
            )
            base = dy_scratch - start * q[p.OUT_H]
            begin, finish = _inputs(q, first, min(end, q[p.H_OUT]))
            image = n * height * width * column
            _take_image(
                q,
                x + image,
                x_scratch + left,
                begin,
                finish,
                width,
                channels,
                table_x,
                padded,
                stats_x,
                act,
                low,
                high,
            )
            # While weight gradients are summed, dy of the next block is asked for, and then its y.
            after = place + stop * columns * column
            add_rows(
                q,
                x_scratch - begin * q[p.X_H],
                base + given_left,
                dw,
                padded,
                0,
                first,
                end,
                dy + after,
                dtype,
            )
            if dx:
                pull(
                    plans,
                    base,
                    packed,
                    padded,
                    dx_scratch,
                    x + image,
                    dx + image,
                    first,
                    end,
                    width,
                    channels,
                    table_x,
                    local_sums,
                    stats_x,
                    act,
                    low,
                    high,
                    nontemporal,
                    y + after,
                    dtype,
                )
                flush(local_sums, padded)

    return backward


@cache
def convolve(variant: Variant, direct: bool) -> LaunchSequence:
    """The kernels of a forward pass."""
    return LaunchSequence(fill_tables, pivots, forward(variant, direct), write_statistics)


@cache
def convolve_back(summed: Sums, variant: Variant, direct: bool) -> LaunchSequence:
    """The kernels of the way back."""
    main = backward(summed, variant, direct)
    return LaunchSequence(fill_tables, main, write_gradient, write_gradients)
