"""Depthwise filters over arrays whose columns are contiguous: (n, c, h, w), and sequences.

The vector runs along w. Weights come as PyTorch keeps them, (c, k, k).
"""

import numpy as np

from convatlas.kernels.codegen.memory import (
    element_bytes,
    load,
    load_every,
    load_lanes,
    load_splat,
    put_double,
    store,
    store_every,
    store_lanes,
)
from convatlas.kernels.codegen.vector import LANES, add, fma, splat, total
from convatlas.kernels.compiled.depthwise_rows import end_tap, first_tap
from convatlas.kernels.layout import plan as p
from convatlas.kernels.runtime.compiler import inner, kernel
from convatlas.kernels.runtime.records import PlanArray

ZERO = np.float32(0)


@inner
def _four(q, x, xrow, w, wrow, wcol, rows, k, out, dtype):
    """Output columns k to k + 63, all of whose taps lie inside the row; stride 1."""
    size = element_bytes(dtype)
    here = x + (k + q[p.W_OFFSET]) * size
    a = splat(ZERO)
    b, d, e = a, a, a
    for row in range(rows):
        for tap in range(q[p.W_TAPS]):
            weight = load_splat(w + row * wrow + tap * wcol)
            place = here + row * xrow + tap * q[p.W_STEP] * size
            a = fma(load(place, dtype), weight, a)
            b = fma(load(place + 16 * size, dtype), weight, b)
            d = fma(load(place + 32 * size, dtype), weight, d)
            e = fma(load(place + 48 * size, dtype), weight, e)
    target = out + k * size
    store(target, a, dtype)
    store(target + 16 * size, b, dtype)
    store(target + 32 * size, d, dtype)
    store(target + 48 * size, e, dtype)


