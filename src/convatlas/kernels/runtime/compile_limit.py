"""How long compiling may go on: a job with a time limit cannot wait a minute for faster steps."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

_until = math.inf


class NotCompiled(Exception):
    """A kernel is needed that was never compiled on this machine, and there is no time for it."""


@contextmanager
def compiling_within(seconds: float) -> Iterator[None]:
    """Begin to compile no kernel once that many seconds have passed; what is on disk is loaded.

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
    if time.perf_counter() > _until:
        raise NotCompiled(kernel)
