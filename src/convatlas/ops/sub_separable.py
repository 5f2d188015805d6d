"""Sub-separable convolution: between grouped and full, one step short of depthwise.

Source: Kaiser, Gomez, Chollet, 2017, arXiv:1706.03059, section 2.1 and table 1.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from convatlas.ops.arithmetic import Padding, check_groups
from convatlas.ops.grouped import grouped_conv
from convatlas.ops.pointwise import pointwise_conv
from convatlas.ops.weights import new_filters


def sub_separable_conv(
    x: Tensor,
    grouped: Tensor,
    pointwise: Tensor,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """Apply a grouped convolution, then one 1 x 1 convolution across all channels.

    Shape:
        x          (n, c, i…)
        grouped    (d, c / groups, k…), which sets groups
        pointwise  (d, d, 1…)
        returns    (n, d, ceil(i / stride)…) with padding `same`

    Cost: c * d * k… / groups + d * d multiply-adds per output position.

    Raises:
        UsageError: as `grouped_conv` and `pointwise_conv`.
    """
    filtered = grouped_conv(x, grouped, stride=stride, padding=padding, dilation=dilation)
    return pointwise_conv(filtered, pointwise)


class SubSeparableConv(nn.Module):
    """`sub_separable_conv` with its weights.

    Args:
        groups: of the first step; as many as channels make it depthwise separable.
        dims: axes after the channels, 1 to 3; the paper has 1.

    Shape: (n, in_channels, i…) -> (n, out_channels, ceil(i / stride)…)

    Cost: as in `sub_separable_conv`.
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
        check_groups("SubSeparableConv", in_channels, out_channels, groups)
        self.grouped = new_filters(out_channels, in_channels // groups, kernel, dims)
        self.pointwise = new_filters(out_channels, out_channels, 1, dims)
        self.stride, self.padding, self.dilation = stride, padding, dilation

    def forward(self, x: Tensor) -> Tensor:
        return sub_separable_conv(
            x,
            self.grouped,
            self.pointwise,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )
