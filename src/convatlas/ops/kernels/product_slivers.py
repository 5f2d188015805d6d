"""The second matrix of a product as its tiles read it: slivers of up to four vectors of columns.

A sliver holds its columns step by step, so that a tile walks through it without a gap.
"""

from llvmlite import ir
from numba.core import types

from convatlas.ops.kernels.channel_rows import get
from convatlas.ops.kernels.compiled import kernel
from convatlas.ops.kernels.memory_access import emit_load, emit_store, load_every, store
from convatlas.ops.kernels.product import TILE_VECTORS, VECTOR_BYTES
from convatlas.ops.kernels.vector import FLOAT32, I32, INTS, LANES, intrinsic


@intrinsic
def _turn(typingctx, source, source_pitch, target, target_pitch):
    """Write the columns of sixteen rows of sixteen float32 as rows; pitches in bytes."""

    def codegen(context, builder, signature, args):
        source, source_pitch, target, target_pitch = args

        def row(base, pitch, index):
            return builder.add(base, builder.mul(pitch, ir.Constant(pitch.type, index)))

        rows = [emit_load(builder, row(source, source_pitch, i), 4) for i in range(LANES)]
        # Swap the off-diagonal quarters of the matrix, then those of its quarters, and so on.
        distance = LANES // 2
        while distance:
            for i in (i for i in range(LANES) if not i & distance):
                pair = rows[i], rows[i | distance]
                lanes = [j if not j & distance else LANES + (j ^ distance) for j in range(LANES)]
                others = [j | distance if not j & distance else LANES + j for j in range(LANES)]
                for k, chosen in ((i, lanes), (i | distance, others)):
                    mask = ir.Constant(INTS, [ir.Constant(I32, lane) for lane in chosen])
                    rows[k] = builder.shuffle_vector(*pair, mask)
            distance //= 2
        for i, value in enumerate(rows):
            emit_store(builder, row(target, target_pitch, i), value, 4)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), codegen


@kernel()
def write_slivers(part, parts, matrix, steps, columns, step_pitch, column_pitch, out, kind):
    """A (steps, columns) matrix as slivers, either side contiguous; pitches in bytes.

    Columns are filled up with zeros to whole vectors.
    """
    vectors = (columns + LANES - 1) // LANES
    for v in range(part * vectors // parts, (part + 1) * vectors // parts):
        start = v // TILE_VECTORS * TILE_VECTORS
        pitch, lanes = min(TILE_VECTORS, vectors - start) * VECTOR_BYTES, columns - v * LANES
        here = matrix + v * LANES * column_pitch
        there = out + (start * steps + v - start) * VECTOR_BYTES
        if column_pitch == 4:
            for step in range(steps):
                store(there + step * pitch, get(here + step * step_pitch, lanes, kind), FLOAT32)
        else:
            whole = steps // LANES * LANES if lanes >= LANES else 0
            for step in range(0, whole, LANES):
                _turn(here + step * step_pitch, column_pitch, there + step * pitch, pitch)
            for step in range(whole, steps):
                values = load_every(here + step * step_pitch, column_pitch, 0, lanes, kind)
                store(there + step * pitch, values, FLOAT32)
