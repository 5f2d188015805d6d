"""The weights of a depthwise filter as its kernels want them, and the gradient as torch wants it.

Torch keeps the taps of a channel together, the kernels the channels of a tap: (k * l, c), with c
filled up with zeros to whole vectors, so that no load needs a mask.
"""

import numpy as np

from convatlas.kernels.codegen.memory import (
    element_bytes,
    load_every,
    store,
    store_every,
    sum_of_doubles,
)
from convatlas.kernels.codegen.vector import FLOAT32, LANES, splat
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


@kernel()
def write_gradient(worker, workers, sums, summed_by, pitch, channels, taps, padded, dw, dtype):
    """The sums of all workers, each (taps, padded) in float64, as torch's (channels, taps)."""
    size, blocks = element_bytes(dtype), padded // LANES
    for block in range(worker * blocks // workers, (worker + 1) * blocks // workers):
        c = block * LANES
        for tap in range(taps):
            values = sum_of_doubles(sums + (tap * padded + c) * 8, summed_by, pitch)
            there = dw + (c * taps + tap) * size
            store_every(there, taps * size, values, channels - c, dtype)
