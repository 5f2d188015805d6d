"""Decides on which device networks train; nothing else in the package asks for an accelerator.

The library `accelerate` finds it: a GPU of any maker, else the CPU. Its own settings choose another
one: `ACCELERATE_USE_CPU=1`, or `ACCELERATE_TORCH_DEVICE=cuda:1`.
"""

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator


def make_accelerator(precision: str = "no") -> "Accelerator":
    """Return what moves a network, its optimizer and its batches to the training device.

    Args:
        precision: of a recipe: `no`, `fp16` or `bf16`.
    """
    from accelerate import Accelerator  # slow to import

    return Accelerator(mixed_precision=precision)


def training_device() -> torch.device:
    """Return the device that `make_accelerator` moves a network to."""
    from accelerate import PartialState

    device = PartialState().device
    assert device is not None
    return device
