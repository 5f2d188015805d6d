"""The weights of a depthwise filter as its kernels want them, and the gradient as torch wants it.

Torch keeps the taps of a channel together, the kernels the channels of a tap: (k * l, c), with c
filled up with zeros to whole vectors, so that no load needs a mask. Over rows of channels,
(n, h, w, c) in memory, the gradient is summed in float64 in the same order.
"""

from functools import cache

import numpy as np

from convatlas.kernels.codegen.memory import (
    add_to_doubles,
    element_bytes,
    load_every,
    load_lanes,
    store,
    store_every,
    sum_of_doubles,
)
from convatlas.kernels.codegen.vector import FLOAT32, LANES, add, fma, splat
from convatlas.kernels.codegen.weight_tile import KERNEL_ROWS, PADDING, weight_columns
from convatlas.kernels.layout import plan as p
from convatlas.kernels.layout.records import GradientRows, TapRows, TapSums
from convatlas.kernels.layout.tile_sizes import COLUMNS, WIDE
from convatlas.kernels.runtime.compiler import inner, kernel

ZERO = np.float32(0)


@inner
def pack_weights(w, channels, taps, padded, target, dtype):
    """Write torch's weights (channels, taps) to target as float32 (taps, padded)."""
    size = element_bytes(dtype)
    for c in range(0, padded, LANES):
        for tap in range(taps):
            here = w + (c * taps + tap) * size
            values = load_every(here, taps * size, 0, channels - c, dtype)
            store(target + (tap * padded + c) * 4, values, FLOAT32)


@inner
def clear_sums(sums, count):
    """Set float64 totals, a multiple of sixteen, to zero."""
    for i in range(0, count * 8, 64):
        store(sums + i, splat(ZERO), FLOAT32)


@cache
def _wide(taps, stride):
    """Whether a row is best taken in wide tiles: in fewer steps, and without unknown padding."""
    lefts, rights = PADDING[taps, stride]
    most_left, right, most_right = lefts[-1], rights[min(1, len(rights) - 1)], rights[-1]

    @inner
    def wide(q):
        columns = q[p.W_OUT]
        if taps == 7 or columns < WIDE:
            return False
        steps, narrow = (columns + WIDE - 1) // WIDE, (columns + COLUMNS - 1) // COLUMNS
        if steps * (WIDE + 1) > narrow * (COLUMNS + 1):
            return False
        before = -q[p.W_OFFSET]
        beyond = stride * (columns - 1) - before + taps - q[p.W_SIZE]
        known = beyond <= 0 or beyond in (right, most_right)
        # The last tile starts early where columns are left over; the one before it must be inside.
        inside = columns % WIDE == 0 or columns % WIDE * stride >= beyond
        return (before <= 0 or before == most_left) and known and inside

    return wide


@cache
def _tiled_sums(taps, stride, edges):
    """The function that adds up the weight gradient for one number of taps and stride."""
    wide = _wide(taps, stride)

    @inner
    def add_sums(q, x, dy, first, rows, target, padded, prefetch_at, dtype):
        """Add what `rows` rows of dy from `first` on give, at whole vectors of channels."""
        width, pitch = q[p.W_OUT], padded * 8
        vectors = q[p.CHANNELS] // LANES
        gradients = GradientRows(dy, q[p.OUT_H], q[p.OUT_W], width, rows, vectors)
        for r in range(0, q[p.H_TAPS], KERNEL_ROWS):
            inputs = TapRows(
                x,
                q[p.X_H],
                q[p.X_W],
                q[p.H_STRIDE] * first + q[p.H_OFFSET] + r * q[p.H_STEP],
                q[p.H_STEP],
                q[p.H_STRIDE],
                q[p.H_SIZE],
                min(KERNEL_ROWS, q[p.H_TAPS] - r),
                q[p.W_OFFSET],
                q[p.W_SIZE],
            )
            sums, ahead = TapSums(target + r * taps * pitch, pitch, taps * pitch), prefetch_at
            if r:
                ahead = 0
            if width % WIDE == 0 and wide(q):
                weight_columns(WIDE, taps, stride, edges, dtype, inputs, gradients, sums, ahead)
            else:
                weight_columns(COLUMNS, taps, stride, edges, dtype, inputs, gradients, sums, ahead)

    return add_sums


