"""Sixteen float32 lanes as one value inside a Numba function, at raw addresses.

Numba alone leaves vectorising to LLVM, which gives up where many pointers might overlap. These
intrinsics state the vector form outright, so that sums stay in registers. LLVM splits the sixteen
lanes into whatever the machine has (one AVX-512 register, two of AVX2, four of NEON).
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic as _intrinsic
from numba.extending import models, register_model

LANES = 16
intrinsic: Any = _intrinsic  # an intrinsic is called without its typing context
# What an address holds is told by the type of a marker argument, so that Numba compiles a function
# once for each; sums are always float32.
FLOAT32, BFLOAT16 = np.float32(0), np.uint16(0)

_float = ir.FloatType()
_i32 = ir.IntType(32)
_i16 = ir.IntType(16)
_bit = ir.IntType(1)
_vec_ir = ir.VectorType(_float, LANES)
_ints_ir = ir.VectorType(_i32, LANES)


def bytes_of(kind):
    """Bytes of an element, from the Numba type of its marker."""
    return {types.float32: 4, types.uint16: 2}[types.unliteral(kind)]


class Vector(types.Type):
    """The Numba type of sixteen float32 lanes."""

    def __init__(self):
        super().__init__(name=f"vector_float32x{LANES}")


vector = Vector()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _vec_ir)


def _splat(builder, value, kind):
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_i32, 0))
    zeros = ir.Constant(ir.VectorType(_i32, LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)


def _pointer(builder, address, kind):
    return builder.inttoptr(address, kind.as_pointer())


def _widen(builder, halves):
    """Bfloat16 is the upper half of a float32."""
    wide = builder.zext(halves, _ints_ir)
    shifted = builder.shl(wide, ir.Constant(_ints_ir, [16] * LANES))
    return builder.bitcast(shifted, _vec_ir)


def _narrow(builder, value):
    """Round to the nearest bfloat16, ties to even; a NaN keeps its top mantissa bit set."""
    bits = builder.bitcast(value, _ints_ir)

    def const(number):
        return ir.Constant(_ints_ir, [number] * LANES)

    odd = builder.and_(builder.lshr(bits, const(16)), const(1))
    rounded = builder.add(bits, builder.add(odd, const(0x7FFF)))
    is_nan = builder.fcmp_unordered("uno", value, value)
    kept = builder.select(is_nan, builder.or_(bits, const(0x400000)), rounded)
    return builder.trunc(builder.lshr(kept, const(16)), ir.VectorType(_i16, LANES))


def _lane_mask(builder, low, high):
    """Bits of the lanes in [low, high)."""
    lanes = ir.Constant(_ints_ir, list(range(LANES)))
    low = _splat(builder, builder.trunc(low, _i32), _ints_ir)
    high = _splat(builder, builder.trunc(high, _i32), _ints_ir)
    at_least = builder.icmp_signed(">=", lanes, low)
    return builder.and_(at_least, builder.icmp_signed("<", lanes, high))


def _emit_load(builder, address, size, mask=None):
    kind = _vec_ir if size == 4 else ir.VectorType(_i16, LANES)
    pointer = _pointer(builder, address, kind)
    if mask is None:
        value = builder.load(pointer, align=size)
    else:
        name = "llvm.masked.load.v16f32.p0" if size == 4 else "llvm.masked.load.v16i16.p0"
        mask_kind = ir.VectorType(_bit, LANES)
        signature = ir.FunctionType(kind, [kind.as_pointer(), _i32, mask_kind, kind])
        function = cgutils.get_or_insert_function(builder.module, signature, name)
        nothing = ir.Constant(kind, [ir.Constant(kind.element, 0)] * LANES)
        value = builder.call(function, [pointer, ir.Constant(_i32, size), mask, nothing])
    return value if size == 4 else _widen(builder, value)


def _emit_store(builder, address, value, size, mask=None):
    stored = value if size == 4 else _narrow(builder, value)
    kind = stored.type
    pointer = _pointer(builder, address, kind)
    if mask is None:
        builder.store(stored, pointer, align=size)
        return
    name = "llvm.masked.store.v16f32.p0" if size == 4 else "llvm.masked.store.v16i16.p0"
    mask_kind = ir.VectorType(_bit, LANES)
    signature = ir.FunctionType(ir.VoidType(), [kind, kind.as_pointer(), _i32, mask_kind])
    function = cgutils.get_or_insert_function(builder.module, signature, name)
    builder.call(function, [stored, pointer, ir.Constant(_i32, size), mask])


@intrinsic
def load(typingctx, address, kind):
    """Sixteen elements from an address; kind is FLOAT32 or BFLOAT16."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        return _emit_load(builder, args[0], width)

    return vector(types.intp, kind), codegen


