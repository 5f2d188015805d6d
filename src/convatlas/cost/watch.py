"""See every operator of a forward pass go by, and book its cost on the module that is running."""

import functools
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode

from convatlas.cost.formulas import COMPLEX_FACTOR, CONVOLUTIONS, FORMULAS, Formula
from convatlas.cost.inputs import META, moved
from convatlas.cost.memory import LiveBytes, convolution_workspace, tensors_in
from convatlas.cost.report import LayerCost
from convatlas.cost.shapes import SHAPES, Answer
from convatlas.cost.zero_cost_ops import bare_name, is_zero_cost
from convatlas.errors import CountError

FLOAT32_BYTES = 4
VIEW_AS_REAL = torch.ops.aten.view_as_real.default


@dataclass(frozen=True)
class _Operator:
    """What is known of an operator; a pass runs a few of them thousands of times."""

    formula: Formula | None
    answer: Answer | None
    zero_cost: bool
    convolves: bool
    quantised: bool


@functools.cache
def _known(func: Any) -> _Operator:
    # An operator that works in place costs what its ordinary form does.
    name = func._schema.name.removesuffix("_")
    return _Operator(
        formula=FORMULAS.get(name),
        answer=SHAPES.get(func),
        zero_cost=is_zero_cost(func),
        convolves=name in CONVOLUTIONS,
        quantised=func.namespace == "quantized",
    )


class Watch(TorchDispatchMode):
    """Sees every operator.

    Args:
        model: whose modules the costs are booked on.
        device: where everything runs: `meta` for shapes alone, or the CPU.
    """

    def __init__(self, model: Any, device: torch.device = META):
        super().__init__()
        self.live = LiveBytes()
        self.counting = True
        self.refusal: CountError | None = None
        self.took_complex_apart = False  # as torch does for a complex convolution
        self.macs: Counter[str] = Counter()
        self.activation_bytes: Counter[str] = Counter()
        self.uncounted: Counter[str] = Counter()
        self.outputs: dict[str, tuple[int, ...]] = {}
        self.running: list[str] = []
        self.device = device
        self._is_here = attrgetter("is_meta" if device is META else "is_cpu")
        self.see(model)

    def see(self, model: Any) -> None:
        """Book on the modules of this model from now on."""
        self._modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
        self._names = {id(module): name for name, module in self._modules.items()}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        operator = _known(func)
        if operator.quantised:
            # Kept as well: TorchScript would make it an error of its own.
            self.refusal = CountError(
                f"count: the model is quantised ({bare_name(func)}), and its weights are packed "
                "where no rule sees them; count the network that it was made from"
            )
            raise self.refusal
        # A tensor that is neither weight nor buffer may still live on another device.
        if not all(map(self._is_here, tensors_in((args, kwargs)))):
            args, kwargs = moved((args, kwargs), self.device)
        answer = operator.answer if self.device is META else None
        out = answer(args) if answer else func(*args, **(kwargs or {}))
        self.live.hold(out)
        if operator.convolves:
            self.live.work(convolution_workspace(args[0], args[1], out))
        if not self.counting:
            return out
        if operator.formula is not None:
            self.book(operator.formula(args, out), out if isinstance(out, Tensor) else out[0])
        elif func is VIEW_AS_REAL:
            self.took_complex_apart = True
        elif not operator.zero_cost:
            self.uncounted[bare_name(func)] += 1
        return out

    def book(self, macs: int, result: Tensor) -> None:
        """Add what one layer or product costs to the module that is running."""
        name = self.running[-1] if self.running else ""
        factor = COMPLEX_FACTOR if result.is_complex() else 1
        parts = 2 if result.is_complex() else 1
        self.macs[name] += macs * factor
        self.activation_bytes[name] += result.numel() * FLOAT32_BYTES * parts

    @contextmanager
    def not_counting(self) -> Iterator[None]:
        """Go on following memory, but book nothing."""
        before, self.counting = self.counting, False
        try:
            yield
        finally:
            self.counting = before

    @contextmanager
    def stack_of_modules(self) -> Iterator[None]:
        """Keep `running` at the module whose forward is on."""
        with ExitStack() as stack:
            stack.callback(register_module_forward_pre_hook(self._enter).remove)
            stack.callback(register_module_forward_hook(self._leave).remove)
            yield

    def _enter(self, module: nn.Module, args: Any) -> None:
        # A module made during the forward pass has no name: its cost is its caller's.
        name = self._names.get(id(module), self.running[-1] if self.running else "")
        self.running.append(name)

    def _leave(self, module: nn.Module, args: Any, out: Any) -> None:
        name = self.running.pop()
        first = next(tensors_in(out), None)
        if first is not None:
            self.outputs.setdefault(name, tuple(first.shape))

    def layers(self) -> Iterator[LayerCost]:
        """List layers in the order they ran; then what holds weights but did not run."""
        ran = list(self.outputs)
        shared: set[int] = set()  # a weight that two layers share is booked once
        for name in ran + [name for name in self._modules if name not in self.outputs]:
            module = self._modules[name]
            own = [p for p in module.parameters(recurse=False) if id(p) not in shared]
            shared.update(id(p) for p in own)
            params = sum(p.numel() for p in own)
            if params or self.macs[name]:
                yield LayerCost(
                    name or "(whole)",
                    type(module).__name__,
                    self.outputs.get(name),
                    params,
                    self.macs[name],
                    self.activation_bytes[name],
                )
