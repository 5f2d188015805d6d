"""Pyramidal depthwise convolution: filters of several sizes on each channel alone, side by side.

Source: Hoang, Jo, "PydMobileNet", 2018, arXiv:1811.07083; the graphs that the authors released.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.depthwise import depthwise_conv
from convatlas.ops.pointwise import pointwise_conv
from convatlas.ops.weights import new_filters


def pyramid_filter(
    x: Tensor, weights: Sequence[Tensor], *, stride: int = 1, concat: bool = False
) -> Tensor:
    """Apply one filter of each size to every channel; add the answers, or lay them side by side.

    Shape:
        x        (n, c, i…)
        weights  (c, 1, k…) of each size
        returns  (n, c, ceil(i / stride)…), or len(weights) * c channels with concat

    Cost: c * sum of k… multiply-adds per output position.

    Raises:
        UsageError: no weights, or as `depthwise_conv`.
    """
    if not weights:
        raise UsageError("pyramid_filter: weights must be one filter or more a channel, got none")
    return join_maps([depthwise_conv(x, weight, stride=stride) for weight in weights], concat)


def pyramid_conv(
    x: Tensor,
    weights: Sequence[Tensor],
    pointwise: Tensor,
    *,
    stride: int = 1,
    concat: bool = False,
) -> Tensor:
    """Apply `pyramid_filter`, then a 1 x 1, which concat makes len(weights) times wider.

    Shape:
        x          (n, c, i…)
        weights    (c, 1, k…) of each size
        pointwise  (d, c, 1…), or (d, len(weights) * c, 1…) with concat
        returns    (n, d, ceil(i / stride)…)

    Cost: c * (sum of k… + d) multiply-adds per output position, len(weights) * d with concat.

    Raises:
        UsageError: as `pyramid_filter` and `pointwise_conv`.
    """
    return pointwise_conv(pyramid_filter(x, weights, stride=stride, concat=concat), pointwise)


def join_maps(maps: Sequence[Tensor], concat: bool) -> Tensor:
    """Return the sum of the maps, or the maps side by side.

    Shape: (n, c, i…) each -> (n, c, i…), or len(maps) * c channels with concat

    Cost: no multiply-adds.
    """
    if concat:
        return torch.cat(list(maps), dim=1)
    total = maps[0]
    for map_ in maps[1:]:
        total = total + map_
    return total


class Pyramid(nn.Module):
    """`pyramid_filter` for images with its weights, in ordinary layers of torch.

    Args:
        kernels: sizes of the filters, odd.
        concat: lay the answers side by side instead of adding them.

    Shape: (n, channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride)), where
        out_channels is channels, or channels * len(kernels) with concat

    Cost: channels * sum of kernel ** 2 multiply-adds per output pixel.

    Raises:
        UsageError: no kernel, or an even one.
    """

    def __init__(self, channels: int, kernels: Sequence[int], *, stride: int, concat: bool):
        super().__init__()
        if not kernels or any(k < 1 or k % 2 == 0 for k in kernels):
            raise UsageError(f"Pyramid: kernels must be odd sizes, one or more, got {kernels}")
        self.concat = concat
        self.out_channels = channels * (len(kernels) if concat else 1)
        self.filters = nn.ModuleList(
            nn.Conv2d(
                channels, channels, k, stride=stride, padding=k // 2, groups=channels, bias=False
            )
            for k in kernels
        )

    def forward(self, x: Tensor) -> Tensor:
        return join_maps([filter_(x) for filter_ in self.filters], self.concat)


class PyramidConv(nn.Module):
    """`pyramid_conv` with its weights.

    Args:
        kernels: sizes of the filters.
        dims: axes after the channels, 1 to 3.

    Shape: (n, in_channels, i…) -> (n, out_channels, ceil(i / stride)…)

    Cost: as in `pyramid_conv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernels: Sequence[int] = (3, 5, 7),
        *,
        concat: bool = False,
        dims: int = 2,
        stride: int = 1,
    ):
        super().__init__()
        self.weights = nn.ParameterList(new_filters(in_channels, 1, k, dims) for k in kernels)
        widened = in_channels * (len(kernels) if concat else 1)
        self.pointwise = new_filters(out_channels, widened, 1, dims)
        self.stride, self.concat = stride, concat

    def forward(self, x: Tensor) -> Tensor:
        return pyramid_conv(
            x, list(self.weights), self.pointwise, stride=self.stride, concat=self.concat
        )
