"""Depthwise convolution over rows of channels with the batch norms on both its sides fused in.

A task takes the image rows that a block of output rows needs, normalised, into scratch memory, and
filters from there: straight into the result, where channels come in whole vectors. Zeros stand left
and right of the image in scratch memory, and room for whole tiles, so that no tile of a weight
gradient needs to ask whether a column is inside.
"""

from functools import cache

import numpy as np

from convatlas.ops.kernels import plan as p
from convatlas.ops.kernels.channel_rows import SUMS_BYTES, clear, flush
from convatlas.ops.kernels.compiled import Kernel, inner, kernel
from convatlas.ops.kernels.endings import PULLED, SUMMED
from convatlas.ops.kernels.filter_layout import Sums, Variant
from convatlas.ops.kernels.filter_rows import (
    asked_groups,
    filter_rows,
    finishing_rows,
    row_of,
    write_column,
)
from convatlas.ops.kernels.filter_weights import clear_sums, turn_weights, write_gradient
from convatlas.ops.kernels.in_turn import InTurn
from convatlas.ops.kernels.memory_access import store
from convatlas.ops.kernels.norm_tables import fill_tables, write_gradients, write_statistics
from convatlas.ops.kernels.unit_rows import (
    put_gradients,
    put_rows,
    set_pivot,
    take_gradients,
    take_rows,
)
from convatlas.ops.kernels.vector import FLOAT32, splat
from convatlas.ops.kernels.weight_rows import weight_rows

NOUGHT = np.float32(0)


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
            store(place, splat(NOUGHT), FLOAT32)
        for place in range(here + left + inside, here + row, 64):
            store(place, splat(NOUGHT), FLOAT32)


@inner
def _take_image(q, x, seen, start, stop, width, channels, table, padded, normed, act, low, high):
    """Rows [start, stop) of an image into scratch."""
    for row in range(start, stop):
        here, there = x + row * width * channels * 4, seen + (row - start) * q[p.X_H]
        take_rows(here, there, q[p.X_W], width, channels, table, padded, normed, act, low, high)


@kernel(plans="plans", low="float32", high="float32")
def pivots(
    part, parts, plans, x, w, taps, turned, width, left, channels, padded, scratch, made_at, act,
    stats_x, table_x, table_y, low, high, kind,
):  # fmt: skip  # one argument a line would hide the function below its signature
    """Turn the weights, and put the first result of every channel in the table of y."""
    q, made = plans[0], scratch + made_at
    turn_weights(w, channels, taps, padded, turned, kind)
    start, stop = _inputs(q, 0, 1)
    _clear_sides(scratch, (stop - start) * q[p.X_H], q[p.X_H], left, width * q[p.X_W])
    _take_image(
        q, x, scratch + left, start, stop, width, channels, table_x, padded, stats_x, act, low, high
    )
    row = row_of(q, scratch - start * q[p.X_H], turned, padded, 0)
    write_column(q, kind, *row, 0, made, 0)
    set_pivot(table_y, padded, made)


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
def _take_result(q, dy, y, given, start, stop, columns, channels, table, padded, pulled):
    """Rows [start, stop) of the gradient of an image's result into scratch."""
    for row in range(start, stop):
        place, there = row * columns * channels * 4, given + (row - start) * q[p.OUT_H]
        take_gradients(
            dy + place, y + place, there, q[p.OUT_W], columns, channels, table, padded, pulled
        )


def _writing(variant: Variant, direct: bool):
    """The function that writes a block's rows to y and sums them.

    Meanwhile it asks for what lies from `asked` on. direct: each strip writes to y; else rows wait
    in scratch memory for their end to be cut off.
    """
    if direct:
        sum_rows = finishing_rows(variant.strips, SUMMED)

        @inner
        def write(
            q, seen, turned, padded, made, y, first, end, columns, channels, table, own, stream,
            asked, kind,
        ):  # fmt: skip  # as above
            totals = own + 2 * padded * 8
            sum_rows(
                q, seen, turned, padded, y, first, end, asked, asked_groups(q), table, totals, 0,
                NOUGHT, NOUGHT, kind,
            )  # fmt: skip  # as above

        return write
    write_rows = filter_rows(*variant)

    @inner
    def write_parts(
        q, seen, turned, padded, made, y, first, end, columns, channels, table, own, stream, asked,
        kind,
    ):  # fmt: skip  # as above
        groups = asked_groups(q)
        rows_made = made - first * q[p.OUT_H]
        write_rows(q, seen, turned, padded, rows_made, 0, first, end, asked, groups, kind)
        for row in range(first, end):
            here, target = rows_made + row * q[p.OUT_H], y + row * columns * channels * 4
            put_rows(here, q[p.OUT_W], target, columns, channels, table, padded, own, stream)

    return write_parts


