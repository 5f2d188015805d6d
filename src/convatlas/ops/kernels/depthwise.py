"""Depthwise convolution on the CPU: one filter a channel, forward and both gradients.

The work is bound by memory, so each result is written once and, where it is too large for the
caches, around them; both gradients share one read of what they have in common.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convatlas.ops.kernels.channel_layout import LANES, padded
from convatlas.ops.kernels.filter_layout import output_sides, plans_of
from convatlas.ops.kernels.plan import STREAM_BYTES
from convatlas.ops.kernels.switch import usable

BLOCK_BYTES = 384 << 10  # what a task touches at a time: about a third of a core's L2 cache
_MARK = {torch.float32: np.float32(0), torch.bfloat16: np.uint16(0)}


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
    stride, padding, dilation = _pair(stride), _pair(padding), _pair(dilation)
    if torch.is_autocast_enabled("cpu") and x.device.type == "cpu":
        dtype = torch.get_autocast_dtype("cpu")
        x, weight = x.to(dtype), weight.to(dtype)
    if not (usable(x, weight) and _fits(x, weight, stride, padding, dilation)):
        return F.conv2d(x, weight, None, stride, padding, dilation, x.shape[1])
    if torch.compiler.is_compiling():
        return torch.ops.convatlas.depthwise_conv2d(x, weight, stride, padding, dilation)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _Depthwise.apply(x, weight, stride, padding, dilation)
    return _forward(x, weight, stride, padding, dilation)


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


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _fits(x: Tensor, weight: Tensor, stride, padding, dilation) -> bool:
    """Shapes the kernels know; torch explains what is wrong with the others."""
    if x.dim() != 4 or weight.dim() != 4 or x.dtype != weight.dtype:
        return False
    if weight.shape[0] != x.shape[1] or weight.shape[1] != 1 or x.numel() == 0:
        return False
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0:
        return False
    return min(output_sides(x.shape, weight.shape, stride, padding, dilation)) > 0


def by_rows(x: Tensor) -> bool:
    """Whether the channels are what lies together in memory."""
    return x.shape[1] > 1 and x.stride(1) == 1


def _settled(x: Tensor) -> Tensor:
    """x with its channels or its columns together in memory."""
    return x if by_rows(x) or x.stride(3) == 1 else x.contiguous()


def _format(rows: bool) -> torch.memory_format:
    return torch.channels_last if rows else torch.contiguous_format


def _empty(shape, like: Tensor, rows: bool) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=_format(rows))


def _streams(out: Tensor, rows: bool) -> bool:
    aligned = out.data_ptr() % 64 == 0 and out.shape[1] % LANES == 0
    large = out.numel() * 4 > STREAM_BYTES
    return rows and out.dtype == torch.float32 and aligned and large


def _block(row_bytes: int, rows: int, images: int) -> int:
    """Rows of a task: what fits the cache, and few enough that every thread has work."""
    shared = -(-rows * images // torch.get_num_threads())
    return max(1, min(rows, shared, BLOCK_BYTES // max(1, row_bytes)))


def _forward(x: Tensor, weight: Tensor, stride, padding, dilation) -> Tensor:
    from convatlas.ops.kernels import filter_planes, row_kernels

    x, stride, padding, dilation = _settled(x), tuple(stride), tuple(padding), tuple(dilation)
    rows = by_rows(x)
    n, channels = x.shape[:2]
    source, target = (
        tuple(x.shape[2:]),
        output_sides(x.shape, weight.shape, stride, padding, dilation),
    )
    out = _empty((n, channels, *target), x, rows)
    sizes = (tuple(weight.shape[2:]), stride, padding, dilation)
    pitches, size, kind = (x.stride(), out.stride(), x.stride()), x.element_size(), _MARK[x.dtype]
    plans = plans_of(sizes, source, target, pitches, size, channels, _streams(out, rows), False)
    parts, taps = torch.get_num_threads(), math.prod(weight.shape[2:])
    if rows:
        w, whole = weight.contiguous(), padded(channels)
        turned = torch.empty(parts * taps * whole)
        row_bytes = channels * size * (source[1] * stride[0] + target[1])
        row_kernels.forward(plans.forward)(
            parts, *plans.place, x.data_ptr(), w.data_ptr(), taps, turned.data_ptr(), whole,
            out.data_ptr(), n, _block(row_bytes, target[0], n), kind,
        )  # fmt: skip  # a kernel's arguments, as it declares them
    else:
        w = weight.float().contiguous()
        filter_planes.forward(
            parts, *plans.place, x.data_ptr(), w.data_ptr(), out.data_ptr(), n, taps,
            kind,
        )  # fmt: skip  # as above
    return out


def _backward(
    dy: Tensor, x: Tensor, weight: Tensor, stride, padding, dilation, need_x: bool, need_w: bool
) -> tuple[Tensor, Tensor]:
    from convatlas.ops.kernels import filter_planes, filter_weights, row_kernels

    x = _settled(x)
    rows = by_rows(x)
    dy = dy.contiguous(memory_format=_format(rows))
    stride, padding, dilation = tuple(stride), tuple(padding), tuple(dilation)
    n, channels = x.shape[:2]
    source, target = tuple(x.shape[2:]), tuple(dy.shape[2:])
    kernel = tuple(weight.shape[2:])
    dx = _empty(x.shape if need_x else (0, 1, 1, 1), x, rows)
    pitches, size, kind = (x.stride(), dy.stride(), dx.stride()), x.element_size(), _MARK[x.dtype]
    stream = need_x and _streams(dx, rows)
    plans = plans_of(
        (kernel, stride, padding, dilation), source, target, pitches, size, channels, stream, need_x
    )
    parts, taps = torch.get_num_threads(), math.prod(kernel)
    if rows:
        w, whole = weight.contiguous(), padded(channels)
        dw = torch.empty(weight.shape, dtype=x.dtype)
        turned = torch.empty(parts * taps * whole)
        sums = torch.empty(parts * taps * whole, dtype=torch.float64)
        row_bytes = channels * size * (2 * source[1] * stride[0] + target[1])
        row_kernels.backward(plans.forward, plans.backward)(
            parts, *plans.place, x.data_ptr(), dy.data_ptr(), w.data_ptr(), taps, turned.data_ptr(),
            whole, dx.data_ptr(), sums.data_ptr(), n, _block(row_bytes, target[0], n),
            int(need_x), int(need_w), kind,
        )  # fmt: skip  # a kernel's arguments, as it declares them
        if need_w:
            filter_weights.write_gradient(
                1, sums.data_ptr(), parts, taps * whole * 8, channels, taps, whole, dw.data_ptr(),
                kind,
            )  # fmt: skip  # as above
    else:
        w = weight.float().contiguous()
        sums = torch.zeros(n, channels, taps, dtype=torch.float64)
        filter_planes.backward(
            parts, *plans.place, x.data_ptr(), dy.data_ptr(), w.data_ptr(),
            dx.data_ptr(), sums.data_ptr(), n, taps, int(need_x), int(need_w), kind,
        )  # fmt: skip  # as above
        dw = sums.sum(0).to(weight.dtype).reshape(weight.shape).contiguous()
    return dx, dw


def _forward_shape(x: Tensor, weight: Tensor, stride, padding, dilation) -> Tensor:
    shape = (*x.shape[:2], *output_sides(x.shape, weight.shape, stride, padding, dilation))
    return _empty(shape, x, by_rows(x))


def _backward_shape(
    dy: Tensor, x: Tensor, weight: Tensor, stride, padding, dilation, need_x: bool, need_w: bool
) -> tuple[Tensor, Tensor]:
    dx = _empty(x.shape if need_x else (0, 1, 1, 1), x, by_rows(x))
    return dx, torch.empty(weight.shape, dtype=weight.dtype, device=weight.device)


def _remember(ctx, inputs, output) -> None:
    x, weight, *ctx.sizes = inputs
    ctx.save_for_backward(x, weight)


def _pull_back(ctx, dy: Tensor, backward):
    x, weight = ctx.saved_tensors
    need_x, need_w = ctx.needs_input_grad[:2]
    if torch.is_grad_enabled():  # the gradient will itself be differentiated: torch knows how
        mask, channels = [need_x, need_w, False], x.shape[1]
        dx, dw, _ = torch.ops.aten.convolution_backward(
            dy, x, weight, None, *ctx.sizes, False, [0, 0], channels, mask
        )
        return dx, dw, None, None, None
    dx, dw = backward(dy, x, weight, *ctx.sizes, need_x, need_w)
    return dx if need_x else None, dw if need_w else None, None, None, None


def _pull_back_operator(ctx, dy: Tensor):
    return _pull_back(ctx, dy, torch.ops.convatlas.depthwise_conv2d_backward)


class _Depthwise(torch.autograd.Function):
    """The same without torch's dispatch of Python operators, which takes as long as a small map."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride, padding, dilation) -> Tensor:
        _remember(ctx, (x, weight, stride, padding, dilation), None)
        return _forward(x, weight, stride, padding, dilation)

    @staticmethod
    def backward(ctx, *gradients: Tensor):
        return _pull_back(ctx, gradients[0], _backward)


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
