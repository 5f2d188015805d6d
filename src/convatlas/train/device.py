"""Decides on which device networks train; nothing else in the package asks for an accelerator.

The library `accelerate` finds it: a GPU of any maker, else the CPU. Its own settings choose another
one: `ACCELERATE_USE_CPU=1`, or `ACCELERATE_TORCH_DEVICE=cuda:1`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from accelerate import Accelerator


# What accelerate leaves on a network that it has prepared: the mark for which it would not move the
# network a second time, and a forward pass in mixed precision.
LEFT_BEHIND = ("_is_accelerate_prepared", "_original_forward", "forward")


@contextmanager
def on_training_device(model: nn.Module, precision: str = "no") -> Iterator["Accelerator"]:
    """Yield what moves a network, its optimizer and its batches to the training device.

    Afterwards, also after an error, the network lies where it lay and can be trained again.

    Args:
        precision: of a recipe: `no`, `fp16` or `bf16`.
    """
    from accelerate import Accelerator  # slow to import
    from accelerate.state import AcceleratorState

    home = next((p.device for p in model.parameters()), torch.device("cpu"))
    before = {name: vars(model)[name] for name in LEFT_BEHIND if name in vars(model)}
    AcceleratorState._reset_state()  # it would refuse another precision than the last run's
    accelerator = Accelerator(mixed_precision=precision)
    try:
        yield accelerator
    finally:
        for name in LEFT_BEHIND:
            vars(model).pop(name, None)
        vars(model).update(before)
        model.to(home)
        accelerator.free_memory()


def training_device() -> torch.device:
    """Return the device that `on_training_device` moves a network to."""
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    # As Accelerator does it: the state by itself does not read the setting.
    device = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU")).device
    assert device is not None
    return device
