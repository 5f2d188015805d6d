"""Rows of channels on their way into and out of a convolution: float32, channels_last.

Before a convolution its input is normalised and activated into scratch memory that fits the L2
cache; behind it the result is summed for its batch norm while it is written. The way back does
the same with the gradients. So the normalised tensor never exists in memory.
"""

import numpy as np

from convatlas.kernels.codegen.memory import load, store
from convatlas.kernels.codegen.vector import (
    FLOAT32,
    LANES,
    add,
    between,
    fma,
    largest,
    mul,
    smallest,
    splat,
    sub,
)
from convatlas.kernels.compiled.activation import activate, through
from convatlas.kernels.compiled.channel_sums import get, put, take
from convatlas.kernels.layout.activations import CLIP
from convatlas.kernels.layout.channels import MEAN, OFFSET, PIVOT, SCALE, SHIFT, SLOPE
from convatlas.kernels.runtime.compiler import inner

ZERO = np.float32(0)
TOGETHER = 6  # rows taken at once, so that their sums stay in registers


def _taking(clipped):
    """`take_rows` for normalised rows; what clips to a range has a loop of its own."""

    @inner
    def take_normed(source, x, out, count):
        table, padded, channels = source.table, source.padded, source.channels
        lowest, highest = splat(source.clip_min), splat(source.clip_max)
        for row in range(count):
            here, there = x + row * channels * 4, out + row * source.pitch
            for c in range(0, channels, LANES):
                value = get(here + c * 4, channels - c, FLOAT32)
                scale, shift = take(SCALE, c, table, padded), take(SHIFT, c, table, padded)
                value = fma(value, scale, shift)
                if clipped:
                    value = smallest(largest(value, lowest), highest)
                else:
                    value = activate(source.act, value, lowest, highest)
                store(there + c * 4, value, FLOAT32)

    return take_normed


_take_clipped, _take_activated = _taking(True), _taking(False)


@inner
def copy_rows(x, out, pitch, count, channels):
    """Copy rows to scratch as whole vectors."""
    for row in range(count):
        here, there = x + row * channels * 4, out + row * pitch
        for c in range(0, channels, LANES):
            store(there + c * 4, get(here + c * 4, channels - c, FLOAT32), FLOAT32)


@inner
def take_rows(source, x, out, count):
    """Copy rows from x on to scratch, normalised and activated as `source` says."""
    if source.normed and source.act == CLIP:
        _take_clipped(source, x, out, count)
    elif source.normed:
        _take_activated(source, x, out, count)
    else:
        copy_rows(x, out, source.pitch, count, source.channels)


@inner
def take_gradients(given, offset, out, count):
    """Copy rows of a ResultGradient to scratch, from `offset` bytes on.

    What the gradients of mean and deviation pass back is added.
    """
    dy, y, channels = given.dy + offset, given.y + offset, given.channels
    if not given.dstats:
        copy_rows(dy, out, given.pitch, count, channels)
        return
    table, padded = given.table, given.padded
    for row in range(count):
        here, there = row * channels * 4, out + row * given.pitch
        for c in range(0, channels, LANES):
            value = get(y + here + c * 4, channels - c, FLOAT32)
            slope, offsets = take(SLOPE, c, table, padded), take(OFFSET, c, table, padded)
            pull = fma(sub(value, take(MEAN, c, table, padded)), slope, offsets)
            gradient = get(dy + here + c * 4, channels - c, FLOAT32)
            store(there + c * 4, add(gradient, pull), FLOAT32)


@inner
def set_pivot(table, padded, row):
    """Take a first row of results as what sums of squares are taken about."""
    for c in range(0, padded, LANES):
        store(table + (PIVOT * padded + c) * 4, load(row + c * 4, FLOAT32), FLOAT32)


def _putting(nontemporal):
    """`put_rows` by way of the caches or around them."""

    @inner
    def put_some(result, scratch, pitch, y, count, sums):
        channels, table, padded = result.channels, result.table, result.padded
        short = sums + 2 * padded * 8
        for row in range(0, count, TOGETHER):
            end = min(count, row + TOGETHER)
            for c in range(0, channels, LANES):
                pivot, lanes = take(PIVOT, c, table, padded), channels - c
                a = load(short + c * 4, FLOAT32)
                b = load(short + (padded + c) * 4, FLOAT32)
                for r in range(row, end):
                    value = load(scratch + r * pitch + c * 4, FLOAT32)
                    put(y + (r * channels + c) * 4, value, lanes, FLOAT32, nontemporal)
                    off = sub(value, pivot)
                    a, b = add(a, off), fma(off, off, b)
                store(short + c * 4, a, FLOAT32)
                store(short + (padded + c) * 4, b, FLOAT32)

    return put_some


_put_near, _put_past = _putting(False), _putting(True)


@inner
def put_rows(result, scratch, pitch, y, count, sums):
    """Write rows from scratch, pitch bytes apart, to y on, and add up what their statistics need.

    result: a Result; sums: those of this worker.
    """
    if result.nontemporal:
        _put_past(result, scratch, pitch, y, count, sums)
    else:
        _put_near(result, scratch, pitch, y, count, sums)


def _pulling(clipped, nontemporal):
    """`put_gradients` behind a norm, for one way to write and the activations that clip or not."""

    @inner
    def put_normed(source, scratch, pitch, x, dx, count, sums):
        table, padded, channels = source.table, source.padded, source.channels
        lowest, highest = splat(source.clip_min), splat(source.clip_max)
        short = sums + 2 * padded * 8
        for row in range(0, count, TOGETHER):
            end = min(count, row + TOGETHER)
            for c in range(0, channels, LANES):
                lanes = channels - c
                scale, shift = take(SCALE, c, table, padded), take(SHIFT, c, table, padded)
                mean = take(MEAN, c, table, padded)
                a = load(short + c * 4, FLOAT32)
                b = load(short + (padded + c) * 4, FLOAT32)
                for r in range(row, end):
                    g, place = get(scratch + r * pitch + c * 4, lanes, FLOAT32), r * channels + c
                    value = get(x + place * 4, lanes, FLOAT32)
                    before = fma(value, scale, shift)
                    if clipped:
                        g = between(before, lowest, highest, g)
                    else:
                        g = through(source.act, before, lowest, highest, g)
                    a, b = add(a, g), fma(g, sub(value, mean), b)
                    put(dx + place * 4, mul(g, scale), lanes, FLOAT32, nontemporal)
                store(short + c * 4, a, FLOAT32)
                store(short + (padded + c) * 4, b, FLOAT32)

    return put_normed


_pull_near, _pull_past = _pulling(True, False), _pulling(True, True)
_pull_activated = _pulling(False, False)


@inner
def put_gradients(source, target, scratch, pitch, offset, count, sums):
    """Write the gradient of x from the gradient of what the convolution saw, and add its sums.

    source: the Prologue of x; target: the InputGradient; offset: bytes from the first row of x and
    of its gradient. Without a norm the rows are written as they are.
    """
    x, dx, channels = source.x + offset, target.dx + offset, source.channels
    if not source.normed:
        for row in range(count):
            here, there = scratch + row * pitch, dx + row * channels * 4
            for c in range(0, channels, LANES):
                value = get(here + c * 4, channels - c, FLOAT32)
                put(there + c * 4, value, channels - c, FLOAT32, target.nontemporal)
    elif source.act != CLIP:
        _pull_activated(source, scratch, pitch, x, dx, count, sums)
    elif target.nontemporal:
        _pull_past(source, scratch, pitch, x, dx, count, sums)
    else:
        _pull_near(source, scratch, pitch, x, dx, count, sums)