@cache
def forward(variant: Variant, direct: bool) -> Kernel:
    """The kernel of a forward pass; direct: as for `_writing`."""
    write = _writing(variant, direct)

    @kernel(variant.name() + "_direct" * direct, plans="plans", low="float32", high="float32")
    def forward(
        part, parts, plans, x, turned, y, images, width, columns, left, channels, padded, block,
        scratch, scratch_bytes, made_at, stream, act, stats_x, table_x, table_y, sums, low, high,
        kind,
    ):  # fmt: skip  # as above
        """y = the filter over normed x, and the sums for the statistics of y.

        An image has rows of `width` columns and its result rows of `columns`; in scratch memory
        rows are longer, and begin `left` bytes before the image.
        """
        q = plans[0]
        rows, column = q[p.H_OUT], channels * 4
        image = q[p.H_SIZE] * width * column
        blocks = (rows + block - 1) // block
        tasks = images * blocks
        own, seen = sums + part * padded * SUMS_BYTES, scratch + part * scratch_bytes
        made = seen + made_at
        clear(own, padded)
        _clear_sides(seen, made_at, q[p.X_H], left, width * q[p.X_W])
        for task in range(part * tasks // parts, (part + 1) * tasks // parts):
            n, first = task // blocks, task % blocks * block
            end = min(rows, first + block)
            start, stop = _inputs(q, first, end)
            _take_image(
                q, x + n * image, seen + left, start, stop, width, channels, table_x, padded,
                stats_x, act, low, high,
            )  # fmt: skip  # as above
            write(
                q, seen - start * q[p.X_H], turned, padded, made,
                y + n * rows * columns * column, first, end, columns, channels, table_y, own,
                stream, x + n * image + stop * width * column, kind,
            )  # fmt: skip  # as above
            flush(own, padded)

    return forward


def _pulling(variant: Variant, direct: bool):
    """The function that writes a block's rows of the gradient of x, and sums what its norm needs.

    Meanwhile it asks for as many rows from `asked` on. direct: each strip writes to dx, behind a
    norm whose activation clips.
    """
    if direct:
        pull_rows = finishing_rows(variant.strips, PULLED)

        @inner
        def pull(
            plans, given, turned, padded, passed, x, dx, first, end, width, channels, table, own,
            normed, act, low, high, stream, asked, kind,
        ):  # fmt: skip  # as above
            totals = own + 2 * padded * 8
            for k in range(1, plans.shape[0]):
                groups = 1 if k == 1 else 0
                pull_rows(
                    plans[k], given, turned, padded, dx, first, end, asked, groups, table, totals,
                    x - dx, low, high, kind,
                )  # fmt: skip  # as above

        return pull
    write_rows = filter_rows(*variant)

    @inner
    def pull_parts(
        plans, given, turned, padded, passed, x, dx, first, end, width, channels, table, own,
        normed, act, low, high, stream, asked, kind,
    ):  # fmt: skip  # as above
        for k in range(1, plans.shape[0]):
            r, groups = plans[k], 1 if k == 1 else 0
            target = passed - first * r[p.OUT_H]
            write_rows(r, given, turned, padded, target, 0, first, end, asked, groups, kind)
        stride = plans[0, p.H_STRIDE]
        line = plans[1, p.OUT_H] // stride
        for row in range(first * stride, min(plans[0, p.H_SIZE], end * stride)):
            here, place = passed + (row - first * stride) * line, row * width * channels * 4
            put_gradients(
                here, plans[0, p.X_W], x + place, dx + place, width, channels, table, padded, own,
                normed, act, low, high, stream,
            )  # fmt: skip  # as above

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
        part, parts, plans, dy, y, x, w, taps, turned, dx, dw, images, width, columns, left,
        given_left, channels, padded, block, scratch, scratch_bytes, given_at, passed_at, stream,
        act, stats_x, table_x, table_y, sums, dstats, low, high, kind,
    ):  # fmt: skip  # as above
        """Gradients of x (and the sums for its norm's) and, for each part apart, of the weights.

        Row 0 of plans is the forward pass, the others the input gradient. Rows of the result in
        scratch begin `given_left` bytes before the result.
        """
        q = plans[0]
        height, stride, column = q[p.H_SIZE], q[p.H_STRIDE], channels * 4
        length = max((height + stride - 1) // stride, q[p.H_OUT])
        blocks = (length + block - 1) // block
        tasks, size = images * blocks, taps * padded
        dw += part * size * 8
        turned += part * size * 4
        turn_weights(w, channels, taps, padded, turned, kind)
        clear_sums(dw, size)
        own, seen = sums + part * padded * SUMS_BYTES, scratch + part * scratch_bytes
        given, passed = seen + given_at, seen + passed_at
        clear(own, padded)
        _clear_sides(seen, given_at, q[p.X_H], left, width * q[p.X_W])
        area = passed_at - given_at
        _clear_sides(given, area, q[p.OUT_H], given_left, columns * q[p.OUT_W])
        for task in range(part * tasks // parts, (part + 1) * tasks // parts):
            n, first = task // blocks, task % blocks * block
            end = min(length, first + block)
            start, stop = _needed(plans, first, end)
            place = n * q[p.H_OUT] * columns * column
            _take_result(
                q, dy + place, y + place, given + given_left, start, stop, columns, channels,
                table_y, padded, dstats,
            )  # fmt: skip  # as above
            base = given - start * q[p.OUT_H]
            begin, finish = _inputs(q, first, min(end, q[p.H_OUT]))
            image = n * height * width * column
            _take_image(
                q, x + image, seen + left, begin, finish, width, channels, table_x, padded,
                stats_x, act, low, high,
            )  # fmt: skip  # as above
            # While weight gradients are summed, dy of the next block is asked for, and then its y.
            after = place + stop * columns * column
            add_rows(
                q, seen - begin * q[p.X_H], base + given_left, dw, padded, 0,
                first, end, dy + after, kind,
            )  # fmt: skip  # as above
            if dx:
                pull(
                    plans, base, turned, padded, passed, x + image, dx + image, first, end, width,
                    channels, table_x, own, stats_x, act, low, high, stream, y + after, kind,
                )  # fmt: skip  # as above
                flush(own, padded)

    return backward


@cache
def convolve(variant: Variant, direct: bool) -> InTurn:
    """The kernels of a forward pass."""
    return InTurn(fill_tables, pivots, forward(variant, direct), write_statistics)


@cache
def convolve_back(summed: Sums, variant: Variant, direct: bool) -> InTurn:
    """The kernels of the way back."""
    main = backward(summed, variant, direct)
    return InTurn(fill_tables, main, write_gradient, write_gradients)
