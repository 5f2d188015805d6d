"""Loads and stores of sixteen elements, and of single numbers, at raw addresses.

What lies in memory is float32 or bfloat16; what is held is always float32.
"""

from llvmlite import ir
from numba.core import cgutils, types

from convatlas.kernels.codegen.vector import (
    FLOAT,
    I32,
    INTS,
    LANES,
    VECTOR,
    bytes_of,
    emit_splat,
    vector,
)
from convatlas.kernels.runtime.intrinsic import intrinsic

I16, BIT = ir.IntType(16), ir.IntType(1)


def pointer_to(builder, address, kind):
    """Turn an address into a pointer to that kind."""
    return builder.inttoptr(address, kind.as_pointer())


def _widen(builder, halves):
    """Bfloat16 is the upper half of a float32."""
    wide = builder.zext(halves, INTS)
    shifted = builder.shl(wide, ir.Constant(INTS, [16] * LANES))
    return builder.bitcast(shifted, VECTOR)


def _narrow(builder, value):
    """Round to the nearest bfloat16, ties to even; a NaN keeps its top mantissa bit set."""
    bits = builder.bitcast(value, INTS)

    def const(number):
        return ir.Constant(INTS, [number] * LANES)

    odd = builder.and_(builder.lshr(bits, const(16)), const(1))
    rounded = builder.add(bits, builder.add(odd, const(0x7FFF)))
    is_nan = builder.fcmp_unordered("uno", value, value)
    kept = builder.select(is_nan, builder.or_(bits, const(0x400000)), rounded)
    return builder.trunc(builder.lshr(kept, const(16)), ir.VectorType(I16, LANES))


def _lane_mask(builder, low, high):
    """Bits of the lanes in [low, high)."""
    lanes = ir.Constant(INTS, list(range(LANES)))
    low = emit_splat(builder, builder.trunc(low, I32), INTS)
    high = emit_splat(builder, builder.trunc(high, I32), INTS)
    at_least = builder.icmp_signed(">=", lanes, low)
    return builder.and_(at_least, builder.icmp_signed("<", lanes, high))


def emit_load(builder, address, size, mask=None):
    """Emit code that loads sixteen elements of `size` bytes, or those in the mask, as float32."""
    kind = VECTOR if size == 4 else ir.VectorType(I16, LANES)
    pointer = pointer_to(builder, address, kind)
    if mask is None:
        value = builder.load(pointer, align=size)
    else:
        name = "llvm.masked.load.v16f32.p0" if size == 4 else "llvm.masked.load.v16i16.p0"
        mask_kind = ir.VectorType(BIT, LANES)
        signature = ir.FunctionType(kind, [kind.as_pointer(), I32, mask_kind, kind])
        function = cgutils.get_or_insert_function(builder.module, signature, name)
        nothing = ir.Constant(kind, [ir.Constant(kind.element, 0)] * LANES)
        value = builder.call(function, [pointer, ir.Constant(I32, size), mask, nothing])
    return value if size == 4 else _widen(builder, value)


def emit_store(builder, address, value, size, mask=None):
    """Emit code that writes sixteen elements of `size` bytes, or those in the mask."""
    stored = value if size == 4 else _narrow(builder, value)
    kind = stored.type
    pointer = pointer_to(builder, address, kind)
    if mask is None:
        builder.store(stored, pointer, align=size)
        return
    name = "llvm.masked.store.v16f32.p0" if size == 4 else "llvm.masked.store.v16i16.p0"
    mask_kind = ir.VectorType(BIT, LANES)
    signature = ir.FunctionType(ir.VoidType(), [kind, kind.as_pointer(), I32, mask_kind])
    function = cgutils.get_or_insert_function(builder.module, signature, name)
    builder.call(function, [stored, pointer, ir.Constant(I32, size), mask])


@intrinsic
def load(typingctx, address, kind):
    """Load sixteen elements from an address; kind is FLOAT32 or BFLOAT16."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        return emit_load(builder, args[0], width)

    return vector(types.intp, kind), codegen


@intrinsic
def load_lanes(typingctx, address, low, high, kind):
    """Load the lanes in [low, high); others are zero and their memory is not touched."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        mask = _lane_mask(builder, args[1], args[2])
        return emit_load(builder, args[0], width, mask)

    return vector(types.intp, types.intp, types.intp, kind), codegen


@intrinsic
def store(typingctx, address, value, kind):
    """Write sixteen elements at an address."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        emit_store(builder, args[0], args[1], width)
        return context.get_dummy_value()

    return types.void(types.intp, vector, kind), codegen


@intrinsic
def store_lanes(typingctx, address, value, count, kind):
    """Write the first `count` lanes; memory beyond is not touched."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        mask = _lane_mask(builder, ir.Constant(args[2].type, 0), args[2])
        emit_store(builder, args[0], args[1], width, mask)
        return context.get_dummy_value()

    return types.void(types.intp, vector, types.intp, kind), codegen


@intrinsic
def load_splat(typingctx, address):
    """Load the float32 at an address into every lane."""

    def codegen(context, builder, signature, args):
        value = builder.load(pointer_to(builder, args[0], FLOAT), align=4)
        return emit_splat(builder, value, VECTOR)

    return vector(types.intp), codegen


