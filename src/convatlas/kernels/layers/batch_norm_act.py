"""Batch norm, residual sum and activation in one pass each way, on the CPU in channels_last.

Torch writes the normalised tensor, the activation and in the way back two gradients of that
size. Here the activation is never stored apart: the way back computes it again from the input.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from convatlas.kernels.launch.norm import backward as _backward
from convatlas.kernels.launch.norm import forward as _forward
from convatlas.kernels.layout.activations import ACTIVATIONS, TORCH_FORMS
from convatlas.kernels.runtime.dispatch import usable


def batch_norm_act(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    act: str = "identity",
    residual: Tensor | None = None,
) -> Tensor:
    """Compute act(batch_norm(x) + residual); training updates the running statistics.

    Args:
        running_mean: updated in place in training; None keeps no statistics.
        act: identity, relu, relu6, silu or hardswish.
        residual: added before the activation.

    Shape: x and residual (n, c, h, w) -> the same; the others (c,)

    Raises:
        ValueError: act is not one of those.
    """
    if act not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ValueError(f"batch_norm_act: act must be one of {known}, got {act!r}")
    if not (usable(x, residual) and _fits(x, residual, weight, running_mean, training)):
        y = F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
        return TORCH_FORMS[act](y if residual is None else y + residual)
    fixed = (None, None) if training else (running_mean, running_var)
    y, stats = _apply(x, weight, bias, residual, *fixed, eps, *ACTIVATIONS[act])
    if training and running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(stats[0], momentum)
            running_var.lerp_(stats[1], momentum)
    return y


def _apply(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    """Apply the operator; without torch's dispatch of Python operators where none watches."""
    if torch.compiler.is_compiling():
        return torch.ops.convatlas.batch_norm_act(x, *rest)
    tracked = any(t is not None and t.requires_grad for t in (x, *rest[:3]))
    if torch.is_grad_enabled() and tracked:
        return _BatchNormAct.apply(x, *rest)
    return _forward(x, *rest)


def _fits(x, residual, weight, running_mean, training: bool) -> bool:
    """Channels_last maps of more than one value a channel, with or without both parameters."""
    if x.dim() != 4 or x.shape[1] < 2 or x.numel() <= x.shape[1]:
        return False
    if residual is not None and (residual.shape != x.shape or residual.dtype != x.dtype):
        return False
    floats = all(p is None or p.dtype == torch.float32 for p in (weight, running_mean))
    known = training or running_mean is not None
    return floats and known and x.is_contiguous(memory_format=torch.channels_last)


def _forward_shape(x, weight, bias, residual, mean, var, eps, act, low, high):
    return torch.empty_like(x), torch.empty(3, x.shape[1], device=x.device)


def _backward_shape(dy, x, weight, bias, residual, stats, act, low, high, batch, need_residual):
    dextra = torch.empty_like(x) if need_residual else x.new_empty(0)
    return torch.empty_like(x), torch.empty(2, x.shape[1], device=x.device), dextra


def _remember(ctx, inputs, output) -> None:
    x, weight, bias, residual, mean, _, ctx.eps, *ctx.act = inputs
    ctx.batch = mean is None
    ctx.save_for_backward(x, weight, bias, residual, output[1])
    ctx.mark_non_differentiable(output[1])


def _pull_back(ctx, dy: Tensor, backward):
    needs = ctx.needs_input_grad[:4]
    if torch.is_grad_enabled():  # the gradient will itself be differentiated: torch knows how
        grads = _differentiable(ctx, dy)
    else:
        x, weight, bias, residual, stats = ctx.saved_tensors
        dx, pair, dextra = backward(
            dy, x, weight, bias, residual, stats, *ctx.act, ctx.batch, needs[3]
        )
        grads = (dx, pair[0], pair[1], dextra)
    wanted = [grad if need else None for grad, need in zip(grads, needs, strict=True)]
    return *wanted, None, None, None, None, None, None


def _pull_back_operator(ctx, dy: Tensor, _stats: Tensor):
    return _pull_back(ctx, dy, torch.ops.convatlas.batch_norm_act_backward)


class _BatchNormAct(torch.autograd.Function):
    """The same without torch's dispatch of Python operators, which takes as long as a small map."""

    @staticmethod
    def forward(ctx, *inputs: Any) -> tuple[Tensor, Tensor]:
        output = _forward(*inputs)
        _remember(ctx, inputs, output)
        return output

    @staticmethod
    def backward(ctx, *gradients: Tensor):
        return _pull_back(ctx, gradients[0], _backward)


def _differentiable(ctx, dy: Tensor) -> list[Tensor | None]:
    """The same gradients through torch operators, with a graph of their own."""
    x, weight, bias, residual, stats = ctx.saved_tensors
    name = next(name for name, known in ACTIVATIONS.items() if list(known) == list(ctx.act))
    variance = stats[2].pow(-2) - ctx.eps
    fixed = (None, None) if ctx.batch else (stats[0], variance)
    y = F.batch_norm(x, *fixed, weight, bias, ctx.batch, 0.0, ctx.eps)
    y = TORCH_FORMS[name](y if residual is None else y + residual)
    needs, inputs = ctx.needs_input_grad[:4], (x, weight, bias, residual)
    asked = [t for t, need in zip(inputs, needs, strict=True) if need and t is not None]
    found = iter(torch.autograd.grad([y], asked, [dy], create_graph=True))
    return [next(found) if need else None for need in needs]


_PARAMETERS = "Tensor? weight, Tensor? bias, Tensor? residual"
_ACT = "int act, float low, float high"
torch.library.define(
    "convatlas::batch_norm_act",
    f"(Tensor x, {_PARAMETERS}, Tensor? mean, Tensor? var, float eps, {_ACT}) -> (Tensor, Tensor)",
)
torch.library.define(
    "convatlas::batch_norm_act_backward",
    f"(Tensor dy, Tensor x, {_PARAMETERS}, Tensor stats, {_ACT}, bool batch,"
    " bool need_residual) -> (Tensor, Tensor, Tensor)",
)
torch.library.impl("convatlas::batch_norm_act", "CPU", _forward)
torch.library.impl("convatlas::batch_norm_act_backward", "CPU", _backward)
torch.library.register_fake("convatlas::batch_norm_act", _forward_shape)
torch.library.register_fake("convatlas::batch_norm_act_backward", _backward_shape)
torch.library.register_autograd(
    "convatlas::batch_norm_act", _pull_back_operator, setup_context=_remember
)
