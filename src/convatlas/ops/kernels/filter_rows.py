"""Depthwise filters over arrays whose channels are contiguous: (n, h, w, c) in memory.

Weights and their gradient come tap by tap, (k, k, c), with c padded to whole vectors, so that
their loads need no mask.
"""

import numpy as np

from convatlas.ops.kernels import plan as p
from convatlas.ops.kernels.compiled import inner, kernel
from convatlas.ops.kernels.memory_access import (
    add_to_doubles,
    ask_for,
    element_bytes,
    load,
    load_lanes,
    store,
    store_lanes,
)
from convatlas.ops.kernels.tiles import COLUMNS, LINE, filter_columns, weight_columns
from convatlas.ops.kernels.vector import FLOAT32, LANES, add, fma, splat

NOUGHT = np.float32(0)


@inner
def first_tap(place, step):
    """The first tap whose input, place + tap * step, is not before the start."""
    return 0 if place >= 0 else (-place + step - 1) // step


@inner
def end_tap(place, step, size, taps):
    """One past the last tap whose input is not beyond the end."""
    return min(taps, (size - 1 - place) // step + 1)


def _tiled_row(taps, stride):
    """The function that writes one output row for one number of taps and stride, tile by tile."""

    @inner
    def write_row(q, kind, x, xrow, w, wrow, wcol, rows, out):
        xcol, ocol, vectors = q[p.X_W], q[p.OUT_W], q[p.CHANNELS] // LANES
        size, columns, past = q[p.W_SIZE], q[p.W_OUT], q[p.STREAM]
        for k in range(0, columns, COLUMNS):
            first = stride * k + q[p.W_OFFSET]
            filter_columns(
                taps,
                stride,
                kind,
                x + first * xcol,
                xrow,
                xcol,
                w,
                wrow,
                wcol,
                rows,
                first,
                size,
                out + k * ocol,
                ocol,
                columns - k,
                vectors,
                past,
                q[p.ASK],
            )

    return write_row


_row_1, _row_2, _row_3, _row_4 = (_tiled_row(taps, 1) for taps in (1, 2, 3, 4))
_row_5, _row_7 = _tiled_row(5, 1), _tiled_row(7, 1)
_row_3_by_2, _row_5_by_2, _row_7_by_2 = (_tiled_row(taps, 2) for taps in (3, 5, 7))


@inner
def _columns(q, kind, x, xrow, w, wrow, wcol, rows, out):
    """One output row at whole vectors of channels; the plan marks only these taps as tiled."""
    taps, stride = q[p.W_TAPS], q[p.W_STRIDE]
    if stride == 2:
        if taps == 3:
            _row_3_by_2(q, kind, x, xrow, w, wrow, wcol, rows, out)
        elif taps == 5:
            _row_5_by_2(q, kind, x, xrow, w, wrow, wcol, rows, out)
        else:
            _row_7_by_2(q, kind, x, xrow, w, wrow, wcol, rows, out)
    elif taps == 3:
        _row_3(q, kind, x, xrow, w, wrow, wcol, rows, out)
    elif taps == 1:
        _row_1(q, kind, x, xrow, w, wrow, wcol, rows, out)
    elif taps == 2:
        _row_2(q, kind, x, xrow, w, wrow, wcol, rows, out)
    elif taps == 4:
        _row_4(q, kind, x, xrow, w, wrow, wcol, rows, out)
    elif taps == 5:
        _row_5(q, kind, x, xrow, w, wrow, wcol, rows, out)
    else:
        _row_7(q, kind, x, xrow, w, wrow, wcol, rows, out)


@inner
def _column(q, kind, x, xrow, w, wrow, wcol, rows, k, out, low):
    """Output column k at channels from `low` up, with the taps that lie inside the input."""
    size, step = element_bytes(kind), q[p.W_STEP]
    place = q[p.W_STRIDE] * k + q[p.W_OFFSET]
    left = first_tap(place, step)
    taps = end_tap(place, step, q[p.W_SIZE], q[p.W_TAPS]) - left
    x += (place + left * step) * q[p.X_W]
    xcol = step * q[p.X_W]
    w += left * wcol
    out += k * q[p.OUT_W]
    c = low
    while c + 4 * LANES <= q[p.CHANNELS]:  # four sums at once: a lone one waits for itself
        a = splat(NOUGHT)
        b, d, e = a, a, a
        for row in range(rows):
            for tap in range(taps):
                weight = w + row * wrow + tap * wcol + 4 * c
                value = x + row * xrow + tap * xcol + c * size
                a = fma(load(value, kind), load(weight, FLOAT32), a)
                b = fma(load(value + 16 * size, kind), load(weight + 64, FLOAT32), b)
                d = fma(load(value + 32 * size, kind), load(weight + 128, FLOAT32), d)
                e = fma(load(value + 48 * size, kind), load(weight + 192, FLOAT32), e)
        store(out + c * size, a, kind)
        store(out + (c + 16) * size, b, kind)
        store(out + (c + 32) * size, d, kind)
        store(out + (c + 48) * size, e, kind)
        c += 4 * LANES
    while c < q[p.CHANNELS]:
        lanes = q[p.CHANNELS] - c
        a = splat(NOUGHT)
        for row in range(rows):
            for tap in range(taps):
                value = load_lanes(x + row * xrow + tap * xcol + c * size, 0, lanes, kind)
                a = fma(value, load(w + row * wrow + tap * wcol + 4 * c, FLOAT32), a)
        store_lanes(out + c * size, a, lanes, kind)
        c += LANES


@inner
def filter_rows(q, x, w, padded, out, n, first, end, kind):
    """Output rows [first, end) of image n, as plan row q says."""
    wrow, wcol = q[p.KERNEL_W] * padded * 4, q[p.W_WEIGHT_STEP] * padded * 4
    whole = q[p.CHANNELS] - q[p.CHANNELS] % LANES
    for j in range(first, min(end, q[p.H_OUT])):
        place = q[p.H_STRIDE] * j + q[p.H_OFFSET]
        top = first_tap(place, q[p.H_STEP])
        rows = end_tap(place, q[p.H_STEP], q[p.H_SIZE], q[p.H_TAPS]) - top
        base = x + n * q[p.X_N] + (place + top * q[p.H_STEP]) * q[p.X_H]
        xrow, wstep = q[p.H_STEP] * q[p.X_H], q[p.H_WEIGHT_STEP] * wrow
        weights = w + (q[p.H_WEIGHT] + top * q[p.H_WEIGHT_STEP]) * wrow
        weights += q[p.W_WEIGHT] * padded * 4
        target = out + q[p.OUT_START] + n * q[p.OUT_N] + j * q[p.OUT_H]
        low = 0
        if q[p.TILED]:
            _columns(q, kind, base, xrow, weights, wstep, wcol, rows, target)
            low = whole
        if low < q[p.CHANNELS]:
            for k in range(q[p.W_OUT]):
                _column(q, kind, base, xrow, weights, wstep, wcol, rows, k, target, low)


@inner
def _tile_sums(q, x, xrow, dy, rows, target, pitch, kind):
    """Add to the taps of one kernel row, at whole vectors of channels, what `rows` rows give."""
    taps, offset, size, n = q[p.W_TAPS], q[p.W_OFFSET], q[p.W_SIZE], q[p.W_OUT]
    xcol, dyrow, dycol, c = q[p.X_W], q[p.OUT_H], q[p.OUT_W], q[p.CHANNELS] // LANES
    if q[p.W_STRIDE] == 2:
        if taps == 3:
            weight_columns(
                3, 2, kind, x, xrow, xcol, offset, size, dy, dyrow, dycol, n, rows, c, target, pitch
            )
        elif taps == 5:
            weight_columns(
                5, 2, kind, x, xrow, xcol, offset, size, dy, dyrow, dycol, n, rows, c, target, pitch
            )
        else:
            weight_columns(
                7, 2, kind, x, xrow, xcol, offset, size, dy, dyrow, dycol, n, rows, c, target, pitch
            )
    elif taps == 3:
        weight_columns(
            3, 1, kind, x, xrow, xcol, offset, size, dy, dyrow, dycol, n, rows, c, target, pitch
        )
    elif taps == 5:
        weight_columns(
            5, 1, kind, x, xrow, xcol, offset, size, dy, dyrow, dycol, n, rows, c, target, pitch
        )
    else:
        weight_columns(
            7, 1, kind, x, xrow, xcol, offset, size, dy, dyrow, dycol, n, rows, c, target, pitch
        )


@inner
def _tap_sum(x, xcol, dy, ycol, count, lanes, kind, target):
    """Add dy * x over `count` columns to one tap, for up to sixteen channels."""
    a = splat(NOUGHT)
    b = a
    for k in range(0, count - 1, 2):
        here, there = x + k * xcol, dy + k * ycol
        a = fma(load_lanes(here, 0, lanes, kind), load_lanes(there, 0, lanes, kind), a)
        here, there = here + xcol, there + ycol
        b = fma(load_lanes(here, 0, lanes, kind), load_lanes(there, 0, lanes, kind), b)
    if count % 2:
        here, there = x + (count - 1) * xcol, dy + (count - 1) * ycol
        a = fma(load_lanes(here, 0, lanes, kind), load_lanes(there, 0, lanes, kind), a)
    add_to_doubles(target, add(a, b))


@inner
def _plain_sums(q, x, xrow, dy, rows, lanes, target, pitch, kind):
    """The same a tap at a time, for any step, number of taps and channels."""
    stride, xcol, ycol = q[p.W_STRIDE], q[p.X_W], q[p.OUT_W]
    for tap in range(q[p.W_TAPS]):
        start = q[p.W_OFFSET] + tap * q[p.W_STEP]
        # Column k reads stride * k + start: inside the input for k in [low, high).
        low = max(0, -(start // stride))
        high = min(q[p.W_OUT], (q[p.W_SIZE] - 1 - start) // stride + 1)
        here = x + (stride * low + start) * xcol
        for row in range(rows if low < high else 0):
            there = dy + row * q[p.OUT_H] + low * ycol
            _tap_sum(
                here + row * xrow,
                stride * xcol,
                there,
                ycol,
                high - low,
                lanes,
                kind,
                target + tap * pitch,
            )


@inner
def _ask_rows(q, x, n, first, end):
    """Ask for the inputs of output rows [first, end), in the order in which they lie."""
    last = q[p.H_STRIDE] * (end - 1) + q[p.H_OFFSET] + (q[p.H_TAPS] - 1) * q[p.H_STEP]
    top = max(0, q[p.H_STRIDE] * first + q[p.H_OFFSET])
    bottom = min(q[p.H_SIZE], last + 1)
    here = x + n * q[p.X_N]
    for line in range(here + top * q[p.X_H], here + bottom * q[p.X_H], LINE):
        ask_for(line)


@inner
def weight_rows(q, x, dy, sums, padded, n, first, end, kind):
    """Add to the weight gradient what output rows [first, end) of image n give; q is forward."""
    size, pitch, stride = element_bytes(kind), padded * 8, q[p.H_STRIDE]
    tiled = q[p.TILED] and q[p.W_TAPS] > 2 and q[p.W_TAPS] != 4
    for row in range(q[p.H_TAPS]):
        start = q[p.H_OFFSET] + row * q[p.H_STEP]
        low = max(first, -(start // stride))
        high = min(min(end, q[p.H_OUT]), (q[p.H_SIZE] - 1 - start) // stride + 1)
        if low >= high:
            continue
        xs = x + n * q[p.X_N] + (stride * low + start) * q[p.X_H]
        ys = dy + n * q[p.OUT_N] + low * q[p.OUT_H]
        target = sums + row * q[p.KERNEL_W] * padded * 8
        xrow, done = stride * q[p.X_H], 0
        if tiled:
            _tile_sums(q, xs, xrow, ys, high - low, target, pitch, kind)
            done = q[p.CHANNELS] - q[p.CHANNELS] % LANES
        for c in range(done, q[p.CHANNELS], LANES):
            lanes, here, there = q[p.CHANNELS] - c, xs + c * size, ys + c * size
            _plain_sums(q, here, xrow, there, high - low, lanes, target + c * 8, pitch, kind)


@kernel(plans="plans")
def forward(part, parts, plans, x, w, padded, out, images, block, kind):
    """The whole filter, `block` output rows a task."""
    q = plans[0]
    blocks = (q[p.H_OUT] + block - 1) // block
    tasks = images * blocks
    for task in range(part * tasks // parts, (part + 1) * tasks // parts):
        first = task % blocks * block
        filter_rows(q, x, w, padded, out, task // blocks, first, first + block, kind)


@kernel(plans="plans")
def backward(part, parts, plans, x, dy, w, padded, dx, sums, images, block, need_x, need_w, kind):
    """Both gradients a block of rows at a time, so that dy comes from memory once.

    Row 0 of plans is the forward pass, the others the input gradient. Each part sums the weight
    gradient of a fixed range of blocks by itself, which keeps the order of addition.
    """
    length = plans[0, p.H_OUT]
    for k in range(1, plans.shape[0]):
        length = max(length, plans[k, p.H_OUT])
    blocks = (length + block - 1) // block
    tasks, bytes_each = images * blocks, plans[0, p.H_TAPS] * plans[0, p.W_TAPS] * padded * 8
    own = sums + part * bytes_each
    for task in range(part * tasks // parts, (part + 1) * tasks // parts):
        n, first = task // blocks, task % blocks * block
        if need_x:
            for k in range(1, plans.shape[0]):
                filter_rows(plans[k], dy, w, padded, dx, n, first, first + block, kind)
        if need_w:
            _ask_rows(plans[0], x, n, first, min(first + block, plans[0, p.H_OUT]))
            weight_rows(plans[0], x, dy, own, padded, n, first, first + block, kind)
