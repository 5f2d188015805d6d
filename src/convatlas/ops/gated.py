"""Gated convolution: half of the maps say how much of the other half passes.

Source: Dauphin et al., 2017, arXiv:1612.08083, equation 1 (GLU); van den Oord et al., 2016,
    arXiv:1606.05328, equation 2 (GTU).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.arithmetic import Padding
from convatlas.ops.convolution import conv
from convatlas.ops.tracing import is_traced
from convatlas.ops.weights import new_filters


def glu(x: Tensor) -> Tensor:
    """Apply a gated linear unit: p * sigmoid(q), p the first half of the channels, q the second.

    Shape: (n, 2 c, i…) -> (n, c, i…)

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: an odd number of channels.
    """
    values, gates = _halves(x)
    return values * gates.sigmoid()


def gtu(x: Tensor) -> Tensor:
    """Apply a gated tanh unit: tanh(p) * sigmoid(q).

    Shape: (n, 2 c, i…) -> (n, c, i…)

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: an odd number of channels.
    """
    values, gates = _halves(x)
    return values.tanh() * gates.sigmoid()


def gated_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    gate: Callable[[Tensor], Tensor] = glu,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """Convolve to twice the channels, then apply the gate.

    Args:
        gate: `glu`, `gtu`, or any function that halves the channels.

    Shape:
        x        (n, c, i…)
        weight   (2 d, c, k…): the filters of the values, then those of the gates
        returns  (n, d, ceil(i / stride)…) with padding `same`

    Cost: 2 * c * d * k… multiply-adds per output position.

    Raises:
        UsageError: as `conv`, or an odd number of filters.
    """
    return gate(conv(x, weight, bias, stride=stride, padding=padding, dilation=dilation))


class GatedConv(nn.Module):
    """`gated_conv` with its weights.

    Args:
        dims: axes after the channels, 1 to 3.

    Shape: (n, in_channels, i…) -> (n, out_channels, ceil(i / stride)…)

    Cost: as in `gated_conv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Sequence[int],
        *,
        gate: Callable[[Tensor], Tensor] = glu,
        dims: int = 1,
        stride: int | Sequence[int] = 1,
        padding: Padding = "same",
        dilation: int | Sequence[int] = 1,
    ):
        super().__init__()
        self.weight = new_filters(2 * out_channels, in_channels, kernel, dims)
        self.gate, self.stride, self.padding, self.dilation = gate, stride, padding, dilation

    def forward(self, x: Tensor) -> Tensor:
        return gated_conv(
            x,
            self.weight,
            gate=self.gate,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    if not is_traced(x) and x.shape[1] % 2:
        raise UsageError(f"gate: channels must be even, got {x.shape[1]}")
    values, gates = torch.chunk(x, 2, dim=1)
    return values, gates
