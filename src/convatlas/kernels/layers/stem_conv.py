"""The first convolution of a network together with the statistics of the batch norm behind it."""

from typing import Any

import torch
from torch import Tensor

from convatlas.kernels.launch.stem import stem, stem_back
from convatlas.kernels.launch.workspace import NOT_RUNNING, Running
from convatlas.kernels.layers.fused_conv import plain_conv, torch_gradients


class _StemConv(torch.autograd.Function):
    """(x, which needs no gradient, and weights) -> (y, statistics of y)."""

    @staticmethod
    def forward(ctx, x, weight, eps: float, running, sizes):
        y, stats = stem(x, weight, eps, running, sizes)
        ctx.save_for_backward(x, weight, y, stats)
        ctx.eps, ctx.sizes = eps, sizes
        ctx.set_materialize_grads(False)
        return y, stats

    @staticmethod
    def backward(ctx, *gradients):
        dy, dstats = gradients
        x, weight, y, stats = ctx.saved_tensors
        if torch.is_grad_enabled():
            plain = plain_conv("identity", ctx.eps, ctx.sizes)
            function = lambda x, weight: plain(x, None, None, None, weight)  # noqa: E731  # used once
            found = torch_gradients(function, (x, weight), (False, True), gradients)
            return *found, None, None, None
        dy = torch.zeros_like(y) if dy is None else dy
        return None, stem_back(dy, dstats, x, y, weight, stats, ctx.sizes), None, None, None


def fused_stem_conv(
    x: Tensor, weight: Tensor, *, eps: float, running: Running = NOT_RUNNING, stride, padding
) -> Any:
    """Convolve an image that needs no gradient; return the statistics of the result too.

    The running statistics follow those. Strides are one or two, the same both ways.

    Shape: x (n, c, h, w), weight (d, c, k, l) -> (n, d, ho, wo), statistics (3, d)
    """
    sizes = (tuple(stride), tuple(padding), (1, 1))
    return _StemConv.apply(x, weight, eps, running, sizes)
