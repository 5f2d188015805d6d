"""Pooling to a fixed number of bins, whatever the input's size: dynamic, pyramid, global.

Bin j of n over i positions runs from floor(j i / n) to ceil((j + 1) i / n).

Source: He et al., "Spatial Pyramid Pooling", 2014, arXiv:1406.4729, section 2.2; Lin, Chen, Yan,
    2014, arXiv:1312.4400, section 3.2, for the global mean.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from convatlas.errors import UsageError
from convatlas.ops.arithmetic import each_axis

MAXIMA = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}
MEANS = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}


def dynamic_pool(x: Tensor, bins: int | Sequence[int], *, average: bool = False) -> Tensor:
    """Return the maximum or mean of each of n nearly equal bins along each axis.

    Shape: (n, c, i…) -> (n, c, bins…)

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: fewer than 1 bin, or not 1 to 3 axes.
    """
    dims = x.dim() - 2
    if dims not in MAXIMA:
        raise UsageError(
            f"dynamic_pool: input must be (n, c, i…) with 1 to 3 axes, got {tuple(x.shape)}"
        )
    each = each_axis(bins, dims, "bins")
    if min(each) < 1:
        raise UsageError(f"dynamic_pool: bins must be 1 or more, got {each}")
    return (MEANS if average else MAXIMA)[dims](x, each)


def pyramid_pool(x: Tensor, levels: Sequence[int] = (1, 2, 4), *, average: bool = False) -> Tensor:
    """Apply `dynamic_pool` at several numbers of bins and put all answers in one row.

    Shape: (n, c, i…) -> (n, c * sum of level ** axes)

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: no level, or as `dynamic_pool`.
    """
    if not levels:
        raise UsageError("pyramid_pool: one level or more is needed, got none")
    return torch.cat([dynamic_pool(x, n, average=average).flatten(1) for n in levels], dim=1)


def global_pool(x: Tensor) -> Tensor:
    """Return the mean of each channel over all positions.

    Shape: (n, c, i…) -> (n, c)

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: no axis after the channels.
    """
    if x.dim() < 3:
        raise UsageError(f"global_pool: input must be (n, c, i…), got {tuple(x.shape)}")
    return x.flatten(2).mean(2)
