"""Grouped convolution: the channels in parts, each part convolved alone.

Source: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.2 (two groups, for two graphics cards).
"""

from collections.abc import Sequence

from torch import Tensor

from convatlas.errors import UsageError
from convatlas.ops.arithmetic import Padding
from convatlas.ops.convolution import conv


def grouped_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """Convolve in as many groups as the filters' channels ask for; `Conv(groups=g)` holds weights.

    Shape:
        x        (n, c, i…)
        weight   (d, c / groups, k…), which sets groups
        returns  (n, d, ceil(i / stride)…) with padding `same`

    Cost: c * d * k… / groups multiply-adds per output position.

    Raises:
        UsageError: c is not a multiple of the channels that a filter reads, or as `conv`.
    """
    channels, read = x.shape[1], weight.shape[1]
    if read < 1 or channels % read:
        raise UsageError(
            f"grouped_conv: channels must be a multiple of those that a filter reads, "
            f"got {channels} for {read}"
        )
    return conv(
        x,
        weight,
        bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=channels // read,
    )
