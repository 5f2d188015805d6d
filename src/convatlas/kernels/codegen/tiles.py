"""What the register tiles of a depthwise filter share.

Columns next to each other share most of their inputs, and all of them share the weights.
"""

from llvmlite import ir
from numba.core import cgutils

from convatlas.kernels.codegen.memory import emit_prefetch
from convatlas.kernels.codegen.vector import LANES, VECTOR, emit_fma

LINE = 64  # bytes

zero = ir.Constant(VECTOR, [0.0] * LANES)


def at(builder, base, pitch, index):
    """Return base + index * pitch, for an index known while compiling."""
    return builder.add(base, builder.mul(pitch, ir.Constant(pitch.type, index)))


def fields(builder, signature, args, index):
    """Take the argument of that index apart, which is a record."""
    return cgutils.unpack_tuple(builder, args[index], len(signature.args[index]))


def pairs(place, taps, stride, columns):
    """Return the taps that an input place meets, with the columns whose sums they enter."""
    for tap in range(taps):
        column, between = divmod(place - tap, stride)
        if not between and 0 <= column < columns:
            yield tap, column


def emit_ask(builder, place, bytes_a_lane):
    """Ask memory for that many bytes a lane from a place on."""
    for line in range(-(-bytes_a_lane * LANES // LINE)):
        emit_prefetch(builder, builder.add(place, ir.Constant(place.type, LINE * line)))


def multiply_into(builder, slot, a, b):
    """Compute slot += a * b."""
    builder.store(emit_fma(builder, a, b, builder.load(slot)), slot)
