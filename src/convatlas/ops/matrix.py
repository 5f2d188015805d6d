"""Convolution as one matrix product: a sparse matrix on the whole input, or patches side by side.

y = C x with x laid out in one row of numbers. Going back, the gradient of x is C^T times the
gradient of y: that is the transposed convolution.

Source: Dumoulin and Visin, 2016, arXiv:1603.07285, section 4.1.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from convatlas.errors import UsageError
from convatlas.ops.arithmetic import Padding, window_axes
from convatlas.ops.convolution import check_conv
from convatlas.ops.padding import pad

Ints = int | Sequence[int]


def convolution_matrix(
    weight: Tensor,
    size: Sequence[int],
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    padding_mode: str = "zeros",
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Build the sparse C with `conv(x, weight)` = C x; gradients reach the weight through it.

    Args:
        size: of the input, one number an axis.
        padding_mode: as in `conv`; a constant other than 0 is no linear map, so there is none.

    Shape: (d, c / groups, k…) -> (d * positions out, c * positions in), sparse

    Cost: as many entries as weights times output positions, less those that fall into padding.

    Raises:
        UsageError: the kernel does not fit the input, or padding with a constant.
    """
    if padding_mode == "constant":
        raise UsageError("convolution_matrix: padding must not be a constant; use 'zeros'")
    channels = weight.shape[1] * groups
    # Every input position holds its own number; what the padding adds from nowhere holds 0.
    numbers = torch.arange(1.0, channels * math.prod(size) + 1, dtype=torch.float64)
    numbers = numbers.view(1, channels, *size).to(weight.device)
    check_conv(numbers, weight, groups)
    read = patches(
        numbers,
        weight.shape[2:],
        stride=stride,
        padding=padding,
        padding_mode=padding_mode,
        dilation=dilation,
    ).long()
    out, positions = weight.shape[0], read.shape[2]
    columns = read.view(groups, 1, -1, positions).expand(-1, out // groups, -1, -1)
    columns = columns.reshape(out, -1, positions)
    rows = torch.arange(out * positions, device=weight.device).view(out, 1, positions)
    values = weight.reshape(out, -1, 1).expand_as(columns)
    inside = columns > 0
    where = torch.stack([rows.expand_as(columns)[inside], columns[inside] - 1])
    shape = (out * positions, channels * math.prod(size))
    return torch.sparse_coo_tensor(where, values[inside], shape, check_invariants=False)


def conv_by_matrix(x: Tensor, matrix: Tensor, output: Sequence[int]) -> Tensor:
    """Convolve by the matrix of `convolution_matrix`; the gradient goes back through C^T.

    Args:
        output: size of the output, one number an axis.

    Shape: (n, c, i…), (d * positions out, c * positions in) -> (n, d, o…)

    Cost: one multiply-add for each entry of the matrix and each item of the batch.

    Raises:
        UsageError: the matrix belongs to another input or output size.
    """
    rows, columns = matrix.shape
    if columns != x[0].numel() or rows % math.prod(output):
        raise UsageError(
            f"conv_by_matrix: a matrix of {rows} x {columns} does not take input "
            f"{tuple(x.shape[1:])} to output {tuple(output)}"
        )
    answers = torch.sparse.mm(matrix, x.flatten(1).T)
    return answers.T.unflatten(1, (-1, *output))


def patches(
    x: Tensor,
    kernel: Sequence[int],
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    padding_mode: str = "zeros",
    dilation: Ints = 1,
) -> Tensor:
    """Return what each place of the window sees, one column a place ("im2col").

    Shape: (n, c, i…) -> (n, c * K, positions out)

    Cost: no multiply-adds; K times the memory of the input at stride 1.

    Raises:
        UsageError: the window does not fit.
    """
    dims = len(kernel)
    axes = window_axes(x.shape[2:], kernel, stride=stride, padding=padding, dilation=dilation)
    padded = pad(x, [(axis.before, axis.after) for axis in axes], mode=padding_mode)
    seen = windows(
        padded,
        kernel,
        stride=[axis.stride for axis in axes],
        dilation=[axis.dilation for axis in axes],
    )
    last_axes = range(2 + dims, 2 + 2 * dims)
    return seen.permute(0, 1, *last_axes, *range(2, 2 + dims)).flatten(1, 1 + dims).flatten(2)


def windows(
    x: Tensor, kernel: Sequence[int], *, stride: Sequence[int], dilation: Sequence[int]
) -> Tensor:
    """Return all places of a window on x, without a copy.

    Shape: (n, c, i…) -> (n, c, o…, k…)

    Cost: no multiply-adds.
    """
    for axis, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True), start=2):
        x = x.unfold(axis, d * (k - 1) + 1, s)[..., ::d]
    return x


def conv_by_patches(
    x: Tensor,
    weight: Tensor,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
) -> Tensor:
    """Convolve by one dense product: the (d, c K) weights times the patches.

    Shape: (n, c, i…), (d, c, k…) -> (n, d, o…)

    Cost: c * d * K multiply-adds per output position.

    Raises:
        UsageError: as `conv`.
    """
    check_conv(x, weight)
    kernel = tuple(weight.shape[2:])
    axes = window_axes(x.shape[2:], kernel, stride=stride, padding=padding, dilation=dilation)
    columns = patches(x, kernel, stride=stride, padding=padding, dilation=dilation)
    return (weight.flatten(1) @ columns).unflatten(2, [axis.output for axis in axes])
