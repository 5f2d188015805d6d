"""What the kernels have to know of the processor: its caches and its vector registers."""

from functools import lru_cache
from pathlib import Path
from typing import Any

_KNOWN = (256 << 10, 4 << 20)  # the smallest and the largest cache that is believed
_USUAL = 1 << 20
_UNITS = {"K": 1 << 10, "M": 1 << 20}


@lru_cache(maxsize=1)
def cache_bytes(file: str = "/sys/devices/system/cpu/cpu0/cache/index2/size") -> int:
    """Return the bytes of a core's L2 cache as Linux tells it (`1024K`); elsewhere 1 MiB."""
    try:
        text = Path(file).read_text().strip()
        size = int(text[:-1]) * _UNITS[text[-1]]
    except (OSError, ValueError, KeyError, IndexError):
        return _USUAL
    return min(max(size, _KNOWN[0]), _KNOWN[1])


@lru_cache(maxsize=1)
def vector_registers() -> int:
    """Return how many vectors of sixteen float32 the processor that code is compiled for holds.

    32 with AVX-512; else 8: AVX2 has 16 registers of half a vector, NEON 32 of a quarter.
    """
    from numba.core.registry import cpu_target

    context: Any = cpu_target.target_context  # a cached property, which its types do not know
    _, _, features = context.codegen().magic_tuple()
    return 32 if "+avx512f" in features else 8
