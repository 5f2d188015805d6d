"""Batch norm, residual and activation over rows of channels: (n * h * w, c) in memory.

Narrow rows are taken several at a time (`fold` rows of c make one of c * fold), so that vectors
are full; the per-channel numbers are then repeated, and the sums of the repeats added up.
Every worker sums a fixed range of rows: float32 within RUN rows, float64 beyond. Sums run from
the end to the start and the pass that writes from the start to the end: each finds in the cache
what the one before it touched last.

A norm whose two halves run apart, its statistics behind one convolution and its scale and shift in
front of the next, has the kernels `statistics_back` and `normalise_back` for its way back.
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
from convatlas.kernels.compiled.norm_tables import (
    fill,
    fill_pivots,
    fill_pulls,
    fill_slopes,
    write_gradients,
    write_statistics,
)
from convatlas.kernels.compiled.prologue import put_gradients
from convatlas.kernels.layout.channels import MEAN, OFFSET, SCALE, SHIFT, SLOPE, SUMS_BYTES
from convatlas.kernels.layout.records import InputGradient, NormedRows, Prologue, ResultGradient
from convatlas.kernels.runtime.compiler import inner, kernel
from convatlas.kernels.runtime.launch_sequence import LaunchSequence

BLOCK = 96  # rows whose sums stay in float32 where the halves run apart


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


@kernel()
def statistics_back(worker, workers, given: ResultGradient, dx: InputGradient, rows, dtype):
    """Write dx = dy and what the gradients of mean and deviation pass back to each value of y."""
    channels, padded, table = given.channels, given.padded, given.table
    for row in range(worker * rows // workers, (worker + 1) * rows // workers):
        for c in range(0, channels, LANES):
            place, lanes = (row * channels + c) * 4, channels - c
            off = sub(get(given.y + place, lanes, FLOAT32), take(MEAN, c, table, padded))
            slope, offset = take(SLOPE, c, table, padded), take(OFFSET, c, table, padded)
            value = add(get(given.dy + place, lanes, FLOAT32), fma(off, slope, offset))
            put(dx.dx + place, value, lanes, FLOAT32, dx.nontemporal)


@kernel()
def normalise_back(worker, workers, dy, x: Prologue, dx: InputGradient, rows, dtype):
    """Write the gradient of x at fixed statistics, and the sums for those of the norm's numbers."""
    local_sums, end = dx.sums + worker * x.padded * SUMS_BYTES, (worker + 1) * rows // workers
    row = x.channels * 4
    clear(local_sums, x.padded)
    for first in range(worker * rows // workers, end, BLOCK):
        count, place = min(BLOCK, end - first), first * row
        put_gradients(x, dx, dy + place, row, place, count, local_sums)
        flush(local_sums, x.padded)


find_statistics = LaunchSequence(fill_pivots, statistics, write_statistics)
norm_act = LaunchSequence(fill, normalise)
norm_act_back = LaunchSequence(fill, gradient_sums, fill_pulls, gradients)
pass_statistics_back = LaunchSequence(fill_slopes, statistics_back)
pass_back = LaunchSequence(fill, normalise_back, write_gradients)
