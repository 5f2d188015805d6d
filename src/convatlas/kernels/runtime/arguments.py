"""The arguments of a kernel as one piece of memory: written by Python, read by compiled code.

Eight bytes each: the part of the work that nobody has begun, how many parts are done, how many
there are, the arguments.
"""

import struct
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.np.arrayobj import populate_array

from convatlas.kernels.runtime.intrinsic import intrinsic

PLACE = 8  # bytes
HEAD = 3  # places before the arguments
# Kinds of arguments by their Numba names, and how Python writes them. "plans" is an array of rows
# of integers (`plan.py`), given as its address, its rows and its columns.
FORMATS = {"intp": "q", "float64": "d", "float32": "f4x", "plans": "qqq"}
PLANS = types.Array(types.int64, 2, "C")


class Layout:
    """How the arguments of one kernel lie in memory."""

    def __init__(self, kinds: list[str]):
        self.kinds = kinds
        self.format = HEAD * "q" + "".join(FORMATS[kind] for kind in kinds)
        self.struct = struct.Struct("=" + self.format)

    def write(self, parts: int, arguments: tuple[Any, ...]) -> bytes:
        """The memory of one call. The threads count in it, so nobody else may hold it."""
        return self.struct.pack(0, 0, parts, *arguments)


def _place(builder, call, index, kind):
    address = builder.add(call, ir.Constant(call.type, index * PLACE))
    return builder.inttoptr(address, kind.as_pointer())


@intrinsic
def number_at(typingctx, address):
    """The whole number at an address."""

    def codegen(context, builder, signature, args):
        return builder.load(_place(builder, args[0], 0, args[0].type))

    return types.intp(types.intp), codegen


@intrinsic
def count_up(typingctx, address):
    """Add one to the whole number at an address; returns what it was before.

    At the address of a call: the number of a part that no other thread has begun. What this
    thread has written before is there for whoever sees the new number.
    """

    def codegen(context, builder, signature, args):
        number = args[0].type
        place = _place(builder, args[0], 0, number)
        return builder.atomic_rmw("add", place, ir.Constant(number, 1), "acq_rel")

    return types.intp(types.intp), codegen


@intrinsic
def parts_of(typingctx, call):
    """How many parts the work has."""

    def codegen(context, builder, signature, args):
        return builder.load(_place(builder, args[0], 2, args[0].type))

    return types.intp(types.intp), codegen


@intrinsic
def parts_done(typingctx, call):
    """How many parts of the work are done, and with them all that they have written."""

    def codegen(context, builder, signature, args):
        place = _place(builder, args[0], 1, args[0].type)
        return builder.load_atomic(place, "acquire", PLACE)

    return types.intp(types.intp), codegen


def _read_plans(context, builder, call, index):
    number = call.type
    size = ir.Constant(number, PLACE)
    data, rows, columns = (builder.load(_place(builder, call, index + i, number)) for i in range(3))
    array = context.make_array(PLANS)(context, builder)
    populate_array(
        array,
        data=builder.inttoptr(data, number.as_pointer()),
        shape=cgutils.pack_array(builder, [rows, columns]),
        strides=cgutils.pack_array(builder, [builder.mul(columns, size), size]),
        itemsize=size,
        meminfo=None,
    )
    return array._getvalue()


def reader(kinds: list[str]) -> Any:
    """A function for compiled code: the address of a call -> the tuple of its arguments."""
    made = types.Tuple([PLANS if kind == "plans" else getattr(types, kind) for kind in kinds])

    @intrinsic
    def arguments(typingctx, call):
        def codegen(context, builder, signature, args):
            values, index = [], HEAD
            for kind, type_of in zip(kinds, made, strict=True):
                if kind == "plans":
                    values.append(_read_plans(context, builder, args[0], index))
                else:
                    known = context.get_value_type(type_of)
                    values.append(builder.load(_place(builder, args[0], index, known)))
                index += struct.calcsize("=" + FORMATS[kind]) // PLACE
            return context.make_tuple(builder, made, values)

        return made(types.intp), codegen

    return arguments
