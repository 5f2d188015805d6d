"""Depthwise filters over arrays whose channels are contiguous: (n, h, w, c) in memory.

Weights are held tap by tap (`depthwise_weights.py`).
"""

import numpy as np

from convatlas.kernels.codegen.depthwise_strip import depthwise_strip
from convatlas.kernels.codegen.epilogue import STORE
from convatlas.kernels.codegen.memory import (
    element_bytes,
    load,
    load_lanes,
    store,
    store_lanes,
)
from convatlas.kernels.codegen.vector import FLOAT32, LANES, fma, splat
from convatlas.kernels.layout import plan as p
from convatlas.kernels.runtime.compiler import inner

ZERO = np.float32(0)
MIN_MACS_PER_INPUT = 4  # multiply-adds an input


@inner
def prefetch_factor_of(q):
    """How many times as much as is written a forward pass asks for while it computes.

    Where there is much to compute that is what the next task needs; elsewhere nothing.
    """
    prefetch_factor = q[p.H_STRIDE] * q[p.W_STRIDE]
    return (
        prefetch_factor if q[p.H_TAPS] * q[p.W_TAPS] >= MIN_MACS_PER_INPUT * prefetch_factor else 0
    )


@inner
def first_tap(place, step):
    """The first tap whose input, place + tap * step, is not before the start."""
    return 0 if place >= 0 else (-place + step - 1) // step


