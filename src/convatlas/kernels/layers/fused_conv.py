"""A convolution together with the batch norm before it and the statistics of the one behind it.

A training step splits a batch norm in two: its statistics are summed where its input is written,
and its scale, shift and activation are applied where its output is read. Each function here is
differentiable by itself; the gradient of the statistics carries what one half owes the other.
Float32, channels_last.
"""

from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from convatlas.kernels.launch.depthwise import depthwise, depthwise_back
from convatlas.kernels.launch.norm import (
    normalised,
    normalised_back,
    statistics_back,
    statistics_of,
)
from convatlas.kernels.launch.pointwise import pointwise, pointwise_back
from convatlas.kernels.launch.workspace import NOT_RUNNING, Running, rows_of
from convatlas.kernels.layout.activations import ACTIVATIONS, TORCH_FORMS


class Norm(NamedTuple):
    """A batch norm to apply: statistics (mean, variance, 1 / deviation), parameters, activation."""

    stats: Tensor
    weight: Tensor | None
    bias: Tensor | None
    act: str


def _plain_norm(x: Tensor, stats, weight, bias, *, act: str) -> Tensor:
    """The same through torch operators, differentiable as often as one likes."""
    scale = stats[2] if weight is None else stats[2] * weight
    y = (x - stats[0][:, None, None]) * scale[:, None, None]
    return TORCH_FORMS[act](y if bias is None else y + bias[:, None, None])


def _plain_statistics(y: Tensor, eps: float) -> Tensor:
    variance, mean = torch.var_mean(y, (0, 2, 3), correction=0)
    count = rows_of(y)
    unbiased = (variance * (count / max(count - 1, 1))).detach()
    return torch.stack((mean, unbiased, (variance + eps).rsqrt()))


def torch_gradients(function, inputs, needs, outputs):
    """Compute gradients with a graph of their own, to be differentiated again."""
    found = function(*inputs)
    found = found if isinstance(found, tuple) else (found,)
    pairs = [(y, dy) for y, dy in zip(found, outputs, strict=True) if dy is not None]
    asked = [t for t, need in zip(inputs, needs, strict=True) if need]
    ys, dys = zip(*pairs, strict=True)
    grads = iter(torch.autograd.grad(ys, asked, dys, create_graph=True, allow_unused=True))
    return [next(grads) if need else None for need in needs]


class _FusedConv(torch.autograd.Function):
    """(x, its norm or None three times, weights) -> (y, statistics of y)."""

    @staticmethod
    def forward(ctx, x, stats_x, scale, shift, weight, act: str, eps: float, running, sizes):
        norm, known = (stats_x, scale, shift), ACTIVATIONS[act]
        if sizes is None:
            y, stats = pointwise(x, weight, norm, eps, running, known)
        else:
            y, stats = depthwise(x, weight, norm, eps, running, known, sizes)
        ctx.save_for_backward(x, stats_x, scale, shift, weight, y, stats)
        ctx.act, ctx.eps, ctx.sizes = act, eps, sizes
        ctx.set_materialize_grads(False)
        return y, stats

    @staticmethod
    def backward(ctx, *gradients):
        dy, dstats = gradients
        x, stats_x, scale, shift, weight, y, stats = ctx.saved_tensors
        needs, act, sizes = ctx.needs_input_grad[:5], ctx.act, ctx.sizes
        if torch.is_grad_enabled():
            inputs = (x, stats_x, scale, shift, weight)
            plain = plain_conv(act, ctx.eps, sizes)
            return *torch_gradients(plain, inputs, needs, gradients), None, None, None, None
        dy = torch.zeros_like(y) if dy is None else dy
        given = (dy, dstats, x, y, weight, (stats_x, scale, shift), stats, ACTIVATIONS[act])
        need_x = any(needs[:4])
        if sizes is None:
            dx, dw, result = pointwise_back(*given, need_x)
        else:
            dx, dw, result = depthwise_back(*given, sizes, need_x)
        found = (dx, result[2:5], result[0], result[1], dw)
        wanted = [g if need else None for g, need in zip(found, needs, strict=True)]
        return *wanted, None, None, None, None


