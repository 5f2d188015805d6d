"""The shapes that frequent operators answer with, said directly.

torch works these out in Python, operator by operator, which would be most of the time that a
count takes. Any operator that is not here is asked itself.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Answer = Callable[[Sequence[Any]], Any]
aten = torch.ops.aten


def _like(operator: Any) -> Answer:
    """Answer for real numbers with the tensor's own shape; whole numbers would become others."""

    def answer(args: Sequence[Any]) -> Tensor:
        x = args[0]
        return torch.empty_like(x) if x.is_floating_point() else operator(*args)

    return answer


def _itself(args: Sequence[Any]) -> Tensor:
    return args[0]


def _together(operator: Any) -> Answer:
    """Answer for two tensors of one shape, layout and type with that; else ask torch."""

    def answer(args: Sequence[Any]) -> Tensor:
        x, y = args[:2]
        if isinstance(y, Tensor) and _alike(x, y):
            return x if operator in IN_PLACE else torch.empty_like(x)
        return operator(*args)

    return answer


def _alike(x: Tensor, y: Tensor) -> bool:
    return x.shape == y.shape and x.stride() == y.stride() and x.dtype == y.dtype


def _normalised(args: Sequence[Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Answer in evaluation mode, where the two statistics come back empty."""
    x = args[0]
    return torch.empty_like(x), x.new_empty(0), x.new_empty(0)


def _layer_normalised(args: Sequence[Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Answer with a mean and a deviation for each of the places that are normalised together."""
    x, normalised = args[:2]
    if x.dtype is not torch.float32:
        return aten.native_layer_norm.default(*args)  # statistics may be of another type
    places = (*x.shape[: x.dim() - len(normalised)], *(1 for _ in normalised))
    same = torch.empty_like(x, memory_format=torch.contiguous_format)
    return same, x.new_empty(places), x.new_empty(places)


def _linear(args: Sequence[Any]) -> Tensor:
    """Answer for a bias and two matrices that go together; else ask torch, which refuses them."""
    bias, x, weight = args[:3]
    if x.shape[1] == weight.shape[0] and bias.shape == weight.shape[1:]:
        return x.new_empty(x.shape[0], weight.shape[1])
    return aten.addmm.default(*args)


IN_PLACE = (aten.add_.Tensor, aten.mul_.Tensor)
TOGETHER = (aten.add.Tensor, aten.mul.Tensor, *IN_PLACE)
LIKE = (
    aten.relu.default,
    aten.hardtanh.default,
    aten.silu.default,
    aten.hardswish.default,
    aten.leaky_relu.default,
    aten.hardsigmoid.default,
    aten.sigmoid.default,
    aten.gelu.default,
)
SHAPES: Mapping[Any, Answer] = {
    **{operator: _together(operator) for operator in TOGETHER},
    **{operator: _like(operator) for operator in LIKE},
    aten.native_batch_norm.default: _normalised,
    aten._native_batch_norm_legit_no_training.default: _normalised,
    aten.native_layer_norm.default: _layer_normalised,
    aten.addmm.default: _linear,
    aten.relu_.default: _itself,
    aten.hardtanh_.default: _itself,
    aten.silu_.default: _itself,
    aten.hardswish_.default: _itself,
    aten.leaky_relu_.default: _itself,
}


class QuickShapes(TorchDispatchMode):
    """Operators on `meta` answer from the table, where it has them; `Watch` does so as well."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        answer = SHAPES.get(func)
        if answer is not None and args[0].is_meta:
            return answer(args)
        return func(*args, **(kwargs or {}))