@inner
def _no_sums(q, x, dy, first, rows, target, padded, prefetch_at, dtype):
    """No tile fits."""


@inner
def _tap_sum(x, xcol, dy, ycol, count, lanes, dtype, target):
    """Add dy * x over `count` columns to one tap, for up to sixteen channels."""
    a = splat(ZERO)
    b = a
    for k in range(0, count - 1, 2):
        here, there = x + k * xcol, dy + k * ycol
        a = fma(load_lanes(here, 0, lanes, dtype), load_lanes(there, 0, lanes, dtype), a)
        here, there = here + xcol, there + ycol
        b = fma(load_lanes(here, 0, lanes, dtype), load_lanes(there, 0, lanes, dtype), b)
    if count % 2:
        here, there = x + (count - 1) * xcol, dy + (count - 1) * ycol
        a = fma(load_lanes(here, 0, lanes, dtype), load_lanes(there, 0, lanes, dtype), a)
    add_to_doubles(target, add(a, b))


@inner
def _plain_sums(q, x, xrow, dy, rows, lanes, target, pitch, dtype):
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
                dtype,
                target + tap * pitch,
            )


@inner
def _no_plain_sums(q, x, xrow, dy, rows, lanes, target, pitch, dtype):
    """Tiles take all channels."""


@cache
def weight_rows(tiles, plain, edges):
    """Return the function that adds up the weight gradient, compiled for these tiles.

    `plain` also for what has none: channels beyond whole vectors, and other filters. `edges` is 0
    where zeros stand beside the rows in memory, so that no tile needs to look.
    """
    fits, (taps, stride) = len(tiles) > 0, tiles[0] if tiles else (0, 0)
    tile_sums = _tiled_sums(taps, stride, edges) if fits else _no_sums
    plain_sums = _plain_sums if plain else _no_plain_sums

    @inner
    def add_rows(q, x, dy, sums, padded, n, first, end, prefetch_at, dtype):
        """Add to the weight gradient what output rows [first, end) of image n give; q is forward.

        Meanwhile as much as these rows of dy is prefetched from `prefetch_at` on; 0: nothing.
        """
        size, pitch, stride, done = element_bytes(dtype), padded * 8, q[p.H_STRIDE], 0
        x += n * q[p.X_N]
        dy += n * q[p.OUT_N]
        end = min(end, q[p.H_OUT])
        if fits and q[p.TILED]:
            done = q[p.CHANNELS] - q[p.CHANNELS] % LANES
            here = dy + first * q[p.OUT_H]
            tile_sums(q, x, here, first, end - first, sums, padded, prefetch_at, dtype)
        for row in range(q[p.H_TAPS] if done < q[p.CHANNELS] else 0):
            start = q[p.H_OFFSET] + row * q[p.H_STEP]
            low = max(first, -(start // stride))
            high = min(end, (q[p.H_SIZE] - 1 - start) // stride + 1)
            xs, ys = x + (stride * low + start) * q[p.X_H], dy + low * q[p.OUT_H]
            target, xrow = sums + row * q[p.KERNEL_W] * pitch, stride * q[p.X_H]
            for c in range(done, q[p.CHANNELS], LANES):
                lanes, here, there = q[p.CHANNELS] - c, xs + c * size, ys + c * size
                plain_sums(q, here, xrow, there, high - low, lanes, target + c * 8, pitch, dtype)

    return add_rows


@kernel()
def write_gradient(worker, workers, sums, summed_by, pitch, channels, taps, padded, dw, dtype):
    """Write the workers' float64 sums (taps, padded) as torch's (channels, taps)."""
    size, blocks = element_bytes(dtype), padded // LANES
    for block in range(worker * blocks // workers, (worker + 1) * blocks // workers):
        c = block * LANES
        for tap in range(taps):
            values = sum_of_doubles(sums + (tap * padded + c) * 8, summed_by, pitch)
            there = dw + (c * taps + tap) * size
            store_every(there, taps * size, values, channels - c, dtype)
