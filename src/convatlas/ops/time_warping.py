"""Dynamic time warping: how far two series are apart when time may be stretched a little.

Source: Sakoe, Chiba, "Dynamic programming algorithm optimization for spoken word recognition",
    IEEE TASSP 1978; as a distance of sensors: Yu et al., 2019, arXiv:1903.00919.
"""

import math

import torch
from torch import Tensor

from convatlas.errors import UsageError

AT_ONCE = 8192  # pairs: what is kept of them is some tens of MB


@torch.no_grad()
def time_warping(x: Tensor, y: Tensor, *, band: int) -> Tensor:
    """Compute the distance of each pair of series: the root of the least sum of squares on a path.

    Args:
        band: steps that the two may be apart (Sakoe-Chiba); 0 gives the Euclidean distance.

    Shape: (pairs, t), (pairs, t) -> (pairs,)

    Cost: (2 * band + 1) * t subtractions and squares for each pair; no multiply-adds by the rule.

    Raises:
        UsageError: shapes that differ, or a band below 0.
    """
    if x.shape != y.shape or x.dim() != 2 or band < 0:
        raise UsageError(
            f"time_warping: needs two tensors (pairs, t) of one shape and a band of 0 or more, got "
            f"{tuple(x.shape)}, {tuple(y.shape)} and {band}"
        )
    chunks = zip(x.split(AT_ONCE), y.split(AT_ONCE), strict=True)
    return torch.cat([_warped(a.T.contiguous(), b.T.contiguous(), band) for a, b in chunks])


def _warped(x: Tensor, y: Tensor, band: int) -> Tensor:
    """Fill the table row by row; two rows are kept. Shape: (t, pairs), (t, pairs) -> (pairs,)"""
    steps, pairs = x.shape
    before, now = (x.new_full((steps + 1, pairs), math.inf) for _ in range(2))
    before[0] = 0
    for i in range(steps):
        first, end = max(0, i - band), min(steps, i + band + 1)
        costs = (x[i] - y[first:end]).square_()
        # From the row before: straight down, or diagonally.
        least = torch.minimum(before[first + 1 : end + 1], before[first:end])
        now[first] = math.inf
        for j in range(first, end):
            torch.minimum(least[j - first], now[j], out=now[j + 1])
            now[j + 1] += costs[j - first]
        before, now = now, before
    return before[steps].sqrt()
