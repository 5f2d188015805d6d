"""Memory that calls use one after another: asking for it anew takes as long as a small layer."""

import torch
from torch import Tensor

KEPT_BYTES = 32 << 20  # larger pieces are not kept
_spare: list[Tensor] = []  # as many as calls have ever run at once


def borrow(size: int) -> Tensor:
    """At least that many bytes, for one call alone until it gives them back."""
    found = _spare.pop() if _spare else None
    if found is None or found.numel() < size:
        found = torch.empty(size, dtype=torch.uint8)
    return found


def give_back(memory: Tensor) -> None:
    """Leave memory to the next call."""
    if memory.numel() <= KEPT_BYTES:
        _spare.append(memory)
