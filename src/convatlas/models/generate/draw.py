"""Draw images value by value: each from the probabilities that the values before it leave.

A value is the level at which the summed probabilities exceed a number drawn uniformly, so that the
same numbers give the same image, whichever way the probabilities are computed.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from convatlas.models.generate.pixel_network import PixelSteps, level_probabilities, scaled


@torch.no_grad()
def draw_values(
    steps: PixelSteps,
    values: Tensor,
    known: Tensor,
    levels: int,
    generator: torch.Generator,
    *,
    dtype: torch.dtype = torch.float32,
    row_done: Callable[[int], None] = lambda row: None,
) -> Tensor:
    """Draw the values that are not known, in reading order.

    Args:
        steps: of a network in evaluation mode, for this batch.
        values: those that are known; the others are not looked at.
        known: places whose values are given. A place's values are known or drawn together.
        generator: on the CPU; draws one number for each value, known or not.
        dtype: of the network.
        row_done: told how many rows are drawn.

    Shape: int64 (n, colours, h, w) and bool (h, w) -> int64 (n, colours, h, w)
    """
    drawn = values.clone()
    _, colours, height, width = values.shape
    uniform = torch.rand(values.shape, generator=generator, dtype=torch.float64).to(values.device)
    image = scaled(values * known, levels).to(dtype)
    given = known.tolist()
    for row in range(height):
        for column in range(width):
            if given[row][column]:
                steps.logits(image, row, column)  # so that later places may read of this one
                continue
            for colour in range(colours):
                logits = steps.logits(image, row, column)[:, :, colour].double()
                sums = level_probabilities(logits).cumsum(1)[:, :-1]
                level = (uniform[:, colour, row, column, None] >= sums).sum(1)
                drawn[:, colour, row, column] = level
                image[:, colour, row, column] = scaled(level, levels).to(dtype)
        row_done(row + 1)
    return drawn
