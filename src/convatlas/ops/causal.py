"""Causal convolution: a step of the output sees that step of the input and earlier ones.

Source: Kalchbrenner et al., "Neural Machine Translation in Linear Time" (ByteNet), 2017,
    arXiv:1610.10099, section 3, where it is called masked.
"""

from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.arithmetic import check_groups
from convatlas.ops.convolution import conv
from convatlas.ops.weights import new_filters


def causal_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve with all padding, dilation (k - 1), before the first step and none after the last.

    Shape:
        x        (n, c, t)
        weight   (d, c / groups, k)
        returns  (n, d, t)

    Cost: c * d * k / groups multiply-adds per step.

    Raises:
        UsageError: not one axis of time, or as `conv`.
    """
    if x.dim() != 3:
        raise UsageError(f"causal_conv: input must be (n, c, t), got {tuple(x.shape)}")
    return conv(x, weight, bias, padding="causal", dilation=dilation, groups=groups)


class CausalConv(nn.Module):
    """`causal_conv` with its weights.

    Shape: (n, in_channels, t) -> (n, out_channels, t)

    Cost: as in `causal_conv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        dilation: int = 1,
        groups: int = 1,
    ):
        super().__init__()
        check_groups("CausalConv", in_channels, out_channels, groups)
        self.weight = new_filters(out_channels, in_channels // groups, kernel, 1)
        self.dilation, self.groups = dilation, groups

    def forward(self, x: Tensor) -> Tensor:
        return causal_conv(x, self.weight, dilation=self.dilation, groups=self.groups)
