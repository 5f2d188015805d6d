"""Run a compiled function on the threads that torch computes with.

A pool of our own would fight with torch's over the cores: idle OpenMP workers keep spinning for a
while in the hope of more work.
"""

import ctypes
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch

_function: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Work:
    """A compiled function, as Python calls it and as OpenMP does."""

    def __init__(self, compiled: Any):
        self.compiled, self.address = compiled, compiled.address  # it lives as long as this
        self.call = _function(compiled.address)


@lru_cache(maxsize=1)
def _openmp_team() -> Any:
    """OpenMP's entry that runs a function on all threads of a team; None: torch has another one."""
    try:
        start = ctypes.CDLL(torch._C.__file__).GOMP_parallel  # of the library it is linked with
    except (OSError, AttributeError):
        return None
    start.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    start.restype = None
    return start


@lru_cache(maxsize=1)
def _thread_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="convatlas-kernel")


def run(work: Work, call: bytes, parts: int) -> None:
    """Call a function with the memory of a call, at once on `parts` threads.

    The threads share the work out among themselves (`call.py`), so fewer will do. No work has more
    parts than torch has threads.
    """
    if parts == 1:
        work.call(call)
    elif (start := _openmp_team()) is not None:
        start(work.address, call, parts, 0)
    else:
        pool = _thread_pool()
        others: list[Future[None]] = [pool.submit(work.call, call) for _ in range(parts - 1)]
        work.call(call)
        for other in others:
            other.result()
