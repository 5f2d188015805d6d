"""Depthwise filters over arrays whose channels are contiguous: (n, h, w, c) in memory.

Weights are held tap by tap (`depthwise_weights.py`).
"""

from functools import cache
from typing import Any

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
from convatlas.kernels.compiled.channel_sums import finish_at
from convatlas.kernels.layout import plan as p
from convatlas.kernels.layout.records import Fetch, FilterRow, Finish, Matrix, StripOutputs, Window
from convatlas.kernels.runtime.compiler import inner

ZERO: Any = np.float32(0)  # of any type, as Numba has its own
MIN_MACS_PER_INPUT = 4  # multiply-adds an input


@inner
def prefetch_factor_of(q):
    """Return how many times as much as it writes a forward pass prefetches.

    Where there is much to compute that is what the next task needs; elsewhere nothing.
    """
    factor = q[p.H_STRIDE] * q[p.W_STRIDE]
    return factor if q[p.H_TAPS] * q[p.W_TAPS] >= MIN_MACS_PER_INPUT * factor else 0


@inner
def first_tap(place, step):
    """Return the first tap whose input, place + tap * step, is not before the start."""
    return 0 if place >= 0 else (-place + step - 1) // step


@inner
def end_tap(place, step, size, taps):
    """Return one past the last tap whose input is not beyond the end."""
    return min(taps, (size - 1 - place) // step + 1)


# Functions are made once for what they are made for: kernels that share them compile them once.
@cache
def _strips(strip, way):
    """The function that writes output rows in strips of one kind, which end in one way."""
    columns, h_taps, h_stride, w_taps, w_stride = strip

    @inner
    def write_strips(q, dtype, x, w, padded, out, first, end, fetch, finish):
        size, xcol, ocol = element_bytes(dtype), q[p.X_W], q[p.OUT_W]
        wrow, wcol = q[p.KERNEL_W] * padded * 4, q[p.W_WEIGHT_STEP] * padded * 4
        w += q[p.H_WEIGHT] * wrow + q[p.W_WEIGHT] * padded * 4
        wrow *= q[p.H_WEIGHT_STEP]
        top, rows = q[p.H_STRIDE] * first + q[p.H_OFFSET], end - first
        out += first * q[p.OUT_H]
        ahead = fetch.at
        asks = rows * columns * LANES * size * fetch.factor  # bytes of a strip
        for at in range(0, q[p.W_OUT], columns):
            k = min(at, max(0, q[p.W_OUT] - columns))  # the last strip begins before its columns
            place, count = w_stride * k + q[p.W_OFFSET], q[p.W_OUT] - k
            here, there = x + place * xcol, out + k * ocol
            for v in range(q[p.CHANNELS] // LANES):
                step = v * LANES * size
                depthwise_strip(
                    columns,
                    h_taps,
                    h_stride,
                    w_taps,
                    w_stride,
                    way,
                    dtype,
                    Window(here + step, q[p.X_H], xcol, top, q[p.H_SIZE], place, q[p.W_SIZE]),
                    Matrix(w + v * LANES * 4, wrow, wcol),
                    StripOutputs(there + step, q[p.OUT_H], ocol, rows, at - k, count, q[p.STREAM]),
                    Fetch(ahead, fetch.factor),
                    finish_at(finish, v * LANES * 4),
                )
                ahead += asks

    return write_strips


@cache
def _choice(strips, way):
    """The function that writes rows in whichever of these strips they have."""
    if not strips:
        return _no_strip
    strip = _strips(strips[0], way)
    if len(strips) == 1:
        return strip
    rest = _choice(strips[1:], way)
    columns, h_taps, _, w_taps, _ = strips[0]

    @inner
    def write(q, dtype, x, w, padded, out, first, end, fetch, finish):
        if q[p.STRIP] == columns and q[p.H_TAPS] == h_taps and q[p.W_TAPS] == w_taps:
            strip(q, dtype, x, w, padded, out, first, end, fetch, finish)
        else:
            rest(q, dtype, x, w, padded, out, first, end, fetch, finish)

    return write


@inner
def _no_strip(q, dtype, x, w, padded, out, first, end, fetch, finish):
    """There are none."""


@inner
def write_column(q, dtype, row, k, out, low):
    """Write output column k at channels from `low` up, with the taps that lie inside the input.

    row: the FilterRow; out: where column 0 is written.
    """
    size, step = element_bytes(dtype), q[p.W_STEP]
    place = q[p.W_STRIDE] * k + q[p.W_OFFSET]
    left = first_tap(place, step)
    taps = end_tap(place, step, q[p.W_SIZE], q[p.W_TAPS]) - left
    x, xrow, xcol = row.x + (place + left * step) * q[p.X_W], row.x_row, step * q[p.X_W]
    w, wrow, wcol = row.w + left * row.w_col, row.w_row, row.w_col
    out += k * q[p.OUT_W]
    c = low
    while c + 4 * LANES <= q[p.CHANNELS]:  # four sums at once: a lone one waits for itself
        a = splat(ZERO)
        b, d, e = a, a, a
        for i in range(row.rows):
            for tap in range(taps):
                weight = w + i * wrow + tap * wcol + 4 * c
                value = x + i * xrow + tap * xcol + c * size
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
        for i in range(row.rows):
            for tap in range(taps):
                value = load_lanes(x + i * xrow + tap * xcol + c * size, 0, lanes, dtype)
                a = fma(value, load(w + i * wrow + tap * wcol + 4 * c, FLOAT32), a)
        store_lanes(out + c * size, a, lanes, dtype)
        c += LANES


@inner
def _all_columns(q, dtype, row, out, low):
    for k in range(q[p.W_OUT]):
        write_column(q, dtype, row, k, out, low)


@inner
def _no_columns(q, dtype, row, out, low):
    """Tiles take all channels."""


@inner
def row_of(q, x, w, padded, j):
    """Return the FilterRow of output row j of an image."""
    wrow, wcol = q[p.KERNEL_W] * padded * 4, q[p.W_WEIGHT_STEP] * padded * 4
    place = q[p.H_STRIDE] * j + q[p.H_OFFSET]
    top = first_tap(place, q[p.H_STEP])
    rows = end_tap(place, q[p.H_STEP], q[p.H_SIZE], q[p.H_TAPS]) - top
    weights = w + (q[p.H_WEIGHT] + top * q[p.H_WEIGHT_STEP]) * wrow
    weights += q[p.W_WEIGHT] * padded * 4
    inputs, xrow = x + (place + top * q[p.H_STEP]) * q[p.X_H], q[p.H_STEP] * q[p.X_H]
    return FilterRow(inputs, xrow, weights, q[p.H_WEIGHT_STEP] * wrow, wcol, rows)


@cache
def finishing_rows(strips, way):
    """Compile `depthwise_rows` for whole vectors of channels and another epilogue.

    finish: for the first channel (`epilogue.py`).
    """
    columns = _choice(strips, way)

    @inner
    def write_rows(q, x, w, padded, out, first, end, fetch, finish, dtype):
        end = min(end, q[p.H_OUT])
        columns(q, dtype, x, w, padded, out + q[p.OUT_START], first, end, fetch, finish)

    return write_rows


@cache
def depthwise_rows(strips, plain):
    """Return the function that writes output rows, compiled for these strips.

    `plain` also for what has none: channels beyond whole vectors, and other filters.
    """
    columns, plain_columns = _choice(strips, STORE), _all_columns if plain else _no_columns

    @inner
    def write_rows(q, x, w, padded, out, n, first, end, fetch, dtype):
        """Write output rows [first, end) of image n, as plan row q says."""
        x, out, low = x + n * q[p.X_N], out + q[p.OUT_START] + n * q[p.OUT_N], 0
        end = min(end, q[p.H_OUT])
        if q[p.STRIP]:
            nothing = Finish(0, 0, 0, 0, ZERO, ZERO)
            columns(q, dtype, x, w, padded, out, first, end, fetch, nothing)
            low = q[p.CHANNELS] - q[p.CHANNELS] % LANES
        for j in range(first, end if low < q[p.CHANNELS] else first):
            plain_columns(q, dtype, row_of(q, x, w, padded, j), out + j * q[p.OUT_H], low)

    return write_rows