def plain_conv(act: str, eps: float, sizes):
    """Compute the function of a unit through torch operators."""

    def function(x, stats_x, scale, shift, weight):
        if stats_x is not None:
            x = _plain_norm(x, stats_x, scale, shift, act=act)
        stride, padding, dilation = sizes or (1, 0, 1)
        groups = x.shape[1] // weight.shape[1]
        y = F.conv2d(x, weight, None, stride, padding, dilation, groups)
        return y, _plain_statistics(y, eps)

    return function


class _Statistics(torch.autograd.Function):
    """y -> (y, its statistics), so that the gradient of both comes back in one pass."""

    @staticmethod
    def forward(ctx, y: Tensor, eps: float, running: Running):
        stats, ctx.eps = statistics_of(y, eps, running), eps
        ctx.save_for_backward(y, stats)
        ctx.set_materialize_grads(False)
        return y.view_as(y), stats

    @staticmethod
    def backward(ctx, *gradients):
        dy, dstats = gradients
        y, stats = ctx.saved_tensors
        if torch.is_grad_enabled():
            plain = lambda y: (y, _plain_statistics(y, ctx.eps))  # noqa: E731  # used once
            return *torch_gradients(plain, (y,), (True,), gradients), None, None
        if dstats is None:
            return dy, None, None
        dy = torch.zeros_like(y) if dy is None else dy
        return statistics_back(dy, dstats, y, stats), None, None


class _Normalise(torch.autograd.Function):
    """act(norm(x)) + residual, at given statistics."""

    @staticmethod
    def forward(ctx, x, stats, weight, bias, residual, act: str):
        ctx.save_for_backward(x, stats, weight, bias)
        ctx.act = act
        return normalised(x, stats, weight, bias, residual, ACTIVATIONS[act])

    @staticmethod
    def backward(ctx, *gradients):
        dy, needs = gradients[0], ctx.needs_input_grad
        x, stats, weight, bias = ctx.saved_tensors
        last = dy if needs[4] else None
        if torch.is_grad_enabled():
            inputs = (x, stats, weight, bias)
            plain = partial(_plain_norm, act=ctx.act)
            return *torch_gradients(plain, inputs, needs[:4], (dy,)), last, None
        dx, result = normalised_back(dy, x, stats, weight, bias, ACTIVATIONS[ctx.act])
        found = (dx, result[2:5], result[0], result[1])
        wanted = [g if need else None for g, need in zip(found, needs[:4], strict=True)]
        return *wanted, last, None


def fused_pointwise_conv(
    x: Tensor, norm: Norm | None, weight: Tensor, *, eps: float, running: Running = NOT_RUNNING
) -> Any:
    """Convolve the normalised x, 1x1; return the statistics of the result too.

    The running statistics follow those.

    Shape: x (n, c, h, w), weight (d, c, 1, 1) -> (n, d, h, w), statistics (3, d)
    """
    return _fused(x, norm, weight, eps, running, None)


def fused_depthwise_conv(
    x: Tensor,
    norm: Norm | None,
    weight: Tensor,
    *,
    eps: float,
    running: Running = NOT_RUNNING,
    stride,
    padding,
    dilation,
) -> Any:
    """Convolve the normalised x depthwise; return the statistics of the result too.

    The running statistics follow those.

    Shape: x (n, c, h, w), weight (c, 1, k, l) -> (n, c, ho, wo), statistics (3, c)
    """
    sizes = (tuple(stride), tuple(padding), tuple(dilation))
    return _fused(x, norm, weight, eps, running, sizes)


def _fused(
    x: Tensor, norm: Norm | None, weight: Tensor, eps: float, running: Running, sizes
) -> Any:
    before = (None, None, None) if norm is None else norm[:3]
    act = "identity" if norm is None else norm.act
    return _FusedConv.apply(x, *before, weight, act, eps, running, sizes)


def with_statistics(y: Tensor, *, eps: float, running: Running = NOT_RUNNING) -> Any:
    """Return y and its statistics, which the running ones follow, by torch."""
    return _Statistics.apply(y, eps, running)


def normalise(x: Tensor, norm: Norm, residual: Tensor | None = None) -> Any:
    """Return what the norm makes of x, plus residual."""
    return _Normalise.apply(x, *norm[:3], residual, norm.act)
