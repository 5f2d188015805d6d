"""Normalisation of one example by itself: over channels, over all of it, or over what is past.

Gain and offset are one number a channel in all three; deviations are those of the population.

Source: Ba, Kiros, Hinton, 2016, arXiv:1607.06450, equation 3, for the channels of one position,
    as SliceNet (arXiv:1706.03059) and ByteNet (arXiv:1610.10099) use it; Luo, Mesgarani,
    "Conv-TasNet", 2019, arXiv:1809.07454, section II, for global (gLN) and cumulative (cLN).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.tracing import is_traced


def channel_layer_norm(x: Tensor, gain: Tensor, offset: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Normalise the channels of each position by themselves: nothing moves along time.

    Shape: (n, c, i…), (c,), (c,) -> (n, c, i…)

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: gain or offset is not one number a channel.
    """
    _check_scale("channel_layer_norm", x, gain, offset)
    last = x.transpose(1, -1)
    return F.layer_norm(last, gain.shape, gain, offset, eps).transpose(1, -1)


def global_layer_norm(x: Tensor, gain: Tensor, offset: Tensor, *, eps: float = 1e-8) -> Tensor:
    """Normalise one example over its channels and all its positions: it sees the future.

    Shape: (n, c, i…), (c,), (c,) -> (n, c, i…)

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: gain or offset is not one number a channel.
    """
    _check_scale("global_layer_norm", x, gain, offset)
    return F.group_norm(x, 1, gain, offset, eps)


def cumulative_layer_norm(x: Tensor, gain: Tensor, offset: Tensor, *, eps: float = 1e-8) -> Tensor:
    """Normalise each step over the channels of all steps up to it: causal.

    Shape: (n, c, t), (c,), (c,) -> (n, c, t)

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: not one axis of time, or gain or offset is not one number a channel.
    """
    if not is_traced(x) and x.dim() != 3:
        raise UsageError(f"cumulative_layer_norm: input must be (n, c, t), got {tuple(x.shape)}")
    _check_scale("cumulative_layer_norm", x, gain, offset)
    values = torch.ones_like(x).sum(1, keepdim=True).cumsum(2)  # how many each step has seen
    mean = x.sum(1, keepdim=True).cumsum(2) / values
    square = x.square().sum(1, keepdim=True).cumsum(2) / values
    # Rounding can take the difference of two near numbers below zero.
    variance = (square - mean.square()).clamp(min=0)
    return (x - mean) * (variance + eps).rsqrt() * gain[:, None] + offset[:, None]


class ChannelLayerNorm(nn.Module):
    """`channel_layer_norm` with its gain and offset.

    Shape: (n, channels, i…) -> (n, channels, i…)

    Cost: no multiply-adds by the counting rule.
    """

    def __init__(self, channels: int, *, eps: float = 1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return channel_layer_norm(x, self.weight, self.bias, eps=self.eps)


class GlobalLayerNorm(nn.Module):
    """`global_layer_norm` with its gain and offset.

    Shape: (n, channels, i…) -> (n, channels, i…)

    Cost: no multiply-adds by the counting rule.
    """

    def __init__(self, channels: int, *, eps: float = 1e-8):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return global_layer_norm(x, self.weight, self.bias, eps=self.eps)


class CumulativeLayerNorm(nn.Module):
    """`cumulative_layer_norm` with its gain and offset.

    Shape: (n, channels, t) -> (n, channels, t)

    Cost: no multiply-adds by the counting rule.
    """

    def __init__(self, channels: int, *, eps: float = 1e-8):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return cumulative_layer_norm(x, self.weight, self.bias, eps=self.eps)


def _check_scale(where: str, x: Tensor, gain: Tensor, offset: Tensor) -> None:
    if is_traced(x):
        return
    channels = x.shape[1]
    if gain.shape != (channels,) or offset.shape != (channels,):
        raise UsageError(
            f"{where}: gain and offset must be one number for each of {channels} channels, got "
            f"{tuple(gain.shape)} and {tuple(offset.shape)}"
        )
