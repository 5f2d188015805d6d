"""1 x 1 convolution: mix the channels at each position, as a linear layer shared by all of them.

Source: Lin, Chen, Yan, "Network In Network", 2014, arXiv:1312.4400, section 3.1.
"""

from collections.abc import Sequence

from torch import Tensor

from convatlas.errors import UsageError
from convatlas.ops.convolution import conv


def pointwise_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Return a weighted sum of the channels at each position; `Conv(c, d, 1)` holds the weights.

    Shape:
        x        (n, c, i…)
        weight   (d, c / groups, 1…)
        returns  (n, d, ceil(i / stride)…)

    Cost: c * d / groups multiply-adds per output position.

    Raises:
        UsageError: the kernel is not 1, or as `conv`.
    """
    if any(k != 1 for k in weight.shape[2:]):
        raise UsageError(
            f"pointwise_conv: the kernel must be 1, got {tuple(weight.shape[2:])}; use conv"
        )
    return conv(x, weight, bias, stride=stride, groups=groups)
