"""The two halves of a batch norm that runs apart: its statistics, and what is done with them."""

from convatlas.kernels.codegen.vector import FLOAT32, LANES, add, fma, sub
from convatlas.kernels.compiled.channel_sums import clear, flush, get, put, take
from convatlas.kernels.compiled.norm_tables import fill, fill_slopes, write_gradients
from convatlas.kernels.compiled.prologue import put_gradients
from convatlas.kernels.layout.channels import MEAN, OFFSET, SLOPE, SUMS_BYTES
from convatlas.kernels.layout.records import InputGradient, Prologue, ResultGradient
from convatlas.kernels.runtime.compiler import kernel
from convatlas.kernels.runtime.launch_sequence import LaunchSequence

BLOCK = 96  # rows whose sums stay in float32


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


pass_statistics_back = LaunchSequence(fill_slopes, statistics_back)
pass_back = LaunchSequence(fill, normalise_back, write_gradients)
