"""An accelerator without the hardware: a device of torch's own whose memory is the CPU's.

Every tensor on it really has another device: torch itself refuses to mix them with tensors of the
CPU, autograd and `.to` treat them as they treat a GPU's. An operation is computed by the CPU on the
same memory. Registering a device cannot be undone and changes what torch takes for the machine's
accelerator, so this is loaded (`-p emulated_device`) in a process that runs nothing else.

As on CUDA, a CPU tensor may meet one of the device only where it has no dimension, is an index, or
is copied from or to; a generator must be the device's own.
"""

import ctypes
from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.library import Library
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)


class Module(_DummyBackendModule):
    """What `torch.get_device_module` gives; it counts the times that a program waited."""

    waits = 0

    @classmethod
    def synchronize(cls) -> None:
        cls.waits += 1

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def get_rng_state(self, device: torch.device) -> Tensor:
        return torch.get_rng_state()  # the CPU draws for it

    def set_rng_state(self, state: Tensor, device: torch.device) -> None:
        torch.set_rng_state(state)


_setup_privateuseone_for_python_backend("emulated", Module())
DEVICE = torch.device("emulated:0")

CPU_KIND, DEVICE_KIND = 1, 12  # kDLCPU and kDLExtDev in dlpack.h
done: Counter[str] = Counter()  # operations of the device so far, by name
MIXED = {"aten::index", "aten::index_put_", "aten::_index_put_impl_", "aten::_foreach_copy_"}


class _Head(ctypes.Structure):
    """The first members of a DLTensor in dlpack.h: where the memory is, and whose it is."""

    _fields_ = [("data", ctypes.c_void_p), ("kind", ctypes.c_int), ("index", ctypes.c_int)]


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _relabelled(tensor: Tensor, kind: int) -> Tensor:
    """The same memory under the name of another device."""
    capsule = torch.utils.dlpack.to_dlpack(tensor)
    head = _Head.from_address(_pointer(capsule, b"dltensor"))
    head.kind, head.index = kind, 0
    return torch.utils.dlpack.from_dlpack(capsule)


def _on_cpu(tensor: Tensor) -> Tensor:
    return _relabelled(tensor, CPU_KIND) if tensor.device == DEVICE else tensor


def _refuse_mixed(name: str, leaves: list[Any]) -> None:
    strange = [x for x in leaves if isinstance(x, Tensor) and x.device != DEVICE and x.dim()]
    strange += [x for x in leaves if isinstance(x, torch.Generator) and x.device != DEVICE]
    if strange and name not in MIXED:
        raise RuntimeError(f"{name}: expected everything on {DEVICE}, got {strange[0].device}")


def _fallback(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Compute any operation on the CPU, and hand out results that lie on the device."""
    leaves = tree_leaves((args, kwargs))
    _refuse_mixed(op._schema.name, leaves)
    done[op._schema.name] += 1
    wanted = kwargs.get("device")
    here = wanted is None or torch.device(wanted).type == DEVICE.type
    outs = {a.name for a in op._schema.arguments if a.is_out}
    mine: dict[int, tuple[Tensor, Tensor]] = {}  # by id of the CPU's view, which is kept alive

    def lend(x: Any) -> Any:
        if isinstance(x, torch.device):
            return torch.device("cpu")
        if isinstance(x, Tensor) and x.device == DEVICE:
            lent = _on_cpu(x)
            mine[id(lent)] = lent, x
            return lent
        return x

    def hand_out(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        if id(x) in mine:
            return mine[id(x)][1]
        return _relabelled(x, DEVICE_KIND) if here else x

    fresh = {name: torch.empty(0, dtype=kwargs[name].dtype) for name in outs if name in kwargs}
    answer = op(*tree_map(lend, args), **(tree_map(lend, kwargs) | fresh))
    for name, filled in fresh.items():
        if filled.shape == kwargs[name].shape:
            _on_cpu(kwargs[name]).copy_(filled)  # others may see the same memory
        else:
            kwargs[name].data = _relabelled(filled, DEVICE_KIND)  # it grows
        mine[id(filled)] = filled, kwargs[name]
    return tree_map(hand_out, answer)


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    _on_cpu(target).copy_(_on_cpu(source))
    return target


def _convolution(*args: Any) -> Tensor:
    return _fallback(torch.ops.aten.convolution.default, *args)


def _convolution_backward(grad: Tensor, x: Tensor, weight: Tensor, *args: Any) -> Any:
    op = torch.ops.aten.convolution_backward.default
    return _fallback(op, grad, x, weight, [weight.shape[0]], *args)


_everything, _aten = Library("_", "IMPL"), Library("aten", "IMPL")
_everything.fallback(_fallback, "PrivateUse1")
_aten.impl("_copy_from", _copy_from, "PrivateUse1")
_aten.impl("convolution_overrideable", _convolution, "PrivateUse1")
_aten.impl("convolution_backward_overrideable", _convolution_backward, "PrivateUse1")

_copied_elsewhere = Tensor.__deepcopy__


def _deepcopy(self: Tensor, memo: dict) -> Tensor:
    """Copy by value: torch would copy the storage, for which it needs an allocator in C++."""
    if self.device != DEVICE:
        return _copied_elsewhere(self, memo)
    return memo.setdefault(id(self), self.detach().clone().requires_grad_(self.requires_grad))


Tensor.__deepcopy__ = _deepcopy
