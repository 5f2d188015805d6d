"""Batch norm, residual and activation over rows of channels: (n * h * w, c) in memory.

Narrow rows are taken several at a time (`fold` rows of c make one of c * fold), so that vectors
are full; the per-channel numbers are then repeated, and the sums of the repeats added up.
Every worker sums a fixed range of rows: float32 within RUN rows, float64 beyond. Sums run from
the end to the start and the pass that writes from the start to the end: each finds in the cache
what the one before it touched last.
"""

import numpy as np
from numba import prange

from convatlas.ops.kernels.activation import activate, through
from convatlas.ops.kernels.channel_rows import (
    MEAN,
    OFFSET,
    PIVOT,
    RUN,
    SCALE,
    SHIFT,
    SLOPE,
    SUMS_BYTES,
    add_statistics,
    clear,
    clear_table,
    fill_table,
    finish_statistics,
    flush,
    gather,
    get,
    put,
    repeat,
    take,
)
from convatlas.ops.kernels.compiled import inner, kernel
from convatlas.ops.kernels.memory_access import (
    element_bytes,
    get_float,
    load,
    load_lanes,
    put_float,
    store,
)
from convatlas.ops.kernels.vector import FLOAT32, LANES, add, fma, splat, sub, total


@inner
def _gradient_rows(x, extra, dy, count, channels, table, sums, padded, act, low, high, kind):
    """Add sum of g and of g * (x - mean), g being the gradient before the activation."""
    size, short = element_bytes(kind), sums + 2 * padded * 8
    lowest, highest = splat(low), splat(high)
    for c in range(0, channels, LANES):
        scale, shift = take(SCALE, c, table, padded), take(SHIFT, c, table, padded)
        mean, lanes = take(MEAN, c, table, padded), channels - c
        a = load(short + c * 4, FLOAT32)
        b = load(short + (padded + c) * 4, FLOAT32)
        for row in range(count):
            place = (row * channels + c) * size
            value = get(x + place, lanes, kind)
            before = fma(value, scale, shift)
            if extra:
                before = add(before, get(extra + place, lanes, kind))
            g = through(act, before, lowest, highest, get(dy + place, lanes, kind))
            a, b = add(a, g), fma(g, sub(value, mean), b)
        store(short + c * 4, a, FLOAT32)
        store(short + (padded + c) * 4, b, FLOAT32)


@kernel("intp,intp,intp,intp,intp,intp,intp,intp,intp,float64")
def statistics(x, rows, channels, fold, table, padded, sums, parts, stats, eps, kind):
    """Write mean, unbiased variance and 1 / standard deviation of each channel to stats.

    Differences from the first row keep the variance exact where the mean is large.
    """
    size, each = element_bytes(kind), channels // fold
    clear_table(table, padded)
    for channel in range(each):
        pivot = total(load_lanes(x + channel * size, 0, 1, kind))
        repeat(table, PIVOT, padded, channel, each, fold, pivot)
    for part in prange(parts):
        own = sums + part * padded * SUMS_BYTES
        clear(own, padded)
        first, last = part * rows // parts, (part + 1) * rows // parts
        for back in range(first, last, RUN):
            end = last - (back - first)
            start = max(first, end - RUN)
            for row in range(start, end, 4):
                count = min(4, end - row)
                here = x + row * channels * size
                add_statistics(here, count, channels, table, own, padded, kind)
            flush(own, padded)
    number = float(rows * fold)
    finish_statistics(sums, parts, padded, table, each, fold, number, stats, eps)


@kernel("intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,float32,float32,intp")
def normalise(
    x, extra, y, rows, channels, fold, table, padded, parts, weight, bias, stats, act, low, high,
    stream, kind,
):  # fmt: skip  # one argument a line would hide the function below its signature
    """Write act(batch_norm(x) + extra); extra, weight and bias may be absent (0)."""
    size = element_bytes(kind)
    clear_table(table, padded)
    fill_table(table, padded, channels // fold, fold, weight, bias, stats)
    for part in prange(parts):
        lowest, highest = splat(low), splat(high)
        for row in range(part * rows // parts, (part + 1) * rows // parts):
            for c in range(0, channels, LANES):
                place, lanes = (row * channels + c) * size, channels - c
                scale, shift = take(SCALE, c, table, padded), take(SHIFT, c, table, padded)
                value = fma(get(x + place, lanes, kind), scale, shift)
                if extra:
                    value = add(value, get(extra + place, lanes, kind))
                put(y + place, activate(act, value, lowest, highest), lanes, kind, stream)


@kernel(
    "intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,"
    "float32,float32,intp,intp"
)
def gradients(
    x, extra, dy, dx, dextra, rows, channels, fold, table, padded, sums, parts, weight, bias,
    stats, result, act, low, high, batch, stream, kind,
):  # fmt: skip  # as above
    """Gradients of the input, of extra (0: not wanted), and in `result` of scale and shift.

    `batch` says whether mean and variance came from this batch, so that gradients flow through
    them too.
    """
    size, each, number = element_bytes(kind), channels // fold, float(rows * fold)
    clear_table(table, padded)
    fill_table(table, padded, each, fold, weight, bias, stats)
    for part in prange(parts):
        own = sums + part * padded * SUMS_BYTES
        clear(own, padded)
        first, last = part * rows // parts, (part + 1) * rows // parts
        for back in range(first, last, RUN):
            end = last - (back - first)
            start = max(first, end - RUN)
            for row in range(start, end, 4):
                count, here = min(4, end - row), row * channels * size
                _gradient_rows(
                    x + here, extra + here if extra else 0, dy + here, count, channels, table,
                    own, padded, act, low, high, kind,
                )  # fmt: skip  # as above
            flush(own, padded)
    for channel in range(each):
        total_g = gather(sums, parts, padded, 0, channel, each, fold)
        total_gx = gather(sums, parts, padded, 1, channel, each, fold)
        inverse = np.float64(get_float(table + (SLOPE * padded + channel) * 4))
        scale = np.float64(get_float(table + (SCALE * padded + channel) * 4))
        put_float(result + channel * 4, np.float32(total_gx * inverse))
        put_float(result + (each + channel) * 4, np.float32(total_g))
        pull = -scale * inverse * inverse * total_gx / number if batch else 0.0
        offset = -scale * total_g / number if batch else 0.0
        repeat(table, SLOPE, padded, channel, each, fold, pull)
        repeat(table, OFFSET, padded, channel, each, fold, offset)
    for part in prange(parts):
        lowest, highest = splat(low), splat(high)
        for row in range(part * rows // parts, (part + 1) * rows // parts):
            for c in range(0, channels, LANES):
                place, lanes = (row * channels + c) * size, channels - c
                scale, shift = take(SCALE, c, table, padded), take(SHIFT, c, table, padded)
                value = get(x + place, lanes, kind)
                before = fma(value, scale, shift)
                if extra:
                    before = add(before, get(extra + place, lanes, kind))
                g = through(act, before, lowest, highest, get(dy + place, lanes, kind))
                if dextra:
                    put(dextra + place, g, lanes, kind, stream)
                off_mean = sub(value, take(MEAN, c, table, padded))
                rest = fma(off_mean, take(SLOPE, c, table, padded), take(OFFSET, c, table, padded))
                put(dx + place, fma(g, scale, rest), lanes, kind, stream)
