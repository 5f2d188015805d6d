"""What all kernels over rows of channels share: the table of per-channel numbers, and sums.

Every worker sums a fixed range of rows, float32 within a run and float64 beyond; workers are
added up in a fixed order.
"""

import numpy as np

from convatlas.kernels.codegen.memory import (
    add_to_doubles,
    element_bytes,
    load,
    load_lanes,
    store,
    store_lanes,
    store_past_cache,
)
from convatlas.kernels.codegen.vector import FLOAT32, LANES, add, fma, splat, sub
from convatlas.kernels.layout.channels import PIVOT, SUMS_BYTES
from convatlas.kernels.layout.records import Finish
from convatlas.kernels.runtime.compiler import inner

ZERO = np.float32(0)
RUN = 64  # rows whose sum stays in float32


@inner
def take(row, c, table, padded):
    """Load sixteen numbers of one row of the table."""
    return load(table + (row * padded + c) * 4, FLOAT32)


@inner
def finish_at(finish, place):
    """Return what an epilogue needs for channels that begin `place` bytes further."""
    table, totals = finish.table + place, finish.totals + place
    return Finish(table, totals, finish.pitch, finish.other, finish.clip_min, finish.clip_max)


@inner
def clear(sums, padded):
    """Set a worker's sums to zero."""
    for c in range(0, padded * SUMS_BYTES, 64):
        store(sums + c, splat(ZERO), FLOAT32)


@inner
def flush(sums, padded):
    """Move the float32 sums of a run to the float64 ones."""
    short = sums + 2 * padded * 8
    for c in range(0, 2 * padded, LANES):
        add_to_doubles(sums + c * 8, load(short + c * 4, FLOAT32))
        store(short + c * 4, splat(ZERO), FLOAT32)


@inner
def get(place, lanes, dtype):
    """Load a vector, or the first `lanes` of one."""
    return load(place, dtype) if lanes >= LANES else load_lanes(place, 0, lanes, dtype)


@inner
def put(place, value, lanes, dtype, nontemporal):
    """Write a vector, or the first `lanes` of one; `nontemporal` writes around the caches."""
    if nontemporal:
        store_past_cache(place, value)
    elif lanes >= LANES:
        store(place, value, dtype)
    else:
        store_lanes(place, value, lanes, dtype)


@inner
def add_statistics(x, count, channels, table, sums, padded, dtype):
    """Add sum and sum of squares of (x - pivot) over a few rows."""
    size, short = element_bytes(dtype), sums + 2 * padded * 8
    for c in range(0, channels, LANES):
        pivot = take(PIVOT, c, table, padded)
        a = load(short + c * 4, FLOAT32)
        b = load(short + (padded + c) * 4, FLOAT32)
        for row in range(count):
            v = sub(get(x + (row * channels + c) * size, channels - c, dtype), pivot)
            a, b = add(a, v), fma(v, v, b)
        store(short + c * 4, a, FLOAT32)
        store(short + (padded + c) * 4, b, FLOAT32)
