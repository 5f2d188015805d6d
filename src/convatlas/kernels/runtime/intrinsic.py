"""Numba's mark for functions whose machine code we write ourselves, with a type for checkers."""

from typing import Any

from numba.extending import intrinsic as _intrinsic

intrinsic: Any = _intrinsic  # an intrinsic is called without its typing context
