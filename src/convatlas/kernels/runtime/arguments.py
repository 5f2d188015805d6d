"""The arguments of a kernel as one piece of memory: written by Python, read by compiled code.

Eight bytes each: the first part of the work that no thread has begun, how many parts are done, how
many there are, the arguments. An argument is a number or a record of numbers (a NamedTuple), which
compiled code reads by the names of its fields.
"""

import struct
from collections.abc import Sequence
from functools import cache
from typing import Any, get_type_hints

from llvmlite import ir
from numba.core import cgutils, types
from numba.np.arrayobj import populate_array

from convatlas.kernels.runtime.intrinsic import intrinsic
from convatlas.kernels.runtime.records import Double, PlanRows

PLACE = 8  # bytes
HEAD = 3  # places before the arguments
# Numbers by their Numba names, and how Python writes them.
FORMATS = {"intp": "q", "float64": "d", "float32": "f4x"}
FIELDS: dict[Any, str] = {int: "intp", float: "float32", Double: "float64"}  # of records
PLANS = types.Array(types.int64, 2, "C")
Kind = str | type  # the name of a number, or a record


class Layout:
    """How the arguments of one kernel lie in memory."""

    def __init__(self, kinds: list[Kind]):
        self.kinds = kinds
        numbers = [name for kind in kinds for name in numbers_of(kind)]
        self.format = HEAD * "q" + "".join(FORMATS[name] for name in numbers)
        self.struct = struct.Struct("=" + self.format)

    def write(self, parts: int, arguments: tuple[Any, ...]) -> bytes:
        """Write one call's memory. The threads count in it, so no other call may share it."""
        return self.struct.pack(0, 0, parts, *flat(arguments))


def numbers_of(kind: Kind) -> list[str]:
    """Return names of the numbers that an argument is written as."""
    return [kind] if isinstance(kind, str) else [FIELDS[of] for of in _fields_of(kind)]


@cache
def _fields_of(record: type) -> tuple[Any, ...]:
    return tuple(get_type_hints(record, include_extras=True).values())


def flat(arguments: Sequence[Any]) -> list[Any]:
    """Return the numbers of all arguments, one after another."""
    values: list[Any] = []
    for argument in arguments:
        if isinstance(argument, tuple):
            values += argument
        else:
            values.append(argument)
    return values


def _place(builder, call, index, kind):
    address = builder.add(call, ir.Constant(call.type, index * PLACE))
    return builder.inttoptr(address, kind.as_pointer())


@intrinsic
def number_at(typingctx, address):
    """Read the whole number at an address."""

    def codegen(context, builder, signature, args):
        return builder.load(_place(builder, args[0], 0, args[0].type))

    return types.intp(types.intp), codegen


@intrinsic
def count_up(typingctx, address):
    """Add one to the whole number at an address; returns what it was before.

    At the address of a call: the number of a part that no other thread has begun. What this
    thread has written before is there for every thread that sees the new number.
    """

    def codegen(context, builder, signature, args):
        number = args[0].type
        place = _place(builder, args[0], 0, number)
        return builder.atomic_rmw("add", place, ir.Constant(number, 1), "acq_rel")

    return types.intp(types.intp), codegen


@intrinsic
def parts_of(typingctx, call):
    """Return how many parts the work has."""

    def codegen(context, builder, signature, args):
        return builder.load(_place(builder, args[0], 2, args[0].type))

    return types.intp(types.intp), codegen


@intrinsic
def parts_done(typingctx, call):
    """Return how many parts of the work are done, with all that they have written."""

    def codegen(context, builder, signature, args):
        place = _place(builder, args[0], 1, args[0].type)
        return builder.load_atomic(place, "acquire", PLACE)

    return types.intp(types.intp), codegen


def _type_of(kind: Kind) -> Any:
    """What compiled code sees: a number, a record, or (for `PlanRows`) an array of plans."""
    if isinstance(kind, str):
        return getattr(types, kind)
    if kind is PlanRows:
        return PLANS
    fields = [getattr(types, name) for name in numbers_of(kind)]
    if len(set(fields)) == 1:
        return types.NamedUniTuple(fields[0], len(fields), kind)
    return types.NamedTuple(fields, kind)


def _plans(context, builder, numbers):
    """An array over the rows of plans at an address."""
    address, rows, columns = numbers
    size = ir.Constant(address.type, PLACE)
    array = context.make_array(PLANS)(context, builder)
    populate_array(
        array,
        data=builder.inttoptr(address, address.type.as_pointer()),
        shape=cgutils.pack_array(builder, [rows, columns]),
        strides=cgutils.pack_array(builder, [builder.mul(columns, size), size]),
        itemsize=size,
        meminfo=None,
    )
    return array._getvalue()


def reader(kinds: list[Kind]) -> Any:
    """Return a function for compiled code: a call's address -> the tuple of its arguments."""
    made = types.Tuple([_type_of(kind) for kind in kinds])

    @intrinsic
    def arguments(typingctx, call):
        def codegen(context, builder, signature, args):
            values, index = [], HEAD
            for kind, type_of in zip(kinds, made, strict=True):
                numbers = []
                for name in numbers_of(kind):
                    held = context.get_value_type(getattr(types, name))
                    numbers.append(builder.load(_place(builder, args[0], index, held)))
                    index += 1
                if kind is PlanRows:
                    values.append(_plans(context, builder, numbers))
                elif isinstance(kind, str):
                    values += numbers
                else:
                    values.append(context.make_tuple(builder, type_of, numbers))
            return context.make_tuple(builder, made, values)

        return made(types.intp), codegen

    return arguments
