"""The shapes that frequent operators answer with, said directly.

torch works these out in Python, operator by operator, which would be most of the time that a
count takes. Any operator that is not here is asked itself.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

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
)
SHAPES: Mapping[Any, Answer] = {
    **{operator: _together(operator) for operator in TOGETHER},
    **{operator: _like(operator) for operator in LIKE},
    aten.native_batch_norm.default: _normalised,
    aten._native_batch_norm_legit_no_training.default: _normalised,
    aten.relu_.default: _itself,
    aten.hardtanh_.default: _itself,
    aten.silu_.default: _itself,
    aten.hardswish_.default: _itself,
    aten.leaky_relu_.default: _itself,
}
