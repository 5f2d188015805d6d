"""When the kernels may be used: switched on, able to run here, and no mode watches operators."""

import contextlib
import importlib
import importlib.util
import logging
import os
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd import forward_ad

log = logging.getLogger("convatlas")
_off = os.environ.get("CONVATLAS_KERNELS", "1").strip().lower() in ("0", "off", "false", "no")
_allowed = not _off


@contextlib.contextmanager
def enabled(flag: bool = True) -> Iterator[None]:
    """Use the kernels inside the block, or (`enabled(False)`) leave everything to torch.

    The environment variable CONVATLAS_KERNELS=0 does the latter for a whole process.
    """
    global _allowed
    before, _allowed = _allowed, flag
    try:
        yield
    finally:
        _allowed = before


def switched_on() -> bool:
    """Return whether kernels may be used, by `enabled` and the environment variable."""
    return _allowed


def _stay_out_of_forks() -> None:
    """OpenMP's threads do not survive a fork, and using them there ends the process."""
    global _allowed
    _allowed = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stay_out_of_forks)


DTYPES = (torch.float32, torch.bfloat16)
PLAIN_TENSORS = (Tensor, torch.nn.Parameter)  # others may mean something else by the same operators
_loads: bool | None = None


def available() -> bool:
    """Return whether Numba is installed and loads; without it torch does all the work."""
    global _loads
    if _loads is None:
        _loads = _try_numba()
    return _loads


# What `torch.compiler.assume_constant_result` sets; to call it would import torch's whole compiler,
# which takes as long as torch itself.
available._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


def _try_numba() -> bool:
    try:
        if importlib.util.find_spec("numba") is None:
            return False
    except ValueError:  # a placeholder stands in its place
        return False
    try:
        importlib.import_module("numba")
    except ImportError as error:
        log.warning("convatlas: numba does not load, so CPU kernels are off: %s", error)
        return False
    return True


def usable(*tensors: Tensor | None) -> bool:
    """Return whether kernels may take these tensors: plain CPU tensors of one known dtype.

    Export, tracing, function transforms and modes that intercept operators (a cost count, a
    profiler of operators) see ordinary torch operators instead.
    """
    if not torch.compiler.is_compiling():
        return usable_now(*tensors)
    given = [tensor for tensor in tensors if tensor is not None]
    if not _allowed or given[0].dtype not in DTYPES:
        return False
    if not all(tensor.is_cpu for tensor in given):
        return False
    return not torch.compiler.is_exporting() and available()


def usable_now(*tensors: Tensor | None) -> bool:
    """Return the same where nothing is being compiled."""
    for tensor in tensors:  # a plain loop: this runs before every small layer
        if tensor is not None and not (tensor.is_cpu and type(tensor) in PLAIN_TENSORS):
            return False
    first = tensors[0]
    if first is None or first.dtype not in DTYPES or not _allowed:
        return False
    return not _watched() and available()


def _watched() -> bool:
    return (
        torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None  # type: ignore[attr-defined]  # no stub
        or forward_ad._current_level >= 0
        or torch._C._get_tracing_state() is not None
    )
