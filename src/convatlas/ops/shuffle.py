"""Channel shuffle: deal the channels of each group out in turn, so that groups meet.

Source: Zhang, Zhou, Lin, Sun, "ShuffleNet", 2018, arXiv:1707.01083, section 3.1.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.arithmetic import Padding, check_groups
from convatlas.ops.convolution import conv
from convatlas.ops.tracing import is_traced
from convatlas.ops.weights import new_filters


def shuffle_channels(x: Tensor, groups: int) -> Tensor:
    """Move channel i of group g to place i * groups + g: reshape, transpose, flatten.

    Shape: (n, c, i…) -> (n, c, i…), c a multiple of groups

    Cost: no multiply-adds.

    Raises:
        UsageError: c is not a multiple of groups.
    """
    if not is_traced(x) and (groups < 1 or x.shape[1] % groups):
        raise UsageError(
            f"shuffle_channels: channels must be a multiple of groups, got {x.shape[1]} "
            f"for {groups}"
        )
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


def shuffled_group_conv(
    x: Tensor,
    weight: Tensor,
    *,
    groups: int,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
) -> Tensor:
    """Convolve in groups, then shuffle: the next grouped layer reads from every group.

    Shape:
        x        (n, c, i…)
        weight   (d, c / groups, k…); the paper has k = 1
        returns  (n, d, ceil(i / stride)…) with padding `same`

    Cost: c * d * k… / groups multiply-adds per output position.

    Raises:
        UsageError: as `conv`.
    """
    return shuffle_channels(conv(x, weight, stride=stride, padding=padding, groups=groups), groups)


class ShuffledGroupConv(nn.Module):
    """`shuffled_group_conv` with its weights.

    Args:
        dims: axes after the channels, 1 to 3.

    Shape: (n, in_channels, i…) -> (n, out_channels, ceil(i / stride)…)

    Cost: as in `shuffled_group_conv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Sequence[int] = 1,
        *,
        groups: int,
        dims: int = 2,
        stride: int | Sequence[int] = 1,
        padding: Padding = "same",
    ):
        super().__init__()
        check_groups("ShuffledGroupConv", in_channels, out_channels, groups)
        self.weight = new_filters(out_channels, in_channels // groups, kernel, dims)
        self.groups, self.stride, self.padding = groups, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return shuffled_group_conv(
            x, self.weight, groups=self.groups, stride=self.stride, padding=self.padding
        )