@intrinsic
def load_lanes(typingctx, address, low, high, kind):
    """The lanes in [low, high); the others are zero and their memory is not touched."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        mask = _lane_mask(builder, args[1], args[2])
        return _emit_load(builder, args[0], width, mask)

    return vector(types.intp, types.intp, types.intp, kind), codegen


@intrinsic
def store(typingctx, address, value, kind):
    """Write sixteen elements at an address."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        _emit_store(builder, args[0], args[1], width)
        return context.get_dummy_value()

    return types.void(types.intp, vector, kind), codegen


@intrinsic
def store_lanes(typingctx, address, value, count, kind):
    """Write the first `count` lanes; memory beyond is not touched."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        mask = _lane_mask(builder, ir.Constant(args[2].type, 0), args[2])
        _emit_store(builder, args[0], args[1], width, mask)
        return context.get_dummy_value()

    return types.void(types.intp, vector, types.intp, kind), codegen


@intrinsic
def splat(typingctx, value):
    """One number in every lane."""

    def codegen(context, builder, signature, args):
        return _splat(builder, args[0], _vec_ir)

    return vector(types.float32), codegen


@intrinsic
def load_splat(typingctx, address):
    """The float32 at an address in every lane."""

    def codegen(context, builder, signature, args):
        value = builder.load(_pointer(builder, args[0], _float), align=4)
        return _splat(builder, value, _vec_ir)

    return vector(types.intp), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c with one rounding."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(_vec_ir, [_vec_ir] * 3)
        name = f"llvm.fma.v{LANES}f32"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, args)

    return vector(vector, vector, vector), codegen


@intrinsic
def add(typingctx, a, b):
    """a + b, lane by lane."""

    def codegen(context, builder, signature, args):
        return builder.fadd(*args)

    return vector(vector, vector), codegen


@intrinsic
def sub(typingctx, a, b):
    """a - b, lane by lane."""

    def codegen(context, builder, signature, args):
        return builder.fsub(*args)

    return vector(vector, vector), codegen


@intrinsic
def mul(typingctx, a, b):
    """a * b, lane by lane."""

    def codegen(context, builder, signature, args):
        return builder.fmul(*args)

    return vector(vector, vector), codegen


@intrinsic
def smallest(typingctx, a, b):
    """The lower of two, lane by lane; a NaN in `a` stays."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", *args), args[1], args[0])

    return vector(vector, vector), codegen


@intrinsic
def largest(typingctx, a, b):
    """The higher of two, lane by lane; a NaN in `a` stays."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered("<", *args), args[1], args[0])

    return vector(vector, vector), codegen


@intrinsic
def total(typingctx, a):
    """The sum of the lanes, in a fixed order."""

    def codegen(context, builder, signature, args):
        value, width = args[0], LANES
        while width > 1:
            width //= 2
            low = ir.Constant(ir.VectorType(_i32, width), list(range(width)))
            high = ir.Constant(ir.VectorType(_i32, width), list(range(width, 2 * width)))
            value = builder.fadd(
                builder.shuffle_vector(value, value, low),
                builder.shuffle_vector(value, value, high),
            )
        return builder.extract_element(value, ir.Constant(_i32, 0))

    return types.float32(vector), codegen


@intrinsic
def load_every(typingctx, address, step, low, high, kind):
    """Lanes low <= i < high from address + i * step bytes; the others are zero."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        held = _vec_ir if width == 4 else ir.VectorType(_i16, LANES)
        suffix = "f32" if width == 4 else "i16"
        pointers, mask = _spread(builder, args[0], args[1], args[2], args[3], held.element)
        nothing = ir.Constant(held, [ir.Constant(held.element, 0)] * LANES)
        parts = [pointers.type, _i32, mask.type, held]
        name = f"llvm.masked.gather.v16{suffix}.v16p0"
        signature_ir = ir.FunctionType(held, parts)
        function = cgutils.get_or_insert_function(builder.module, signature_ir, name)
        value = builder.call(function, [pointers, ir.Constant(_i32, width), mask, nothing])
        return value if width == 4 else _widen(builder, value)

    return vector(types.intp, types.intp, types.intp, types.intp, kind), codegen


