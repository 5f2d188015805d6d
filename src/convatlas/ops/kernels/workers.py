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


@lru_cache(maxsize=1)
def _team_of_torch() -> Any:
    """OpenMP's entry that runs a function on all threads of a team; None: torch has another one."""
    try:
        start = ctypes.CDLL(torch._C.__file__).GOMP_parallel  # of the library it is linked with
    except (OSError, AttributeError):
        return None
    start.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    start.restype = None
    return start


@lru_cache(maxsize=1)
def _own_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="convatlas-kernel")


def run(function: int, call: int, parts: int) -> None:
    """Call the C function at an address with a pointer, at once on up to `parts` threads.

    The functions share the work out among themselves (`call.py`), so fewer threads will do.
    """
    threads = min(parts, torch.get_num_threads())
    work = _function(function)
    if threads == 1:
        work(call)
    elif (start := _team_of_torch()) is not None:
        start(function, call, threads, 0)
    else:
        others: list[Future[None]] = [_own_threads().submit(work, call) for _ in range(threads - 1)]
        work(call)
        for other in others:
            other.result()
