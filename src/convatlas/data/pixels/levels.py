"""From 8-bit values to fewer levels and back."""

from functools import lru_cache

import torch
from torch import Tensor

VALUES = 256  # of 8 bits


def to_levels(image: Tensor, levels: int) -> Tensor:
    """Return the level of each value: floor(value * levels / 256).

    Shape: uint8 (…) -> float32 (…), whole numbers from 0 to levels - 1
    """
    return torch.floor(image.float() * (levels / VALUES))  # exact: a product of at most 16 bits


def from_levels(values: Tensor, levels: int) -> Tensor:
    """Return an 8-bit value for each level, which `to_levels` makes that level again.

    Shape: whole numbers (…) -> uint8 (…)
    """
    return level_values(levels).to(values.device)[values.long()]


@lru_cache(maxsize=4)
def level_values(levels: int) -> Tensor:
    """Return the 8-bit value that stands for each level: from black to white. Shape: (levels,)"""
    table = []
    for level in range(levels):
        first, last = -(-level * VALUES // levels), -(-(level + 1) * VALUES // levels) - 1
        table.append(min(max(round(level * 255 / (levels - 1)), first), last))
    return torch.tensor(table, dtype=torch.uint8)
