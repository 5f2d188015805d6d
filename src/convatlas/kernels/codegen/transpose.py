"""Turn sixteen rows of sixteen numbers into columns, in registers."""

from llvmlite import ir
from numba.core import types

from convatlas.kernels.codegen.memory import emit_load, emit_store
from convatlas.kernels.codegen.vector import I32, INTS, LANES
from convatlas.kernels.runtime.intrinsic import intrinsic


@intrinsic
def transpose(typingctx, source, source_pitch, target, target_pitch):
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
