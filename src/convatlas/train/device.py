"""Decides on which device networks train; nothing else in the package asks for an accelerator.

The library `accelerate` finds it: a GPU of any maker, else the CPU. `using_device` names another
one; so do accelerate's own settings, `ACCELERATE_USE_CPU=1` or `ACCELERATE_TORCH_DEVICE=cuda:1`.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from convatlas.errors import UsageError

if TYPE_CHECKING:
    from accelerate import Accelerator


# What accelerate leaves on a network that it has prepared: the mark for which it would not move the
# network a second time, and a forward pass in mixed precision.
LEFT_BEHIND = ("_is_accelerate_prepared", "_original_forward", "forward")
AUTO = "auto"
DEVICES = re.compile(r"cpu|mps|cuda(:\d+)?")
SETTINGS = ("ACCELERATE_TORCH_DEVICE", "ACCELERATE_USE_CPU")


@contextmanager
def on_training_device(model: nn.Module, precision: str = "no") -> Iterator["Accelerator"]:
    """Yield what moves a network, its optimizer and its batches to the training device.

    Afterwards, also after an error, the network lies where it lay and can be trained again.

    Args:
        precision: of a recipe: `no`, `fp16`, `bf16` or `auto`.

    Raises:
        UsageError: the device cannot compute in this precision.
    """
    from accelerate import Accelerator  # slow to import
    from accelerate.state import AcceleratorState

    home = next((p.device for p in model.parameters()), torch.device("cpu"))
    before = {name: vars(model)[name] for name in LEFT_BEHIND if name in vars(model)}
    AcceleratorState._reset_state()  # it would refuse another precision than the last run's
    accelerator = Accelerator(mixed_precision=usable_precision(precision))
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


@contextmanager
def using_device(name: str) -> Iterator[None]:
    """Let networks train on a device inside the block.

    Args:
        name: `auto` (what accelerate finds), `cpu`, `mps`, `cuda`, or `cuda:1` for the second GPU.

    Raises:
        UsageError: there is no such device, or several processes share the devices out.
    """
    check_device(name)
    if name == AUTO:
        yield
        return
    from accelerate.state import AcceleratorState

    before = {key: os.environ.get(key) for key in SETTINGS}
    chosen = {SETTINGS[0]: name, SETTINGS[1]: str(name == "cpu").lower()}
    try:
        _set(chosen)
        AcceleratorState._reset_state(reset_partial_state=True)  # it would keep the one it found
        yield
    finally:
        _set(before)
        AcceleratorState._reset_state(reset_partial_state=True)


def check_device(name: str) -> None:
    """Refuse a device that is not there.

    Raises:
        UsageError: names the option and what there is.
    """
    if name == AUTO:
        return
    here = ["cpu"]
    if torch.backends.mps.is_available():
        here.append("mps")
    if count := torch.cuda.device_count():
        here += ["cuda", *(f"cuda:{number}" for number in range(count))]
    if not isinstance(name, str) or not DEVICES.fullmatch(name) or name not in here:
        raise UsageError(f"--device must be auto or one of {', '.join(here)}, got '{name}'")
    if int(os.environ.get("LOCAL_RANK", "-1")) != -1:
        raise UsageError(
            f"--device {name}: several processes were started, each of which has a device already"
        )


def usable_precision(precision: str) -> str:
    """Return `no`, `bf16` or `fp16` for training where networks train now.

    `auto` takes the shorter numbers only where the device has units for them: bf16, else fp16, on
    a GPU; on a CPU they would be slower for most networks.

    Raises:
        UsageError: fp16 was asked for and training runs on the CPU.
    """
    device = training_device()
    if precision == "fp16" and device.type == "cpu":
        raise UsageError("--precision fp16 needs a GPU, training runs on the CPU; bf16 does not")
    if precision != "auto":
        return precision
    if device.type != "cuda":
        return "no"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def _set(settings: Mapping[str, str | None]) -> None:
    for name, value in settings.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
