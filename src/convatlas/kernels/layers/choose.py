"""Switch the kernels on where a step of the network at hand is faster with them, and only there.

What they bring depends on the layers, the size of the maps, the threads and the processor: a
network without depthwise layers may gain nothing, and one of 64 pixels on one thread may lose. So
nothing is assumed: torch's own two memory formats and the kernels take turns on a copy.
"""

import copy
import logging
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from convatlas.errors import UsageError
from convatlas.kernels.layers.fast_layers import fast_layers
from convatlas.kernels.runtime.dispatch import available, usable
from convatlas.kernels.runtime.freed_memory import keep_freed_memory

log = logging.getLogger("convatlas")

TORCH, CHANNELS_LAST, KERNELS = "torch", "torch in channels_last", "kernels"
MIN_GAIN = 1.05  # of the best of torch over the kernels: less is within what timing wavers
ROUNDS, MAX_SECONDS = 5, 3.0  # of timing, whichever is over first
BATCH = 8  # images of an example that nobody gave


def use_fast_kernels(
    model: nn.Module, example: Any = None, *, keep_memory: bool = True
) -> nn.Module:
    """Let a network run the way a measured step of it is fastest on this CPU; changes it in place.

    A step is forward and backward for a network in training mode, forward alone for one in
    evaluation mode. The kernels are switched on if they beat both memory formats of torch by 5 %;
    else the layers stay torch's, with weights in channels_last if that is the faster format.
    Weights keep their values and `state_dict` its keys; what was chosen is logged. The first
    measurement on a machine compiles kernels, for some seconds to a minute.

    Args:
        model: any module with its weights on the CPU.
        example: a batch as it will be trained or asked with, or a tuple of inputs. None takes
            `model.example(batch=8)`, which the networks of the atlas have.
        keep_memory: also let the process keep freed memory (`keep_freed_memory`).

    Returns the same object; `restore_layers` is the way back.

    Raises:
        UsageError: no example was given and the network has none of its own.
    """
    inputs = _inputs(model, example)
    if keep_memory:
        keep_freed_memory()
    if not available() or not usable(*(x for x in tree_leaves(inputs) if isinstance(x, Tensor))):
        return model
    seconds = step_seconds(model, inputs)
    best = fastest(seconds)
    figures = ", ".join(f"{way} {s * 1e3:.1f} ms" for way, s in seconds.items())
    log.info("convatlas: a step is fastest with %s (%s)", best, figures)
    if best == KERNELS:
        return fast_layers(model)
    return model.to(memory_format=torch.channels_last) if best == CHANNELS_LAST else model  # type: ignore[call-overload]  # its stub wants a device


def accelerate_cpu(model: nn.Module, example: Any = None, *, keep_memory: bool = True) -> nn.Module:
    """Do what `use_fast_kernels` does: its name of before, which the next version drops."""
    warnings.warn("accelerate_cpu is called use_fast_kernels now", DeprecationWarning, stacklevel=2)
    return use_fast_kernels(model, example, keep_memory=keep_memory)


def fastest(seconds: dict[str, float]) -> str:
    """The way to take: the kernels only if they are clearly ahead of torch."""
    of_torch = min((TORCH, CHANNELS_LAST), key=seconds.__getitem__)
    return KERNELS if seconds[KERNELS] * MIN_GAIN <= seconds[of_torch] else of_torch


def step_seconds(model: nn.Module, inputs: tuple[Any, ...]) -> dict[str, float]:
    """Least seconds of a step each way, by turns on copies; model and random state stay as is."""
    ways: dict[str, Callable[[nn.Module], Any]] = {
        TORCH: lambda twin: twin,
        CHANNELS_LAST: lambda twin: twin.to(memory_format=torch.channels_last),  # type: ignore[call-overload]  # as above
        KERNELS: fast_layers,
    }
    with torch.random.fork_rng(devices=[]):
        steps = {way: _step(made(copy.deepcopy(model)), inputs) for way, made in ways.items()}
        for step in steps.values():
            step()  # compiles, and lays memory out
        seconds = dict.fromkeys(ways, float("inf"))
        start = time.perf_counter()
        for turn in range(ROUNDS):
            for way, step in steps.items():
                begun = time.perf_counter()
                step()
                seconds[way] = min(seconds[way], time.perf_counter() - begun)
            if turn and time.perf_counter() - start > MAX_SECONDS:
                break
    return seconds


def _step(model: nn.Module, inputs: tuple[Any, ...]) -> Callable[[], None]:
    def forward() -> None:
        with torch.no_grad():
            model(*inputs)

    def both() -> None:
        model.zero_grad()
        found = [y for y in tree_leaves(model(*inputs)) if isinstance(y, Tensor)]
        sum(
            (y.float().square().mean() for y in found if y.requires_grad), torch.zeros(())
        ).backward()

    trained = model.training and any(p.requires_grad for p in model.parameters())
    return both if trained else forward


def _inputs(model: nn.Module, example: Any) -> tuple[Any, ...]:
    if example is not None:
        return example if isinstance(example, tuple) else (example,)
    if not hasattr(model, "example"):
        raise UsageError(
            "use_fast_kernels: give a batch of inputs to measure with, as in "
            "use_fast_kernels(model, images)"
        )
    return model.example(batch=BATCH)  # type: ignore[operator]  # the networks of the atlas have it
