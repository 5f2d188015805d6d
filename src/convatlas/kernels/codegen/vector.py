"""Sixteen float32 lanes as one value inside a Numba function: what can be computed with them.

Numba alone leaves vectorising to LLVM, which gives up where many pointers might overlap. These
intrinsics state the vector form outright, so that sums stay in registers. LLVM splits the sixteen
lanes into whatever the machine has (one AVX-512 register, two of AVX2, four of NEON).
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import models, register_model

from convatlas.kernels.runtime.intrinsic import intrinsic

LANES = 16
# What an address holds is told by the type of a marker argument, so that Numba compiles a function
# once for each; sums are always float32.
FLOAT32, BFLOAT16 = np.float32(0), np.uint16(0)

FLOAT = ir.FloatType()
I32 = ir.IntType(32)
VECTOR = ir.VectorType(FLOAT, LANES)
INTS = ir.VectorType(I32, LANES)


def bytes_of(kind):
    """Return the bytes of an element, from the Numba type of its marker."""
    return {types.float32: 4, types.uint16: 2}[types.unliteral(kind)]


class Vector(types.Type):
    """The Numba type of sixteen float32 lanes."""

    def __init__(self):
        super().__init__(name=f"vector_float32x{LANES}")


vector = Vector()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, VECTOR)


def emit_splat(builder, value, kind):
    """Emit code that puts one number in every lane."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(I32, 0))
    zeros = ir.Constant(ir.VectorType(I32, LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)


def emit_fma(builder, a, b, c):
    """Emit the code of `fma`."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
    return builder.call(function, [a, b, c])


@intrinsic
def splat(typingctx, value):
    """Put one number in every lane."""

    def codegen(context, builder, signature, args):
        return emit_splat(builder, args[0], VECTOR)

    return vector(types.float32), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """Compute a * b + c with one rounding."""

    def codegen(context, builder, signature, args):
        return emit_fma(builder, *args)

    return vector(vector, vector, vector), codegen


@intrinsic
def add(typingctx, a, b):
    """Compute a + b, lane by lane."""

    def codegen(context, builder, signature, args):
        return builder.fadd(*args)

    return vector(vector, vector), codegen


@intrinsic
def sub(typingctx, a, b):
    """Compute a - b, lane by lane."""

    def codegen(context, builder, signature, args):
        return builder.fsub(*args)

    return vector(vector, vector), codegen


@intrinsic
def mul(typingctx, a, b):
    """Compute a * b, lane by lane."""

    def codegen(context, builder, signature, args):
        return builder.fmul(*args)

    return vector(vector, vector), codegen


@intrinsic
def smallest(typingctx, a, b):
    """Return the lower of two, lane by lane; a NaN in `a` stays."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", *args), args[1], args[0])

    return vector(vector, vector), codegen


@intrinsic
def largest(typingctx, a, b):
    """Return the higher of two, lane by lane; a NaN in `a` stays."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered("<", *args), args[1], args[0])

    return vector(vector, vector), codegen


@intrinsic
def every_second(typingctx, a, b):
    """Return lanes 0, 2, 4 ... of a, and then of b."""

    def codegen(context, builder, signature, args):
        lanes = ir.Constant(INTS, list(range(0, 2 * LANES, 2)))
        return builder.shuffle_vector(*args, lanes)

    return vector(vector, vector), codegen


@intrinsic
def total(typingctx, a):
    """Sum the lanes, in a fixed order."""

    def codegen(context, builder, signature, args):
        value, width = args[0], LANES
        while width > 1:
            width //= 2
            low = ir.Constant(ir.VectorType(I32, width), list(range(width)))
            high = ir.Constant(ir.VectorType(I32, width), list(range(width, 2 * width)))
            value = builder.fadd(
                builder.shuffle_vector(value, value, low),
                builder.shuffle_vector(value, value, high),
            )
        return builder.extract_element(value, ir.Constant(I32, 0))

    return types.float32(vector), codegen


@intrinsic
def between(typingctx, a, low, high, value):
    """Return value where low < a < high, else zero, lane by lane."""

    def codegen(context, builder, signature, args):
        above = builder.fcmp_ordered(">", args[0], args[1])
        inside = builder.and_(above, builder.fcmp_ordered("<", args[0], args[2]))
        return builder.select(inside, args[3], ir.Constant(VECTOR, [0.0] * LANES))

    return vector(vector, vector, vector, vector), codegen


@intrinsic
def divide(typingctx, a, b):
    """Compute a / b, lane by lane."""

    def codegen(context, builder, signature, args):
        return builder.fdiv(*args)

    return vector(vector, vector), codegen


@intrinsic
def nearest(typingctx, a):
    """Round a to the nearest whole number, lane by lane."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(VECTOR, [VECTOR])
        name = f"llvm.nearbyint.v{LANES}f32"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, args)

    return vector(vector), codegen


@intrinsic
def power_of_two(typingctx, a):
    """Compute 2 ** a for whole a from -126 to 127, lane by lane."""

    def codegen(context, builder, signature, args):
        whole = builder.fptosi(args[0], INTS)
        biased = builder.add(whole, ir.Constant(INTS, [127] * LANES))
        return builder.bitcast(builder.shl(biased, ir.Constant(INTS, [23] * LANES)), VECTOR)

    return vector(vector), codegen