@intrinsic
def store_every(typingctx, address, step, value, count, kind):
    """Write the first `count` lanes to address + i * step bytes."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        stored = args[2] if width == 4 else _narrow(builder, args[2])
        suffix = "f32" if width == 4 else "i16"
        none = ir.Constant(args[3].type, 0)
        pointers, mask = _spread(builder, args[0], args[1], none, args[3], stored.type.element)
        name = f"llvm.masked.scatter.v16{suffix}.v16p0"
        signature_ir = ir.FunctionType(ir.VoidType(), [stored.type, pointers.type, _i32, mask.type])
        function = cgutils.get_or_insert_function(builder.module, signature_ir, name)
        builder.call(function, [stored, pointers, ir.Constant(_i32, width), mask])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, vector, types.intp, kind), codegen


def _spread(builder, address, step, low, high, element):
    """Sixteen pointers `step` bytes apart, and the mask of the lanes in [low, high)."""
    wide = ir.VectorType(address.type, LANES)
    lanes = ir.Constant(wide, list(range(LANES)))
    offsets = builder.mul(lanes, _splat(builder, step, wide))
    addresses = builder.add(offsets, _splat(builder, address, wide))
    pointers = builder.inttoptr(addresses, ir.VectorType(element.as_pointer(), LANES))
    return pointers, _lane_mask(builder, low, high)


def _emit_store_past_cache(builder, address, value):
    done = builder.store(value, _pointer(builder, address, _vec_ir), align=64)
    done.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(_i32, 1)]))


@intrinsic
def store_past_cache(typingctx, address, value):
    """Write sixteen float32 around the caches; the address is a multiple of 64.

    A plain store first reads the line that it overwrites: a third of all traffic, wasted where
    the result is too large to be found in a cache later.
    """

    def codegen(context, builder, signature, args):
        _emit_store_past_cache(builder, *args)
        return context.get_dummy_value()

    return types.void(types.intp, vector), codegen


def _emit_prefetch(builder, address):
    """Ask for a line of memory; any address is allowed."""
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, _i32, _i32, _i32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    hints = [ir.Constant(_i32, value) for value in (0, 3, 1)]  # read, keep, data
    builder.call(function, [builder.inttoptr(address, byte), *hints])


@intrinsic
def element_bytes(typingctx, kind):
    """Bytes of an element of this kind in memory."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        return context.get_constant(types.intp, width)

    return types.intp(kind), codegen


@intrinsic
def put_double(typingctx, address, value):
    """Write one float64."""

    def codegen(context, builder, signature, args):
        builder.store(args[1], _pointer(builder, args[0], ir.DoubleType()), align=8)
        return context.get_dummy_value()

    return types.void(types.intp, types.float64), codegen


@intrinsic
def between(typingctx, a, low, high, value):
    """value where low < a < high, else zero, lane by lane."""

    def codegen(context, builder, signature, args):
        above = builder.fcmp_ordered(">", args[0], args[1])
        inside = builder.and_(above, builder.fcmp_ordered("<", args[0], args[2]))
        return builder.select(inside, args[3], ir.Constant(_vec_ir, [0.0] * LANES))

    return vector(vector, vector, vector, vector), codegen


@intrinsic
def divide(typingctx, a, b):
    """a / b, lane by lane."""

    def codegen(context, builder, signature, args):
        return builder.fdiv(*args)

    return vector(vector, vector), codegen


@intrinsic
def nearest(typingctx, a):
    """a rounded to the nearest whole number, lane by lane."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(_vec_ir, [_vec_ir])
        name = f"llvm.nearbyint.v{LANES}f32"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, args)

    return vector(vector), codegen


@intrinsic
def power_of_two(typingctx, a):
    """2 ** a for whole a from -126 to 127, lane by lane."""

    def codegen(context, builder, signature, args):
        whole = builder.fptosi(args[0], _ints_ir)
        biased = builder.add(whole, ir.Constant(_ints_ir, [127] * LANES))
        return builder.bitcast(builder.shl(biased, ir.Constant(_ints_ir, [23] * LANES)), _vec_ir)

    return vector(vector), codegen


def _emit_add_to_doubles(builder, address, value):
    wide = ir.VectorType(ir.DoubleType(), LANES)
    pointer = _pointer(builder, address, wide)
    after = builder.fadd(builder.load(pointer, align=8), builder.fpext(value, wide))
    builder.store(after, pointer, align=8)


@intrinsic
def add_to_doubles(typingctx, address, a):
    """Add sixteen lanes to sixteen float64 totals."""

    def codegen(context, builder, signature, args):
        _emit_add_to_doubles(builder, *args)
        return context.get_dummy_value()

    return types.void(types.intp, vector), codegen


@intrinsic
def get_double(typingctx, address):
    """Read one float64."""

    def codegen(context, builder, signature, args):
        return builder.load(_pointer(builder, args[0], ir.DoubleType()), align=8)

    return types.float64(types.intp), codegen


@intrinsic
def get_float(typingctx, address):
    """Read one float32."""

    def codegen(context, builder, signature, args):
        return builder.load(_pointer(builder, args[0], _float), align=4)

    return types.float32(types.intp), codegen


@intrinsic
def put_float(typingctx, address, value):
    """Write one float32."""

    def codegen(context, builder, signature, args):
        builder.store(args[1], _pointer(builder, args[0], _float), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.float32), codegen
