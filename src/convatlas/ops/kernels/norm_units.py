"""The two halves of a batch norm that runs apart: its statistics, and what is done with them."""

from numba import prange

from convatlas.ops.kernels.channel_rows import (
    MEAN,
    OFFSET,
    SLOPE,
    SUMS_BYTES,
    clear,
    clear_table,
    flush,
    get,
    put,
    take,
)
from convatlas.ops.kernels.compiled import kernel
from convatlas.ops.kernels.unit_rows import (
    fill_slopes,
    finish_gradients,
    prepare_input,
    put_gradients,
)
from convatlas.ops.kernels.vector import FLOAT32, LANES, add, fma, sub

BLOCK = 96  # rows whose sums stay in float32


@kernel(",".join(["intp"] * 11))
def statistics_back(dy, y, dx, rows, channels, padded, parts, table, stats, dstats, stream, kind):
    """dx = dy and what the gradients of mean and deviation pass back to each value of y."""
    clear_table(table, padded)
    fill_slopes(table, padded, channels, float(rows), stats, dstats)
    for part in prange(parts):
        for row in range(part * rows // parts, (part + 1) * rows // parts):
            for c in range(0, channels, LANES):
                place, lanes = (row * channels + c) * 4, channels - c
                off = sub(get(y + place, lanes, FLOAT32), take(MEAN, c, table, padded))
                slope, offset = take(SLOPE, c, table, padded), take(OFFSET, c, table, padded)
                value = add(get(dy + place, lanes, FLOAT32), fma(off, slope, offset))
                put(dx + place, value, lanes, FLOAT32, stream)


@kernel(",".join(["intp"] * 15) + ",float32,float32")
def normalise_back(
    dy, x, dx, rows, channels, padded, parts, table, weight, bias, stats, sums, result, act, stream,
    low, high, kind,
):  # fmt: skip  # one argument a line would hide the function below its signature
    """The gradient of x at fixed statistics, and in `result` those of the norm's numbers."""
    prepare_input(table, padded, channels, weight, bias, stats)
    for part in prange(parts):
        own, end = sums + part * padded * SUMS_BYTES, (part + 1) * rows // parts
        clear(own, padded)
        for first in range(part * rows // parts, end, BLOCK):
            count, place = min(BLOCK, end - first), first * channels * 4
            put_gradients(
                dy + place, channels * 4, x + place, dx + place, count, channels, table, padded,
                own, 1, act, low, high, stream,
            )  # fmt: skip  # as above
            flush(own, padded)
    finish_gradients(sums, parts, padded, table, channels, weight, result)
