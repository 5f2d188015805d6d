"""Find out in a run's first step how its network trains fastest: by torch, or by the CPU kernels.

The first step is computed by torch and tells how long a step takes, and what the network is given.
Where the run is long enough, the ways take turns on copies of the network with that input, and the
rest of the run goes the fastest of them. The task is not asked for anything that it would not be
asked for otherwise, so batches and random numbers stay as they are.
"""

import logging
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from convatlas.kernels.layers.choose import (
    KERNELS,
    MIN_MEASURING_S,
    TORCH,
    fastest,
    gain_text,
    running,
    step_seconds,
)
from convatlas.kernels.layers.fast_layers import is_fast
from convatlas.kernels.runtime.dispatch import switched_on

if TYPE_CHECKING:
    from accelerate import Accelerator

log = logging.getLogger("convatlas")

MAX_SHARE = 0.05  # of a run, for measuring and compiling
MEASURED_STEPS = 12  # that measuring takes at most: three to warm up, two rounds of three, the rest
COMPILE_S = 10.0  # the longest that one kernel takes to compile: none is begun so close to the end


class FastestWay(ExitStack):
    """Lets networks compute the fastest way inside its block; afterwards they are torch's again.

    Args:
        model: the network that will be trained.
        way: that is known already, as `kernels.layers.choose` names it; None measures it.
        say: takes one finished sentence, where measuring switches the kernels on.

    Attributes:
        way: that the networks are trained.
    """

    def __init__(self, model: nn.Module, way: str | None, say: Callable[[str], None]):
        super().__init__()
        self.known, self.say = way is not None, say
        self.way = way or TORCH
        if way not in (None, TORCH):
            self.enter_context(running(model, way))
        self.measuring_s = 0.0  # what `choose` took
        self._given: tuple[tuple[Any, ...], dict[str, Any], float] | None = None

    def watch(self, model: nn.Module, accelerator: "Accelerator") -> None:
        """Remember what the first step gives to a network, if its way is to be measured at all.

        It is not where it is known, on an accelerator, in short numbers, in several processes, for
        a compiled network, and for one whose owner has already chosen a way.
        """
        if self.known or accelerator.device.type != "cpu" or not switched_on():
            return
        alone = accelerator.num_processes == 1 and accelerator.mixed_precision == "no"
        compiled = hasattr(model, "_orig_mod") or isinstance(model, torch.jit.ScriptModule)
        chosen = is_fast(model) or not all(p.is_contiguous() for p in model.parameters())
        if not alone or compiled or chosen:
            return

        def remember(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            if module is model and module.training and torch.is_grad_enabled():
                self._given = given, named, time.perf_counter()
                hook.remove()

        hook = model.register_forward_pre_hook(remember, with_kwargs=True)
        self.callback(hook.remove)

    def forget(self) -> None:
        """Leave the network as it is: memory is too short to compute a step several ways."""
        self._given = None

    def choose(self, *models: nn.Module, steps: int, limit_s: float | None) -> None:
        """Let networks of one kind compute the way in which a step of the first is fastest.

        To be called once the first step's gradients are there, and before they are used.

        Args:
            steps: of the whole run, if no limit ends it.
            limit_s: seconds of the whole run; None: no limit.
        """
        if self._given is None:
            return
        (given, named, begun), self._given = self._given, None
        now = time.perf_counter()
        step_s = now - begun
        seconds = MAX_SHARE * min(step_s * steps, math.inf if limit_s is None else limit_s)
        if seconds < max(MIN_MEASURING_S, MEASURED_STEPS * step_s):
            return
        for_compiling = max(0.0, seconds - COMPILE_S - MEASURED_STEPS * step_s)
        try:
            speeds = step_seconds(
                models[0], _detached(given), named=_detached(named), limit_s=for_compiling
            )
        except Exception as error:  # a network that cannot be copied, say, is trained as it is
            log.info("convatlas: the fastest way of a step could not be measured: %s", error)
            speeds = {TORCH: 0.0}
        self.measuring_s = time.perf_counter() - now
        way = fastest(speeds)
        if way == KERNELS:
            self.say(f"training with the CPU kernels: {gain_text(speeds)}")
        self.way = way
        for model in dict.fromkeys(models) if way != TORCH else ():
            self.enter_context(running(model, way))


def _detached(given: Any) -> Any:
    """Return what was given to a network, without the graph that it came from."""
    return tree_map_only(Tensor, lambda x: x.detach().requires_grad_(x.requires_grad), given)
