"""Batch norm, residual and activation over rows of channels: (n * h * w, c) in memory.

Narrow rows are taken several at a time (`fold` rows of c make one of c * fold), so that vectors
are full; the per-channel numbers are then repeated, and the sums of the repeats added up.
Every worker sums a fixed range of rows: float32 within RUN rows, float64 beyond. Sums run from
the end to the start and the pass that writes from the start to the end: each finds in the cache
what the one before it touched last.
"""

from convatlas.kernels.codegen.memory import element_bytes, load, store
from convatlas.kernels.codegen.vector import FLOAT32, LANES, add, fma, splat, sub
from convatlas.kernels.compiled.activation import activate, through
from convatlas.kernels.compiled.channel_sums import (
    RUN,
    add_statistics,
    clear,
    flush,
    get,
    put,
    take,
)
from convatlas.kernels.compiled.norm_tables import fill, fill_pivots, fill_pulls, write_statistics
from convatlas.kernels.layout.channels import MEAN, OFFSET, SCALE, SHIFT, SLOPE, SUMS_BYTES
from convatlas.kernels.layout.records import NormedRows
from convatlas.kernels.runtime.compiler import inner, kernel
from convatlas.kernels.runtime.launch_sequence import LaunchSequence


@inner
def _gradient_rows(rows, x, extra, dy, count, sums, dtype):
    """Add sum of g and of g * (x - mean), g being the gradient before the activation."""
    channels, table, padded = rows.channels, rows.table, rows.padded
    size, short = element_bytes(dtype), sums + 2 * padded * 8
    lowest, highest = splat(rows.clip_min), splat(rows.clip_max)
    for c in range(0, channels, LANES):
        scale, shift = take(SCALE, c, table, padded), take(SHIFT, c, table, padded)
        mean, lanes = take(MEAN, c, table, padded), channels - c
        a = load(short + c * 4, FLOAT32)
        b = load(short + (padded + c) * 4, FLOAT32)
        for row in range(count):
            place = (row * channels + c) * size
            value = get(x + place, lanes, dtype)
            before = fma(value, scale, shift)
            if extra:
                before = add(before, get(extra + place, lanes, dtype))
            g = through(rows.act, before, lowest, highest, get(dy + place, lanes, dtype))
            a, b = add(a, g), fma(g, sub(value, mean), b)
        store(short + c * 4, a, FLOAT32)
        store(short + (padded + c) * 4, b, FLOAT32)


@kernel()
def statistics(worker, workers, rows: NormedRows, x, sums, dtype):
    """Add up what mean and variance need; differences from a pivot keep the sums exact."""
    channels, padded = rows.channels, rows.padded
    size, local_sums = element_bytes(dtype), sums + worker * padded * SUMS_BYTES
    clear(local_sums, padded)
    first, last = worker * rows.rows // workers, (worker + 1) * rows.rows // workers
    for back in range(first, last, RUN):
        end = last - (back - first)
        start = max(first, end - RUN)
        for row in range(start, end, 4):
            count = min(4, end - row)
            here = x + row * channels * size
            add_statistics(here, count, channels, rows.table, local_sums, padded, dtype)
        flush(local_sums, padded)


@kernel()
def normalise(worker, workers, rows: NormedRows, x, extra, y, nontemporal, dtype):
    """Write act(batch_norm(x) + extra); extra may be absent (0)."""
    channels, table, padded = rows.channels, rows.table, rows.padded
    size, lowest, highest = element_bytes(dtype), splat(rows.clip_min), splat(rows.clip_max)
    for row in range(worker * rows.rows // workers, (worker + 1) * rows.rows // workers):
        for c in range(0, channels, LANES):
            place, lanes = (row * channels + c) * size, channels - c
            scale, shift = take(SCALE, c, table, padded), take(SHIFT, c, table, padded)
            value = fma(get(x + place, lanes, dtype), scale, shift)
            if extra:
                value = add(value, get(extra + place, lanes, dtype))
            made = activate(rows.act, value, lowest, highest)
            put(y + place, made, lanes, dtype, nontemporal)


@kernel()
def gradient_sums(worker, workers, rows: NormedRows, x, extra, dy, sums, dtype):
    """Add up what the gradients of scale and shift, and through mean and variance, need."""
    channels, padded = rows.channels, rows.padded
    size, local_sums = element_bytes(dtype), sums + worker * padded * SUMS_BYTES
    clear(local_sums, padded)
    first, last = worker * rows.rows // workers, (worker + 1) * rows.rows // workers
    for back in range(first, last, RUN):
        end = last - (back - first)
        start = max(first, end - RUN)
        for row in range(start, end, 4):
            count, here = min(4, end - row), row * channels * size
            added = extra + here if extra else 0
            _gradient_rows(rows, x + here, added, dy + here, count, local_sums, dtype)
        flush(local_sums, padded)


@kernel()
def gradients(worker, workers, rows: NormedRows, x, extra, dy, dx, dextra, nontemporal, dtype):
    """Write the gradients of the input and of extra (0: not wanted)."""
    channels, table, padded = rows.channels, rows.table, rows.padded
    size, lowest, highest = element_bytes(dtype), splat(rows.clip_min), splat(rows.clip_max)
    for row in range(worker * rows.rows // workers, (worker + 1) * rows.rows // workers):
        for c in range(0, channels, LANES):
            place, lanes = (row * channels + c) * size, channels - c
            scale, shift = take(SCALE, c, table, padded), take(SHIFT, c, table, padded)
            value = get(x + place, lanes, dtype)
            before = fma(value, scale, shift)
            if extra:
                before = add(before, get(extra + place, lanes, dtype))
            g = through(rows.act, before, lowest, highest, get(dy + place, lanes, dtype))
            if dextra:
                put(dextra + place, g, lanes, dtype, nontemporal)
            off_mean = sub(value, take(MEAN, c, table, padded))
            rest = fma(off_mean, take(SLOPE, c, table, padded), take(OFFSET, c, table, padded))
            put(dx + place, fma(g, scale, rest), lanes, dtype, nontemporal)


find_statistics = LaunchSequence(fill_pivots, statistics, write_statistics)
norm_act = LaunchSequence(fill, normalise)
norm_act_back = LaunchSequence(fill, gradient_sums, fill_pulls, gradients)
