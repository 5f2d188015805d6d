"""Keep the memory that a training step frees for the next step, instead of returning it."""

import ctypes
import sys
from functools import lru_cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of glibc's mallopt
_NEVER = 2**31 - 1


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Ask the C library to reuse large blocks; returns whether it took the request.

    By default glibc gives every block above 32 MiB back to the system when it is freed and gets
    fresh, zeroed pages for the next one: in a training step on a CPU that is up to a third of
    the time. The setting holds for the whole process and cannot be read back. Other C libraries
    are left alone.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _NEVER)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
