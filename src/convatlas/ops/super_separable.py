"""Super-separable convolution: the channels in slices, each slice depthwise separable on its own.

Slices do not see each other inside a layer, so neighbouring layers take co-prime numbers of them;
the paper alternates 2 and 3.

Source: Kaiser, Gomez, Chollet, 2017, arXiv:1706.03059, section 2.2 and table 1.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from convatlas.ops.arithmetic import Padding, check_groups
from convatlas.ops.depthwise import depthwise_conv
from convatlas.ops.pointwise import pointwise_conv
from convatlas.ops.weights import new_filters


def super_separable_conv(
    x: Tensor,
    depthwise: Tensor,
    pointwise: Tensor,
    *,
    groups: int,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """Filter every channel alone, then mix the channels of each slice by themselves.

    Shape:
        x          (n, c, i…)
        depthwise  (c, 1, k…)
        pointwise  (d, c / groups, 1…)
        returns    (n, d, ceil(i / stride)…) with padding `same`

    Cost: c * k… + c * d / groups multiply-adds per output position.

    Raises:
        UsageError: as `depthwise_conv` and `pointwise_conv`.
    """
    filtered = depthwise_conv(x, depthwise, stride=stride, padding=padding, dilation=dilation)
    return pointwise_conv(filtered, pointwise, groups=groups)


class SuperSeparableConv(nn.Module):
    """`super_separable_conv` with its weights.

    Args:
        groups: slices.
        dims: axes after the channels, 1 to 3; the paper has 1.

    Shape: (n, in_channels, i…) -> (n, out_channels, ceil(i / stride)…)

    Cost: as in `super_separable_conv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Sequence[int],
        *,
        groups: int,
        dims: int = 1,
        stride: int | Sequence[int] = 1,
        padding: Padding = "same",
        dilation: int | Sequence[int] = 1,
    ):
        super().__init__()
        check_groups("SuperSeparableConv", in_channels, out_channels, groups)
        self.depthwise = new_filters(in_channels, 1, kernel, dims)
        self.pointwise = new_filters(out_channels, in_channels // groups, 1, dims)
        self.groups = groups
        self.stride, self.padding, self.dilation = stride, padding, dilation

    def forward(self, x: Tensor) -> Tensor:
        return super_separable_conv(
            x,
            self.depthwise,
            self.pointwise,
            groups=self.groups,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )
