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
from convatlas.ops.kernels.compiled import inner, kernel
from convatlas.ops.kernels.vector import (
    FLOAT32,
    LANES,
    add,
    add_to_doubles,
    element_bytes,
    fma,
    get_double,
    get_float,
    load,
    load_lanes,
    put_float,
    splat,
    store,
    store_lanes,
    store_past_cache,
    sub,
    total,
)

NOUGHT = np.float32(0)
RUN = 64  # rows whose sum stays in float32
# Rows of the table of per-channel numbers, each `padded` float32 long.
PIVOT, MEAN, SCALE, SHIFT, SLOPE, OFFSET = range(6)
TABLE = 6
# A worker's sums: two of float64, then two of float32 for the current run.
SUMS_BYTES = 2 * 8 + 2 * 4


@inner
def _take(row, c, table, padded):
    return load(table + (row * padded + c) * 4, FLOAT32)


@inner
def _clear(sums, padded):
    for c in range(0, padded * SUMS_BYTES, 64):
        store(sums + c, splat(NOUGHT), FLOAT32)


@inner
def _flush(sums, padded):
    """Move the float32 sums of a run to the float64 ones."""
    short = sums + 2 * padded * 8
    for c in range(0, 2 * padded, LANES):
        add_to_doubles(sums + c * 8, load(short + c * 4, FLOAT32))
        store(short + c * 4, splat(NOUGHT), FLOAT32)


@inner
def _get(place, lanes, kind):
    return load(place, kind) if lanes >= LANES else load_lanes(place, 0, lanes, kind)


@inner
def _put(place, value, lanes, kind, stream):
    if stream:
        store_past_cache(place, value)
    elif lanes >= LANES:
        store(place, value, kind)
    else:
        store_lanes(place, value, lanes, kind)


@inner
def _statistics_rows(x, count, channels, table, sums, padded, kind):
    """Add sum and sum of squares of (x - pivot) over a few rows."""
    size, short = element_bytes(kind), sums + 2 * padded * 8
    for c in range(0, channels, LANES):
        pivot = _take(PIVOT, c, table, padded)
        a = load(short + c * 4, FLOAT32)
        b = load(short + (padded + c) * 4, FLOAT32)
        for row in range(count):
            v = sub(_get(x + (row * channels + c) * size, channels - c, kind), pivot)
            a, b = add(a, v), fma(v, v, b)
        store(short + c * 4, a, FLOAT32)
        store(short + (padded + c) * 4, b, FLOAT32)


@inner
def _gradient_rows(x, extra, dy, count, channels, table, sums, padded, act, low, high, kind):
    """Add sum of g and of g * (x - mean), g being the gradient before the activation."""
    size, short = element_bytes(kind), sums + 2 * padded * 8
    lowest, highest = splat(low), splat(high)
    for c in range(0, channels, LANES):
        scale, shift = _take(SCALE, c, table, padded), _take(SHIFT, c, table, padded)
        mean, lanes = _take(MEAN, c, table, padded), channels - c
        a = load(short + c * 4, FLOAT32)
        b = load(short + (padded + c) * 4, FLOAT32)
        for row in range(count):
            place = (row * channels + c) * size
            value = _get(x + place, lanes, kind)
            before = fma(value, scale, shift)
            if extra:
                before = add(before, _get(extra + place, lanes, kind))
            g = through(act, before, lowest, highest, _get(dy + place, lanes, kind))
            a, b = add(a, g), fma(g, sub(value, mean), b)
        store(short + c * 4, a, FLOAT32)
        store(short + (padded + c) * 4, b, FLOAT32)


@inner
def _gather(sums, parts, padded, which, channel, channels, fold):
    """One channel's float64 total over workers and folded rows, in a fixed order."""
    result = 0.0
    for part in range(parts):
        for k in range(fold):
            place = which * padded + k * channels + channel
            result += get_double(sums + part * padded * SUMS_BYTES + place * 8)
    return result


@inner
def _repeat(table, row, padded, channel, channels, fold, value):
    """Put a number in the table, once for every row that is folded into one."""
    for k in range(fold):
        put_float(table + (row * padded + k * channels + channel) * 4, np.float32(value))


@inner
def _fill_table(table, padded, channels, fold, weight, bias, stats):
    """Scale and shift of each channel from stats (mean, variance, 1 / standard deviation)."""
    for channel in range(channels):
        mean = np.float64(get_float(stats + channel * 4))
        inverse = np.float64(get_float(stats + (2 * channels + channel) * 4))
        scale = inverse * (get_float(weight + channel * 4) if weight else NOUGHT + 1)
        shift = (get_float(bias + channel * 4) if bias else NOUGHT) - mean * scale
        _repeat(table, MEAN, padded, channel, channels, fold, mean)
        _repeat(table, SCALE, padded, channel, channels, fold, scale)
        _repeat(table, SHIFT, padded, channel, channels, fold, shift)
        _repeat(table, SLOPE, padded, channel, channels, fold, inverse)


