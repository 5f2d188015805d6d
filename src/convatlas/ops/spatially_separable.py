"""Spatially separable convolution: a column of weights, then a row, instead of a square.

What they can represent are kernels of rank 1; `split_rank_one` finds the nearest and its error.

Source: Szegedy et al., "Rethinking the Inception Architecture", 2016, arXiv:1512.00567,
    section 3.2 (the two-step form); Eckart and Young, 1936, for the nearest kernel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.arithmetic import each_axis
from convatlas.ops.convolution import conv
from convatlas.ops.weights import new_filters

Ints = int | Sequence[int]


def spatially_separable_conv(
    x: Tensor, column: Tensor, row: Tensor, *, stride: Ints = 1, padding: str = "same"
) -> Tensor:
    """Apply one column and one row for every pair of channels.

    It is the ordinary convolution with the kernels column * row.

    Shape:
        x        (n, c, h, w)
        column   (d, c, kh)
        row      (d, c, kw)
        returns  (n, d, ceil(h / stride), ceil(w / stride)) with padding `same`

    Cost: c * d * kh multiply-adds per position of the columns' answers, which keep the full
        width, and c * d * kw per output position. c * d maps stand between the two.

    Raises:
        UsageError: column and row are not for the same channels, or as `conv`.
    """
    if column.dim() != 3 or column.shape[:2] != row.shape[:2]:
        raise UsageError(
            f"spatially_separable_conv: column (d, c, kh) and row (d, c, kw) must have the same "
            f"d and c, got {tuple(column.shape)} and {tuple(row.shape)}"
        )
    d, c = column.shape[:2]
    high, wide = each_axis(stride, 2, "stride")
    # Channel by channel, so that the filters of each make one group; then by output.
    columns = column.transpose(0, 1).reshape(c * d, 1, -1, 1)
    between = conv(x, columns, stride=(high, 1), padding=(padding, 0), groups=c)
    between = between.unflatten(1, (c, d)).transpose(1, 2).flatten(1, 2)
    return conv(between, row[:, :, None], stride=(1, wide), padding=(0, padding), groups=d)


def two_step_conv(
    x: Tensor, column: Tensor, row: Tensor, *, stride: Ints = 1, padding: str = "same"
) -> Tensor:
    """Apply a full kh x 1 convolution to some middle channels, then a full 1 x kw one.

    Shape:
        x        (n, c, h, w)
        column   (m, c, kh, 1)
        row      (d, m, 1, kw)
        returns  (n, d, ceil(h / stride), ceil(w / stride)) with padding `same`

    Cost: c * m * kh multiply-adds per position between the steps, where the width is still full,
        and m * d * kw per output position.

    Raises:
        UsageError: as `conv`.
    """
    high, wide = each_axis(stride, 2, "stride")
    between = conv(x, column, stride=(high, 1), padding=(padding, 0))
    return conv(between, row, stride=(1, wide), padding=(0, padding))


def split_rank_one(kernel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the column and row with the nearest product to each kernel, and the error.

    The first singular vectors; the error is sqrt(1 - s1^2 / sum of s^2), from 0, a kernel of
    rank 1, to under 1, and 0 for a kernel of zeros.

    Shape: (d, c, kh, kw) -> column (d, c, kh), row (d, c, kw), error (d, c)

    Cost: a singular value decomposition for each pair of channels, not counted.

    Raises:
        UsageError: the kernel has not four axes.
    """
    if kernel.dim() != 4:
        raise UsageError(
            f"split_rank_one: kernel must be (d, c, kh, kw), got {tuple(kernel.shape)}"
        )
    left, values, right = torch.linalg.svd(kernel, full_matrices=False)
    root = values[..., :1].sqrt()
    total = values.square().sum(-1)
    missed = values[..., 1:].square().sum(-1)
    error = (missed / total.where(total > 0, 1)).sqrt()
    return left[..., 0] * root, right[..., 0, :] * root, error


class SpatiallySeparableConv(nn.Module):
    """`spatially_separable_conv` with its weights.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))

    Cost: as in `spatially_separable_conv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Ints,
        *,
        stride: Ints = 1,
        padding: str = "same",
    ):
        super().__init__()
        high, wide = each_axis(kernel, 2, "kernel")
        self.column = new_filters(out_channels, in_channels, high, 1)
        self.row = new_filters(out_channels, in_channels, wide, 1)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return spatially_separable_conv(
            x, self.column, self.row, stride=self.stride, padding=self.padding
        )


class TwoStepConv(nn.Module):
    """`two_step_conv` with its weights.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))

    Cost: as in `two_step_conv`.
    """

    def __init__(
        self,
        in_channels: int,
        middle_channels: int,
        out_channels: int,
        kernel: Ints,
        *,
        stride: Ints = 1,
        padding: str = "same",
    ):
        super().__init__()
        high, wide = each_axis(kernel, 2, "kernel")
        self.column = new_filters(middle_channels, in_channels, (high, 1), 2)
        self.row = new_filters(out_channels, middle_channels, (1, wide), 2)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return two_step_conv(x, self.column, self.row, stride=self.stride, padding=self.padding)
