"""How many bytes are alive at once while a network runs: counted, and seen by the system."""

import math
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

_LEAVES = (bool, int, float, str, torch.dtype, torch.device, torch.layout, torch.memory_format)


def tensors_in(nested: Any) -> Iterator[Tensor]:
    """Yield every tensor in a nested structure; plain containers without the cost of `pytree`."""
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, list | tuple):
        for each in nested:
            yield from tensors_in(each)
    elif isinstance(nested, dict):
        for each in nested.values():
            yield from tensors_in(each)
    elif nested is not None and not isinstance(nested, _LEAVES):
        yield from (leaf for leaf in tree_leaves(nested) if isinstance(leaf, Tensor))


class LiveBytes:
    """Adds a tensor's storage when it first appears and takes it off when it dies.

    Storages are what memory is made of: views share one, and an in-place operator makes none.
    """

    def __init__(self) -> None:
        self._alive: dict[int, int] = {}
        self.now = 0
        self.peak = 0
        self.peak_with_workspace = 0

    def hold(self, tensors: Any) -> None:
        """Take account of every tensor inside a nested structure."""
        for tensor in tensors_in(tensors):
            if tensor.layout is torch.strided:
                self._hold_storage(tensor)
        self.peak = max(self.peak, self.now)
        self.peak_with_workspace = max(self.peak_with_workspace, self.now)

    def work(self, workspace: int) -> None:
        """Take account of what an operator holds beside tensors, and only while it runs."""
        self.peak_with_workspace = max(self.peak_with_workspace, self.now + workspace)

    def _hold_storage(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._alive:
            self._alive[key] = storage.nbytes()
            self.now += storage.nbytes()
            weakref.finalize(storage, self._release, key).atexit = False

    def _release(self, key: int) -> None:
        self.now -= self._alive.pop(key, 0)


def convolution_workspace(x: Tensor, weight: Tensor, out: Tensor) -> int:
    """Estimate what a convolution on a CPU holds besides its input and output.

    oneDNN computes in blocks of 16 channels: it copies the weights and the input into that form and
    the output out of it. The copy of the input is gone before the output is copied, so that the
    larger of the two counts.
    """
    return weight.numel() * weight.element_size() + max(_blocked(x), _blocked(out))


def _blocked(x: Tensor) -> int:
    batch, channels, *places = x.shape
    return batch * -(-channels // 16) * 16 * math.prod(places) * x.element_size()


def measure_growth(call: Callable[[], Any]) -> int | None:
    """Measure the bytes by which this process grew at most during one call, as the system saw it.

    Only the first call of a network tells: later ones are served from what the first one took.
    None where the system does not say (anything but Linux).
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
        before = _resident("VmRSS")
        call()
        return max(0, _resident("VmHWM") - before)
    except OSError:
        return None


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    found = [line for line in lines if line.startswith(f"{field}:")]
    if not found:
        raise OSError(f"/proc/self/status has no {field}")
    return int(found[0].split()[1]) * 1024  # the kernel says kB and means KiB
