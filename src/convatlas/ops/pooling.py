"""Pooling by maximum, mean and root of the sum of squares.

Source: Dumoulin and Visin, 2016, arXiv:1603.07285, chapter 3, for max and average; Sermanet,
    Chintala, LeCun, 2012, arXiv:1204.3968, section 2, for L2.
"""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from convatlas.errors import UsageError
from convatlas.ops.arithmetic import each_axis, pooled_size

MAXIMA = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
MEANS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}

Ints = int | Sequence[int]


def max_pool(
    x: Tensor,
    kernel: Ints,
    *,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """Return the maximum of each window; padding never wins.

    Args:
        stride: the kernel if not given.
        ceil_mode: keep a last window that runs over the end.

    Shape: (n, c, i…) -> (n, c, o…), o = `arithmetic.pooled_size`

    Cost: no multiply-adds; the gradient goes to the largest value only, the first of equals.

    Raises:
        UsageError: the window does not fit, or padding above half of it.
    """
    kernels, strides, paddings, dilations = _axes(x, kernel, stride, padding, dilation, ceil_mode)
    return MAXIMA[len(kernels)](x, kernels, strides, paddings, dilations, ceil_mode)


def average_pool(
    x: Tensor,
    kernel: Ints,
    *,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_padding: bool = True,
) -> Tensor:
    """Return the mean of each window.

    Args:
        stride: the kernel if not given.
        ceil_mode: keep a last window that runs over the end; what is over it never counts.
        count_padding: whether the zeros of the padding count as values.

    Shape: (n, c, i…) -> (n, c, o…), o = `arithmetic.pooled_size`

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: the window does not fit, or padding above half of it.
    """
    kernels, strides, paddings, _ = _axes(x, kernel, stride, padding, 1, ceil_mode)
    return MEANS[len(kernels)](x, kernels, strides, paddings, ceil_mode, count_padding)


def l2_pool(
    x: Tensor, kernel: Ints, *, stride: Ints | None = None, padding: Ints = 0, mean: bool = False
) -> Tensor:
    """Return sqrt(sum of x^2) of each window; the gradient of a window of zeros is zero.

    Args:
        stride: the kernel if not given.
        mean: sqrt(mean of x^2) instead.

    Shape: (n, c, i…) -> (n, c, o…), o = `arithmetic.pooled_size`

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: the window does not fit, or padding above half of it.
    """
    squares = average_pool(x.square(), kernel, stride=stride, padding=padding)
    if not mean:
        squares = squares * math.prod(each_axis(kernel, x.dim() - 2, "kernel"))
    above = squares > 0
    # The slope of a root at 0 is infinite: take the root of 1 there and put 0 in its place.
    return squares.where(above, 1).sqrt() * above


def _axes(
    x: Tensor, kernel: Ints, stride: Ints | None, padding: Ints, dilation: Ints, ceil_mode: bool
) -> tuple[tuple[int, ...], ...]:
    dims = x.dim() - 2
    if dims not in MAXIMA:
        raise UsageError(f"pool: input must be (n, c, i…) with 1 to 3 axes, got {tuple(x.shape)}")
    kernels = each_axis(kernel, dims, "kernel")
    each = (
        kernels,
        kernels if stride is None else each_axis(stride, dims, "stride"),
        each_axis(padding, dims, "padding"),
        each_axis(dilation, dims, "dilation"),
    )
    for size, k, s, p, d in zip(x.shape[2:], *each, strict=True):
        pooled_size(size, k, stride=s, padding=p, dilation=d, ceil_mode=ceil_mode)
    return each