@inner
def _clear_table(table, padded):
    for c in range(0, TABLE * padded, LANES):
        store(table + c * 4, splat(NOUGHT), FLOAT32)


@kernel("intp,intp,intp,intp,intp,intp,intp,intp,intp,float64")
def statistics(x, rows, channels, fold, table, padded, sums, parts, stats, eps, kind):
    """Write mean, unbiased variance and 1 / standard deviation of each channel to stats.

    Differences from the first row keep the variance exact where the mean is large.
    """
    size, each = element_bytes(kind), channels // fold
    _clear_table(table, padded)
    for channel in range(each):
        pivot = total(load_lanes(x + channel * size, 0, 1, kind))
        _repeat(table, PIVOT, padded, channel, each, fold, pivot)
    for part in prange(parts):
        own = sums + part * padded * SUMS_BYTES
        _clear(own, padded)
        first, last = part * rows // parts, (part + 1) * rows // parts
        for back in range(first, last, RUN):
            end = last - (back - first)
            start = max(first, end - RUN)
            for row in range(start, end, 4):
                count = min(4, end - row)
                here = x + row * channels * size
                _statistics_rows(here, count, channels, table, own, padded, kind)
            _flush(own, padded)
    number = float(rows * fold)
    for channel in range(each):
        pivot = np.float64(get_float(table + (PIVOT * padded + channel) * 4))
        first_moment = _gather(sums, parts, padded, 0, channel, each, fold) / number
        second_moment = _gather(sums, parts, padded, 1, channel, each, fold) / number
        variance = max(0.0, second_moment - first_moment * first_moment)
        put_float(stats + channel * 4, np.float32(pivot + first_moment))
        unbiased = variance * number / max(number - 1.0, 1.0)
        put_float(stats + (each + channel) * 4, np.float32(unbiased))
        put_float(stats + (2 * each + channel) * 4, np.float32(1.0 / np.sqrt(variance + eps)))


@kernel("intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,intp,float32,float32,intp")
def normalise(
    x, extra, y, rows, channels, fold, table, padded, parts, weight, bias, stats, act, low, high,
    stream, kind,
):  # fmt: skip  # one argument a line would hide the function below its signature
    """Write act(batch_norm(x) + extra); extra, weight and bias may be absent (0)."""
    size = element_bytes(kind)
    _clear_table(table, padded)
    _fill_table(table, padded, channels // fold, fold, weight, bias, stats)
    for part in prange(parts):
        lowest, highest = splat(low), splat(high)
        for row in range(part * rows // parts, (part + 1) * rows // parts):
            for c in range(0, channels, LANES):
                place, lanes = (row * channels + c) * size, channels - c
                scale, shift = _take(SCALE, c, table, padded), _take(SHIFT, c, table, padded)
                value = fma(_get(x + place, lanes, kind), scale, shift)
                if extra:
                    value = add(value, _get(extra + place, lanes, kind))
                _put(y + place, activate(act, value, lowest, highest), lanes, kind, stream)


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
    _clear_table(table, padded)
    _fill_table(table, padded, each, fold, weight, bias, stats)
    for part in prange(parts):
        own = sums + part * padded * SUMS_BYTES
        _clear(own, padded)
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
            _flush(own, padded)
    for channel in range(each):
        total_g = _gather(sums, parts, padded, 0, channel, each, fold)
        total_gx = _gather(sums, parts, padded, 1, channel, each, fold)
        inverse = np.float64(get_float(table + (SLOPE * padded + channel) * 4))
        scale = np.float64(get_float(table + (SCALE * padded + channel) * 4))
        put_float(result + channel * 4, np.float32(total_gx * inverse))
        put_float(result + (each + channel) * 4, np.float32(total_g))
        pull = -scale * inverse * inverse * total_gx / number if batch else 0.0
        offset = -scale * total_g / number if batch else 0.0
        _repeat(table, SLOPE, padded, channel, each, fold, pull)
        _repeat(table, OFFSET, padded, channel, each, fold, offset)
    for part in prange(parts):
        lowest, highest = splat(low), splat(high)
        for row in range(part * rows // parts, (part + 1) * rows // parts):
            for c in range(0, channels, LANES):
                place, lanes = (row * channels + c) * size, channels - c
                scale, shift = _take(SCALE, c, table, padded), _take(SHIFT, c, table, padded)
                value = _get(x + place, lanes, kind)
                before = fma(value, scale, shift)
                if extra:
                    before = add(before, _get(extra + place, lanes, kind))
                g = through(act, before, lowest, highest, _get(dy + place, lanes, kind))
                if dextra:
                    _put(dextra + place, g, lanes, kind, stream)
                off_mean = sub(value, _take(MEAN, c, table, padded))
                rest = fma(
                    off_mean, _take(SLOPE, c, table, padded), _take(OFFSET, c, table, padded)
                )
                _put(dx + place, fma(g, scale, rest), lanes, kind, stream)
