"""Depthwise convolution on the CPU: one filter a channel, forward and both gradients.

The work is bound by memory, so each result is written once and, where it is too large for the
caches, around them; both gradients share one read of what they have in common.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from convatlas.kernels.launch.depthwise_layer import DepthwiseLayer, fits, layer_of, pair
from convatlas.kernels.layout.variants import output_sides
from convatlas.kernels.runtime.dispatch import usable, usable_now


def depthwise_conv2d(
    x: Tensor,
    weight: Tensor,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
) -> Tensor:
    """Filter each channel alone, as `conv2d` with as many groups as channels does.

    Shape:
        x       (n, c, h, w), in either memory format; the result keeps it
        weight  (c, 1, k, l)
        returns (n, c, ho, wo), ho = (h + 2 * padding - dilation * (k - 1) - 1) // stride + 1

    Cost: k * l multiply-adds per output element.
    """
    if torch.is_autocast_enabled("cpu") and x.device.type == "cpu":
        dtype = torch.get_autocast_dtype("cpu")
        x, weight = x.to(dtype), weight.to(dtype)
    sizes = (stride, padding, dilation)
    if torch.compiler.is_compiling():
        pairs = tuple(pair(size) for size in sizes)
        if usable(x, weight) and x.dtype == weight.dtype and fits(x.shape, weight.shape, *pairs):
            return torch.ops.convatlas.depthwise_conv2d(x, weight, *pairs)
        return F.conv2d(x, weight, None, *sizes, x.shape[1])
    layer = layer_of(x, weight, *sizes) if usable_now(x, weight) else None
    if layer is None:
        return F.conv2d(x, weight, None, *sizes, x.shape[1])
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _Depthwise.apply(x, weight, layer)
    return layer.forward(x, weight)


def depthwise_conv1d(
    x: Tensor, weight: Tensor, *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Tensor:
    """Filter each channel of a sequence alone.

    Shape: x (n, c, t), weight (c, 1, k) -> (n, c, to)

    Cost: k multiply-adds per output element.
    """
    y = depthwise_conv2d(
        x.unsqueeze(2),
        weight.unsqueeze(2),
        stride=(1, stride),
        padding=(0, padding),
        dilation=(1, dilation),
    )
    return y.squeeze(2)


def _layer(x: Tensor, weight: Tensor, stride, padding, dilation) -> DepthwiseLayer:
    layer = layer_of(x, weight, stride, padding, dilation)
    if layer is None:
        raise ValueError(
            f"convatlas::depthwise_conv2d: x {tuple(x.shape)} of {x.dtype} and weight"
            f" {tuple(weight.shape)} of {weight.dtype} make no layer of stride {stride},"
            f" padding {padding} and dilation {dilation}"
        )
    return layer


def _forward(x: Tensor, weight: Tensor, stride, padding, dilation) -> Tensor:
    return _layer(x, weight, stride, padding, dilation).forward(x, weight)


def _backward(
    dy: Tensor, x: Tensor, weight: Tensor, stride, padding, dilation, need_x: bool, need_w: bool
) -> tuple[Tensor, Tensor]:
    layer = _layer(x, weight, stride, padding, dilation)
    return layer.backward(dy, x, weight, need_x, need_w)


def _empty(shape, like: Tensor) -> Tensor:
    rows = like.shape[1] > 1 and like.stride(1) == 1
    layout = torch.channels_last if rows else torch.contiguous_format
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=layout)


def _forward_shape(x: Tensor, weight: Tensor, stride, padding, dilation) -> Tensor:
    shape = (*x.shape[:2], *output_sides(x.shape, weight.shape, stride, padding, dilation))
    return _empty(shape, x)


def _backward_shape(
    dy: Tensor, x: Tensor, weight: Tensor, stride, padding, dilation, need_x: bool, need_w: bool
) -> tuple[Tensor, Tensor]:
    dx = _empty(x.shape if need_x else (0, 1, 1, 1), x)
    return dx, torch.empty(weight.shape, dtype=weight.dtype, device=weight.device)


def _remember(ctx, inputs, output) -> None:
    x, weight, *ctx.sizes = inputs
    ctx.save_for_backward(x, weight)


def _pull_back(ctx, dy: Tensor, sizes, backward) -> tuple[Tensor | None, Tensor | None]:
    x, weight = ctx.saved_tensors
    need_x, need_w = ctx.needs_input_grad[:2]
    if torch.is_grad_enabled():  # the gradient will itself be differentiated: torch knows how
        mask, channels = [need_x, need_w, False], x.shape[1]
        dx, dw, _ = torch.ops.aten.convolution_backward(
            dy, x, weight, None, *sizes, False, [0, 0], channels, mask
        )
        return dx, dw
    dx, dw = backward(dy, x, weight, need_x, need_w)
    return dx if need_x else None, dw if need_w else None


def _pull_back_operator(ctx, dy: Tensor):
    def backward(dy, x, weight, need_x, need_w):
        operator = torch.ops.convatlas.depthwise_conv2d_backward
        return operator(dy, x, weight, *ctx.sizes, need_x, need_w)

    return *_pull_back(ctx, dy, ctx.sizes, backward), None, None, None


class _Depthwise(torch.autograd.Function):
    """The same without torch's dispatch of Python operators, which takes as long as a small map."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, layer: DepthwiseLayer) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.layer = layer
        return layer.forward(x, weight)

    @staticmethod
    def backward(ctx, *gradients: Tensor):
        (_, *sizes), backward = ctx.layer.sizes, ctx.layer.backward
        return *_pull_back(ctx, gradients[0], sizes, backward), None


_SIZES = "int[2] stride, int[2] padding, int[2] dilation"
torch.library.define(
    "convatlas::depthwise_conv2d", f"(Tensor x, Tensor weight, {_SIZES}) -> Tensor"
)
torch.library.define(
    "convatlas::depthwise_conv2d_backward",
    f"(Tensor dy, Tensor x, Tensor weight, {_SIZES}, bool need_x, bool need_w) -> (Tensor, Tensor)",
)
torch.library.impl("convatlas::depthwise_conv2d", "CPU", _forward)
torch.library.impl("convatlas::depthwise_conv2d_backward", "CPU", _backward)
torch.library.register_fake("convatlas::depthwise_conv2d", _forward_shape)
torch.library.register_fake("convatlas::depthwise_conv2d_backward", _backward_shape)
torch.library.register_autograd(
    "convatlas::depthwise_conv2d", _pull_back_operator, setup_context=_remember
)
