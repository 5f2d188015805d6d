"""The weights of a depthwise filter as its kernels want them, and the gradient as torch wants it.

Torch keeps the taps of a channel together, the kernels the channels of a tap: (k * l, c), with c
filled up with zeros to whole vectors, so that no load needs a mask.
"""

import numpy as np

from convatlas.ops.kernels.compiled import inner, kernel
from convatlas.ops.kernels.memory_access import (
    element_bytes,
    load_every,
    store,
    store_every,
    sum_of_doubles,
)
from convatlas.ops.kernels.vector import FLOAT32, LANES, splat

NOUGHT = np.float32(0)


@inner
def turn_weights(w, channels, taps, padded, target, kind):
    """Write torch's weights (channels, taps) to target as float32 (taps, padded)."""
    size = element_bytes(kind)
    for c in range(0, padded, LANES):
        for tap in range(taps):
            here = w + (c * taps + tap) * size
            values = load_every(here, taps * size, 0, channels - c, kind)
            store(target + (tap * padded + c) * 4, values, FLOAT32)


@inner
def clear_sums(sums, count):
    """Set float64 totals, a multiple of sixteen, to zero."""
    for i in range(0, count * 8, 64):
        store(sums + i, splat(NOUGHT), FLOAT32)


@kernel()
def write_gradient(part, parts, sums, workers, pitch, channels, taps, padded, dw, kind):
    """The sums of all workers, each (taps, padded) in float64, as torch's (channels, taps)."""
    size, blocks = element_bytes(kind), padded // LANES
    for block in range(part * blocks // parts, (part + 1) * blocks // parts):
        c = block * LANES
        for tap in range(taps):
            values = sum_of_doubles(sums + (tap * padded + c) * 8, workers, pitch)
            there = dw + (c * taps + tap) * size
            store_every(there, taps * size, values, channels - c, kind)
