"""Several kernels in one start of the threads: with cold caches a start takes as long as a layer.

Every thread goes through all of them. It takes parts of the first until none is left, waits until
the parts that others have begun are done, and goes on with the next. Nobody waits for a part that
nobody has begun, so fewer threads than parts will do.
"""

import struct
from functools import lru_cache
from typing import Any

from llvmlite import ir
from numba.core import types

from convatlas.ops.kernels import workers
from convatlas.ops.kernels.call import PLACE, number_at, parts_done, parts_of
from convatlas.ops.kernels.compiled import Kernel, machine_code
from convatlas.ops.kernels.vector import intrinsic


@intrinsic
def _start(typingctx, function, call):
    """Call the function at an address with the address of its call."""

    def codegen(context, builder, signature, args):
        function, call = args
        kind = ir.FunctionType(ir.VoidType(), [call.type])
        builder.call(builder.inttoptr(function, kind.as_pointer()), [call])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


def _all(call):
    """What every thread runs. Places: how many kernels, of each its code and its call's offset."""
    for step in range(number_at(call)):
        place = call + (1 + 2 * step) * PLACE
        own = call + number_at(place + PLACE)
        _start(number_at(place), own)
        while parts_done(own) < parts_of(own):
            pass


@lru_cache(maxsize=1)
def _runner() -> workers.Work:
    return machine_code(_all, "in_turn", "any")


class InTurn:
    """Kernels that run one after the other, each when all parts of the one before are done."""

    def __init__(self, *kernels: Kernel):
        self.kernels = kernels
        self.struct = struct.Struct(
            "=" + (1 + 2 * len(kernels)) * "q" + "".join(k.layout.format for k in kernels)
        )
        self.heads: dict[type, list[int]] = {}

    def __call__(self, marker: Any, *calls: tuple) -> None:
        """calls: of each kernel its parts and its arguments; all of the marker's kind."""
        values = list(self.heads.get(type(marker)) or self._head(marker))
        for parts, *args in calls:
            values += (0, 0, parts, *args)
        memory = self.struct.pack(*values)
        workers.run(_runner(), memory, max(call[0] for call in calls))

    def _head(self, marker: Any) -> list[int]:
        head, offset = [len(self.kernels)], (1 + 2 * len(self.kernels)) * PLACE
        for kernel in self.kernels:
            head += (kernel.work(marker).address, offset)
            offset += kernel.layout.struct.size
        self.heads[type(marker)] = head
        return head
