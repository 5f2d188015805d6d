"""Stochastic pooling: draw one value of each window, the larger the likelier.

Source: Zeiler and Fergus, 2013, arXiv:1301.3557, section 3.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from convatlas.ops.arithmetic import each_axis, output_size
from convatlas.ops.matrix import windows


def stochastic_pool(
    x: Tensor,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    training: bool,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw one value with probability x_i / sum of x in training; else sum of x^2 / sum of x.

    A window of zeros gives 0. Values are those after a ReLU; one below 0 counts as 0.

    Args:
        stride: the kernel if not given.
        generator: of the draws; torch's own if not given.

    Shape: (n, c, i…) -> (n, c, o…), o = floor((i - k) / stride) + 1

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: the window does not fit.
    """
    dims = x.dim() - 2
    kernels = each_axis(kernel, dims, "kernel")
    strides = kernels if stride is None else each_axis(stride, dims, "stride")
    for size, k, s in zip(x.shape[2:], kernels, strides, strict=True):
        output_size(size, k, stride=s)
    seen = windows(x.clamp(min=0), kernels, stride=strides, dilation=(1,) * dims)
    values = seen.flatten(-dims) if dims > 1 else seen
    total = values.sum(-1, keepdim=True)
    chances = torch.where(total > 0, values / total.where(total > 0, 1), 1 / math.prod(kernels))
    if not training:
        return (chances * values).sum(-1)
    drawn = torch.multinomial(chances.detach().flatten(0, -2), 1, generator=generator)
    return values.gather(-1, drawn.view(*values.shape[:-1], 1)).squeeze(-1)
