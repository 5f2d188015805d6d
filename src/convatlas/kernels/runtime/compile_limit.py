"""How long compiling may go on: a job with a time limit cannot wait a minute for faster steps."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

USUAL_S = 3.0  # that a kernel takes to compile, until this process has seen longer
_until = math.inf
_longest = USUAL_S


class NotCompiled(Exception):
    """A kernel is needed that was never compiled on this machine, and there is no time for it."""


@contextmanager
def compiling_within(seconds: float) -> Iterator[None]:
    """Begin to compile only kernels that will be done within these seconds.

    The longest that compiling took in this process says how long the next will take. What is on
    disk is loaded in any case.

    Raises:
        NotCompiled: from the call that needs another kernel.
    """
    global _until
    before, _until = _until, time.perf_counter() + seconds
    try:
        yield
    finally:
        _until = before


def check_time(kernel: str) -> None:
    """Raise `NotCompiled` if it is too late to compile this kernel."""
    if time.perf_counter() + _longest > _until:
        raise NotCompiled(kernel)


def note_compiled(seconds: float) -> None:
    """Take note of how long a kernel took to compile, on this machine as busy as it is."""
    global _longest
    _longest = max(_longest, seconds)
