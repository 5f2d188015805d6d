"""The two halves of a batch norm that runs apart: its statistics, and what is done with them."""

from convatlas.ops.kernels.channel_rows import (
    MEAN,
    OFFSET,
    SLOPE,
    SUMS_BYTES,
    clear,
    flush,
    get,
    put,
    take,
)
from convatlas.ops.kernels.compiled import kernel
from convatlas.ops.kernels.in_turn import InTurn
from convatlas.ops.kernels.norm_tables import fill, fill_slopes, write_gradients
from convatlas.ops.kernels.unit_rows import put_gradients
from convatlas.ops.kernels.vector import FLOAT32, LANES, add, fma, sub

BLOCK = 96  # rows whose sums stay in float32


@kernel()
def statistics_back(part, parts, dy, y, dx, rows, channels, padded, table, stream, kind):
    """dx = dy and what the gradients of mean and deviation pass back to each value of y."""
    for row in range(part * rows // parts, (part + 1) * rows // parts):
        for c in range(0, channels, LANES):
            place, lanes = (row * channels + c) * 4, channels - c
            off = sub(get(y + place, lanes, FLOAT32), take(MEAN, c, table, padded))
            slope, offset = take(SLOPE, c, table, padded), take(OFFSET, c, table, padded)
            value = add(get(dy + place, lanes, FLOAT32), fma(off, slope, offset))
            put(dx + place, value, lanes, FLOAT32, stream)


@kernel(low="float32", high="float32")
def normalise_back(
    part, parts, dy, x, dx, rows, channels, padded, table, sums, act, stream, low, high, kind
):
    """The gradient of x at fixed statistics, and the sums for those of the norm's numbers."""
    own, end = sums + part * padded * SUMS_BYTES, (part + 1) * rows // parts
    clear(own, padded)
    for first in range(part * rows // parts, end, BLOCK):
        count, place = min(BLOCK, end - first), first * channels * 4
        put_gradients(
            dy + place, channels * 4, x + place, dx + place, count, channels, table, padded,
            own, 1, act, low, high, stream,
        )  # fmt: skip  # one argument a line would hide the loop
        flush(own, padded)


pass_statistics_back = InTurn(fill_slopes, statistics_back)
pass_back = InTurn(fill, normalise_back, write_gradients)
