"""The second matrix of a product as its tiles read it: panels of up to four vectors of columns.

A panel holds its columns step by step, so that a tile walks through it without a gap.
"""

from convatlas.kernels.codegen.gemm_tile import TILE_VECTORS, VECTOR_BYTES
from convatlas.kernels.codegen.memory import load_every, store
from convatlas.kernels.codegen.transpose import transpose
from convatlas.kernels.codegen.vector import FLOAT32, LANES
from convatlas.kernels.compiled.channel_sums import get
from convatlas.kernels.runtime.compiler import kernel


@kernel()
def pack_panels(worker, workers, matrix, steps, columns, step_pitch, column_pitch, out, dtype):
    """A (steps, columns) matrix as packed panels, either side contiguous; pitches in bytes.

    Columns are filled up with zeros to whole vectors.
    """
    vectors = (columns + LANES - 1) // LANES
    for v in range(worker * vectors // workers, (worker + 1) * vectors // workers):
        start = v // TILE_VECTORS * TILE_VECTORS
        pitch, lanes = min(TILE_VECTORS, vectors - start) * VECTOR_BYTES, columns - v * LANES
        here = matrix + v * LANES * column_pitch
        there = out + (start * steps + v - start) * VECTOR_BYTES
        if column_pitch == 4:
            for step in range(steps):
                store(there + step * pitch, get(here + step * step_pitch, lanes, dtype), FLOAT32)
        else:
            whole = steps // LANES * LANES if lanes >= LANES else 0
            for step in range(0, whole, LANES):
                transpose(here + step * step_pitch, column_pitch, there + step * pitch, pitch)
            for step in range(whole, steps):
                values = load_every(here + step * step_pitch, column_pitch, 0, lanes, dtype)
                store(there + step * pitch, values, FLOAT32)
