"""Switch the kernels on where a step of the network at hand is faster with them, and only there.

What they bring depends on the layers, the size of the maps, the threads and the processor: a
network without depthwise layers may gain nothing, and one of 64 pixels on one thread may lose. So
nothing is assumed: torch's own two memory formats and the kernels take turns on a copy.
"""

import copy
import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from convatlas.errors import UsageError
from convatlas.kernels.layers.fast_layers import fast_layers, restore_layers
from convatlas.kernels.runtime.compile_limit import NotCompiled, compiling_within
from convatlas.kernels.runtime.dispatch import available, usable
from convatlas.kernels.runtime.freed_memory import keep_freed_memory

log = logging.getLogger("convatlas")

TORCH, CHANNELS_LAST, KERNELS = "torch", "torch in channels_last", "kernels"
MIN_GAIN = 1.05  # of the best of torch over the kernels: less is within what timing wavers
ROUNDS, MAX_SECONDS = 5, 3.0  # of timing, whichever is over first
BATCH = 8  # images of an example where none was given
MIN_MEASURING_S = 3.0  # of a run, set aside for measuring: with less, it computes as it is


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
    return _changed(model, best)


def accelerate_cpu(model: nn.Module, example: Any = None, *, keep_memory: bool = True) -> nn.Module:
    """Do what `use_fast_kernels` does: its name of before, which the next version drops."""
    warnings.warn("accelerate_cpu is called use_fast_kernels now", DeprecationWarning, stacklevel=2)
    return use_fast_kernels(model, example, keep_memory=keep_memory)


def fastest(seconds: dict[str, float]) -> str:
    """Name the way to take: the kernels only if they are clearly ahead of torch."""
    of_torch = _best_of_torch(seconds)
    ahead = seconds.get(KERNELS, math.inf) * MIN_GAIN <= seconds[of_torch]
    return KERNELS if ahead else of_torch


def gain_text(seconds: dict[str, float]) -> str:
    """Say what the kernels bring, such as: a step takes 12 ms, without them 20 ms."""
    without = seconds[_best_of_torch(seconds)]
    return f"a step takes {seconds[KERNELS] * 1e3:.0f} ms, without them {without * 1e3:.0f} ms"


def _best_of_torch(seconds: dict[str, float]) -> str:
    return min((way for way in (TORCH, CHANNELS_LAST) if way in seconds), key=seconds.__getitem__)


def step_seconds(
    model: nn.Module,
    inputs: tuple[Any, ...],
    *,
    named: Mapping[str, Any] | None = None,
    limit_s: float = math.inf,
) -> dict[str, float]:
    """Measure a step each way, by turns on copies; model and random state stay as they are.

    For a network in training mode the kernels of its validation are compiled as well.

    Args:
        inputs: what the network is called with by position, and `named` by name.
        limit_s: seconds within which kernels may be compiled: where that is not enough, the result
            lacks the kernels, and what was compiled is there for the next time. With a limit, a
            network without depthwise layers, which the kernels hardly speed up, does not try them.
    """
    start, seconds, named = time.perf_counter(), {}, named or {}
    ways = [TORCH, CHANNELS_LAST]
    if available() and (limit_s == math.inf or _has_depthwise(model)):
        ways.append(KERNELS)
    with torch.random.fork_rng(devices=[]):
        steps: dict[str, Callable[[], None]] = {}
        for way in ways:
            twin = _changed(copy.deepcopy(model), way)
            step = _step(twin, partial(twin, *inputs, **named))
            try:
                with compiling_within(start + limit_s - time.perf_counter()):
                    step()  # compiles, and lays memory out
                    if way == KERNELS and model.training:
                        _without_gradients(partial(twin.eval(), *inputs, **named))
                        twin.train()
            except NotCompiled as error:
                log.info("convatlas: no time to compile %s; the kernels stay off", error)
                continue
            steps[way], seconds[way] = step, math.inf
        start = time.perf_counter()
        for turn in range(ROUNDS):
            for way, step in steps.items():
                begun = time.perf_counter()
                step()
                seconds[way] = min(seconds[way], time.perf_counter() - begun)
            if turn and time.perf_counter() - start > min(MAX_SECONDS, limit_s):
                break
    return seconds


@contextmanager
def running(model: nn.Module, way: str) -> Iterator[None]:
    """Let a network compute one way inside the block; afterwards its layers are torch's again.

    Args:
        way: TORCH, CHANNELS_LAST or KERNELS, as `fastest` names it.
    """
    _changed(model, way)
    try:
        yield
    finally:
        restore_layers(model)
        if way == CHANNELS_LAST:
            model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # its stub wants a device


def _changed(model: nn.Module, way: str) -> nn.Module:
    if way == KERNELS:
        return fast_layers(model)
    if way == CHANNELS_LAST:
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # same
    return model


def _has_depthwise(model: nn.Module) -> bool:
    kinds = (nn.Conv1d, nn.Conv2d)
    return any(m.groups == m.in_channels > 1 for m in model.modules() if isinstance(m, kinds))


def _without_gradients(forward: Callable[[], Any]) -> None:
    with torch.no_grad():
        forward()


def _step(model: nn.Module, forward: Callable[[], Any]) -> Callable[[], None]:
    def both() -> None:
        model.zero_grad()
        found = [y for y in tree_leaves(forward()) if isinstance(y, Tensor)]
        sum(
            (y.float().square().mean() for y in found if y.requires_grad), torch.zeros(())
        ).backward()

    trained = model.training and any(p.requires_grad for p in model.parameters())
    return both if trained else partial(_without_gradients, forward)


def _inputs(model: nn.Module, example: Any) -> tuple[Any, ...]:
    if example is not None:
        return example if isinstance(example, tuple) else (example,)
    if not hasattr(model, "example"):
        raise UsageError(
            "use_fast_kernels: give a batch of inputs to measure with, as in "
            "use_fast_kernels(model, images)"
        )
    return model.example(batch=BATCH)  # type: ignore[operator]  # the networks of the atlas have it
