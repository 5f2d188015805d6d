"""Count a network's cost by watching it run on shapes alone.

Nothing is computed and nothing allocated: tensors on torch's `meta` device carry shapes through
the real forward pass, and a dispatch mode sees each operator go by. So no model carries a second
description of itself that could drift from its code.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from convatlas.cost.flags import evaluating
from convatlas.cost.formulas import COMPLEX_FACTOR, FORMULAS
from convatlas.cost.free import bare_name, is_free
from convatlas.cost.memory import LiveBytes, tensors_in
from convatlas.cost.report import Cost, LayerCost
from convatlas.cost.shapes import SHAPES
from convatlas.cost.unchanged import unchanged

FLOAT32_BYTES = 4
META = torch.device("meta")


def count(model: nn.Module, inputs: Sequence[int] | Sequence[Any]) -> Cost:
    """Parameters, multiply-adds and bytes of one forward pass.

    Everything of the model is as before afterwards, also where counting raises: parameters,
    buffers, plain attributes, hooks and what they recorded, training flags, random generators.

    Args:
        model: any module; it may live on any device, `meta` included.
        inputs: the shape of its one input, batch included, or a tuple of example tensors.

    Raises:
        ValueError: the shape is not made of positive whole numbers.
        whatever the model raises on an input that it cannot take.
    """
    watch = _Watch(model)
    weights = _weights(model, under="model")
    examples = _examples(inputs)
    watch.live.hold((weights, examples))
    with unchanged(model), _shapes_only(), _stack_of_modules(watch), watch:
        torch.func.functional_call(_Evaluated(model, watch), weights, examples)
    return Cost(
        input=tuple(tuple(x.shape) for x in tensors_in(examples)),
        params=sum(p.numel() for p in model.parameters()),
        macs=sum(watch.macs.values()),
        activation_bytes=sum(watch.activation_bytes.values()),
        peak_bytes=watch.live.peak,
        weight_bytes=_nbytes(weights.values()),
        uncounted=dict(watch.uncounted),
        layers=tuple(watch.layers()),
    )


def macs(function: Callable[..., Any], *inputs: Any, **options: Any) -> int:
    """Multiply-adds of one call of a function or module, on shapes alone."""
    watch = _Watch(nn.Identity())
    args, kwargs = _on_meta(inputs), _on_meta(options)
    with unchanged(function), _shapes_only(), watch:
        if isinstance(function, nn.Module):
            torch.func.functional_call(function, _weights(function), args, kwargs)
        else:
            function(*args, **kwargs)
    return sum(watch.macs.values())


class _Evaluated(nn.Module):
    """Runs a model in evaluation mode, and counts nothing but the run.

    The mode is changed while the weights are shapes: a model may merge weights when it is.
    """

    def __init__(self, model: nn.Module, watch: "_Watch"):
        super().__init__()
        self.model, self.watch = model, watch

    def forward(self, *args: Any) -> None:
        self.watch.counting = False
        with evaluating(self.model):
            self.watch.counting = True
            self.model(*args)
            self.watch.counting = False


class _Watch(TorchDispatchMode):
    """Sees every operator, books its cost on the module that is running."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.live = LiveBytes()
        self.counting = True
        self.macs: Counter[str] = Counter()
        self.activation_bytes: Counter[str] = Counter()
        self.uncounted: Counter[str] = Counter()
        self.outputs: dict[str, tuple[int, ...]] = {}
        self.running: list[str] = []
        self._modules = dict(model.named_modules())
        self.names = {id(module): name for name, module in self._modules.items()}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # A tensor that is neither weight nor buffer may still live on a real device.
        if not all(tensor.is_meta for tensor in tensors_in((args, kwargs))):
            args, kwargs = _on_meta((args, kwargs))
        known = SHAPES.get(func)
        out = known(args) if known else func(*args, **(kwargs or {}))
        self.live.hold(out)
        if not self.counting:
            return out
        # An operator that works in place costs what its ordinary form does.
        formula = FORMULAS.get(func._schema.name.removesuffix("_"))
        if formula is not None:
            self._book(formula(args, out), out)
        elif not is_free(func):
            self.uncounted[bare_name(func)] += 1
        return out

    def _book(self, macs: int, out: Any) -> None:
        result = out if isinstance(out, Tensor) else out[0]
        name = self.running[-1] if self.running else ""
        self.macs[name] += macs * (COMPLEX_FACTOR if result.is_complex() else 1)
        self.activation_bytes[name] += result.numel() * FLOAT32_BYTES

    def layers(self) -> Iterator[LayerCost]:
        """In the order they ran; then what holds weights but did not run."""
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


@contextmanager
def _shapes_only() -> Iterator[None]:
    fastpath = torch.backends.mha.get_fastpath_enabled()
    # The fast path would hide a whole encoder layer behind one operator.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with META, torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)


@contextmanager
def _stack_of_modules(watch: _Watch) -> Iterator[None]:
    """Keeps `watch.running` at the module whose forward is on."""

    def enter(module: nn.Module, args: Any) -> None:
        # A module made during the forward pass has no name: its cost is its caller's.
        name = watch.names.get(id(module), watch.running[-1] if watch.running else "")
        watch.running.append(name)

    def leave(module: nn.Module, args: Any, out: Any) -> None:
        name = watch.running.pop()
        first = next(tensors_in(out), None)
        if first is not None:
            watch.outputs.setdefault(name, tuple(first.shape))

    with ExitStack() as stack:
        stack.callback(register_module_forward_pre_hook(enter).remove)
        stack.callback(register_module_forward_hook(leave).remove)
        yield


def _examples(inputs: Sequence[Any]) -> tuple[Any, ...]:
    if all(isinstance(size, int) for size in inputs):
        if not inputs or min(inputs) < 1:
            raise ValueError(
                f"count: an input shape is positive whole numbers, got {tuple(inputs)}"
            )
        return (torch.empty(*inputs, device=META),)
    return _on_meta(tuple(inputs))


def _on_meta(nested: Any) -> Any:
    return tree_map_only(Tensor, lambda t: t if t.is_meta else t.to(META), nested)


def _weights(model: nn.Module, under: str = "") -> dict[str, Tensor]:
    """Parameters and buffers as shapes; a shared one is there once."""
    named = [*model.named_parameters(under), *model.named_buffers(under)]
    return {name: tensor.detach().to(META) for name, tensor in named}


def _nbytes(tensors: Iterable[Tensor]) -> int:
    return sum(math.prod(t.shape) * t.element_size() for t in tensors)