@inner
def end_tap(place, step, size, taps):
    """One past the last tap whose input is not beyond the end."""
    return min(taps, (size - 1 - place) // step + 1)


def _strips(strip, finish):
    """The function that writes output rows in strips of one kind, which end in one way."""
    columns, h_taps, h_stride, w_taps, w_stride = strip

    @inner
    def write_strips(q, dtype, x, w, padded, out, first, end, prefetch_at, prefetch_factor, *ends):
        table, totals, other, low, high = ends
        size, xcol, ocol = element_bytes(dtype), q[p.X_W], q[p.OUT_W]
        wrow, wcol = q[p.KERNEL_W] * padded * 4, q[p.W_WEIGHT_STEP] * padded * 4
        w += q[p.H_WEIGHT] * wrow + q[p.W_WEIGHT] * padded * 4
        wrow *= q[p.H_WEIGHT_STEP]
        top, rows = q[p.H_STRIDE] * first + q[p.H_OFFSET], end - first
        out += first * q[p.OUT_H]
        asks = rows * columns * LANES * size * prefetch_factor  # bytes of a strip
        for at in range(0, q[p.W_OUT], columns):
            k = min(at, max(0, q[p.W_OUT] - columns))  # the last strip begins before its columns
            place = w_stride * k + q[p.W_OFFSET]
            here, there = x + place * xcol, out + k * ocol
            for v in range(q[p.CHANNELS] // LANES):
                depthwise_strip(
                    columns,
                    h_taps,
                    h_stride,
                    w_taps,
                    w_stride,
                    finish,
                    dtype,
                    here + v * LANES * size,
                    q[p.X_H],
                    xcol,
                    top,
                    q[p.H_SIZE],
                    place,
                    q[p.W_SIZE],
                    w + v * LANES * 4,
                    wrow,
                    wcol,
                    there + v * LANES * size,
                    q[p.OUT_H],
                    ocol,
                    rows,
                    at - k,
                    q[p.W_OUT] - k,
                    q[p.STREAM],
                    prefetch_at,
                    prefetch_factor,
                    table + v * LANES * 4,
                    totals + v * LANES * 4,
                    padded * 4,
                    other,
                    low,
                    high,
                )
                prefetch_at += asks

    return write_strips


def _choice(strips, finish):
    """The function that writes rows in whichever of these strips they have."""
    if not strips:
        return _no_strip
    strip, rest = _strips(strips[0], finish), _choice(strips[1:], finish)
    columns, h_taps, _, w_taps, _ = strips[0]

    @inner
    def write(q, dtype, x, w, padded, out, first, end, prefetch_at, prefetch_factor, *ends):
        if q[p.STRIP] == columns and q[p.H_TAPS] == h_taps and q[p.W_TAPS] == w_taps:
            strip(q, dtype, x, w, padded, out, first, end, prefetch_at, prefetch_factor, *ends)
        else:
            rest(q, dtype, x, w, padded, out, first, end, prefetch_at, prefetch_factor, *ends)

    return write


@inner
def _no_strip(q, dtype, x, w, padded, out, first, end, prefetch_at, prefetch_factor, *ends):
    """There are none."""


@inner
def write_column(q, dtype, x, xrow, w, wrow, wcol, rows, k, out, low):
    """Output column k at channels from `low` up, with the taps that lie inside the input."""
    size, step = element_bytes(dtype), q[p.W_STEP]
    place = q[p.W_STRIDE] * k + q[p.W_OFFSET]
    left = first_tap(place, step)
    taps = end_tap(place, step, q[p.W_SIZE], q[p.W_TAPS]) - left
    x += (place + left * step) * q[p.X_W]
    xcol = step * q[p.X_W]
    w += left * wcol
    out += k * q[p.OUT_W]
    c = low
    while c + 4 * LANES <= q[p.CHANNELS]:  # four sums at once: a lone one waits for itself
        a = splat(ZERO)
        b, d, e = a, a, a
        for row in range(rows):
            for tap in range(taps):
                weight = w + row * wrow + tap * wcol + 4 * c
                value = x + row * xrow + tap * xcol + c * size
                a = fma(load(value, dtype), load(weight, FLOAT32), a)
                b = fma(load(value + 16 * size, dtype), load(weight + 64, FLOAT32), b)
                d = fma(load(value + 32 * size, dtype), load(weight + 128, FLOAT32), d)
                e = fma(load(value + 48 * size, dtype), load(weight + 192, FLOAT32), e)
        store(out + c * size, a, dtype)
        store(out + (c + 16) * size, b, dtype)
        store(out + (c + 32) * size, d, dtype)
        store(out + (c + 48) * size, e, dtype)
        c += 4 * LANES
    while c < q[p.CHANNELS]:
        lanes = q[p.CHANNELS] - c
        a = splat(ZERO)
        for row in range(rows):
            for tap in range(taps):
                value = load_lanes(x + row * xrow + tap * xcol + c * size, 0, lanes, dtype)
                a = fma(value, load(w + row * wrow + tap * wcol + 4 * c, FLOAT32), a)
        store_lanes(out + c * size, a, lanes, dtype)
        c += LANES


@inner
def _all_columns(q, dtype, x, xrow, w, wrow, wcol, rows, out, low):
    for k in range(q[p.W_OUT]):
        write_column(q, dtype, x, xrow, w, wrow, wcol, rows, k, out, low)


@inner
def _no_columns(q, dtype, x, xrow, w, wrow, wcol, rows, out, low):
    """Tiles take all channels."""


@inner
def row_of(q, x, w, padded, j):
    """Where output row j of an image finds its inputs and weights, and how many rows it has.

    Two addresses, each with the bytes to the next row, the bytes from tap to tap, and the rows.
    """
    wrow, wcol = q[p.KERNEL_W] * padded * 4, q[p.W_WEIGHT_STEP] * padded * 4
    place = q[p.H_STRIDE] * j + q[p.H_OFFSET]
    top = first_tap(place, q[p.H_STEP])
    rows = end_tap(place, q[p.H_STEP], q[p.H_SIZE], q[p.H_TAPS]) - top
    weights = w + (q[p.H_WEIGHT] + top * q[p.H_WEIGHT_STEP]) * wrow
    weights += q[p.W_WEIGHT] * padded * 4
    inputs, xrow = x + (place + top * q[p.H_STEP]) * q[p.X_H], q[p.H_STEP] * q[p.X_H]
    return inputs, xrow, weights, q[p.H_WEIGHT_STEP] * wrow, wcol, rows


def finishing_rows(strips, finish):
    """As `depthwise_rows`, for whole vectors of channels, with outputs that end in another way.

    table and totals: per-channel numbers and the two sums (`layout/channels.py`), of every channel.
    """
    columns = _choice(strips, finish)

    @inner
    def write_rows(
        q,
        x,
        w,
        padded,
        out,
        first,
        end,
        prefetch_at,
        prefetch_factor,
        table,
        totals,
        other,
        low,
        high,
        dtype,
    ):
        end, ends = min(end, q[p.H_OUT]), (table, totals, other, low, high)
        out += q[p.OUT_START]
        columns(q, dtype, x, w, padded, out, first, end, prefetch_at, prefetch_factor, *ends)

    return write_rows


def depthwise_rows(strips, plain):
    """The function that writes output rows, compiled for these strips.

    `plain` also for what has none: channels beyond whole vectors, and other filters.
    """
    columns, plain_columns = _choice(strips, STORE), _all_columns if plain else _no_columns

    @inner
    def write_rows(q, x, w, padded, out, n, first, end, prefetch_at, prefetch_factor, dtype):
        """Output rows [first, end) of image n, as plan row q says.

        Meanwhile `prefetch_factor` times as much is prefetched from `prefetch_at` on.
        """
        x, out, low = x + n * q[p.X_N], out + q[p.OUT_START] + n * q[p.OUT_N], 0
        end = min(end, q[p.H_OUT])
        if q[p.STRIP]:
            columns(
                q,
                dtype,
                x,
                w,
                padded,
                out,
                first,
                end,
                prefetch_at,
                prefetch_factor,
                0,
                0,
                0,
                ZERO,
                ZERO,
            )
            low = q[p.CHANNELS] - q[p.CHANNELS] % LANES
        for j in range(first, end if low < q[p.CHANNELS] else first):
            row = row_of(q, x, w, padded, j)
            plain_columns(q, dtype, *row, out + j * q[p.OUT_H], low)

    return write_rows
