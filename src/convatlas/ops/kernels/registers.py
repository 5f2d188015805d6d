"""How much a processor holds in its vector registers, which decides how large tiles may be."""

from functools import lru_cache


@lru_cache(maxsize=1)
def vector_registers() -> int:
    """Vectors of sixteen float32 that fit: 32 with AVX-512, else 8 (AVX2 has 16 halves)."""
    from llvmlite import binding

    return 32 if binding.get_host_cpu_features().get("avx512f", False) else 8