@intrinsic
def load_every(typingctx, address, step, low, high, kind):
    """Load lanes low <= i < high from address + i * step bytes; the others are zero."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        held = VECTOR if width == 4 else ir.VectorType(I16, LANES)
        suffix = "f32" if width == 4 else "i16"
        pointers, mask = _spread(builder, args[0], args[1], args[2], args[3], held.element)
        nothing = ir.Constant(held, [ir.Constant(held.element, 0)] * LANES)
        parts = [pointers.type, I32, mask.type, held]
        name = f"llvm.masked.gather.v16{suffix}.v16p0"
        signature_ir = ir.FunctionType(held, parts)
        function = cgutils.get_or_insert_function(builder.module, signature_ir, name)
        value = builder.call(function, [pointers, ir.Constant(I32, width), mask, nothing])
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
        signature_ir = ir.FunctionType(ir.VoidType(), [stored.type, pointers.type, I32, mask.type])
        function = cgutils.get_or_insert_function(builder.module, signature_ir, name)
        builder.call(function, [stored, pointers, ir.Constant(I32, width), mask])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, vector, types.intp, kind), codegen


def _spread(builder, address, step, low, high, element):
    """Sixteen pointers `step` bytes apart, and the mask of the lanes in [low, high)."""
    wide = ir.VectorType(address.type, LANES)
    lanes = ir.Constant(wide, list(range(LANES)))
    offsets = builder.mul(lanes, emit_splat(builder, step, wide))
    addresses = builder.add(offsets, emit_splat(builder, address, wide))
    pointers = builder.inttoptr(addresses, ir.VectorType(element.as_pointer(), LANES))
    return pointers, _lane_mask(builder, low, high)


def emit_store_past_cache(builder, address, value):
    """Emit the code of `store_past_cache`."""
    done = builder.store(value, pointer_to(builder, address, VECTOR), align=64)
    done.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(I32, 1)]))


@intrinsic
def store_past_cache(typingctx, address, value):
    """Write sixteen float32 around the caches; the address is a multiple of 64.

    A plain store first reads the line that it overwrites: a third of all traffic, wasted where
    the result is too large to be found in a cache later.
    """

    def codegen(context, builder, signature, args):
        emit_store_past_cache(builder, *args)
        return context.get_dummy_value()

    return types.void(types.intp, vector), codegen


def emit_prefetch(builder, address):
    """Ask for a line of memory in the L2 cache; any address is allowed."""
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    hints = [ir.Constant(I32, value) for value in (0, 2, 1)]  # read, L2, data
    builder.call(function, [builder.inttoptr(address, byte), *hints])


@intrinsic
def read_line(typingctx, address):
    """Bring a line of memory close by reading from it; the address must be one that may be read.

    What is read in order the processor foresees, more of it than it takes requests for.
    """

    def codegen(context, builder, signature, args):
        value = builder.load(pointer_to(builder, args[0], ir.IntType(8)))
        # Code that no compiler sees through, so that the load is not left out.
        kind = ir.FunctionType(ir.VoidType(), [value.type])
        builder.asm(kind, "", "r", [value], side_effect=True)
        return context.get_dummy_value()

    return types.void(types.intp), codegen


@intrinsic
def element_bytes(typingctx, kind):
    """Return the bytes of an element of this kind in memory."""
    width = bytes_of(kind)

    def codegen(context, builder, signature, args):
        return context.get_constant(types.intp, width)

    return types.intp(kind), codegen


@intrinsic
def put_double(typingctx, address, value):
    """Write one float64."""

    def codegen(context, builder, signature, args):
        builder.store(args[1], pointer_to(builder, args[0], ir.DoubleType()), align=8)
        return context.get_dummy_value()

    return types.void(types.intp, types.float64), codegen


def emit_add_to_doubles(builder, address, value):
    """Emit the code of `add_to_doubles`."""
    wide = ir.VectorType(ir.DoubleType(), LANES)
    pointer = pointer_to(builder, address, wide)
    after = builder.fadd(builder.load(pointer, align=8), builder.fpext(value, wide))
    builder.store(after, pointer, align=8)


@intrinsic
def add_to_doubles(typingctx, address, a):
    """Add sixteen lanes to sixteen float64 totals."""

    def codegen(context, builder, signature, args):
        emit_add_to_doubles(builder, *args)
        return context.get_dummy_value()

    return types.void(types.intp, vector), codegen


@intrinsic
def sum_of_doubles(typingctx, address, count, pitch):
    """Add sixteen float64 totals over `count` places `pitch` bytes apart, as float32."""

    def codegen(context, builder, signature, args):
        address, count, pitch = args
        wide = ir.VectorType(ir.DoubleType(), LANES)
        result = cgutils.alloca_once_value(builder, ir.Constant(wide, [0.0] * LANES))
        with cgutils.for_range(builder, count) as loop:
            place = builder.add(address, builder.mul(loop.index, pitch))
            value = builder.load(pointer_to(builder, place, wide), align=8)
            builder.store(builder.fadd(builder.load(result), value), result)
        return builder.fptrunc(builder.load(result), VECTOR)

    return vector(types.intp, types.intp, types.intp), codegen


@intrinsic
def get_double(typingctx, address):
    """Read one float64."""

    def codegen(context, builder, signature, args):
        return builder.load(pointer_to(builder, args[0], ir.DoubleType()), align=8)

    return types.float64(types.intp), codegen


@intrinsic
def get_float(typingctx, address):
    """Read one float32."""

    def codegen(context, builder, signature, args):
        return builder.load(pointer_to(builder, args[0], FLOAT), align=4)

    return types.float32(types.intp), codegen


@intrinsic
def put_float(typingctx, address, value):
    """Write one float32."""

    def codegen(context, builder, signature, args):
        builder.store(args[1], pointer_to(builder, args[0], FLOAT), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.float32), codegen
