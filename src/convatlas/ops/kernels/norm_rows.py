"""Batch norm, residual and activation over rows of channels: (n * h * w, c) in memory.

Narrow rows are taken several at a time (`fold` rows of c make one of c * fold), so that vectors
are full; the per-channel numbers are then repeated, and the sums of the repeats added up.
Every worker sums a fixed range of rows: float32 within RUN rows, float64 beyond. Sums run from
the end to the start and the pass that writes from the start to the end: each finds in the cache
what the one before it touched last.
"""

from convatlas.ops.kernels.activation import activate, through
from convatlas.ops.kernels.channel_rows import (
    MEAN,
    OFFSET,
    RUN,
    SCALE,
    SHIFT,
    SLOPE,
    SUMS_BYTES,
    add_statistics,
    clear,
    flush,
    get,
    put,
    take,
)
from convatlas.ops.kernels.compiled import inner, kernel
from convatlas.ops.kernels.in_turn import InTurn
from convatlas.ops.kernels.memory_access import element_bytes, load, store
from convatlas.ops.kernels.norm_tables import fill, fill_pivots, fill_pulls, write_statistics
from convatlas.ops.kernels.vector import FLOAT32, LANES, add, fma, splat, sub


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


@kernel()
def statistics(part, parts, x, rows, channels, table, padded, sums, kind):
    """The sums for mean and variance; differences from a pivot keep them exact."""
    size, own = element_bytes(kind), sums + part * padded * SUMS_BYTES
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


@kernel(low="float32", high="float32")
def normalise(
    part, parts, x, extra, y, rows, channels, table, padded, act, low, high, stream, kind
):
    """Write act(batch_norm(x) + extra); extra may be absent (0)."""
    size, lowest, highest = element_bytes(kind), splat(low), splat(high)
    for row in range(part * rows // parts, (part + 1) * rows // parts):
        for c in range(0, channels, LANES):
            place, lanes = (row * channels + c) * size, channels - c
            scale, shift = take(SCALE, c, table, padded), take(SHIFT, c, table, padded)
            value = fma(get(x + place, lanes, kind), scale, shift)
            if extra:
                value = add(value, get(extra + place, lanes, kind))
            put(y + place, activate(act, value, lowest, highest), lanes, kind, stream)


@kernel(low="float32", high="float32")
def gradient_sums(
    part, parts, x, extra, dy, rows, channels, table, padded, sums, act, low, high, kind
):
    """The sums for the gradients of scale and shift, and through mean and variance."""
    size, own = element_bytes(kind), sums + part * padded * SUMS_BYTES
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
            )  # fmt: skip  # one argument a line would hide the loop
        flush(own, padded)


@kernel(low="float32", high="float32")
def gradients(
    part, parts, x, extra, dy, dx, dextra, rows, channels, table, padded, act, low, high, stream,
    kind,
):  # fmt: skip  # as above
    """Gradients of the input and of extra (0: not wanted)."""
    size, lowest, highest = element_bytes(kind), splat(low), splat(high)
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


find_statistics = InTurn(fill_pivots, statistics, write_statistics)
norm_act = InTurn(fill, normalise)
norm_act_back = InTurn(fill, gradient_sums, fill_pulls, gradients)
