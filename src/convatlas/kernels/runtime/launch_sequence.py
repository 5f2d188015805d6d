"""Several kernels in one start of the threads: with cold caches a start takes as long as a layer.

Every thread goes through all of them. It takes parts of the first until none is left, waits until
the parts that others have begun are done, and goes on with the next. No thread waits for a part
that none has begun, so fewer threads than parts will do.
"""

import ctypes
import os
import struct
from functools import lru_cache
from typing import Any

from llvmlite import ir
from numba.core import types

from convatlas.kernels.runtime import threads as workers
from convatlas.kernels.runtime.arguments import PLACE, flat, number_at, parts_done, parts_of
from convatlas.kernels.runtime.compiler import Kernel, machine_code
from convatlas.kernels.runtime.intrinsic import intrinsic

# How often a thread looks before it lets another one run: some ten microseconds, more than parts
# differ by where every thread has a core.
SPINS_BEFORE_YIELD = 10_000
_FIRST = 2  # places before those of the first kernel


@intrinsic
def _start(typingctx, function, argument):
    """Call the function at an address with a whole number."""

    def codegen(context, builder, signature, args):
        function, argument = args
        kind = ir.FunctionType(ir.VoidType(), [argument.type])
        builder.call(builder.inttoptr(function, kind.as_pointer()), [argument])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


def _all(call):
    """What every thread runs.

    Places: how many kernels, the function that lets others run, and of each kernel its code and
    how many bytes further its own call begins.
    """
    yield_thread = number_at(call + PLACE)
    for step in range(number_at(call)):
        place = call + (_FIRST + 2 * step) * PLACE
        own = call + number_at(place + PLACE)
        _start(number_at(place), own)
        looked = 0
        while parts_done(own) < parts_of(own):
            looked += 1
            if looked > SPINS_BEFORE_YIELD:
                _start(yield_thread, 0)


@lru_cache(maxsize=1)
def _runner() -> workers.Work:
    return machine_code(_all, "launch_sequence", "any")


@lru_cache(maxsize=1)
def _yield_thread() -> int:
    """The address of the system's function that lets another thread have this one's core."""
    windows = os.name == "nt"
    library = ctypes.CDLL("kernel32" if windows else None)
    function = library.SwitchToThread if windows else library.sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class LaunchSequence:
    """Kernels that run one after the other, each when all parts of the one before are done."""

    def __init__(self, *kernels: Kernel):
        self.kernels, self.heads = kernels, dict[type, tuple[int, ...]]()
        head = _FIRST + 2 * len(kernels)
        calls = "".join(kernel.layout.format for kernel in kernels)
        self.struct = struct.Struct("=" + head * "q" + calls)

    def __call__(self, marker: Any, *calls: tuple) -> None:
        """calls: of each kernel its parts and its arguments; all of the marker's kind."""
        values = [*(self.heads.get(type(marker)) or self._head(marker))]
        for parts, *args in calls:
            values += (0, 0, parts, *flat(args))
        parts = max([call[0] for call in calls])
        workers.run(_runner(), self.struct.pack(*values), parts)

    def _head(self, marker: Any) -> tuple[int, ...]:
        head = [len(self.kernels), _yield_thread()]
        offset = (_FIRST + 2 * len(self.kernels)) * PLACE
        for kernel in self.kernels:
            head += (kernel.work(marker).address, offset)
            offset += kernel.layout.struct.size
        self.heads[type(marker)] = found = tuple(head)
        return found
