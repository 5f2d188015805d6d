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
from convatlas.kernels.layout.records import ChannelSums, NormNumbers, Statistics, StatisticsPull
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
def _gather(sums, which, channel):
    """One channel's total over workers and folded rows."""
    result = 0.0
    for worker in range(sums.summed_by):
        for k in range(sums.fold):
            place = which * sums.padded + k * sums.channels + channel
            result += get_double(sums.at + worker * sums.padded * SUMS_BYTES + place * 8)
    return result


@inner
def _fill(norm):
    table, padded, channels, fold = norm.table, norm.padded, norm.channels, norm.fold
    stats, weight, bias = norm.stats, norm.weight, norm.bias
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
def _fill_slopes(pull):
    table, padded, channels, dstats = pull.table, pull.padded, pull.channels, pull.dstats
    _clear(table, padded)
    for channel in range(channels if dstats else 0):
        mean, inverse = pull.stats + channel * 4, pull.stats + (2 * channels + channel) * 4
        deviation = np.float64(get_float(inverse))
        strength = np.float64(get_float(dstats + (2 * channels + channel) * 4))
        slope = -strength * deviation * deviation * deviation / pull.rows
        offset = np.float64(get_float(dstats + channel * 4)) / pull.rows
        put_float(table + (MEAN * padded + channel) * 4, get_float(mean))
        put_float(table + (SLOPE * padded + channel) * 4, np.float32(slope))
        put_float(table + (OFFSET * padded + channel) * 4, np.float32(offset))


@kernel()
def fill(worker, workers, norm: NormNumbers, dtype):
    """Write scale and shift of each channel from the statistics and numbers of its norm."""
    _fill(norm)


@kernel()
def fill_slopes(worker, workers, pull: StatisticsPull, dtype):
    """Write what the gradient of mean and deviation adds to that of each value."""
    _fill_slopes(pull)


@kernel()
def fill_tables(worker, workers, norm: NormNumbers, pull: StatisticsPull, dtype):
    """Write the tables of both sides of a convolution: `fill` for x and `fill_slopes` for y.

    One worker does both, or the first of two this one and the second that one.
    """
    if worker == 0:
        _fill(norm)
    if worker == workers - 1:
        _fill_slopes(pull)


@kernel()
def fill_pivots(worker, workers, x, channels, fold, table, padded, dtype):
    """Write a table whose pivots are the first row of x."""
    _clear(table, padded)
    size = element_bytes(dtype)
    for channel in range(channels):
        pivot = total(load_lanes(x + channel * size, 0, 1, dtype))
        _repeat(table, PIVOT, padded, channel, channels, fold, pivot)


@inner
def _follow(running, value, momentum):
    before = np.float64(get_float(running))
    put_float(running, np.float32(before + momentum * (value - before)))


@kernel()
def write_statistics(worker, workers, sums: ChannelSums, to: Statistics, dtype):
    """Write mean, unbiased variance and 1 / deviation from sums of x - pivot and its square.

    Running statistics `to.mean` and `to.var` follow them, and `to.counted` counts the batch.
    """
    if to.counted:
        count_up(to.counted)
    channels, rows = sums.channels, sums.rows
    for channel in range(channels):
        pivot = np.float64(get_float(sums.table + (PIVOT * sums.padded + channel) * 4))
        first_moment = _gather(sums, 0, channel) / rows
        second_moment = _gather(sums, 1, channel) / rows
        variance = max(0.0, second_moment - first_moment * first_moment)
        put_float(to.stats + channel * 4, np.float32(pivot + first_moment))
        unbiased = variance * rows / max(rows - 1.0, 1.0)
        if to.mean:
            _follow(to.mean + channel * 4, pivot + first_moment, to.momentum)
        if to.var:
            _follow(to.var + channel * 4, unbiased, to.momentum)
        inverse = 1.0 / np.sqrt(variance + to.eps)
        put_float(to.stats + (channels + channel) * 4, np.float32(unbiased))
        put_float(to.stats + (2 * channels + channel) * 4, np.float32(inverse))


@kernel()
def write_gradients(worker, workers, sums: ChannelSums, weight, result, dtype):
    """Write the gradients of scale, shift, mean, variance (none) and 1 / standard deviation."""
    padded, channels, table = sums.padded, sums.channels, sums.table
    for channel in range(channels):
        total_g, total_off = _gather(sums, 0, channel), _gather(sums, 1, channel)
        inverse = np.float64(get_float(table + (SLOPE * padded + channel) * 4))
        scale = np.float64(get_float(table + (SCALE * padded + channel) * 4))
        factor = np.float64(get_float(weight + channel * 4)) if weight else 1.0
        put_float(result + channel * 4, np.float32(total_off * inverse))
        put_float(result + (channels + channel) * 4, np.float32(total_g))
        put_float(result + (2 * channels + channel) * 4, np.float32(-scale * total_g))
        put_float(result + (3 * channels + channel) * 4, np.float32(0))
        put_float(result + (4 * channels + channel) * 4, np.float32(factor * total_off))


@kernel()
def fill_pulls(worker, workers, sums: ChannelSums, batch, result, dtype):
    """Write gradients of scale and shift, and in the table what they add to that of x.

    `batch` says whether mean and variance came from these values, so that gradients flow through
    them too.
    """
    padded, channels, fold, table = sums.padded, sums.channels, sums.fold, sums.table
    for channel in range(channels):
        total_g, total_gx = _gather(sums, 0, channel), _gather(sums, 1, channel)
        inverse = np.float64(get_float(table + (SLOPE * padded + channel) * 4))
        scale = np.float64(get_float(table + (SCALE * padded + channel) * 4))
        put_float(result + channel * 4, np.float32(total_gx * inverse))
        put_float(result + (channels + channel) * 4, np.float32(total_g))
        pull = -scale * inverse * inverse * total_gx / sums.rows if batch else 0.0
        offset = -scale * total_g / sums.rows if batch else 0.0
        _repeat(table, SLOPE, padded, channel, channels, fold, pull)
        _repeat(table, OFFSET, padded, channel, channels, fold, offset)
