"""Batch norm, residual sum and activation in one pass each way, on the CPU in channels_last.

Torch writes the normalised tensor, the activation and in the way back two gradients of that
size. Here the activation is never stored apart: the way back computes it again from the input.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convatlas.ops.kernels.channel_layout import LANES, empty_rows
from convatlas.ops.kernels.plan import STREAM_BYTES
from convatlas.ops.kernels.switch import usable
from convatlas.ops.kernels.unit_tables import (
    NOT_RUNNING,
    SUMS_BYTES,
    TABLE_BYTES,
    Running,
    Scratch,
    address,
)

WIDE = 512  # floats that a folded row may have: sums of this many stay in the L1 cache
_MARK = {torch.float32: np.float32(0), torch.bfloat16: np.uint16(0)}
_INF = float("inf")

# What the kernels know: a number (`activation.py`) and the bounds of the ones that clip.
ACTIVATIONS: dict[str, tuple[int, float, float]] = {
    "identity": (0, -_INF, _INF),
    "relu": (0, 0.0, _INF),
    "relu6": (0, 0.0, 6.0),
    "silu": (1, 0.0, 0.0),
    "hardswish": (2, 0.0, 0.0),
}
_TORCH = {
    "identity": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "silu": F.silu,
    "hardswish": F.hardswish,
}


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
    """act(batch_norm(x) + residual), with the running statistics updated in training.

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
        return _TORCH[act](y if residual is None else y + residual)
    fixed = (None, None) if training else (running_mean, running_var)
    y, stats = _apply(x, weight, bias, residual, *fixed, eps, *ACTIVATIONS[act])
    if training and running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(stats[0], momentum)
            running_var.lerp_(stats[1], momentum)
    return y


def _apply(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    """The operator; without torch's dispatch of Python operators where nobody needs it."""
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


@lru_cache(maxsize=1024)
def _fold(count: int, channels: int) -> int:
    """How many rows to take as one, so that vectors are full and sums stay near."""
    choices = [k for k in range(1, max(1, WIDE // channels) + 1) if count % k == 0]
    whole = [k for k in choices if channels * k % LANES == 0]
    return max(whole or choices)


class _Rows:
    """A channels_last tensor as the kernels see it: rows, folded, and the work split."""

    def __init__(self, x: Tensor):
        channels = x.shape[1]
        count = x.numel() // channels
        self.fold = _fold(count, channels)
        self.each, self.number = channels, float(count)
        self.rows, self.channels = count // self.fold, channels * self.fold
        self.padded = (self.channels + LANES - 1) // LANES * LANES
        self.parts = torch.get_num_threads()
        self.kind = _MARK[x.dtype]
        self.full = self.padded == self.channels

    def scratch(self) -> Scratch:
        """Memory for sums and table."""
        sums = self.parts * self.padded * SUMS_BYTES
        return Scratch(sums=sums, table=self.padded * TABLE_BYTES)

    def streams(self, *outputs: Tensor) -> int:
        large = outputs[0].numel() * 4 > STREAM_BYTES and outputs[0].dtype == torch.float32
        return int(large and self.full and all(out.data_ptr() % 64 == 0 for out in outputs))


def statistics_of(x: Tensor, eps: float, running: Running = NOT_RUNNING) -> Tensor:
    """Mean, unbiased variance and 1 / standard deviation of each channel, (3, c).

    The running ones follow them.
    """
    from convatlas.ops.kernels import norm_rows

    rows, stats = _Rows(x), torch.empty(3, x.shape[1])
    scratch, source, padded = rows.scratch(), x.data_ptr(), rows.padded
    table, sums = scratch["table"], scratch["sums"]
    pivots = (1, source, rows.each, rows.fold, table, padded)
    add_up = (rows.parts, source, rows.rows, rows.channels, table, padded, sums)
    write = (
        1, sums, rows.parts, padded, table, rows.each, rows.fold, rows.number, stats.data_ptr(),
        eps, *running.arguments(),
    )  # fmt: skip  # a kernel's arguments, as it declares them
    norm_rows.find_statistics(rows.kind, pivots, add_up, write)
    scratch.give_back()
    return stats


def normalised(
    x: Tensor, stats: Tensor, weight, bias, residual, act: tuple[int, float, float]
) -> Tensor:
    """act(norm(x) + residual) at given statistics."""
    from convatlas.ops.kernels import norm_rows

    rows, y, extra = _Rows(x), empty_rows(x.shape, x.dtype), _same_format(residual)
    scratch = rows.scratch()
    table = scratch["table"]
    fill = (
        1, table, rows.padded, rows.each, rows.fold, address(weight), address(bias),
        stats.data_ptr(),
    )  # fmt: skip  # a kernel's arguments, as it declares them
    normalise = (
        rows.parts, x.data_ptr(), address(extra), y.data_ptr(), rows.rows, rows.channels, table,
        rows.padded, *act, rows.streams(y),
    )  # fmt: skip  # as above
    norm_rows.norm_act(rows.kind, fill, normalise)
    scratch.give_back()
    return y


def _forward(
    x: Tensor, weight, bias, residual, mean, var, eps: float, act: int, low: float, high: float
) -> tuple[Tensor, Tensor]:
    if mean is None:
        stats = statistics_of(x, eps)
    else:
        stats = torch.stack((mean, var, (var.double() + eps).rsqrt().float()))
    return normalised(x, stats, weight, bias, residual, (act, low, high)), stats


def _same_format(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous(memory_format=torch.channels_last)


def _backward(
    dy: Tensor, x: Tensor, weight, bias, residual, stats: Tensor,
    act: int, low: float, high: float, batch: bool, need_residual: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip  # as the operator declares them
    from convatlas.ops.kernels import norm_rows

    rows = _Rows(x)
    dy, extra = dy.contiguous(memory_format=torch.channels_last), _same_format(residual)
    dx = empty_rows(x.shape, x.dtype)
    dextra = empty_rows(x.shape, x.dtype) if need_residual else None
    scratch, result = rows.scratch(), torch.empty(2, x.shape[1])
    table, sums, padded = scratch["table"], scratch["sums"], rows.padded
    sides = (x.data_ptr(), address(extra), dy.data_ptr())
    stream = rows.streams(dx) if dextra is None else rows.streams(dx, dextra)
    fill = (
        1, table, padded, rows.each, rows.fold, address(weight), address(bias), stats.data_ptr(),
    )  # fmt: skip  # a kernel's arguments, as it declares them
    add_up = (
        rows.parts, *sides, rows.rows, rows.channels, table, padded, sums, act, low, high,
    )  # fmt: skip  # as above
    pulls = (
        1, sums, rows.parts, padded, table, rows.each, rows.fold, rows.number, int(batch),
        result.data_ptr(),
    )  # fmt: skip  # as above
    write = (
        rows.parts, *sides, dx.data_ptr(), address(dextra), rows.rows, rows.channels, table,
        padded, act, low, high, stream,
    )  # fmt: skip  # as above
    norm_rows.norm_act_back(rows.kind, fill, add_up, pulls, write)
    scratch.give_back()
    return dx, result, x.new_empty(0) if dextra is None else dextra


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
    y = _TORCH[name](y if residual is None else y + residual)
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