@inner
def _lanes(stride, place, size):
    """Lanes i whose column, stride * i + place, lies in [0, size)."""
    return max(0, -(place // stride)), min(LANES, (size - 1 - place) // stride + 1)


@inner
def _some(q, x, xrow, w, wrow, wcol, rows, k, out, dtype):
    """Up to sixteen output columns from k, wherever their taps lie; any stride."""
    a = splat(ZERO)
    for row in range(rows):
        for tap in range(q[p.W_TAPS]):
            place = q[p.W_STRIDE] * k + q[p.W_OFFSET] + tap * q[p.W_STEP]
            low, high = _lanes(q[p.W_STRIDE], place, q[p.W_SIZE])
            if low < high:
                here = x + row * xrow + place * q[p.X_W]
                if q[p.W_STRIDE] == 1:
                    value = load_lanes(here, low, high, dtype)
                else:
                    value = load_every(here, q[p.W_STRIDE] * q[p.X_W], low, high, dtype)
                a = fma(value, load_splat(w + row * wrow + tap * wcol), a)
    count = q[p.W_OUT] - k
    if q[p.OUT_W] == element_bytes(dtype):
        store_lanes(out + k * q[p.OUT_W], a, count, dtype)
    else:
        store_every(out + k * q[p.OUT_W], q[p.OUT_W], a, count, dtype)


@inner
def depthwise_plane(q, x, w, out, dtype):
    """Filter one channel of one image, as plan row q says."""
    pitch, wcol = q[p.KERNEL_W] * 4, q[p.W_WEIGHT_STEP] * 4
    last = q[p.W_OFFSET] + (q[p.W_TAPS] - 1) * q[p.W_STEP]
    plain = q[p.W_STRIDE] == 1 and q[p.OUT_W] == element_bytes(dtype)
    for j in range(q[p.H_OUT]):
        place = q[p.H_STRIDE] * j + q[p.H_OFFSET]
        top = first_tap(place, q[p.H_STEP])
        rows = end_tap(place, q[p.H_STEP], q[p.H_SIZE], q[p.H_TAPS]) - top
        base = x + (place + top * q[p.H_STEP]) * q[p.X_H]
        weights = w + (q[p.H_WEIGHT] + top * q[p.H_WEIGHT_STEP]) * pitch + q[p.W_WEIGHT] * 4
        xrow, wrow = q[p.H_STEP] * q[p.X_H], q[p.H_WEIGHT_STEP] * pitch
        target = out + q[p.OUT_START] + j * q[p.OUT_H]
        k = 0
        while k < q[p.W_OUT]:
            end = k + 4 * LANES
            inside = k + q[p.W_OFFSET] >= 0 and end + last <= q[p.W_SIZE]
            if plain and inside and end <= q[p.W_OUT]:
                _four(q, base, xrow, weights, wrow, wcol, rows, k, target, dtype)
                k = end
            else:
                _some(q, base, xrow, weights, wrow, wcol, rows, k, target, dtype)
                k += LANES


@inner
def _row_sum(q, x, dy, columns, a, b, dtype):
    """Add dy * x over one row to two vectors of sums; x already starts at its tap."""
    size, step = element_bytes(dtype), q[p.W_STRIDE] * q[p.X_W]
    k = 0
    if q[p.W_STRIDE] == 1:
        while k + 2 * LANES <= columns:
            a = fma(load(x + k * size, dtype), load(dy + k * size, dtype), a)
            here, there = x + (k + LANES) * size, dy + (k + LANES) * size
            b = fma(load(here, dtype), load(there, dtype), b)
            k += 2 * LANES
    while k < columns:
        gradient = load_lanes(dy + k * size, 0, columns - k, dtype)
        if q[p.W_STRIDE] == 1:
            a = fma(load_lanes(x + k * size, 0, columns - k, dtype), gradient, a)
        else:
            a = fma(load_every(x + k * step, step, 0, columns - k, dtype), gradient, a)
        k += LANES
    return a, b


@inner
def depthwise_weight_plane(q, x, dy, sums, dtype):
    """Add the weight gradient of one channel of one image; q is the forward pass."""
    for row in range(q[p.H_TAPS]):
        begin = q[p.H_OFFSET] + row * q[p.H_STEP]
        top = max(0, -(begin // q[p.H_STRIDE]))
        bottom = min(q[p.H_OUT], (q[p.H_SIZE] - 1 - begin) // q[p.H_STRIDE] + 1)
        for tap in range(q[p.W_TAPS]):
            start = q[p.W_OFFSET] + tap * q[p.W_STEP]
            low = max(0, -(start // q[p.W_STRIDE]))
            high = min(q[p.W_OUT], (q[p.W_SIZE] - 1 - start) // q[p.W_STRIDE] + 1)
            a = splat(ZERO)
            b = a
            for j in range(top, bottom if low < high else top):
                place = (q[p.W_STRIDE] * low + start) * q[p.X_W]
                here = x + (q[p.H_STRIDE] * j + begin) * q[p.X_H] + place
                there = dy + j * q[p.OUT_H] + low * q[p.OUT_W]
                a, b = _row_sum(q, here, there, high - low, a, b, dtype)
            put_double(sums + (row * q[p.KERNEL_W] + tap) * 8, np.float64(total(add(a, b))))


@kernel()
def forward(worker, workers, plans: PlanArray, x, w, out, images, taps, dtype):
    """Run the whole filter, one plane a task; `taps` is the weights of a channel."""
    q = plans[0]
    tasks = images * q[p.CHANNELS]
    for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
        n, c = task // q[p.CHANNELS], task % q[p.CHANNELS]
        source, target = x + n * q[p.X_N] + c * q[p.X_C], out + n * q[p.OUT_N] + c * q[p.OUT_C]
        depthwise_plane(q, source, w + c * taps * 4, target, dtype)


@kernel()
def backward(
    worker, workers, plans: PlanArray, x, dy, w, dx, sums, images, taps, need_x, need_w, dtype
):
    """Compute both gradients a plane at a time; sums is (n, c, taps) in float64.

    Row 0 of plans is the forward pass, the others the input gradient.
    """
    q = plans[0]
    tasks = images * q[p.CHANNELS]
    for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
        n, c = task // q[p.CHANNELS], task % q[p.CHANNELS]
        gradient = dy + n * q[p.OUT_N] + c * q[p.OUT_C]
        if need_x:
            for k in range(1, plans.shape[0]):
                r = plans[k]
                target = dx + n * r[p.OUT_N] + c * r[p.OUT_C]
                depthwise_plane(r, gradient, w + c * taps * 4, target, dtype)
        if need_w:
            source = x + n * q[p.X_N] + c * q[p.X_C]
            depthwise_weight_plane(q, source, gradient, sums + task * taps * 8, dtype)
