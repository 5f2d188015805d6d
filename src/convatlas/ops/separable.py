"""Depthwise-separable convolution: filter each channel alone, then mix the channels.

Source: Howard et al., "MobileNets", 2017, arXiv:1704.04861, section 3.1, equation 5.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from convatlas.ops.arithmetic import Padding
from convatlas.ops.depthwise import depthwise_conv
from convatlas.ops.pointwise import pointwise_conv
from convatlas.ops.weights import new_filters


def separable_conv(
    x: Tensor,
    depthwise: Tensor,
    pointwise: Tensor,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """Apply one filter or more to every channel, then one 1 x 1 convolution across channels.

    It is the ordinary convolution whose kernel is the outer product of the two.

    Shape:
        x          (n, c, i…)
        depthwise  (a c, 1, k…)
        pointwise  (d, a c, 1…)
        returns    (n, d, ceil(i / stride)…) with padding `same`

    Cost: a * c * (k… + d) multiply-adds per output position (equation 5); beside the ordinary
        convolution, 1 / d + 1 / k… of it for a = 1.

    Raises:
        UsageError: as `depthwise_conv` and `pointwise_conv`.
    """
    filtered = depthwise_conv(x, depthwise, stride=stride, padding=padding, dilation=dilation)
    return pointwise_conv(filtered, pointwise)


class SeparableConv(nn.Module):
    """`separable_conv` with its weights; nothing stands between the two steps.

    Args:
        multiplier: filters on each channel.
        dims: axes after the channels, 1 to 3.

    Shape: (n, in_channels, i…) -> (n, out_channels, ceil(i / stride)…)

    Cost: as in `separable_conv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Sequence[int],
        *,
        multiplier: int = 1,
        dims: int = 2,
        stride: int | Sequence[int] = 1,
        padding: Padding = "same",
        dilation: int | Sequence[int] = 1,
    ):
        super().__init__()
        filtered = multiplier * in_channels
        self.depthwise = new_filters(filtered, 1, kernel, dims)
        self.pointwise = new_filters(out_channels, filtered, 1, dims)
        self.stride, self.padding, self.dilation = stride, padding, dilation

    def forward(self, x: Tensor) -> Tensor:
        return separable_conv(
            x,
            self.depthwise,
            self.pointwise,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )
