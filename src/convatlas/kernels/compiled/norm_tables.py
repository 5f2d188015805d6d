"""What happens once a channel before and after the passes over its values: tables and results.

Each is called with one part (`fill_tables` also with two). Sums of all workers are added up in a
fixed order, in float64.
"""

import numpy as np

from convatlas.kernels.codegen.memory import (
    element_bytes,
    get_double,
    get_float,
    load_lanes,
    put_float,
    store,
)
from convatlas.kernels.codegen.vector import FLOAT32, LANES, splat, total
from convatlas.kernels.layout.channels import (
    MEAN,
    OFFSET,
    PIVOT,
    SCALE,
    SHIFT,
    SLOPE,
    SUMS_BYTES,
    TABLE,
)
from convatlas.kernels.runtime.arguments import count_up
from convatlas.kernels.runtime.compiler import inner, kernel

ZERO = np.float32(0)


@inner
def _clear(table, padded):
    for c in range(0, TABLE * padded, LANES):
        store(table + c * 4, splat(ZERO), FLOAT32)


@inner
def _repeat(table, row, padded, channel, channels, fold, value):
    """Put a number in the table, once for every row that is folded into one."""
    for k in range(fold):
        put_float(table + (row * padded + k * channels + channel) * 4, np.float32(value))


@inner
def _gather(sums, summed_by, padded, which, channel, channels, fold):
    """One channel's total over workers and folded rows."""
    result = 0.0
    for worker in range(summed_by):
        for k in range(fold):
            place = which * padded + k * channels + channel
            result += get_double(sums + worker * padded * SUMS_BYTES + place * 8)
    return result


@inner
def _fill(table, padded, channels, fold, weight, bias, stats):
    _clear(table, padded)
    for channel in range(channels if stats else 0):
        mean = np.float64(get_float(stats + channel * 4))
        inverse = np.float64(get_float(stats + (2 * channels + channel) * 4))
        scale = inverse * (get_float(weight + channel * 4) if weight else ZERO + 1)
        shift = (get_float(bias + channel * 4) if bias else ZERO) - mean * scale
        _repeat(table, MEAN, padded, channel, channels, fold, mean)
        _repeat(table, SCALE, padded, channel, channels, fold, scale)
        _repeat(table, SHIFT, padded, channel, channels, fold, shift)
        _repeat(table, SLOPE, padded, channel, channels, fold, inverse)


@inner
def _fill_slopes(table, padded, channels, rows, stats, dstats):
    _clear(table, padded)
    for channel in range(channels if dstats else 0):
        mean, inverse = stats + channel * 4, stats + (2 * channels + channel) * 4
        deviation = np.float64(get_float(inverse))
        pull = np.float64(get_float(dstats + (2 * channels + channel) * 4))
        slope = -pull * deviation * deviation * deviation / rows
        offset = np.float64(get_float(dstats + channel * 4)) / rows
        put_float(table + (MEAN * padded + channel) * 4, get_float(mean))
        put_float(table + (SLOPE * padded + channel) * 4, np.float32(slope))
        put_float(table + (OFFSET * padded + channel) * 4, np.float32(offset))


@kernel()
def fill(worker, workers, table, padded, channels, fold, weight, bias, stats, dtype):
    """Scale and shift of each channel from stats (mean, variance, 1 / standard deviation).

    stats 0: a table of zeros; weight or bias 0: there is none.
    """
    _fill(table, padded, channels, fold, weight, bias, stats)


@kernel(rows="float64")
def fill_slopes(worker, workers, table, padded, channels, rows, stats, dstats, dtype):
    """What the gradient of mean and deviation adds to that of each value; dstats 0: nothing."""
    _fill_slopes(table, padded, channels, rows, stats, dstats)


@kernel(rows="float64")
def fill_tables(
    worker,
    workers,
    table_x,
    padded_x,
    channels_x,
    weight,
    bias,
    stats_x,
    table_y,
    padded_y,
    channels_y,
    rows,
    stats_y,
    dstats,
    dtype,
):
    """The tables of both sides of a convolution: `fill` for x and `fill_slopes` for y.

    One part does both, or the first of two this one and the second that one.
    """
    if worker == 0:
        _fill(table_x, padded_x, channels_x, 1, weight, bias, stats_x)
    if worker == workers - 1:
        _fill_slopes(table_y, padded_y, channels_y, rows, stats_y, dstats)


@kernel()
def fill_pivots(worker, workers, x, channels, fold, table, padded, dtype):
    """A table whose pivots are the first row of x."""
    _clear(table, padded)
    size = element_bytes(dtype)
    for channel in range(channels):
        pivot = total(load_lanes(x + channel * size, 0, 1, dtype))
        _repeat(table, PIVOT, padded, channel, channels, fold, pivot)


@inner
def _follow(running, value, momentum):
    before = np.float64(get_float(running))
    put_float(running, np.float32(before + momentum * (value - before)))


@kernel(number="float64", eps="float64", momentum="float64")
def write_statistics(
    worker,
    workers,
    sums,
    summed_by,
    padded,
    table,
    channels,
    fold,
    number,
    stats,
    eps,
    mean,
    var,
    counted,
    momentum,
    dtype,
):
    """Mean, unbiased variance and 1 / standard deviation from sums of x - pivot and its square.

    Running statistics `mean` and `var` follow them, and `counted` counts the batch; 0: there is
    none.
    """
    if counted:
        count_up(counted)
    for channel in range(channels):
        pivot = np.float64(get_float(table + (PIVOT * padded + channel) * 4))
        first_moment = _gather(sums, summed_by, padded, 0, channel, channels, fold) / number
        second_moment = _gather(sums, summed_by, padded, 1, channel, channels, fold) / number
        variance = max(0.0, second_moment - first_moment * first_moment)
        put_float(stats + channel * 4, np.float32(pivot + first_moment))
        unbiased = variance * number / max(number - 1.0, 1.0)
        if mean:
            _follow(mean + channel * 4, pivot + first_moment, momentum)
        if var:
            _follow(var + channel * 4, unbiased, momentum)
        put_float(stats + (channels + channel) * 4, np.float32(unbiased))
        put_float(stats + (2 * channels + channel) * 4, np.float32(1.0 / np.sqrt(variance + eps)))


@kernel()
def write_gradients(
    worker, workers, sums, summed_by, padded, table, channels, weight, result, dtype
):
    """The gradients of scale, shift, mean, variance (none) and 1 / standard deviation."""
    for channel in range(channels):
        total_g = _gather(sums, summed_by, padded, 0, channel, channels, 1)
        total_off = _gather(sums, summed_by, padded, 1, channel, channels, 1)
        inverse = np.float64(get_float(table + (SLOPE * padded + channel) * 4))
        scale = np.float64(get_float(table + (SCALE * padded + channel) * 4))
        factor = np.float64(get_float(weight + channel * 4)) if weight else 1.0
        put_float(result + channel * 4, np.float32(total_off * inverse))
        put_float(result + (channels + channel) * 4, np.float32(total_g))
        put_float(result + (2 * channels + channel) * 4, np.float32(-scale * total_g))
        put_float(result + (3 * channels + channel) * 4, np.float32(0))
        put_float(result + (4 * channels + channel) * 4, np.float32(factor * total_off))


@kernel(number="float64")
def fill_pulls(
    worker, workers, sums, summed_by, padded, table, channels, fold, number, batch, result, dtype
):
    """The gradients of scale and shift in `result`, and in the table what they add to that of x.

    `batch` says whether mean and variance came from these values, so that gradients flow through
    them too.
    """
    for channel in range(channels):
        total_g = _gather(sums, summed_by, padded, 0, channel, channels, fold)
        total_gx = _gather(sums, summed_by, padded, 1, channel, channels, fold)
        inverse = np.float64(get_float(table + (SLOPE * padded + channel) * 4))
        scale = np.float64(get_float(table + (SCALE * padded + channel) * 4))
        put_float(result + channel * 4, np.float32(total_gx * inverse))
        put_float(result + (channels + channel) * 4, np.float32(total_g))
        pull = -scale * inverse * inverse * total_gx / number if batch else 0.0
        offset = -scale * total_g / number if batch else 0.0
        _repeat(table, SLOPE, padded, channel, channels, fold, pull)
        _repeat(table, OFFSET, padded, channel, channels, fold, offset)
